//! Who verifies: the host where it proved itself, else this module.

use std::cell::RefCell;

use sekisho_protocol::keyset::Jwk;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::algorithm::{Family, Hash};
use super::*;
use sekisho_protocol::activity::Verifier;

/// A host as Envoy is one, whose cryptography is this module's own: it reads the DER that it is given.
#[derive(Debug)]
struct Soft;

impl HostCrypto for Soft {
    fn verify(&self, hash: Hash, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        let algorithm = match (spki_family(spki)?, hash) {
            (Family::Rsa, Hash::Sha256) => Algorithm::Rs256,
            (Family::Rsa, Hash::Sha384) => Algorithm::Rs384,
            (Family::Rsa, Hash::Sha512) => Algorithm::Rs512,
            (Family::P256, Hash::Sha256) => Algorithm::Es256,
            (Family::P384, Hash::Sha384) => Algorithm::Es384,
            (Family::P521, Hash::Sha512) => Algorithm::Es512,
            _ => return None,
        };
        let key = VerifyingKey::from_jwk(&jwk_of(spki)?, None).ok()?;
        let size = match algorithm.family() {
            Family::Rsa => return Some(super::edges::fits(&key, algorithm, text, signature)),
            Family::P256 => 32,
            Family::P384 => 48,
            _ => 66,
        };
        Some(super::edges::fits(&key, algorithm, text, &raw_of(signature, size)?))
    }
}

/// A host that says the same to everything.
#[derive(Debug)]
struct Parrot(Option<bool>);

impl HostCrypto for Parrot {
    fn verify(&self, _: Hash, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        self.0
    }
}

/// One that does not look at the text, or not at the signature.
#[derive(Debug)]
struct Careless {
    sees_text: bool,
}

impl HostCrypto for Careless {
    fn verify(&self, _: Hash, _: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        thread_local!(static SEEN: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) });
        let seen = if self.sees_text { text } else { signature };
        // The first of the three questions is the good one; whatever it looks at tells one of the others apart.
        SEEN.with_borrow_mut(|all| {
            let is_new = !all.iter().any(|known| known == seen);
            all.push(seen.to_vec());
            Some(all.len() % 3 == 1 || !is_new)
        })
    }
}

/// The elements of a DER sequence's content: tag and content each.
fn elements(mut der: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut all = Vec::new();
    while let [tag, length, rest @ ..] = der {
        let (length, rest) = match usize::from(*length) {
            short @ 0..0x80 => (short, rest),
            long => {
                let (bytes, rest) = rest.split_at_checked(long & 0x7f)?;
                (bytes.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)), rest)
            }
        };
        let (content, after) = rest.split_at_checked(length)?;
        all.push((*tag, content));
        der = after;
    }
    Some(all)
}

fn spki_parts(spki: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let [(0x30, key)] = elements(spki)?[..] else { return None };
    let [(0x30, algorithm), (3, [0, bits @ ..])] = elements(key)?[..] else { return None };
    Some((algorithm.to_vec(), bits.to_vec()))
}

fn spki_family(spki: &[u8]) -> Option<Family> {
    let (algorithm, _) = spki_parts(spki)?;
    let ends = |end: &[u8]| algorithm.ends_with(end);
    Some(match () {
        () if ends(&[0x0d, 1, 1, 1, 5, 0]) => Family::Rsa,
        () if ends(&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]) => Family::P256,
        () if ends(&[6, 5, 0x2b, 0x81, 4, 0, 0x22]) => Family::P384,
        () if ends(&[6, 5, 0x2b, 0x81, 4, 0, 0x23]) => Family::P521,
        () => return None,
    })
}

fn jwk_of(spki: &[u8]) -> Option<Jwk> {
    let (_, bits) = spki_parts(spki)?;
    let text = |bytes: &[u8]| Some(B64.encode(bytes));
    let curve = |crv: &str| {
        let (x, y) = bits[1..].split_at(bits.len() / 2);
        Some(Jwk { kty: "EC".into(), crv: Some(crv.into()), x: text(x), y: text(y), ..Jwk::default() })
    };
    match spki_family(spki)? {
        Family::P256 => curve("P-256"),
        Family::P384 => curve("P-384"),
        Family::P521 => curve("P-521"),
        _ => {
            let [(0x30, key)] = elements(&bits)?[..] else { return None };
            let [(2, n), (2, e)] = elements(key)?[..] else { return None };
            let alg = None;
            Some(Jwk { kty: "RSA".into(), n: text(n), e: text(e), alg, ..Jwk::default() })
        }
    }
}

/// An ECDSA signature in DER as two numbers in a row.
fn raw_of(der: &[u8], size: usize) -> Option<Vec<u8>> {
    let [(0x30, numbers)] = elements(der)?[..] else { return None };
    let [(2, r), (2, s)] = elements(numbers)?[..] else { return None };
    let padded = |number: &[u8]| {
        let number = number.strip_prefix(&[0]).unwrap_or(number);
        [vec![0; size - number.len()], number.to_vec()].concat()
    };
    Some([padded(r), padded(s)].concat())
}

