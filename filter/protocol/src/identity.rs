//! The identity assertion: the JWT in `x-sekisho-identity` by which an upstream knows who asks.

use serde::{Deserialize, Serialize};

use crate::Subject;
use crate::activity::Method;

/// The header that carries the assertion.
pub const HEADER: &str = "x-sekisho-identity";
/// The `typ` of every assertion (RFC 8725 §3.11): whoever looks for an access token takes none for one, though the
/// keys of both may stand in the same set.
pub const TYPE: &str = "sekisho-identity+jwt";
/// The `iss` of every assertion.
pub const ISSUER: &str = "sekisho";
/// The `aud` of assertions for the sidecar's app API, which accepts no other.
pub const APP_AUDIENCE: &str = "sekisho-app";
/// Most seconds between `iat` and `exp` (rule E6).
pub const MAX_LIFETIME_S: u64 = 30;

/// The claims of an assertion (RFC 7519). It never holds the request id, so that it can be cached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityClaims {
    /// Always [`ISSUER`].
    pub iss: String,
    /// The one target that may believe it.
    pub aud: String,
    /// The subject.
    pub sub: Subject,
    /// The e-mail address, if the provider vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// How the request authenticated.
    pub method: Method,
    /// The `jti` of the token, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// When the token was issued (its `iat`), Unix seconds, if it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_issued_at: Option<u64>,
    /// The name that its owner gave the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_name: Option<String>,
    /// The token's scopes.
    pub scopes: Vec<String>,
    /// Unix seconds.
    pub iat: u64,
    /// Unix seconds, at most [`MAX_LIFETIME_S`] after `iat`.
    pub exp: u64,
}
