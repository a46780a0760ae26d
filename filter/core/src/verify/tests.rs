//! Tables of cases. They run natively and, in Node, as the wasm that the filter is.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as B64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::algorithm::Algorithm;
use super::budget::Budget;
use super::crypto::Verifications;
use super::host::{HostAbility, HostCrypto, NoHost};
use super::*;
use crate::config::Policy;
use crate::config::tests::{environment, sound};

mod claims;
mod edges;
mod header;
mod host;
mod keys;
#[cfg(not(target_arch = "wasm32"))]
mod property;
mod provider;
mod vectors;

pub(crate) const NOW: u64 = 1_800_000_000;
const KEY: &[u8] = b"jjjjjjjjjjjjjjjjjjjjjjjjjjjjjjjj";

/// Claims that are right, for tests to change.
pub(crate) fn claims() -> Value {
    json!({
        "jti": "t-1", "user_email": "Ann@Example.com", "user_id": "ann@example.com", "token_name": "laptop",
        "scopes": ["api:read", "api:write"], "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 3_600,
        "iss": "sekisho", "aud": "litellm-api"
    })
}

pub(crate) fn sign(header: &str, payload: &str, key: &[u8]) -> String {
    let text = format!("{}.{}", B64.encode(header), B64.encode(payload));
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(&text).finalize();
    format!("{text}.{}", B64.encode(mac.into_bytes()))
}

pub(crate) fn token(claims: &Value) -> String {
    sign(r#"{"typ":"JWT","alg":"HS256"}"#, &claims.to_string(), KEY)
}

/// A worker's part of verification: one provider, and everything that a token is looked at with.
struct Desk {
    policy: Policy,
    sources: Sources,
    announced: Announced,
    host: &'static dyn HostCrypto,
    ability: HostAbility,
    budget: Budget,
    count: Verifications,
    now: Now,
}

impl Desk {
    /// With the provider that other tests use, changed.
    fn new(change: impl FnOnce(&mut Value)) -> Self {
        let mut config = sound();
        change(&mut config["providers"][0]);
        Self::of(&config)
    }

    /// With a provider of nothing but what every one has, and `fields`.
    fn with(fields: Value) -> Self {
        let mut config = sound();
        let mut provider = json!({"name": "idp", "issuers": ["https://issuer.example"], "audiences": ["litellm-api"]});
        provider.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        config["providers"] = json!([provider]);
        Self::of(&config)
    }

    fn of(config: &Value) -> Self {
        let policy = Policy::parse(&config.to_string(), &environment).unwrap();
        Self {
            sources: Sources::new(policy.mesh.digest_key.clone()),
            policy,
            announced: Announced::default(),
            host: &NoHost,
            ability: HostAbility::NONE,
            budget: Budget::default(),
            count: Verifications::default(),
            now: Now { unix_s: NOW, mono_ms: 1_000_000 },
        }
    }

    fn verify(&mut self, token: &str) -> Result<Verification, Unverified> {
        let mut context = Context {
            providers: &self.policy.providers,
            sources: &self.sources,
            announced: &self.announced,
            crypto: Crypto {
                host: self.host,
                ability: self.ability,
                budget: &mut self.budget,
                budget_ms: self.policy.verify_budget_ms,
                count: &mut self.count,
            },
            digest_key: &self.policy.mesh.digest_key,
            now: self.now,
        };
        verify(token.as_bytes(), &mut context)
    }

    fn identity(&mut self, token: &str) -> Result<Identity, Invalid> {
        match self.verify(token) {
            Ok(verification) => Ok(verification.identity),
            Err(Unverified::Invalid(invalid)) => Err(invalid),
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Keys, and a token of each algorithm, made with another implementation (PyJWT). The private keys, which
/// nobody else uses, are in `private.json`.
fn fixtures() -> Value {
    serde_json::from_str(include_str!("tests/tokens.json")).unwrap()
}

/// The token of this algorithm.
pub(crate) fn made(algorithm: Algorithm) -> String {
    fixtures()["tokens"][algorithm.as_str()].as_str().unwrap().to_owned()
}

/// The public key of this name, with its name as `kid`.
pub(crate) fn jwk(name: &str) -> Value {
    fixtures()["keys"][name].clone()
}

/// All public keys, which name no algorithm.
fn jwks() -> Value {
    let keys = ["rsa", "p256", "p384", "p521", "ed25519"].map(jwk);
    json!({"keys": keys})
}

fn verify_changed(change: impl FnOnce(&mut Value)) -> Result<Identity, Invalid> {
    let mut claims = claims();
    change(&mut claims);
    Desk::new(|_| {}).identity(&token(&claims))
}

fn without(name: &'static str) -> impl FnOnce(&mut Value) {
    move |claims| drop(claims.as_object_mut().unwrap().remove(name))
}
