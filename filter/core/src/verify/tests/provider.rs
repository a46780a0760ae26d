//! What a provider demands of its tokens, and whom they then belong to.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

const ISSUER: &str = "https://issuer.example";

/// The claims of an ordinary identity provider.
fn usual() -> Value {
    json!({
        "iss": ISSUER, "aud": "litellm-api", "sub": "00u1|A", "iat": NOW - 100, "exp": NOW + 500,
        "email": "Ann@Example.com", "email_verified": true, "hd": "example.com", "level": 3
    })
}

/// How a token of the usual claims, changed, fares with a provider of these fields.
fn outcome(fields: Value, change: impl FnOnce(&mut Value)) -> Result<Identity, Invalid> {
    let mut all = json!({"hs256_secret_env": "JWT"});
    all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let mut claims = usual();
    change(&mut claims);
    Desk::with(all).identity(&sign(r#"{"alg":"HS256"}"#, &claims.to_string(), KEY))
}

fn subject(fields: Value, change: impl FnOnce(&mut Value)) -> Result<String, Invalid> {
    outcome(fields, change).map(|identity| identity.subject.to_string())
}

#[test]
fn without_an_email_claim_the_subject_is_issuer_and_sub() {
    let identity = outcome(json!({}), |_| {}).unwrap();
    assert_eq!((identity.subject.as_str(), identity.email), ("https://issuer.example|00u1|A", None));
    assert_eq!(subject(json!({"subject_claim": "oid"}), |c| c["oid"] = json!("X")), Ok(format!("{ISSUER}|X")));
    for (what, value) in
        [("nothing", json!(null)), ("an empty text", json!("")), ("too long a text", json!("x".repeat(512)))]
    {
        assert_eq!(subject(json!({}), |c| c["sub"] = value), Err(Invalid::Subject), "{what}");
    }
    assert_eq!(subject(json!({}), |c| c["sub"] = json!(7)), Err(Invalid::Malformed));
    assert_eq!(subject(json!({}), |c| c["sub"] = json!("a\nb")), Err(Invalid::Malformed));
    assert_eq!(subject(json!({}), without("sub")), Err(Invalid::Subject));
}

#[test]
fn e5_an_address_is_an_identity_only_where_the_provider_may_vouch_for_it_and_does() {
    let rule = || json!({"email_claim": "email", "email_domains": ["Example.com", "other.example"]});
    let external = Ok(format!("{ISSUER}|00u1|A"));
    assert_eq!(subject(rule(), |_| {}), Ok("ann@example.com".into()));
    assert_eq!(subject(rule(), |c| c["email_verified"] = json!("true")), Ok("ann@example.com".into()));
    type Change = fn(&mut Value);
    let cases: &[(&str, Change)] = &[
        ("not verified", |c| c["email_verified"] = json!(false)),
        ("verified as text, but not", |c| c["email_verified"] = json!("false")),
        ("verified as number", |c| c["email_verified"] = json!(1)),
        ("not said whether it is verified", |c| without("email_verified")(c)),
        ("somebody else's domain", |c| c["email"] = json!("ceo@victim.example")),
        ("a domain below ours", |c| c["email"] = json!("a@sub.example.com")),
        ("a domain that ends like ours", |c| c["email"] = json!("a@evilexample.com")),
        ("two at signs", |c| c["email"] = json!("a@example.com@evil.example")),
        ("no address", |c| c["email"] = json!("ann")),
        ("no text", |c| c["email"] = json!(["ann@example.com"])),
        ("none", |c| without("email")(c)),
    ];
    for (what, change) in cases {
        assert_eq!(subject(rule(), change), external, "{what}");
        let mut required = rule();
        required["email_required"] = json!(true);
        assert_eq!(subject(required, change), Err(Invalid::NoEmail), "{what}");
    }
    let lax = json!({"email_claim": "email", "email_domains": ["*"], "email_verified": "ignored"});
    assert_eq!(subject(lax, |c| c["email"] = json!("A@any.example")), Ok("a@any.example".into()));
}

#[test]
fn a_token_may_be_so_old_and_live_so_long_and_no_more() {
    let (age, lifetime) = (json!({"max_age_s": 100}), json!({"max_lifetime_s": 600}));
    assert!(outcome(age.clone(), |_| {}).is_ok());
    assert!(outcome(age.clone(), |c| c["iat"] = json!(NOW - 130)).is_ok(), "clocks may differ");
    assert_eq!(outcome(age.clone(), |c| c["iat"] = json!(NOW - 131)), Err(Invalid::Age));
    assert_eq!(outcome(age.clone(), |c| c["iat"] = json!(0)), Err(Invalid::Age));
    assert_eq!(outcome(age, without("iat")), Err(Invalid::Age));
    assert!(outcome(lifetime.clone(), |_| {}).is_ok());
    assert_eq!(outcome(lifetime.clone(), |c| c["exp"] = json!(NOW + 501)), Err(Invalid::Lifetime));
    assert_eq!(outcome(lifetime, without("iat")), Err(Invalid::Lifetime));
}

#[test]
fn e8_what_will_be_too_old_is_not_cached_beyond_that() {
    let identity = outcome(json!({"max_age_s": 200}), |_| {}).unwrap();
    assert_eq!((identity.expires_at, identity.refused_from), (NOW + 101, NOW + 131));
    let identity = outcome(json!({"max_age_s": 2_000}), |_| {}).unwrap();
    assert_eq!((identity.expires_at, identity.refused_from), (NOW + 500, NOW + 530));
}

#[test]
fn rfc_8725_3_9_audiences_belong_to_the_provider() {
    let with_audience = |aud: Value| outcome(json!({}), |c| c["aud"] = aud).err();
    assert_eq!(with_audience(json!(["x", "litellm-api"])), None);
    for aud in [json!("litellm-api2"), json!("Litellm-API"), json!(["x"]), json!(""), json!(null)] {
        assert_eq!(with_audience(aud.clone()), Some(Invalid::Audience), "{aud}");
    }
}

#[test]
fn tokens_of_the_old_issuer_are_accepted_beside_those_of_the_new_one() {
    let mut desk = Desk::new(|provider| {
        provider["issuers"] = json!(["sekisho", "llm.example.com"]);
        provider["audiences"] = json!(["our-api", "litellm-api"]);
    });
    for (issuer, audience, expected) in [
        ("sekisho", "our-api", None),
        ("llm.example.com", "litellm-api", None),
        ("other.example.com", "litellm-api", Some(Invalid::Issuer)),
        ("llm.example.com", "other-api", Some(Invalid::Audience)),
    ] {
        // What the old gateway's tokens claim, and nothing else.
        let claims = json!({
            "jti": "6e3b2f0a-8a43-4b2e-9d59-2f6f4a1c0001", "user_email": "ann@example.com", "user_id": "ann@example.com",
            "token_name": "laptop", "scopes": ["api:read", "api:write"], "iat": NOW - 10, "nbf": NOW - 10,
            "exp": NOW + 2_592_000, "iss": issuer, "aud": audience
        });
        let outcome = desk.identity(&token(&claims));
        assert_eq!(outcome.as_ref().err(), expected.as_ref(), "{issuer}, {audience}");
        if let Ok(identity) = outcome {
            assert_eq!(identity.subject.as_str(), "ann@example.com");
            assert_eq!(identity.token_id.as_deref(), Some("6e3b2f0a-8a43-4b2e-9d59-2f6f4a1c0001"));
        }
    }
}

#[test]
fn rfc_8725_3_8_a_key_speaks_only_for_its_own_issuer() {
    let mut config = sound();
    let other = json!({"name": "b", "issuers": ["b"], "audiences": ["litellm-api"], "hs256_secret_env": "LLM"});
    config["providers"].as_array_mut().unwrap().push(other);
    let mut claims = claims();
    claims["iss"] = json!("b");
    assert_eq!(Desk::of(&config).identity(&token(&claims)), Err(Invalid::Signature), "signed by the first one's key");
}

#[test]
fn claims_that_a_provider_demands_must_be_there_with_their_values() {
    let required = || json!({"required_claims": ["hd", "sub"]});
    assert!(outcome(required(), |_| {}).is_ok());
    assert!(outcome(required(), |c| c["hd"] = json!(false)).is_ok(), "any value will do");
    assert_eq!(outcome(required(), without("hd")), Err(Invalid::Claims));
    assert_eq!(outcome(required(), |c| c["hd"] = json!(null)), Err(Invalid::Claims));
    let values =
        || json!({"claim_values": {"hd": ["example.com", "b.example"], "level": [3, -4], "email_verified": true}});
    type Change = fn(&mut Value);
    let cases: &[(&str, bool, Change)] = &[
        ("as they are", true, |_| {}),
        ("another of the values", true, |c| c["hd"] = json!("b.example")),
        ("one in a list", true, |c| c["hd"] = json!(["x", 7, "b.example"])),
        ("a negative number", true, |c| c["level"] = json!(-4)),
        ("another text", false, |c| c["hd"] = json!("Example.com")),
        ("an empty list", false, |c| c["hd"] = json!([])),
        ("deeper in a list", false, |c| c["hd"] = json!([["example.com"]])),
        ("an object", false, |c| c["hd"] = json!({"example.com": true})),
        ("none", false, |c| without("hd")(c)),
        ("null", false, |c| c["hd"] = json!(null)),
        ("a number as text", false, |c| c["level"] = json!("3")),
        ("a fraction", false, |c| c["level"] = json!(3.5)),
        ("a truth value as text", false, |c| c["email_verified"] = json!("true")),
    ];
    for (what, passes, change) in cases {
        let expected = if *passes { None } else { Some(Invalid::Claims) };
        assert_eq!(outcome(values(), change).err(), expected, "{what}");
    }
}
