use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as B64;
use hmac::{Hmac, KeyInit, Mac};
use sekisho_protocol::keys;
use serde_json::{Value, json};
use sha2::Sha256;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::budget::Budget;
use super::crypto::{HostAbility, NoHost, Verifications};
use super::provider::{EmailRule, Rules};
use super::*;
use crate::secret::Secret;

const NOW: u64 = 1_800_000_000;
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

fn provider() -> Provider {
    let (issuers, audiences) = (vec!["sekisho".into(), "old.example".into()], vec!["litellm-api".into()]);
    let key = VerifyingKey::hmac(Secret::new(KEY.to_vec()), Algorithm::Hs256);
    Provider { issuers, ..hmac_provider(key, audiences, 30) }
}

fn hmac_provider(key: VerifyingKey, audiences: Vec<String>, leeway_s: u64) -> Provider {
    let email = EmailRule { claim: "user_email".into(), domains: None, verified: false, required: true };
    Provider {
        name: "tokens".into(),
        issuers: vec!["joe".into()],
        keys: vec![Rc::new(key)],
        source: None,
        algorithms: None,
        rules: Rules {
            audiences,
            leeway_s,
            max_age_s: None,
            max_lifetime_s: None,
            required_claims: Vec::new(),
            claim_values: Vec::new(),
            types: None,
            subject_claim: "sub".into(),
            email: Some(email),
        },
    }
}

fn verify_with(token: &str, providers: &[Provider], unix_s: u64) -> Result<Identity, Invalid> {
    let digest_key = keys::digest_key(&[7; 32]);
    let mut context = Context {
        providers,
        sources: &Sources::new(digest_key.clone()),
        announced: &Announced::default(),
        crypto: Crypto {
            host: &NoHost,
            ability: HostAbility::NONE,
            budget: &mut Budget::default(),
            budget_ms: 250,
            count: &mut Verifications::default(),
        },
        digest_key: &digest_key,
        now: Now { unix_s, mono_ms: 1 },
    };
    match verify(token.as_bytes(), &mut context) {
        Ok(verification) => Ok(verification.identity),
        Err(Unverified::Invalid(invalid)) => Err(invalid),
        Err(other) => panic!("{other:?}"),
    }
}

fn verify_text(token: &str) -> Result<Identity, Invalid> {
    verify_with(token, &[provider()], NOW)
}

fn verify_changed(change: impl FnOnce(&mut Value)) -> Result<Identity, Invalid> {
    let mut claims = claims();
    change(&mut claims);
    verify_text(&token(&claims))
}

fn without(name: &'static str) -> impl FnOnce(&mut Value) {
    move |claims| drop(claims.as_object_mut().unwrap().remove(name))
}

#[test]
fn a_valid_token_gives_its_identity_with_the_address_folded() {
    let identity = verify_changed(|_| {}).unwrap();
    assert_eq!(identity.subject.as_str(), "ann@example.com");
    assert_eq!(identity.token_id.as_deref(), Some("t-1"));
    assert_eq!(identity.scopes, ["api:read", "api:write"]);
    assert_eq!((identity.issued_at, identity.expires_at), (Some(NOW - 10), NOW + 3_600));
}

#[test]
fn rfc_7519_an_independent_example_with_its_own_key_verifies_at_signature_level() {
    // RFC 7515 appendix A.1, whose claims are not ours: the signature passes, the issuer does not.
    let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                 cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let key =
        B64.decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow").unwrap();
    let joe = hmac_provider(VerifyingKey::hmac(Secret::new(key), Algorithm::Hs256), vec!["x".into()], 0);
    assert_eq!(verify_with(token, &[joe], 1), Err(Invalid::Audience), "past the signature");
    assert_eq!(verify_text(token), Err(Invalid::Issuer));
}

