//! Signatures that a lax verifier accepts: numbers out of range, wrong lengths, wrong padding, other hashes. Made
//! with another implementation (OpenSSL, and arithmetic where it refuses to), over one text.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::key::Outcome;
use super::*;

/// Whether a signature is this key's, computed in this module.
pub(super) fn fits(key: &VerifyingKey, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
    let mut crypto = Crypto {
        host: &NoHost,
        ability: HostAbility::NONE,
        budget: &mut Budget::default(),
        budget_ms: 1_000,
        count: &mut Verifications::default(),
    };
    let outcome = key.verify(algorithm, text, signature, &mut crypto, Now { unix_s: 0, mono_ms: 1 });
    assert!(matches!(outcome, Outcome::Fits | Outcome::Differs), "{outcome:?}");
    outcome == Outcome::Fits
}

#[test]
fn only_what_is_a_signature_to_the_letter_fits() {
    let edges: Vec<Value> = serde_json::from_str(include_str!("edges.json")).unwrap();
    assert!(edges.len() > 80, "{}", edges.len());
    for edge in edges {
        let (what, name) = (edge["what"].as_str().unwrap(), edge["alg"].as_str().unwrap());
        let key = edge["key"].as_str().map_or_else(|| edge["key"].clone(), jwk);
        let key = VerifyingKey::from_jwk(&serde_json::from_value(key).unwrap(), None).unwrap();
        let signature = B64.decode(edge["signature"].as_str().unwrap()).unwrap();
        let algorithm = Algorithm::from_name(name).unwrap();
        let found = fits(&key, algorithm, b"the text that is signed", &signature);
        assert_eq!(found, edge["good"].as_bool().unwrap(), "{name}: {what}");
    }
}

#[test]
fn a_key_of_one_kind_never_fits_an_algorithm_of_another() {
    let text = b"x";
    for name in ["rsa", "p256", "p384", "p521", "ed25519"] {
        let key = VerifyingKey::from_jwk(&serde_json::from_value(jwk(name)).unwrap(), None).unwrap();
        for algorithm in Algorithm::ALL {
            for length in [0, 32, 48, 64, 96, 132, 256] {
                assert!(!fits(&key, algorithm, text, &vec![1; length]), "{name} {algorithm} {length}");
            }
        }
    }
}
