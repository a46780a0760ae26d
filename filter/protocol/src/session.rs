//! Sessions: `POST /v1/session`. A browser shows a cookie, and only the sidecars know what is behind it: the filter asks
//! once, keeps the answer for as long as that says, and hears through the feed ([`crate::feed::Kind::Session`]) if the
//! session is ended before.
//!
//! A session of our own is a cookie with a secret and its tag ([`cookie`]). The filter throws away what has no valid tag
//! without asking anybody, and shows sidecars the session's id only, which is the secret's digest.
//!
//! A session of oauth2-proxy is sealed with a secret that only its ticket holds, so of those the filter shows the
//! ticket, once the cookie around it has proved to be oauth2-proxy's; the answer then says what the session is called.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::activity::Method;
use crate::{Email, Epoch, ReplicaId, Subject};

pub mod cookie;

/// Most bytes of a session's id.
pub const ID_MAX_BYTES: usize = 128;
/// Most seconds for which an answer may be kept.
pub const CACHE_MAX_S: u64 = 60;

/// What the filter asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionQuestion {
    /// [`crate::PROTOCOL`].
    pub protocol: u16,
    /// Who asks.
    pub replica: ReplicaId,
    /// The host on which the cookie was shown, in lower case and without a port: a session belongs to one.
    pub host: String,
    /// The session's id; of one of oauth2-proxy, the digest of its ticket, which only tells questions apart.
    pub id: String,
    /// The ticket of a session of oauth2-proxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
}

/// The ticket of a session of oauth2-proxy, which holds the secret that opens it: printed as `Ticket(…)`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(String);

impl Ticket {
    /// The ticket in this text, as it stands in a cookie.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Its text, for whoever opens the session.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What tells it from others and gives nothing of it away: 43 characters of base64url.
    #[must_use]
    pub fn digest(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.0))
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(…)")
    }
}

/// What the sidecar answers with status 200. An inability is a 503 and no answer at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionReply {
    /// [`crate::PROTOCOL`].
    pub protocol: u16,
    /// The epoch of `version`.
    pub epoch: Epoch,
    /// The feed version that the sidecar had applied *before* it read the session (rule P5).
    pub version: u64,
    /// What it is worth.
    pub standing: SessionStanding,
}

/// What a session is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionStanding {
    /// It holds.
    Live(Box<LiveSession>),
    /// There is none of this id on this host, or none any more.
    Unknown,
    /// Somebody ended it, or logged its owner out everywhere.
    Ended,
    /// Its owner is banned.
    Banned {
        /// Unix seconds at which the ban ends; [`crate::feed::FOREVER`] if it has no end.
        until: u64,
        /// The owner's address, if there is one: the owner is told whom the ban is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        email: Option<Email>,
    },
}

/// A session that holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveSession {
    /// What it is called, if it is not what the filter called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whose it is.
    pub subject: Subject,
    /// The e-mail address, if the provider vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// How its owner signed in.
    pub method: Method,
    /// What is known of its owner, as the payload of an ID token (RFC 7515 §2, OpenID Connect Core §2): JSON in base64url,
    /// with `groups`, `roles`, `acr`, `amr`, `preferred_username` and what else sidecars were told to keep.
    pub claims: String,
    /// When its owner signed in, Unix seconds.
    pub signed_in_at: u64,
    /// When it ends in any case, Unix seconds.
    pub ends_at: u64,
    /// For so many seconds this may be kept; at most [`CACHE_MAX_S`].
    pub cache_s: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_shows_itself_to_nobody_but_a_sidecar() {
        let ticket = Ticket::new("v2.aWQ.c2VjcmV0".into());
        assert_eq!(format!("{ticket:?}"), "Ticket(…)");
        assert!(!ticket.digest().contains("c2VjcmV0") && ticket.digest().len() == 43);
        assert_eq!(serde_json::to_string(&ticket).unwrap(), r#""v2.aWQ.c2VjcmV0""#);
    }
}
