//! The three ways in which a request does not pass: it is refused, it cannot be decided, or it is
//! no proper request. Different types, and different answers on the wire.

use sekisho_protocol::check::DenyReason;
use sekisho_protocol::feed::FOREVER;

use crate::path::Unusual;
use crate::verify::Invalid;

/// The request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// No credential.
    Missing,
    /// An `Authorization` header without a bearer token.
    NotBearer,
    /// A token that is not valid.
    Invalid(Invalid),
    /// A token that was valid once and was revoked.
    Revoked,
    /// The subject is banned.
    Banned {
        /// Unix seconds; [`FOREVER`] if the ban has no end.
        until: u64,
    },
}

/// Nobody can tell whether the request may pass. Never an answer about the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inability {
    /// The denylist says "perhaps barred", and no check as new as the denylist says otherwise.
    Unconfirmed,
    /// The replica is stale and no sidecar answers.
    Unavailable,
    /// Too many requests of this worker wait for checks already.
    Overloaded,
    /// The keys of the token's issuer are not known, or the one that signed it is not and its issuer cannot be
    /// reached.
    Keys,
    /// So many tokens of slow algorithms are being verified that this one has to wait (rule E9).
    Busy,
    /// What admitted the request was barred while it was open. Nobody confirmed it yet, so this is no
    /// refusal: who asks again is told the reason.
    Cut,
    /// The host did not give what the decision needs.
    Host,
}

/// The request is not well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// Two credentials where there may be one.
    SeveralCredentials,
    /// A path that servers read in different ways.
    Path(Unusual),
    /// `CONNECT`, or no host or path.
    Target,
}

impl Denial {
    /// Stable, for logs, metrics and problem details.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "credential_missing",
            Self::NotBearer => "credential_format",
            Self::Invalid(invalid) => invalid.code(),
            Self::Revoked => "token_revoked",
            Self::Banned { .. } => "user_banned",
        }
    }

    /// What the client is told, in the words of the gateway that Sekisho replaces.
    #[must_use]
    pub fn message(&self, now_s: u64) -> String {
        match self {
            Self::Missing => "Authorization header required".into(),
            Self::NotBearer => "Invalid Authorization header format".into(),
            _ => format!("Invalid or expired token: {}", self.reason(now_s)),
        }
    }

    /// The reason alone: `error_description` of RFC 6750 §3.
    #[must_use]
    pub fn reason(&self, now_s: u64) -> String {
        match self {
            Self::Missing | Self::NotBearer => self.message(now_s),
            Self::Invalid(invalid) => invalid.to_string(),
            Self::Revoked => "Token has been revoked".into(),
            Self::Banned { until } if *until >= FOREVER => "User is banned permanently".into(),
            Self::Banned { until } => {
                let left = until.saturating_sub(now_s);
                format!("User is banned for {} days {} hours", left / 86_400, left % 86_400 / 3_600)
            }
        }
    }
}

impl From<DenyReason> for Denial {
    fn from(reason: DenyReason) -> Self {
        match reason {
            DenyReason::Banned { until } => Self::Banned { until },
            DenyReason::TokenRevoked => Self::Revoked,
        }
    }
}

impl Inability {
    /// Stable, for logs, metrics and problem details.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Unconfirmed => "check_unconfirmed",
            Self::Unavailable => "check_unavailable",
            Self::Overloaded => "check_overloaded",
            Self::Keys => "keys_unavailable",
            Self::Busy => "verify_busy",
            Self::Cut => "stream_cut",
            Self::Host => "host_error",
        }
    }

    /// What the client is told.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::Overloaded => "Too many requests are waiting to be checked. Try again shortly",
            Self::Keys => "The keys of the token's issuer cannot be read right now. Try again shortly",
            Self::Busy => "Too many tokens are being verified. Try again shortly",
            Self::Cut => "The request was cut off: its credential may have been withdrawn. Try again to learn more",
            _ => "The request cannot be checked right now. Try again shortly",
        }
    }
}

impl Malformed {
    /// Stable, for logs, metrics and problem details.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::SeveralCredentials => "several_credentials",
            Self::Path(_) => "unusual_path",
            Self::Target => "request_target",
        }
    }

    /// What the client is told.
    #[must_use]
    pub fn message(self) -> String {
        match self {
            Self::SeveralCredentials => "The request carries more than one credential".into(),
            Self::Path(unusual) => format!("The request is refused: {unusual}"),
            Self::Target => "The request names no host, or no path".into(),
        }
    }
}
