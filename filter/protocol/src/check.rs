//! The check: `POST /v1/check`, one callout that decides what the filter cannot decide alone.

use serde::{Deserialize, Serialize};

use crate::activity::Method;
use crate::keyset::KeysHeld;
use crate::{Epoch, ReplicaId, Subject};

/// What the filter asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRequest {
    /// [`crate::PROTOCOL`].
    pub protocol: u16,
    /// Who asks.
    pub replica: ReplicaId,
    /// The name of the route's rule.
    pub route: String,
    /// Whom the verified credential belongs to.
    pub subject: Subject,
    /// What the credential is.
    #[serde(default)]
    pub method: Method,
    /// The `jti` of the verified token, if it has one, or the session's id; never the credential itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// The token's `iat`, Unix seconds, if it says so. Also of a token without an id: whether its subject
    /// was logged out since depends on nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<u64>,
    /// The keys that verified the token, if sidecars fetched them: an answer under older keys than theirs
    /// decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<KeysHeld>,
    /// Whether the token's provider wants its subject to have signed in recently.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recent_sign_in: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What the sidecar answers with status 200. An inability is a 503 and no decision at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReply {
    /// [`crate::PROTOCOL`].
    pub protocol: u16,
    /// The epoch of `version`.
    pub epoch: Epoch,
    /// The feed version that the sidecar had applied *before* it read the records (rule P5).
    pub version: u64,
    /// The decision.
    pub decision: CheckDecision,
}

/// Allow or deny.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckDecision {
    /// Nothing bars the request.
    Allow,
    /// The request is barred.
    Deny(DenyReason),
}

/// Why a request is barred.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DenyReason {
    /// The subject is banned.
    Banned {
        /// Unix seconds at which the ban ends; [`crate::feed::FOREVER`] if it has no end.
        until: u64,
    },
    /// The token was revoked, or was issued before its subject was logged out everywhere.
    TokenRevoked,
    /// Somebody ended the session.
    SessionEnded,
    /// The subject must sign in again before this token is accepted.
    SignInNeeded,
}
