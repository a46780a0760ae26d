use serde_json::Value;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::super::key::KeyPair;
use super::*;
use crate::identity::tests::{ann, verified};
use crate::secret::Secret;
use crate::time::Now;
use crate::verify::budget::Budget;

const MESH: &[u8] = b"a mesh secret of at least thirty-two bytes";

fn target(name: &str, audience: &str) -> Rc<Target> {
    let key = AssertionKey::hs256(&Secret::new(name.as_bytes().repeat(32)));
    Rc::new(Target::new(name.into(), audience.into(), key))
}

fn public(pair: KeyPair) -> Rc<Target> {
    Rc::new(Target::new(pair.as_str().into(), "agent".into(), AssertionKey::derived(pair, MESH)))
}

/// A worker's budget, with 250 ms in each second.
#[derive(Default)]
struct Purse(Budget);

impl Purse {
    fn at(&mut self, unix_s: u64) -> Allowance<'_> {
        let now = Now { unix_s, mono_ms: unix_s * 1_000 };
        Allowance { budget: &mut self.0, per_second_ms: 250, now }
    }

    /// Nothing is left in this second.
    fn empty(&mut self, unix_s: u64) {
        while self.at(unix_s).spend(1) {}
    }
}

fn part(jwt: &str, index: usize) -> Value {
    let part = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(index).unwrap()).unwrap();
    serde_json::from_slice(&part).unwrap()
}

fn claims(jwt: &str) -> IdentityClaims {
    serde_json::from_value(part(jwt, 1)).unwrap()
}

#[test]
fn e6_an_assertion_has_one_audience_and_lives_at_most_thirty_seconds() {
    let jwt = Assertions::default().get(&target("a", "llm"), &ann(), &mut Purse::default().at(2_000)).unwrap();
    let claims = claims(&jwt);
    assert_eq!((claims.aud.as_str(), claims.iat, claims.exp), ("llm", 2_000, 2_030));
    assert_eq!((claims.sub.as_str(), claims.token_name.as_deref()), ("ann@example.com", Some("laptop")));
}

#[test]
fn e6_an_assertion_is_cached_per_audience_and_renewed_before_it_ends() {
    let (llm, app) = (target("a", "llm"), target("b", "app"));
    let (mut kept, mut purse) = (Assertions::default(), Purse::default());
    let mut get = |target, unix_s| kept.get(target, &ann(), &mut purse.at(unix_s)).unwrap();
    let first = get(&llm, 2_000);
    assert!(Rc::ptr_eq(&first, &get(&llm, 2_014)));
    assert_ne!(first, get(&app, 2_014));
    assert_eq!(claims(&get(&llm, 2_015)).iat, 2_015);
    let same_name_new_key = Target::new("a".into(), "llm".into(), AssertionKey::hs256(&Secret::new(vec![9; 32])));
    assert_ne!(get(&llm, 2_015), get(&Rc::new(same_name_new_key), 2_015));
}

#[test]
fn rfc_8725_3_11_every_assertion_says_what_it_is_and_one_of_a_key_pair_which_key() {
    for (target, algorithm) in
        [(target("a", "llm"), "HS256"), (public(KeyPair::EdDsa), "EdDSA"), (public(KeyPair::Es256), "ES256")]
    {
        let jwt = target.sign(&ann(), &mut Purse::default().at(2_000)).unwrap();
        let header = part(&jwt, 0);
        assert_eq!((&header["typ"], &header["alg"]), (&"sekisho-identity+jwt".into(), &algorithm.into()));
        let published = super::super::key::published(MESH);
        let key = published.iter().find(|key| key.alg.as_deref() == Some(algorithm));
        assert_eq!(header["kid"].as_str(), key.and_then(|key| key.kid.as_deref()), "{header}");
    }
}

