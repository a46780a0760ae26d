//! The examples of the standards: RFC 7515 appendix A, RFC 7520 §4, RFC 8037 appendix A. Most of their payloads
//! are no claims of ours, or no claims at all, so they are looked at as signatures.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::edges::fits;
use super::jws::Jws;
use super::*;
use crate::secret::Secret;

fn examples() -> Vec<Value> {
    let examples: Vec<Value> = serde_json::from_str(include_str!("rfc.json")).unwrap();
    assert_eq!(examples.len(), 9);
    examples
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap()
}

/// The key of an example, for its algorithm.
fn key(example: &Value) -> VerifyingKey {
    let algorithm = Algorithm::from_name(text(example, "alg")).unwrap();
    if let Some(secret) = example["key"]["k"].as_str() {
        return VerifyingKey::hmac(Secret::new(B64.decode(secret).unwrap()), algorithm);
    }
    VerifyingKey::from_jwk(&serde_json::from_value(example["key"].clone()).unwrap(), None).unwrap()
}

#[test]
fn the_signatures_of_the_standards_verify_and_over_another_text_they_do_not() {
    for example in examples() {
        let (name, token) = (text(&example, "example"), text(&example, "token"));
        let jws = Jws::split(token.as_bytes()).unwrap();
        let header = jws.header().unwrap();
        assert_eq!(header.algorithm.as_str(), text(&example, "alg"), "{name}");
        assert_eq!(header.key_id.as_deref(), example["key"]["kid"].as_str(), "{name}");
        let (key, signature) = (key(&example), jws.signature().unwrap());
        assert!(fits(&key, header.algorithm, jws.signed, &signature), "{name}");
        assert!(!fits(&key, header.algorithm, b"another text", &signature), "{name}");
        for byte in [0, signature.len() / 2, signature.len() - 1] {
            let mut touched = signature.clone();
            touched[byte] ^= 1;
            assert!(!fits(&key, header.algorithm, jws.signed, &touched), "{name}, byte {byte}");
        }
    }
}

#[test]
fn rfc_7515_the_examples_with_claims_pass_with_a_provider_of_their_issuer() {
    for example in examples() {
        let name = text(&example, "example");
        if !["RFC 7515 A.2", "RFC 7515 A.3"].contains(&name) {
            continue;
        }
        let fields = json!({"issuers": ["joe"], "jwks": {"keys": [example["key"]]}});
        let mut desk = Desk::with(fields);
        desk.now.unix_s = 1_300_819_379;
        // They are for nobody in particular, so the audience is where they end, past the signature.
        assert_eq!(desk.identity(text(&example, "token")), Err(Invalid::Audience), "{name}");
    }
}

#[test]
fn what_is_no_json_is_refused_whatever_its_signature() {
    for example in examples() {
        let token = text(&example, "token");
        if text(&example, "example").starts_with("RFC 7520") {
            assert_eq!(Desk::new(|_| {}).identity(token), Err(Invalid::Malformed));
        }
    }
}
