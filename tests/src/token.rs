//! JWTs made by hand, so that every way of being wrong can be made too, and assertions verified by
//! hand, as an upstream in another language would do it.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sekisho_protocol::identity::TYPE;
use serde_json::{Value, json};
use sha2::{Sha256, Sha512};

/// Seconds since 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// Milliseconds since 1970.
#[must_use]
pub fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// A token in the making. It starts as what the token API mints.
#[derive(Debug, Clone)]
pub struct Token {
    header: Value,
    claims: Value,
    signature: Signature,
}

#[derive(Debug, Clone)]
enum Signature {
    Hs256(Vec<u8>),
    Hs512(Vec<u8>),
    Bytes(Vec<u8>),
    /// Of somebody else, in the compact form.
    Whole(String),
}

impl Token {
    /// A token of `email` with the id `id`, valid for an hour, signed with `secret`.
    #[must_use]
    pub fn new(secret: &str, id: &str, email: &str) -> Self {
        let now = now();
        Self {
            header: json!({"typ": "JWT", "alg": "HS256"}),
            claims: json!({
                "jti": id, "user_email": email, "user_id": email, "token_name": "story",
                "scopes": ["api:read", "api:write"], "iss": "sekisho", "aud": "litellm-api",
                "iat": now, "nbf": now, "exp": now + 3600,
            }),
            signature: Signature::Hs256(secret.as_bytes().to_vec()),
        }
    }

    /// A token that somebody else made, as it is: what is changed in it later shows in no request.
    ///
    /// # Errors
    /// It is none.
    pub fn minted(text: &str) -> Result<Self> {
        let mut parts = text.split('.').map(|part| URL_SAFE_NO_PAD.decode(part));
        let mut part = || -> Result<Value> { Ok(serde_json::from_slice(&parts.next().context("too few parts")??)?) };
        Ok(Self { header: part()?, claims: part()?, signature: Signature::Whole(text.to_owned()) })
    }

    /// A member of its header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header.get(name).and_then(Value::as_str)
    }

    /// Sets a claim.
    #[must_use]
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims[name] = value.into();
        self
    }

    /// Leaves a claim out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        if let Some(claims) = self.claims.as_object_mut() {
            claims.remove(name);
        }
        self
    }

    /// Names an algorithm in the header, whatever the signature is.
    #[must_use]
    pub fn algorithm(mut self, name: impl Into<Value>) -> Self {
        self.header["alg"] = name.into();
        self
    }

    /// Signs with another HS256 secret.
    #[must_use]
    pub fn signed_with(mut self, secret: &str) -> Self {
        self.signature = Signature::Hs256(secret.as_bytes().to_vec());
        self
    }

    /// Signs with HMAC-SHA512, and says so.
    #[must_use]
    pub fn signed_with_hs512(self, secret: &str) -> Self {
        Self { signature: Signature::Hs512(secret.as_bytes().to_vec()), ..self.algorithm("HS512") }
    }

    /// Takes `bytes` for the signature.
    #[must_use]
    pub fn with_signature(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.signature = Signature::Bytes(bytes.into());
        self
    }

    /// The token's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.claims.get("jti").and_then(Value::as_str).unwrap_or_default()
    }

    /// The compact form (RFC 7515 §7.1).
    #[must_use]
    pub fn text(&self) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&self.header), part(&self.claims));
        let signature = match &self.signature {
            Signature::Hs256(key) => hs256(key, signed.as_bytes()),
            Signature::Hs512(key) => hs512(key, signed.as_bytes()),
            Signature::Bytes(bytes) => bytes.clone(),
            Signature::Whole(text) => return text.clone(),
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The value of an `Authorization` header.
    #[must_use]
    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.text())
    }
}

/// A token of exactly these texts, signed with HS256: for headers and claims that no library would write.
#[must_use]
pub fn compact(secret: &[u8], header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = hs256(secret, signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The claims of an assertion, if it is one that `key` signed with HS256 for `audience`, now, and
/// for no longer than 30 s (rule E6).
///
/// # Errors
/// What is wrong with it.
pub fn verify_assertion(text: &str, key: &[u8], audience: &str) -> Result<Value> {
    let mut parts = text.split('.');
    let (Some(header), Some(claims), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(anyhow!("not three parts: {text}"));
    };
    let decoded: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header)?)?;
    ensure!(decoded["alg"] == "HS256", "unexpected algorithm in {decoded}");
    ensure!(decoded["typ"] == TYPE, "no assertion: {decoded}");
    let expected = hs256(key, format!("{header}.{claims}").as_bytes());
    ensure!(URL_SAFE_NO_PAD.decode(signature)? == expected, "the signature is wrong");
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    ensure!(claims["aud"] == audience, "made for another audience: {claims}");
    let time = |name: &str| claims[name].as_u64().with_context(|| format!("no {name}: {claims}"));
    let (issued, expires, now) = (time("iat")?, time("exp")?, now());
    ensure!(expires.saturating_sub(issued) <= 30, "lives too long: {claims}");
    ensure!(issued <= now + 1 && now <= expires, "not valid at {now}: {claims}");
    Ok(claims)
}

/// An assertion like the filter's, for calls that go straight to a sidecar.
#[must_use]
pub fn assertion(key: &[u8], audience: &str, email: &str, scopes: &[&str]) -> String {
    let claims = json!({
        "iss": "sekisho", "aud": audience, "sub": email, "email": email, "method": "jwt",
        "scopes": scopes, "iat": now(), "exp": now() + 30,
    });
    let header = json!({"typ": TYPE, "alg": "HS256"});
    Token { header, claims, signature: Signature::Hs256(key.to_vec()) }.text()
}

fn hs256(key: &[u8], text: &[u8]) -> Vec<u8> {
    Hmac::<Sha256>::new_from_slice(key)
        .map_or_else(|_| Vec::new(), |mac| mac.chain_update(text).finalize().into_bytes().to_vec())
}

fn hs512(key: &[u8], text: &[u8]) -> Vec<u8> {
    Hmac::<Sha512>::new_from_slice(key)
        .map_or_else(|_| Vec::new(), |mac| mac.chain_update(text).finalize().into_bytes().to_vec())
}
