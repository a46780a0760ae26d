//! Assertions that another library signs, rightly and wrongly.

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::World;
use e2e::peers::Maker;
use e2e::peers::mint::{KeyOrder, Order, Origin, TokenOrder};
use e2e::token::now;
use sekisho_core::identity::key::published;
use sekisho_protocol::identity::TYPE;
use sekisho_protocol::keys::{identity_ed25519_seed, identity_p256_scalar};
use serde_json::{Value, json};

/// Assertions that are like `real`, and whether each is to be believed.
pub(super) fn hostile(
    world: &World,
    algorithm: &str,
    kind: &'static str,
    real: &str,
) -> Result<Vec<(&'static str, String, bool)>> {
    let claims = claims_of(real)?;
    let at = |issued_at: u64, lifetime_s: u64| {
        let mut claims = claims.clone();
        (claims["iat"], claims["exp"]) = (json!(issued_at), json!(issued_at + lifetime_s));
        claims
    };
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let [header, _, signature] = real.split('.').collect::<Vec<_>>()[..] else {
        anyhow::bail!("not three parts: {real}");
    };
    let touched = format!("{header}.{}.{signature}", encoded(&with("sub", json!("root@example.com"))));
    let endless = {
        let mut claims = claims.clone();
        claims.as_object_mut().and_then(|claims| claims.remove("exp")).context("no exp")?;
        claims
    };
    let unsigned = format!("{}.{}.", encoded(&json!({"alg": "none", "typ": TYPE})), encoded(&claims));
    let sign = |claims: &Value, typ: &str| sign(world, algorithm, claims, typ, None);
    Ok(vec![
        ("signed by somebody else's library with the same key", sign(&at(now(), 30), TYPE)?, true),
        ("expired", sign(&at(now() - 40, 30), TYPE)?, false),
        ("without an end", sign(&endless, TYPE)?, false),
        ("of another issuer", sign(&with("iss", json!("https://evil.example")), TYPE)?, false),
        ("for another audience", sign(&with("aud", json!("agent-elsewhere-too")), TYPE)?, false),
        ("of another type", sign(&claims, "JWT")?, false),
        ("signed with another key of the same name", self::sign(world, algorithm, &claims, TYPE, Some(kind))?, false),
        ("with a touched payload", touched, false),
        ("signed with the public key as a secret", confused(world, algorithm, &claims)?, false),
        ("unsigned", unsigned, false),
    ])
}

/// `claims` signed by PyJWT, with the mesh's key pair, or with a new one of this kind under the same name.
pub(super) fn sign(
    world: &World,
    algorithm: &str,
    claims: &Value,
    typ: &str,
    new: Option<&'static str>,
) -> Result<String> {
    let public = public_key(world, algorithm)?;
    let origin = match new {
        Some(kind) => Origin::New { kind, bits: None },
        None => {
            let mut jwk = public.clone();
            let mesh = world.keys.mesh.as_bytes();
            let private = match algorithm {
                "EdDSA" => identity_ed25519_seed(mesh),
                _ => identity_p256_scalar(mesh).context("no scalar")?,
            };
            jwk["d"] = URL_SAFE_NO_PAD.encode(private).into();
            Origin::Known { jwk }
        }
    };
    let header = json!({"kid": public["kid"], "typ": typ});
    mint(origin, algorithm, header, claims)
}

/// Who takes the algorithm from the header takes the public key for a secret that everybody knows (RFC 8725 §2.1).
fn confused(world: &World, algorithm: &str, claims: &Value) -> Result<String> {
    let public = public_key(world, algorithm)?;
    let jwk = json!({"kty": "oct", "k": public["x"]});
    mint(Origin::Known { jwk }, "HS256", json!({"kid": public["kid"], "typ": TYPE}), claims)
}

fn mint(origin: Origin, algorithm: &str, header: Value, claims: &Value) -> Result<String> {
    let token =
        TokenOrder { key: "key".into(), algorithm: algorithm.into(), header, claims: claims.clone(), encrypt: false };
    let order = Order { keys: vec![KeyOrder { name: "key".into(), origin }], tokens: vec![token] };
    Maker::PyJwt.make(&order)?.tokens.pop().context("no token")
}

fn public_key(world: &World, algorithm: &str) -> Result<Value> {
    let keys = published(world.keys.mesh.as_bytes());
    let key = keys.iter().find(|key| key.alg.as_deref() == Some(algorithm)).context("no such key")?;
    Ok(serde_json::to_value(key)?)
}

fn encoded(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

pub(super) fn claims_of(jwt: &str) -> Result<Value> {
    let part = jwt.split('.').nth(1).context("no payload")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part)?)?)
}
