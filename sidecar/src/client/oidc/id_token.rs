//! Verifies ID tokens (OpenID Connect Core §3.1.3.7).

use std::str::FromStr as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{TimeDelta, Utc};
use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier};
use openidconnect::{ClaimsVerificationError, ClientId, Nonce, SignatureVerificationError};
use serde_json::{Map, Value};

use super::metadata::Published;
use crate::service::sign_in::provider::ProviderError;

/// By how much a provider's clock may be ahead, in seconds.
pub(super) const CLOCKS_DIFFER_S: i64 = 60;

/// Why a token can't be believed.
#[derive(Debug)]
pub(super) enum Unverified {
    /// No key that is known fits; a newer one may.
    NoSuchKey,
    /// It is none of the provider's, or not for us, or not now.
    Bad(String),
}

impl From<Unverified> for ProviderError {
    fn from(unverified: Unverified) -> Self {
        match unverified {
            Unverified::NoSuchKey => Self::Untrusted("no key of the provider fits the token".into()),
            Unverified::Bad(cause) => Self::Untrusted(cause),
        }
    }
}

/// All claims of an ID token, if it is good; `nonce` judges its nonce.
pub(super) fn verify(
    published: &Published,
    client_id: &ClientId,
    token: &str,
    nonce: &(dyn Fn(Option<&str>) -> bool + Send + Sync),
) -> Result<Map<String, Value>, Unverified> {
    let parsed = CoreIdToken::from_str(token).map_err(|error| Unverified::Bad(error.to_string()))?;
    let verifier =
        CoreIdTokenVerifier::new_public_client(client_id.clone(), published.issuer_url(), published.keys().clone())
            .set_allowed_algs(published.algorithms())
            .set_issue_time_verifier_fn(|issued_at| {
                let is_ahead = issued_at > Utc::now() + TimeDelta::seconds(CLOCKS_DIFFER_S);
                if is_ahead { Err("it was issued in the future".into()) } else { Ok(()) }
            });
    let judge = |found: Option<&Nonce>| {
        let is_good = nonce(found.map(|nonce| nonce.secret().as_str()));
        if is_good { Ok(()) } else { Err("its nonce is not the one of this sign-in".to_owned()) }
    };
    parsed.claims(&verifier, judge).map_err(|error| match error {
        ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey) => {
            Unverified::NoSuchKey
        }
        error => Unverified::Bad(cause(&error)),
    })?;
    claims(token).ok_or_else(|| Unverified::Bad("its claims can't be read".into()))
}

/// The claims of a token as they stand there.
pub(super) fn claims(token: &str) -> Option<Map<String, Value>> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// The innermost sentence.
fn cause(error: &ClaimsVerificationError) -> String {
    let inner = std::error::Error::source(error).map(ToString::to_string);
    inner.map_or_else(|| error.to_string(), |inner| format!("{error}: {inner}"))
}
