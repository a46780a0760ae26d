//! Verifies logout tokens (OpenID Connect Back-Channel Logout 1.0 §2.6). They look like ID tokens, and must never be taken
//! for each other: one has a `nonce`, the other an event.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::JsonWebKey as _;
use openidconnect::core::{CoreJsonWebKey, CoreJsonWebKeyUse, CoreJwsSigningAlgorithm};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::id_token::{CLOCKS_DIFFER_S, Unverified, claims};
use super::metadata::Published;
use crate::domain::time::UnixSeconds;
use crate::service::sign_in::provider::LogoutToken;

/// The event that makes it a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// A token older than this is of no use any more, in seconds: so long `jti`s are remembered.
pub(super) const MAX_AGE_S: u64 = crate::service::sign_in::back_channel::TOKEN_MAX_AGE_S;
/// Most bytes of a token.
const MAX_BYTES: usize = 16 * 1024;

#[derive(Deserialize)]
struct Header {
    alg: CoreJwsSigningAlgorithm,
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<Value>,
}

pub(super) fn read(
    published: &Published,
    client_id: &str,
    token: &str,
    now: UnixSeconds,
) -> Result<LogoutToken, Unverified> {
    let bad = |cause: &str| Unverified::Bad(cause.to_owned());
    if token.len() > MAX_BYTES {
        return Err(bad("it is too long"));
    }
    let header = token.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
    let header = header.and_then(|header| serde_json::from_slice::<Header>(&header).ok());
    let header = header.ok_or_else(|| bad("its header can't be read"))?;
    let is_typed = header.typ.as_deref().is_none_or(|typ| {
        ["logout+jwt", "application/logout+jwt", "jwt"].iter().any(|good| typ.eq_ignore_ascii_case(good))
    });
    if !is_typed || header.crit.is_some() || !published.algorithms().contains(&header.alg) {
        return Err(bad("its header is not that of a logout token of the provider"));
    }
    check_signature(published, &header, token)?;
    let claims = claims(token).ok_or_else(|| bad("its claims can't be read"))?;
    judge(&claims, published.issuer(), client_id, now).map_err(bad)
}

fn check_signature(published: &Published, header: &Header, token: &str) -> Result<(), Unverified> {
    let (message, signature) = token.rsplit_once('.').ok_or_else(|| Unverified::Bad("it has no signature".into()))?;
    let signature = URL_SAFE_NO_PAD.decode(signature);
    let signature = signature.map_err(|_| Unverified::Bad("its signature can't be read".into()))?;
    let fits = |key: &&CoreJsonWebKey| {
        let signs = key.key_use().is_none_or(|what| *what == CoreJsonWebKeyUse::Signature);
        let is_named = header.kid.as_ref().is_none_or(|kid| key.key_id().is_some_and(|id| **id == *kid));
        signs && is_named
    };
    let mut candidates = published.keys().keys().iter().filter(fits).peekable();
    if candidates.peek().is_none() {
        return Err(Unverified::NoSuchKey);
    }
    let is_good = candidates.any(|key| key.verify_signature(&header.alg, message.as_bytes(), &signature).is_ok());
    if is_good { Ok(()) } else { Err(Unverified::Bad("its signature is wrong".into())) }
}

fn judge(
    claims: &Map<String, Value>,
    issuer: &str,
    client_id: &str,
    now: UnixSeconds,
) -> Result<LogoutToken, &'static str> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let moment = |name: &str| claims.get(name).and_then(Value::as_u64);
    if text("iss") != Some(issuer) {
        return Err("it is another issuer's");
    }
    let is_ours = match claims.get("aud") {
        Some(Value::String(aud)) => aud == client_id,
        Some(Value::Array(all)) => all.iter().any(|aud| aud == client_id),
        _ => false,
    };
    if !is_ours {
        return Err("it is for another client");
    }
    let ahead = now.plus(CLOCKS_DIFFER_S.unsigned_abs()).get();
    let issued_at = moment("iat").ok_or("it does not say when it was issued")?;
    if issued_at > ahead || now.get().saturating_sub(issued_at) > MAX_AGE_S {
        return Err("it was not issued just now");
    }
    // Required since 1.0; providers of the drafts have none.
    if claims.contains_key("exp") && moment("exp").is_none_or(|end| end <= now.get()) {
        return Err("it has expired");
    }
    if claims.contains_key("nonce") {
        return Err("it has a nonce, as no logout token may");
    }
    if !claims.get("events").and_then(|events| events.get(EVENT)).is_some_and(Value::is_object) {
        return Err("it tells of no logout");
    }
    let (sub, sid) = (text("sub"), text("sid"));
    if sub.is_none() && sid.is_none() {
        return Err("it says neither whose sessions end nor which");
    }
    let jti = text("jti").ok_or("it has no `jti`")?;
    let own = |text: &str| text.to_owned();
    Ok(LogoutToken { issuer: own(issuer), sub: sub.map(own), sid: sid.map(own), jti: own(jti) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(change: impl Fn(&mut Value)) -> Result<LogoutToken, &'static str> {
        let mut claims = json!({"iss": "https://idp", "aud": "us", "iat": 1_000, "exp": 1_120, "jti": "j",
            "sid": "s", "events": {(EVENT): {}}});
        change(&mut claims);
        judge(claims.as_object().unwrap(), "https://idp", "us", UnixSeconds(1_010))
    }

    #[test]
    fn a_logout_token_says_which_session_or_whose_sessions_end() {
        let read = judged(|_| ()).unwrap();
        assert_eq!((read.sid.as_deref(), read.sub.as_deref(), read.jti.as_str()), (Some("s"), None, "j"));
        assert!(judged(|claims| claims["aud"] = json!(["them", "us"])).is_ok());
        let without_exp = |claims: &mut Value| drop(claims.as_object_mut().unwrap().remove("exp"));
        assert!(judged(without_exp).is_ok());
        let by_sub = judged(|claims| {
            claims["sub"] = json!("u1");
            claims.as_object_mut().unwrap().remove("sid");
        });
        assert_eq!(by_sub.unwrap().sub.as_deref(), Some("u1"));
    }

    #[test]
    fn whatever_else_looks_like_one_is_none() {
        for (name, value) in [
            ("iss", json!("https://evil")),
            ("iss", json!(null)),
            ("aud", json!("them")),
            ("aud", json!(["them"])),
            ("aud", json!(null)),
            ("iat", json!(2_000)),
            ("iat", json!(1)),
            ("iat", json!("1000")),
            ("iat", json!(null)),
            ("exp", json!(1_010)),
            ("exp", json!("2000")),
            ("nonce", json!("n")),
            ("nonce", json!(null)),
            ("events", json!({})),
            ("events", json!({(EVENT): true})),
            ("events", json!([EVENT])),
            ("events", json!(null)),
            ("sid", json!("")),
            ("sid", json!(7)),
            ("jti", json!("")),
            ("jti", json!(null)),
        ] {
            assert!(judged(|claims| claims[name] = value.clone()).is_err(), "{name} {value}");
        }
    }
}
