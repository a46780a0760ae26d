//! In what a token differs from the one that the provider would have signed.

use serde_json::{Map, Value, json};

/// Who signs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// The provider.
    Right,
    /// The provider, and one bit was turned.
    Broken,
    /// Somebody else under the name of the provider's key.
    Stranger,
    /// Nobody, and it says so (`alg: none`).
    None,
    /// HMAC with the client's secret.
    Secret,
}

/// Changes to a token.
#[derive(Debug, Clone)]
pub struct Forgery {
    claims: Map<String, Value>,
    without: Vec<String>,
    header: Map<String, Value>,
    signature: Signature,
}

impl Default for Forgery {
    fn default() -> Self {
        Self { claims: Map::new(), without: Vec::new(), header: Map::new(), signature: Signature::Right }
    }
}

impl Forgery {
    /// With another claim, or another value of one.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.insert(name.to_owned(), value.into());
        self
    }

    /// Without a claim.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.without.push(name.to_owned());
        self
    }

    /// With another member of the header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    /// Signed so.
    #[must_use]
    pub fn signed(mut self, signature: Signature) -> Self {
        self.signature = signature;
        self
    }

    pub(super) fn order(&self) -> Value {
        let signature = match self.signature {
            Signature::Right => "right",
            Signature::Broken => "broken",
            Signature::Stranger => "stranger",
            Signature::None => "none",
            Signature::Secret => "secret",
        };
        json!({"claims": self.claims, "without": self.without, "header": self.header, "signature": signature})
    }
}