#[test]
fn e6_what_is_quick_is_kept_from_the_second_request_on_and_what_is_dear_from_the_first() {
    for (target, times) in [(target("a", "llm"), 2), (public(KeyPair::EdDsa), 1), (public(KeyPair::Es256), 1)] {
        let (credential, mut purse) = (verified(ann()), Purse::default());
        let shown: Vec<_> = (0..5).map(|_| credential.assertion(&target, &mut purse.at(2_000)).unwrap()).collect();
        let made =
            shown.iter().enumerate().filter(|(at, jwt)| !shown[..*at].iter().any(|known| Rc::ptr_eq(known, jwt)));
        assert_eq!(made.count(), times, "{}", target.name);
    }
}

#[test]
fn e9_signing_has_the_budget_of_slow_cryptography_and_hmac_needs_none() {
    let mut purse = Purse::default();
    purse.empty(2_000);
    for (target, expected) in [
        (target("a", "llm"), None),
        (public(KeyPair::EdDsa), Some(Inability::Busy)),
        (public(KeyPair::Es256), Some(Inability::Busy)),
    ] {
        let made = verified(ann()).assertion(&target, &mut purse.at(2_000));
        assert_eq!(made.err(), expected, "{}", target.name);
    }
}

#[test]
fn e9_while_nothing_new_can_be_signed_what_is_kept_is_sent_on_for_as_long_as_it_is_of_use() {
    let (target, credential, mut purse) = (public(KeyPair::Es256), verified(ann()), Purse::default());
    let first = credential.assertion(&target, &mut purse.at(2_000)).unwrap();
    for (unix_s, expected) in [(2_014, Ok(())), (2_015, Ok(())), (2_024, Ok(())), (2_025, Err(Inability::Busy))] {
        purse.empty(unix_s);
        let again = credential.assertion(&target, &mut purse.at(unix_s));
        assert_eq!(again.map(|jwt| assert!(Rc::ptr_eq(&jwt, &first))), expected, "at {unix_s}");
    }
    assert_eq!(claims(&credential.assertion(&target, &mut purse.at(2_027)).unwrap()).iat, 2_027);
}

/// Another implementation believes what is signed here.
#[cfg(not(target_arch = "wasm32"))]
#[test]
fn jwt_simple_verifies_what_is_signed_here_with_the_keys_that_are_published() {
    use std::collections::HashSet;

    use jwt_simple::prelude::*;

    let [ed, es] = &super::super::key::published(MESH)[..] else { panic!("two keys") };
    let ed = Ed25519PublicKey::from_jwk(&serde_json::to_string(ed).unwrap()).unwrap();
    let es = ES256PublicKey::from_jwk(&serde_json::to_string(es).unwrap()).unwrap();
    let sign = |pair| public(pair).sign(&ann(), &mut Purse::default().at(2_000)).unwrap();
    let (by_ed, by_es) = (sign(KeyPair::EdDsa), sign(KeyPair::Es256));
    let options = |audience: &str| VerificationOptions {
        allowed_issuers: Some(HashSet::from(["sekisho".into()])),
        allowed_audiences: Some(HashSet::from([audience.into()])),
        required_signature_type: Some("sekisho-identity+jwt".into()),
        artificial_time: Some(UnixTimeStamp::from_secs(2_001)),
        ..VerificationOptions::default()
    };
    for audience in ["agent", "another"] {
        let is_meant = audience == "agent";
        let ed = ed.verify_token::<NoCustomClaims>(&by_ed, Some(options(audience)));
        let es = es.verify_token::<NoCustomClaims>(&by_es, Some(options(audience)));
        for verified in [ed, es] {
            assert_eq!(
                verified.ok().and_then(|claims| claims.subject).as_deref(),
                is_meant.then_some("ann@example.com")
            );
        }
    }
    assert!(ed.verify_token::<NoCustomClaims>(&by_es, Some(options("agent"))).is_err());
    assert!(es.verify_token::<NoCustomClaims>(&by_ed, Some(options("agent"))).is_err());
}
