//! What a token says about itself, whatever its provider.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn a_valid_token_gives_its_identity_with_the_address_folded() {
    let identity = verify_changed(|_| {}).unwrap();
    assert_eq!(identity.subject.as_str(), "ann@example.com");
    assert_eq!(identity.email.as_ref().map(sekisho_protocol::Email::as_str), Some("ann@example.com"));
    assert_eq!(identity.token_id.as_deref(), Some("t-1"));
    assert_eq!(identity.scopes, ["api:read", "api:write"]);
    assert_eq!((identity.issued_at, identity.expires_at), (Some(NOW - 10), NOW + 3_600));
    assert_eq!(identity.refused_from, NOW + 3_630);
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
        ("issuer in another case", |c| c["iss"] = json!("Sekisho"), Invalid::Issuer),
        ("issuer null", |c| c["iss"] = json!(null), Invalid::Issuer),
        ("another audience", |c| c["aud"] = json!("other"), Invalid::Audience),
        ("audiences without ours", |c| c["aud"] = json!(["a", "b"]), Invalid::Audience),
        ("no audience in the list", |c| c["aud"] = json!([]), Invalid::Audience),
        ("an empty address", |c| c["user_email"] = json!(""), Invalid::NoEmail),
        ("an address that is none", |c| c["user_email"] = json!("ann"), Invalid::NoEmail),
        ("an address with a line break", |c| c["user_email"] = json!("a@b\r\nx: y"), Invalid::NoEmail),
        ("an address that is no text", |c| c["user_email"] = json!(["a@b"]), Invalid::NoEmail),
        ("aud as number", |c| c["aud"] = json!(1), Invalid::Malformed),
        ("a number among the audiences", |c| c["aud"] = json!(["litellm-api", 1]), Invalid::Malformed),
        ("iss as list", |c| c["iss"] = json!(["sekisho"]), Invalid::Malformed),
        ("iss with NUL", |c| c["iss"] = json!("sekisho\0"), Invalid::Malformed),
        ("jti as number", |c| c["jti"] = json!(7), Invalid::Malformed),
        ("jti with a line break", |c| c["jti"] = json!("a\r\nb"), Invalid::Malformed),
        ("jti with NUL", |c| c["jti"] = json!("a\0"), Invalid::Malformed),
        ("jti too long", |c| c["jti"] = json!("x".repeat(257)), Invalid::Malformed),
        ("token_name with a control character", |c| c["token_name"] = json!("\u{85}"), Invalid::Malformed),
        ("a scope with a space", |c| c["scopes"] = json!(["a b"]), Invalid::Malformed),
        ("a scope with a line break", |c| c["scopes"] = json!(["a\nb"]), Invalid::Malformed),
        ("a scope that is no text", |c| c["scopes"] = json!([1]), Invalid::Malformed),
        ("scopes as object", |c| c["scopes"] = json!({}), Invalid::Malformed),
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
fn times_are_whole_seconds_of_sane_size_and_nothing_else() {
    let with = |name: &str, written: &str| {
        let mut claims = claims();
        claims[name] = json!("HERE");
        let payload = claims.to_string().replacen("\"HERE\"", written, 1);
        Desk::new(|_| {}).identity(&sign(r#"{"alg":"HS256"}"#, &payload, KEY)).err()
    };
    for name in ["exp", "nbf", "iat"] {
        for written in [
            "\"1800003600\"",
            "1800003600.0",
            "1800003600.5",
            "1.8e9",
            "1E3",
            "-1",
            "-0",
            "0.0",
            "253402300800",
            "18446744073709551615",
            "18446744073709551616",
            "99999999999999999999999999",
            "null",
            "true",
            "[1800003600]",
            "{}",
        ] {
            assert_eq!(with(name, written), Some(Invalid::Time), "{name}: {written}");
        }
    }
    assert_eq!(with("exp", "253402300799"), None, "the last second of the year 9999");
    assert_eq!(with("exp", "01800003600"), Some(Invalid::Malformed), "that is not even JSON");
    assert_eq!((with("exp", "0"), with("nbf", "0"), with("iat", "0")), (Some(Invalid::Expired), None, None));
}

#[test]
fn clocks_may_differ_by_the_leeway_and_no_more() {
    assert!(verify_changed(|c| c["exp"] = json!(NOW - 29)).is_ok());
    assert!(verify_changed(|c| c["nbf"] = json!(NOW + 30)).is_ok());
    assert!(verify_changed(|c| c["iat"] = json!(NOW + 30)).is_ok());
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
fn rfc_7519_4_a_repeated_member_is_refused_at_any_depth() {
    let payload = claims().to_string();
    for more in [r#"{"exp":1,"#, r#"{"iss":"sekisho","#, r#"{"x":{"a":1,"a":1},"#, r#"{"x":[{"a":1,"b":2,"a":3}],"#] {
        let token = sign(r#"{"alg":"HS256"}"#, &payload.replacen('{', more, 1), KEY);
        assert_eq!(Desk::new(|_| {}).identity(&token), Err(Invalid::Repeated), "{more}");
    }
}

#[test]
fn json_that_nests_deeply_is_refused_and_does_no_harm() {
    let nested = |levels: usize| {
        let mut claims = claims();
        claims["x"] = json!("HERE");
        let lists = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let payload = claims.to_string().replacen("\"HERE\"", &lists, 1);
        Desk::new(|_| {}).identity(&sign(r#"{"alg":"HS256"}"#, &payload, KEY)).err()
    };
    assert_eq!(nested(15), None);
    assert_eq!(nested(16), Some(Invalid::Nesting));
    assert_eq!(nested(4_000), Some(Invalid::Nesting));
}

#[test]
fn text_that_is_not_utf_8_is_malformed() {
    for bytes in [&b"{\"iss\":\"sekisho\xff\"}"[..], b"{\"iss\xff\":1}", b"\xff\xfe{\"iss\":\"sekisho\"}"] {
        let text = format!("{}.{}", B64.encode(r#"{"alg":"HS256"}"#), B64.encode(bytes));
        assert_eq!(Desk::new(|_| {}).identity(&format!("{text}.AA")), Err(Invalid::Malformed), "{bytes:?}");
    }
}
