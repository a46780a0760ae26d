//! Logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.4).

use serde::Deserialize;
use serde_json::{Value, json};

use super::Forgery;

/// What a logout token names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// One session, and not whose it is.
    Session,
    /// Everything of somebody.
    Subject,
    /// One session, and whose it is.
    Both,
}

/// A logout token that is wanted.
#[derive(Debug, Clone)]
pub struct LogoutToken {
    email: String,
    about: About,
    sid: Option<String>,
    forgery: Forgery,
}

impl LogoutToken {
    /// A right one for `email`; their newest session is meant.
    #[must_use]
    pub fn new(email: &str, about: About) -> Self {
        Self { email: email.to_owned(), about, sid: None, forgery: Forgery::default() }
    }

    /// With another session.
    #[must_use]
    pub fn sid(mut self, sid: &str) -> Self {
        self.sid = Some(sid.to_owned());
        self
    }

    /// Forged.
    #[must_use]
    pub fn forged(mut self, forgery: Forgery) -> Self {
        self.forgery = forgery;
        self
    }

    pub(super) fn order(&self) -> Value {
        let about = match self.about {
            About::Session => "sid",
            About::Subject => "sub",
            About::Both => "both",
        };
        json!({"email": self.email, "about": about, "sid": self.sid, "changes": self.forgery.order()})
    }
}

/// A logout token that was delivered, and what the client said to it.
#[derive(Debug, Clone, Deserialize)]
pub struct Delivered {
    /// The status of the answer.
    pub status: u16,
    /// The answer.
    pub body: String,
    /// The token.
    pub token: String,
}
