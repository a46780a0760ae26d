//! The signature under a token: HS256 (RFC 7515, RFC 7518 §3.2) with the bytes of `JWT_SECRET`, the
//! claims as the gateway that Sekisho replaces wrote them.

use std::fmt;

use jwt_simple::prelude::{Audiences, Duration, HS256Key, JWTClaims, MACLike};
use serde::{Deserialize, Serialize};

use crate::domain::error::Failure;
use crate::domain::time::UnixSeconds;
use crate::domain::token::Grant;

/// Signs tokens.
pub struct Issuer {
    key: HS256Key,
    issuer: String,
    audience: String,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("issuer", &self.issuer).field("audience", &self.audience).finish_non_exhaustive()
    }
}

/// The claims besides the registered ones.
#[derive(Serialize, Deserialize)]
struct OwnClaims {
    user_email: String,
    user_id: String,
    token_name: String,
    scopes: Vec<String>,
}

impl Issuer {
    /// Signs with `secret`, in the name of `issuer` and for `audience`.
    #[must_use]
    pub fn new(secret: &[u8], issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self { key: HS256Key::from_bytes(secret), issuer: issuer.into(), audience: audience.into() }
    }

    /// The token that claims what `grant` says.
    ///
    /// # Errors
    /// [`Failure::Internal`] if the claims can't be written as JSON.
    pub fn sign(&self, grant: &Grant) -> Result<String, Failure> {
        let seconds = |moment: UnixSeconds| Some(Duration::from_secs(moment.get()));
        let claims = JWTClaims {
            issued_at: seconds(grant.issued_at),
            expires_at: seconds(grant.expires_at),
            invalid_before: seconds(grant.issued_at),
            issuer: Some(self.issuer.clone()),
            subject: None,
            audiences: Some(Audiences::AsString(self.audience.clone())),
            jwt_id: Some(grant.id.to_string()),
            nonce: None,
            custom: OwnClaims {
                user_email: grant.email.to_string(),
                user_id: grant.email.to_string(),
                token_name: grant.name.as_str().to_owned(),
                scopes: grant.scopes.to_strings(),
            },
        };
        self.key.authenticate(claims).map_err(|error| Failure::Internal { cause: error.to_string() })
    }
}
