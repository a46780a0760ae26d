//! What a provider says of somebody who signs in.

use serde_json::{Map, Value, json};

/// Somebody, by what differs from the usual: a verified address, a name, the group `staff`, signed in with a password.
#[derive(Debug, Clone)]
pub struct Person {
    email: String,
    claims: Map<String, Value>,
    acr: Option<String>,
    amr: Option<Vec<String>>,
    deleted: bool,
}

impl Person {
    /// Somebody about whom nothing is unusual. They sign in by this address.
    #[must_use]
    pub fn new(email: &str) -> Self {
        Self { email: email.to_owned(), claims: Map::new(), acr: None, amr: None, deleted: false }
    }

    /// Another claim, or another value of one.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Of whom this is not said.
    #[must_use]
    pub fn without(self, name: &str) -> Self {
        self.claim(name, Value::Null)
    }

    /// How strongly the provider says that they signed in.
    #[must_use]
    pub fn acr(mut self, acr: &str) -> Self {
        self.acr = Some(acr.to_owned());
        self
    }

    /// By which means it says so.
    #[must_use]
    pub fn amr(mut self, amr: &[&str]) -> Self {
        self.amr = Some(amr.iter().map(|&method| method.to_owned()).collect());
        self
    }

    /// Somebody whom the provider knows no more.
    #[must_use]
    pub fn deleted(mut self) -> Self {
        self.deleted = true;
        self
    }

    pub(super) fn order(&self) -> Value {
        json!({"email": self.email, "claims": self.claims, "acr": self.acr, "amr": self.amr, "deleted": self.deleted})
    }
}
