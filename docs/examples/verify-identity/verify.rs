use anyhow::{Context, Result, ensure};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

/// `keys` is what `reqwest::get(jwks_url).await?.json().await?` gives: keep it, and fetch it again for a new `kid`.
pub fn who_asks(assertion: &str, keys: &JwkSet, audience: &str) -> Result<Value> {
    let header = decode_header(assertion)?;
    ensure!(header.typ.as_deref() == Some("sekisho-identity+jwt"), "this is no assertion");
    let key = keys.find(&header.kid.unwrap_or_default()).context("nobody published this key")?;
    let mut wanted = Validation::new(key.common.key_algorithm.context("a key without `alg`")?.to_string().parse()?);
    wanted.set_issuer(&["sekisho"]);
    wanted.set_audience(&[audience]);
    wanted.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
    wanted.leeway = 5;
    Ok(decode(assertion, &DecodingKey::from_jwk(key)?, &wanted)?.claims)
}
