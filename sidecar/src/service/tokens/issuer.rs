//! The signature under a token, and its claims, which are as the gateway that Sekisho replaces wrote them.
//!
//! Which key signs is looked up for each token, so that every sidecar follows a rotation at once. Without a
//! key of our own it is `JWT_SECRET`, with HS256 and no `kid` (RFC 7515, RFC 7518 §3.2), as that gateway did.

use std::fmt;
use std::sync::Arc;

use jwt_simple::prelude::{Audiences, Duration, HS256Key, JWTClaims, MACLike};
use serde::{Deserialize, Serialize};

use crate::domain::error::Failure;
use crate::domain::time::UnixSeconds;
use crate::domain::token::Grant;
use crate::service::signing_keys::vault::Vault;
use crate::service::signing_keys::{SigningKeyStore, closed};

/// How often a token is begun anew because the key that was to sign it is gone.
const ATTEMPTS: usize = 3;

/// Signs tokens.
pub struct Issuer {
    secret: HS256Key,
    keys: Arc<dyn SigningKeyStore>,
    vault: Vault,
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
    /// Signs in the name of `issuer` and for `audience`: with `secret`, unless one of `keys` signs, which
    /// `vault` opens.
    #[must_use]
    pub fn new(
        secret: &[u8],
        keys: Arc<dyn SigningKeyStore>,
        vault: Vault,
        issuer: impl Into<String>,
        audience: impl Into<String>,
    ) -> Self {
        Self { secret: HS256Key::from_bytes(secret), keys, vault, issuer: issuer.into(), audience: audience.into() }
    }

    /// The token that claims what `grant` says.
    ///
    /// # Errors
    /// [`Failure::KeyClosed`] if the private part of the key that signs can't be had: a token of another key would
    /// not be what was asked for. [`Failure::Unavailable`]; [`Failure::Internal`] if the claims can't be written
    /// as JSON.
    pub async fn sign(&self, grant: &Grant) -> Result<String, Failure> {
        for _ in 0..ATTEMPTS {
            let ring = self.keys.ring().await?;
            let Some(key) = ring.signing() else {
                let signed = self.secret.authenticate(self.claims(grant));
                return signed.map_err(|error| Failure::Internal { cause: error.to_string() });
            };
            let pair = self.vault.open(key).map_err(|why| closed(key, why))?;
            // First on record: a key never goes by itself while a token of it lives.
            if self.keys.note_token(&key.kid, grant.expires_at).await? {
                return pair.sign(self.claims(grant));
            }
        }
        Err(Failure::Unavailable { cause: "the signing keys change too fast".to_owned() })
    }

    fn claims(&self, grant: &Grant) -> JWTClaims<OwnClaims> {
        let seconds = |moment: UnixSeconds| Some(Duration::from_secs(moment.get()));
        JWTClaims {
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
        }
    }
}
