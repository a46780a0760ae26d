//! What a header may ask for, and how a token may be written.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn with_header(header: &str) -> Option<Invalid> {
    Desk::new(|_| {}).identity(&sign(header, &claims().to_string(), KEY)).err()
}

#[test]
fn rfc_8725_3_1_the_algorithm_is_the_providers_choice_never_the_tokens() {
    for (header, expected) in [
        (r#"{"alg":"HS256"}"#, None),
        (r#"{"alg":"HS256","kid":"x","typ":"at+jwt","x5t":"AA","cty":"text/plain","new":[1,{"a":2}]}"#, None),
        (r#"{"alg":"HS384"}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"HS512"}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"RS256"}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"EdDSA"}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"hs256"}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"HS256 "}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":""}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":"ES256K"}"#, Some(Invalid::Algorithm)),
        (r#"{"alg":["HS256"]}"#, Some(Invalid::Malformed)),
        (r#"{"alg":null}"#, Some(Invalid::Malformed)),
        (r#"{"typ":"JWT"}"#, Some(Invalid::Malformed)),
        (r#"["HS256"]"#, Some(Invalid::Malformed)),
        ("", Some(Invalid::Malformed)),
    ] {
        assert_eq!(with_header(header), expected, "{header}");
    }
}

#[test]
fn rfc_8725_3_2_unsigned_tokens_are_refused_however_none_is_spelt() {
    for name in ["none", "None", "NONE", "nOnE"] {
        let header = format!(r#"{{"alg":"{name}"}}"#);
        assert_eq!(with_header(&header), Some(Invalid::Unsigned), "{name}");
        let bare = format!("{}.{}.", B64.encode(&header), B64.encode(claims().to_string()));
        assert_eq!(Desk::new(|_| {}).identity(&bare), Err(Invalid::Unsigned), "{name} without a signature");
    }
    let unsigned = format!("{}.{}.", B64.encode(r#"{"alg":"HS256"}"#), B64.encode(claims().to_string()));
    assert_eq!(Desk::new(|_| {}).identity(&unsigned), Err(Invalid::Signature));
}

#[test]
fn rfc_8725_3_10_a_token_brings_no_key_and_no_way_to_one() {
    for member in [
        r#""jwk":{"kty":"oct","k":"AA"}"#,
        r#""jku":"https://evil.example""#,
        r#""x5u":"https://evil.example""#,
        r#""x5c":["AA"]"#,
        r#""jwk":null"#,
    ] {
        assert_eq!(with_header(&format!(r#"{{"alg":"HS256",{member}}}"#)), Some(Invalid::EmbeddedKey), "{member}");
    }
}

#[test]
fn what_this_verifier_does_not_understand_is_refused_with_its_own_reason() {
    for (header, expected) in [
        (r#"{"alg":"HS256","crit":["exp"]}"#, Invalid::Critical),
        (r#"{"alg":"HS256","crit":[]}"#, Invalid::Critical),
        (r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, Invalid::Unencoded),
        (r#"{"alg":"HS256","b64":false}"#, Invalid::Unencoded),
        (r#"{"alg":"HS256","b64":true}"#, Invalid::Unencoded),
        (r#"{"alg":"HS256","zip":"DEF"}"#, Invalid::Compressed),
        (r#"{"alg":"HS256","cty":"JWT"}"#, Invalid::Nested),
        (r#"{"alg":"HS256","cty":"application/jwt"}"#, Invalid::Nested),
        (r#"{"alg":"HS256","cty":7}"#, Invalid::Malformed),
    ] {
        assert_eq!(with_header(header), Some(expected), "{header}");
    }
}

#[test]
fn rfc_7515_4_a_repeated_header_parameter_is_refused() {
    for header in [
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","\u0061lg":"none"}"#,
        r#"{"alg":"HS256","x":{"y":1,"y":2}}"#,
    ] {
        assert_eq!(with_header(header), Some(Invalid::Repeated), "{header}");
    }
}

#[test]
fn rfc_8725_3_11_tokens_of_another_type_are_refused() {
    let typed = |typ: &str| with_header(&format!(r#"{{"alg":"HS256","typ":{typ}}}"#));
    for typ in ["\"JWT\"", "\"jwt\"", "\"at+jwt\"", "\"AT+JWT\"", "\"application/at+jwt\"", "\"Application/JWT\""] {
        assert_eq!(typed(typ), None, "{typ}");
    }
    for typ in [
        "\"logout+jwt\"",
        "\"dpop+jwt\"",
        "\"secevent+jwt\"",
        "\"sekisho-identity+jwt\"",
        "\"JOSE\"",
        "\"\"",
        "\"jwt \"",
        "\"application/\"",
        "\"x/jwt\"",
    ] {
        assert_eq!(typed(typ), Some(Invalid::Type), "{typ}");
    }
    for typ in ["7", "null", "[\"JWT\"]"] {
        assert_eq!(typed(typ), Some(Invalid::Malformed), "{typ}");
    }
}

#[test]
fn a_provider_may_name_the_types_of_its_tokens() {
    let payload = claims().to_string();
    let mut desk = Desk::new(|p| p["types"] = json!(["application/Custom+JWT"]));
    for (header, expected) in [
        (r#"{"alg":"HS256","typ":"custom+jwt"}"#, None),
        (r#"{"alg":"HS256","typ":"APPLICATION/custom+jwt"}"#, None),
        (r#"{"alg":"HS256","typ":"JWT"}"#, Some(Invalid::Type)),
        (r#"{"alg":"HS256"}"#, Some(Invalid::Type)),
    ] {
        assert_eq!(desk.identity(&sign(header, &payload, KEY)).err(), expected, "{header}");
    }
}

#[test]
fn a_key_id_is_a_short_text() {
    let long = format!("\"{}\"", "k".repeat(257));
    for (kid, expected) in [
        ("\"a\"", None),
        ("\"\"", None),
        ("7", Some(Invalid::KeyId)),
        ("null", Some(Invalid::KeyId)),
        ("\"a\\u0000\"", Some(Invalid::KeyId)),
        ("\"a\\r\\nb\"", Some(Invalid::KeyId)),
        (&long, Some(Invalid::KeyId)),
    ] {
        assert_eq!(with_header(&format!(r#"{{"alg":"HS256","kid":{kid}}}"#)), expected, "{kid}");
    }
}

#[test]
fn a_token_has_three_parts_and_five_are_an_encrypted_one() {
    let good = token(&claims());
    let parts: Vec<_> = good.split('.').collect();
    for (bad, expected) in [
        (format!("{}.{}", parts[0], parts[1]), Invalid::Malformed),
        (parts[0].to_owned(), Invalid::Malformed),
        (String::new(), Invalid::Malformed),
        ("..".to_owned(), Invalid::Malformed),
        (format!(".{}.{}", parts[1], parts[2]), Invalid::Malformed),
        (format!("{}..{}", parts[0], parts[2]), Invalid::Malformed),
        (format!("{good}.x"), Invalid::Malformed),
        (format!("{good}.x.y"), Invalid::Encrypted),
        ("eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a.b.c.d".to_owned(), Invalid::Encrypted),
        (format!("{good}.x.y.z"), Invalid::Malformed),
        (format!("{}.{}.", parts[0], parts[1]), Invalid::Signature),
        ("a".repeat(TOKEN_MAX_BYTES + 1), Invalid::TooLong),
    ] {
        assert_eq!(Desk::new(|_| {}).identity(&bad), Err(expected), "{bad:.80}");
    }
}

#[test]
fn base64url_has_one_spelling() {
    let good = token(&claims());
    let parts: Vec<_> = good.split('.').collect();
    // 32 bytes of tag leave 4 bits of the last character over; they must be 0.
    let (start, last) = parts[2].split_at(42);
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = alphabet.iter().position(|c| *c == last.as_bytes()[0]).unwrap();
    let stray = char::from(alphabet[value | 1]);
    assert_ne!(stray.to_string(), last, "the test changes something");
    for bad in [
        format!("{}.{}.{start}{stray}", parts[0], parts[1]),
        format!("{good}="),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{}=.{}.{}", parts[0], parts[1], parts[2]),
        format!("{}.{}=.{}", parts[0], parts[1], parts[2]),
        format!("{}.{}.+{}", parts[0], parts[1], parts[2]),
        format!("{}.{}./{}", parts[0], parts[1], parts[2]),
    ] {
        assert_eq!(Desk::new(|_| {}).identity(&bad), Err(Invalid::Encoding), "{bad}");
    }
}

#[test]
fn a_token_that_was_touched_anywhere_is_refused() {
    let good = token(&claims());
    let mut desk = Desk::new(|_| {});
    for at in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let touched = String::from_utf8(bytes).unwrap();
        assert!(desk.identity(&touched).is_err(), "byte {at}");
        assert!(desk.identity(&good[..at]).is_err(), "cut at {at}");
    }
    let forged = sign(r#"{"alg":"HS256"}"#, &claims().to_string(), b"another key");
    assert_eq!(desk.identity(&forged), Err(Invalid::Signature));
}
