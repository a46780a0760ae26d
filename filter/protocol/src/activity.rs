//! Activity: `POST /v1/activity`, what a VM saw since its last report, off the request path.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{ReplicaId, Subject};

/// Most subjects, and most outcomes, in one report.
pub const REPORT_MAX_ROWS: usize = 1_000;

/// One report. It carries (replica, sequence) and is applied at most once: a report that is sent
/// again after a time-out has the same sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityReport {
    /// [`crate::PROTOCOL`].
    pub protocol: u16,
    /// Who reports.
    pub replica: ReplicaId,
    /// 1, 2, 3, … for each replica.
    pub sequence: u64,
    /// What verified subjects did.
    pub subjects: Vec<SubjectActivity>,
    /// How requests ended.
    pub outcomes: Vec<OutcomeCount>,
    /// How many signatures were looked at, valid or not: one row for each algorithm and place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verifications: Vec<VerificationCount>,
    /// Requests that were not recorded because the tables were full.
    pub dropped: u64,
}

/// What one subject did with one credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectActivity {
    /// Who.
    pub subject: Subject,
    /// How it authenticated.
    pub method: Method,
    /// The token's id, if it has one, or the session's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// How many requests were admitted.
    pub requests: u64,
    /// Unix seconds of the last one.
    pub last_access: u64,
    /// Where one of them came from, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
}

/// How a request authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A JWT.
    #[default]
    Jwt,
    /// A session of our own.
    Session,
    /// A session of oauth2-proxy.
    Oauth2Proxy,
}

impl Method {
    /// The method as it stands in headers and claims.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Session => "session",
            Self::Oauth2Proxy => "oauth2_proxy",
        }
    }
}

/// How many requests of a route ended in one way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeCount {
    /// The name of the route's rule.
    pub route: String,
    /// `allow`, or the code of the refusal or inability.
    pub outcome: String,
    /// How many.
    pub requests: u64,
}

/// How many signatures of an algorithm were looked at in one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationCount {
    /// Its name as `alg` (RFC 7518 §3.1).
    pub algorithm: String,
    /// Who did it.
    pub by: Verifier,
    /// How many.
    pub count: u64,
}

/// Who verifies signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verifier {
    /// The proxy, in native code.
    Host,
    /// The filter itself.
    Wasm,
}

impl Verifier {
    /// The word for it in reports and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Wasm => "wasm",
        }
    }
}