#[test]
fn each_claim_that_is_wrong_has_its_own_reason() {
    type Change = fn(&mut Value);
    let cases: &[(&str, Change, Invalid)] = &[
        ("expired", |c| c["exp"] = json!(NOW - 30), Invalid::Expired),
        ("not yet valid", |c| c["nbf"] = json!(NOW + 31), Invalid::NotYetValid),
        ("issued in the future", |c| c["iat"] = json!(NOW + 31), Invalid::NotYetValid),
        ("another issuer", |c| c["iss"] = json!("evil"), Invalid::Issuer),
        ("issuer by prefix", |c| c["iss"] = json!("sekisho.evil"), Invalid::Issuer),
        ("another audience", |c| c["aud"] = json!("other"), Invalid::Audience),
        ("audiences without ours", |c| c["aud"] = json!(["a", "b"]), Invalid::Audience),
        ("an empty address", |c| c["user_email"] = json!(""), Invalid::NoEmail),
        ("an address that is none", |c| c["user_email"] = json!("ann"), Invalid::NoEmail),
        ("an address with a line break", |c| c["user_email"] = json!("a@b\r\nx: y"), Invalid::NoEmail),
        ("an address that is no text", |c| c["user_email"] = json!(["a@b"]), Invalid::NoEmail),
        ("exp as text", |c| c["exp"] = json!("9999999999"), Invalid::Malformed),
        ("exp as fraction", |c| c["exp"] = json!(9_999_999_999.5), Invalid::Malformed),
        ("negative exp", |c| c["exp"] = json!(-1), Invalid::Malformed),
        ("aud as number", |c| c["aud"] = json!(1), Invalid::Malformed),
        ("iss as list", |c| c["iss"] = json!(["sekisho"]), Invalid::Malformed),
        ("jti as number", |c| c["jti"] = json!(7), Invalid::Malformed),
        ("jti with a line break", |c| c["jti"] = json!("a\r\nb"), Invalid::Malformed),
        ("jti too long", |c| c["jti"] = json!("x".repeat(257)), Invalid::Malformed),
        ("a scope with a space", |c| c["scopes"] = json!(["a b"]), Invalid::Malformed),
        ("a scope that is no text", |c| c["scopes"] = json!([1]), Invalid::Malformed),
        ("too many scopes", |c| c["scopes"] = json!(vec!["s"; 65]), Invalid::Malformed),
    ];
    for (case, change, expected) in cases {
        assert_eq!(verify_changed(change), Err(*expected), "{case}");
    }
    for (name, expected) in [
        ("exp", Invalid::Expired),
        ("iss", Invalid::Issuer),
        ("aud", Invalid::Audience),
        ("user_email", Invalid::NoEmail),
    ] {
        assert_eq!(verify_changed(without(name)), Err(expected), "without {name}");
    }
    for name in ["nbf", "iat", "jti", "scopes", "token_name"] {
        assert!(verify_changed(without(name)).is_ok(), "without {name}");
    }
}

#[test]
fn clocks_may_differ_by_the_leeway_and_no_more() {
    assert!(verify_changed(|c| c["exp"] = json!(NOW - 29)).is_ok());
    assert!(verify_changed(|c| c["nbf"] = json!(NOW + 30)).is_ok());
    assert!(verify_changed(|c| c["exp"] = json!(u64::MAX)).is_ok(), "the sum does not overflow");
}

#[test]
fn scopes_may_stand_in_one_text() {
    let identity = verify_changed(|c| {
        without("scopes")(c);
        c["scope"] = json!("a  b");
    });
    assert_eq!(identity.unwrap().scopes, ["a", "b"]);
}

#[test]
fn the_algorithm_is_the_providers_choice_never_the_tokens() {
    let payload = claims().to_string();
    for (header, expected) in [
        (r#"{"alg":"HS256"}"#, None),
        (r#"{"alg":"HS256","kid":"x","typ":"at+jwt"}"#, None),
        (r#"{"alg":"none"}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"None"}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"HS512"}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"RS256"}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"hs256"}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"HS256","b64":false}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"HS256","jku":"https://evil.example"}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"HS256","zip":"DEF"}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"none","alg":"HS256"}"#, Some(Invalid::Malformed)),
        (r#"{"typ":"JWT"}"#, Some(Invalid::Malformed)),
        (r#"{"alg":["HS256"]}"#, Some(Invalid::Malformed)),
        (r#"["HS256"]"#, Some(Invalid::Malformed)),
        ("", Some(Invalid::Malformed)),
    ] {
        assert_eq!(verify_text(&sign(header, &payload, KEY)).err(), expected, "{header}");
    }
}

#[test]
fn a_repeated_claim_makes_the_token_malformed() {
    let payload = claims().to_string().replacen('{', r#"{"exp":1,"#, 1);
    assert_eq!(verify_text(&sign(r#"{"alg":"HS256"}"#, &payload, KEY)), Err(Invalid::Malformed));
}

#[test]
fn a_token_that_was_touched_anywhere_is_refused() {
    let good = token(&claims());
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let touched = String::from_utf8(bytes).unwrap();
        assert!(verify_text(&touched).is_err(), "byte {at}");
        assert!(verify_text(&good[..at]).is_err(), "cut at {at}");
    }
    let parts: Vec<_> = good.split('.').collect();
    for bad in [
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{good}.x"),
        format!("{good}="),
        format!(" {good}"),
        "..".into(),
        String::new(),
    ] {
        assert!(verify_text(&bad).is_err(), "{bad:?}");
    }
    assert_eq!(
        verify_text(&sign(r#"{"alg":"HS256"}"#, &claims().to_string(), b"another key")),
        Err(Invalid::Signature)
    );
    assert_eq!(verify_text(&"a".repeat(TOKEN_MAX_BYTES + 1)), Err(Invalid::TooLong));
}

#[test]
fn json_that_nests_deeply_is_malformed_and_does_no_harm() {
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(4_000), "]".repeat(4_000));
    assert_eq!(verify_text(&sign(r#"{"alg":"HS256"}"#, &deep, KEY)), Err(Invalid::Malformed));
}