#[test]
fn a_host_is_trusted_with_what_it_told_apart_and_nothing_else() {
    let proved: Vec<_> = HostAbility::prove(&Soft).iter().collect();
    let expected =
        [Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512, Algorithm::Es256, Algorithm::Es384, Algorithm::Es512];
    assert_eq!(proved, expected);
    for (what, host) in [
        ("it cannot tell", &Parrot(None) as &dyn HostCrypto),
        ("yes to everything", &Parrot(Some(true))),
        ("no to everything", &Parrot(Some(false))),
        ("it does not look at the text", &Careless { sees_text: false }),
        ("it does not look at the signature", &Careless { sees_text: true }),
    ] {
        assert_eq!(HostAbility::prove(host), HostAbility::NONE, "{what}");
    }
}

#[test]
fn the_host_verifies_where_it_proved_itself_and_this_module_the_rest() {
    let mut desk = Desk::with(
        json!({"jwks": jwks(), "algorithms": ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"]}),
    );
    desk.host = &Soft;
    desk.ability = HostAbility::prove(&Soft);
    for algorithm in desk.policy.providers[0].algorithms.clone().unwrap() {
        assert_eq!(desk.verify(&made(algorithm)).err(), None, "{algorithm}");
        let good = made(algorithm);
        let forged = format!("{}{}", &good[..good.len() - 8], "AAAAAAAA");
        assert_eq!(desk.verify(&forged).err(), Some(Unverified::Invalid(Invalid::Signature)), "{algorithm}");
        let place = if desk.ability.has(algorithm) { Verifier::Host } else { Verifier::Wasm };
        let counted: Vec<_> = desk.count.take().iter().collect();
        assert_eq!(counted, [(algorithm, place, 2)], "by {}", place.as_str());
    }
}

#[test]
fn what_is_no_signature_at_all_is_not_put_to_the_host() {
    let mut desk = Desk::with(json!({"jwks": jwks()}));
    desk.host = &Parrot(Some(true));
    desk.ability = HostAbility::prove(&Soft);
    for algorithm in [Algorithm::Rs256, Algorithm::Es256, Algorithm::Es384, Algorithm::Es512] {
        let good = made(algorithm);
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let length = B64.decode(signature).unwrap().len();
        for forged in [vec![0; length], vec![1; length - 1], vec![1; length + 1], vec![]] {
            if algorithm == Algorithm::Rs256 && forged.len() == length {
                continue; // a number like any other
            }
            let token = format!("{signed}.{}", B64.encode(forged));
            assert_eq!(desk.verify(&token).err(), Some(Unverified::Invalid(Invalid::Signature)), "{algorithm}");
        }
    }
    assert_eq!(desk.count, Verifications::default());
}

#[test]
fn e9_forged_tokens_cost_budget_where_the_host_is_slow_and_none_where_it_is_quick() {
    for (algorithm, refused) in [
        (Algorithm::Rs256, 10_000),
        (Algorithm::Es256, 10_000),
        (Algorithm::Es384, 277), // 250 ms of 0.9 ms each
        (Algorithm::Es512, 131),
    ] {
        let mut desk = Desk::with(json!({"jwks": jwks()}));
        desk.host = &Parrot(Some(false));
        desk.ability = HostAbility::prove(&Soft);
        let forged = made(algorithm);
        let outcomes: Vec<_> = (0..10_000).map(|_| desk.verify(&forged).err()).collect();
        let count = |of: &Unverified| outcomes.iter().filter(|outcome| outcome.as_ref() == Some(of)).count();
        assert_eq!(count(&Unverified::Invalid(Invalid::Signature)), refused, "{algorithm}");
        assert_eq!(count(&Unverified::Busy), 10_000 - refused, "{algorithm}");
    }
}

#[test]
fn a_host_that_fails_later_is_replaced_by_this_module_within_the_budget() {
    let mut desk = Desk::with(json!({"jwks": jwks()}));
    desk.host = &NoHost;
    desk.ability = HostAbility::prove(&Soft);
    assert_eq!(desk.verify(&made(Algorithm::Es256)).err(), None);
    let counted: Vec<_> = desk.count.take().iter().collect();
    assert_eq!(counted, [(Algorithm::Es256, Verifier::Wasm, 1)]);
}

#[test]
fn an_rsa_key_beyond_what_this_module_computes_needs_the_host() {
    let modulus = [vec![0x80], vec![0; 1_022], vec![1]].concat();
    let key = json!({"kty": "RSA", "n": B64.encode(modulus), "e": "AQAB"});
    let text = format!(
        "{}.{}",
        B64.encode(r#"{"alg":"RS256"}"#),
        B64.encode(json!({"iss": "https://issuer.example"}).to_string())
    );
    let token = format!("{text}.{}", B64.encode(vec![1; 1_024]));
    let mut desk = Desk::with(json!({"jwks": {"keys": [key]}}));
    assert_eq!(desk.verify(&token).err(), Some(Unverified::KeysUnavailable));
    desk.host = &Parrot(Some(false));
    desk.ability = HostAbility::prove(&Soft);
    assert_eq!(desk.verify(&token).err(), Some(Unverified::Invalid(Invalid::Signature)));
}
