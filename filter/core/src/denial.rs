//! The three ways in which a request does not pass: it is refused, it cannot be decided, or it is
//! no proper request. Different types, and different answers on the wire.

use sekisho_protocol::Email;
use sekisho_protocol::activity::Method;
use sekisho_protocol::check::DenyReason;
use sekisho_protocol::feed::FOREVER;

use crate::authorize::{Lack, Unmet};
use crate::credential::NoCredential;
use crate::identity::Identity;
use crate::path::Unusual;
use crate::verify::Invalid;

/// Every code of a refusal, in the order of the alphabet: an operator's own answer may be for one of them.
pub const CODES: &[&str] = &[
    "address_not_allowed",
    "address_unknown",
    "ambiguous_header",
    "check_overloaded",
    "check_unavailable",
    "check_unconfirmed",
    "claim_mismatch",
    "credential_format",
    "credential_missing",
    "credential_not_accepted",
    "cross_site",
    "excluded",
    "group_missing",
    "host_error",
    "keys_unavailable",
    "outside_hours",
    "provider_not_accepted",
    "request_target",
    "role_missing",
    "route_closed",
    "scope_missing",
    "session_ended",
    "several_credentials",
    "sign_in_needed",
    "sign_in_too_old",
    "stream_cut",
    "token_age",
    "token_algorithm",
    "token_audience",
    "token_claims",
    "token_compressed",
    "token_critical",
    "token_embedded_key",
    "token_encoding",
    "token_encrypted",
    "token_expired",
    "token_issuer",
    "token_key",
    "token_key_id",
    "token_lifetime",
    "token_malformed",
    "token_nested",
    "token_nesting",
    "token_not_yet_valid",
    "token_repeated_member",
    "token_revoked",
    "token_signature",
    "token_time",
    "token_too_long",
    "token_too_old",
    "token_type",
    "token_unencoded",
    "token_unsigned",
    "token_without_email",
    "token_without_subject",
    "unusual_path",
    "user_banned",
    "verify_busy",
];

/// Why a request does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It may not.
    Denied(Denial),
    /// Nobody can tell whether it may.
    CannotTell(Inability),
    /// It is no proper request.
    Malformed(Malformed),
}

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
    /// A session that was ended, by its owner or by somebody else.
    SessionEnded,
    /// A token whose owner must sign in again before it is accepted.
    SignInNeeded,
    /// The subject is banned.
    Banned {
        /// Unix seconds; [`FOREVER`] if the ban has no end.
        until: u64,
    },
    /// The subject of a session is banned: signing in again would not help.
    SessionBanned {
        /// Unix seconds; [`FOREVER`] if the ban has no end.
        until: u64,
        /// Whose session it is, if that is known.
        email: Option<Email>,
    },
    /// A valid credential of a provider whose tokens do not count here.
    NotAccepted,
    /// A session alone, on what changes something, and nothing that says that a page of this host sent it.
    CrossSite,
    /// What the rule requires is not met.
    Unmet(Unmet),
    /// The rule lets nobody in.
    Closed,
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
    /// There is so much slow cryptography to do, for tokens and assertions, that this request has to wait (rule E9).
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
    /// A header by which rules are told apart, and which servers read in different ways.
    Header,
}

impl Denial {
    /// The reason for which this identity is barred.
    #[must_use]
    pub fn of(reason: &DenyReason, identity: &Identity) -> Self {
        match reason {
            DenyReason::Banned { until } if identity.method != Method::Jwt => {
                Self::SessionBanned { until: *until, email: identity.email.clone() }
            }
            reason => reason.clone().into(),
        }
    }

