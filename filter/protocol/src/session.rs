//! Sessions: `POST /v1/session`. A browser shows a cookie, and only the sidecars know what is behind it: the filter asks
//! once, keeps the answer for as long as that says, and hears through the feed ([`crate::feed::Kind::Session`]) if the
//! session is ended before.
//!
//! A session of our own is a cookie with a secret and its tag ([`cookie`]). The filter throws away what has no valid tag
//! without asking anybody, and shows sidecars the session's id only, which is the secret's digest.

use serde::{Deserialize, Serialize};

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
    /// The session's id.
    pub id: String,
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