    /// 401 where another credential could help, 403 where none would.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Unmet(unmet) if matches!(unmet.what, Lack::TokenAge | Lack::SignIn(_)) => 401,
            Self::Unmet(_) | Self::Closed | Self::CrossSite | Self::SessionBanned { .. } => 403,
            _ => 401,
        }
    }

    /// Whether somebody could pass by signing in.
    #[must_use]
    pub fn ends_by_signing_in(&self) -> bool {
        self.status() == 401 && !matches!(self, Self::Banned { .. })
    }

    /// Stable, for logs, metrics and problem details.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "credential_missing",
            Self::NotBearer => "credential_format",
            Self::Invalid(invalid) => invalid.code(),
            Self::Revoked => "token_revoked",
            Self::SessionEnded => "session_ended",
            Self::SignInNeeded => "sign_in_needed",
            Self::Banned { .. } | Self::SessionBanned { .. } => "user_banned",
            Self::NotAccepted => "credential_not_accepted",
            Self::CrossSite => "cross_site",
            Self::Unmet(unmet) => unmet.what.code(),
            Self::Closed => "route_closed",
        }
    }

    /// What the client is told, in the words of the gateway that Sekisho replaces.
    #[must_use]
    pub fn message(&self, now_s: u64) -> String {
        match self {
            Self::Missing => "Authorization header required".into(),
            Self::NotBearer => "Invalid Authorization header format".into(),
            Self::NotAccepted => "Credentials of this issuer are not accepted here".into(),
            Self::Unmet(unmet) => unmet.what.message().into(),
            Self::CrossSite => "The request does not come from a page of this site".into(),
            Self::Closed => "Nothing is served here".into(),
            Self::SessionEnded => "Session has been revoked".into(),
            Self::SessionBanned { .. } => self.reason(now_s),
            _ => format!("Invalid or expired token: {}", self.reason(now_s)),
        }
    }

    /// The reason alone: `error_description` of RFC 6750 §3.
    #[must_use]
    pub fn reason(&self, now_s: u64) -> String {
        match self {
            Self::Missing
            | Self::NotBearer
            | Self::NotAccepted
            | Self::SessionEnded
            | Self::CrossSite
            | Self::Unmet(_)
            | Self::Closed => self.message(now_s),
            Self::Invalid(invalid) => invalid.to_string(),
            Self::Revoked => "Token has been revoked".into(),
            Self::SignInNeeded => "User must sign in again".into(),
            Self::Banned { until } | Self::SessionBanned { until, .. } if *until >= FOREVER => {
                "User is banned permanently".into()
            }
            Self::Banned { until } | Self::SessionBanned { until, .. } => {
                let left = until.saturating_sub(now_s);
                format!("User is banned for {} days {} hours", left / 86_400, left % 86_400 / 3_600)
            }
        }
    }
}

impl Refusal {
    /// Stable, for logs, metrics and problem details.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(denial) => denial.code(),
            Self::CannotTell(inability) => inability.code(),
            Self::Malformed(malformed) => malformed.code(),
        }
    }

    /// What the client is told.
    #[must_use]
    pub fn message(&self, now_s: u64) -> String {
        match self {
            Self::Denied(denial) => denial.message(now_s),
            Self::CannotTell(inability) => inability.message().to_owned(),
            Self::Malformed(malformed) => malformed.message(),
        }
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl From<Inability> for Refusal {
    fn from(inability: Inability) -> Self {
        Self::CannotTell(inability)
    }
}

impl From<NoCredential> for Refusal {
    fn from(none: NoCredential) -> Self {
        match none {
            NoCredential::Missing => Self::Denied(Denial::Missing),
            NoCredential::NotBearer | NoCredential::Foreign => Self::Denied(Denial::NotBearer),
            NoCredential::Invalid(invalid) => Self::Denied(Denial::Invalid(invalid)),
            NoCredential::Malformed(malformed) => Self::Malformed(malformed),
        }
    }
}

impl From<DenyReason> for Denial {
    fn from(reason: DenyReason) -> Self {
        match reason {
            DenyReason::Banned { until } => Self::Banned { until },
            DenyReason::TokenRevoked => Self::Revoked,
            DenyReason::SessionEnded => Self::SessionEnded,
            DenyReason::SignInNeeded => Self::SignInNeeded,
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
            Self::Busy => "Too many signatures are being verified and made. Try again shortly",
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
            Self::Header => "ambiguous_header",
        }
    }

    /// What the client is told.
    #[must_use]
    pub fn message(self) -> String {
        match self {
            Self::SeveralCredentials => "The request carries more than one credential".into(),
            Self::Path(unusual) => format!("The request is refused: {unusual}"),
            Self::Target => "The request names no host, or no path".into(),
            Self::Header => "The request is refused: a header that decides about it can be read in several ways".into(),
        }
    }
}
