//! Which keys a token is tried with, and what follows if none of them signed it.

use sekisho_protocol::Digest;
use sekisho_protocol::feed::Kind;
use sekisho_protocol::keyset::{Jwk, KeysReply, Standing};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use sekisho_protocol::activity::Verifier;

const PUBLIC: [Algorithm; 10] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::EdDsa,
];

fn names(algorithms: &[Algorithm]) -> Vec<&'static str> {
    algorithms.iter().map(|algorithm| algorithm.as_str()).collect()
}

fn changed(name: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut key = jwk(name);
    change(&mut key);
    key
}

fn of_keys(keys: &[Value]) -> Desk {
    Desk::with(json!({"jwks": {"keys": keys}}))
}

fn refused(invalid: Invalid) -> Option<Unverified> {
    Some(Unverified::Invalid(invalid))
}

#[test]
fn tokens_of_every_algorithm_verify_in_this_module_and_are_counted() {
    let secrets = json!({"hs256_secret_env": "JWT", "hs384_secret_env": "JWT384", "hs512_secret_env": "JWT512"});
    let mut all = secrets;
    all["jwks"] = jwks();
    all["algorithms"] = json!(names(&Algorithm::ALL));
    let mut desk = Desk::with(all);
    for algorithm in Algorithm::ALL {
        let verification = desk.verify(&made(algorithm)).unwrap_or_else(|error| panic!("{algorithm}: {error:?}"));
        assert_eq!(verification.identity.subject.as_str(), "https://issuer.example|ann", "{algorithm}");
        assert_eq!(verification.identity.scopes, ["api:read", "api:write"]);
        assert_eq!(verification.key.held(), None, "it stands in the configuration");
        desk.now.mono_ms += 1_000;
    }
    let counted: Vec<_> = desk.count.take().iter().collect();
    let expected: Vec<_> = Algorithm::ALL.iter().map(|algorithm| (*algorithm, Verifier::Wasm, 1)).collect();
    assert_eq!(counted, expected);
    assert_eq!(desk.count, Verifications::default());
}

#[test]
fn a_key_without_an_algorithm_has_the_usual_one_of_its_kind() {
    let mut desk = Desk::with(json!({"jwks": jwks()}));
    for algorithm in PUBLIC {
        let usual = algorithm.family() != algorithm::Family::Rsa || algorithm == Algorithm::Rs256;
        let expected = if usual { None } else { refused(Invalid::Algorithm) };
        assert_eq!(desk.verify(&made(algorithm)).err(), expected, "{algorithm}");
    }
}

#[test]
fn rfc_8725_3_1_a_key_that_names_its_algorithm_is_for_no_other() {
    for (own, accepted) in [("RS384", "RS384"), ("PS512", "PS512"), ("RS256", "RS256")] {
        let mut desk = Desk::with(json!({"jwks": {"keys": [changed("rsa", |k| k["alg"] = json!(own))]}}));
        for algorithm in PUBLIC {
            let expected = if algorithm.as_str() == accepted { None } else { refused(Invalid::Algorithm) };
            assert_eq!(desk.verify(&made(algorithm)).err(), expected, "{own}: {algorithm}");
            desk.now.mono_ms += 1_000;
        }
    }
    for alg in ["EdDSA", "Ed25519"] {
        let mut desk = of_keys(&[changed("ed25519", |k| k["alg"] = json!(alg))]);
        assert_eq!(desk.verify(&made(Algorithm::EdDsa)).err(), None, "{alg}");
    }
}

#[test]
fn a_providers_list_of_algorithms_allows_and_forbids() {
    let mut desk = Desk::with(json!({"jwks": jwks(), "algorithms": ["PS256", "ES384"]}));
    for algorithm in PUBLIC {
        let listed = [Algorithm::Ps256, Algorithm::Es384].contains(&algorithm);
        let expected = if listed { None } else { refused(Invalid::Algorithm) };
        assert_eq!(desk.verify(&made(algorithm)).err(), expected, "{algorithm}");
    }
}

#[test]
fn rfc_8725_2_1_a_public_key_is_no_secret_and_a_secret_no_public_key() {
    // The oldest trick: sign with HMAC under what everybody knows, in each form in which it is known.
    let key = jwk("rsa");
    let der = crate::verify::public::PublicKey::rsa(
        &B64.decode(key["n"].as_str().unwrap()).unwrap(),
        &B64.decode(key["e"].as_str().unwrap()).unwrap(),
    );
    for known in [der.unwrap().spki().to_vec(), key.to_string().into_bytes(), key["n"].to_string().into_bytes()] {
        let claims = json!({"iss": "https://issuer.example", "aud": "litellm-api", "sub": "x", "exp": NOW + 10});
        let forged = sign(r#"{"alg":"HS256","kid":"rsa"}"#, &claims.to_string(), &known);
        assert_eq!(of_keys(std::slice::from_ref(&key)).verify(&forged).err(), refused(Invalid::Algorithm));
        let mut both = Desk::with(json!({"jwks": {"keys": [key]}, "hs256_secret_env": "JWT"}));
        assert_eq!(both.verify(&forged).err(), refused(Invalid::Signature));
    }
    let mut secret = Desk::with(json!({"hs256_secret_env": "JWT"}));
    assert_eq!(secret.verify(&made(Algorithm::Rs256)).err(), refused(Invalid::Algorithm));
}

#[test]
fn a_token_is_tried_with_the_keys_that_it_can_mean() {
    let nameless = |name: &str| changed(name, |k| drop(k.as_object_mut().unwrap().remove("kid")));
    let named = |name: &str, kid: &str| changed(name, |k| k["kid"] = json!(kid));
    let other = json!({
        "kty": "OKP", "crv": "Ed25519", "kid": "ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    });
    let cases: [(&str, Vec<Value>, Option<Unverified>); 8] = [
        ("named", vec![jwk("ed25519")], None),
        ("a key without a name", vec![nameless("ed25519")], None),
        ("two of one name", vec![other.clone(), jwk("ed25519")], None),
        ("another name", vec![named("ed25519", "x")], refused(Invalid::Key)),
        ("names differ in case", vec![named("ed25519", "ED25519")], refused(Invalid::Key)),
        ("the right name, another key", vec![other.clone()], refused(Invalid::Signature)),
        ("the right name, another kind", vec![named("p256", "ed25519")], refused(Invalid::Algorithm)),
        ("another name and one without", vec![named("p256", "x"), nameless("ed25519")], None),
    ];
    for (what, keys, expected) in cases {
        assert_eq!(of_keys(&keys).verify(&made(Algorithm::EdDsa)).err(), expected, "{what}");
    }
}

#[test]
fn a_token_that_could_be_anybodys_is_tried_with_four_keys_at_most() {
    let nameless = |name: &str| changed(name, |k| drop(k.as_object_mut().unwrap().remove("kid")));
    let token = made(Algorithm::Es256);
    let keys = |count: usize| vec![nameless("p256"); count];
    assert_eq!(of_keys(&keys(4)).verify(&token).err(), None);
    assert_eq!(of_keys(&keys(5)).verify(&token).err(), refused(Invalid::Key));
}

#[test]
fn e9_a_flood_of_slow_tokens_ends_in_busy_and_harms_no_fast_one() {
    let mut all = json!({"jwks": jwks(), "hs256_secret_env": "JWT"});
    all["algorithms"] = json!(["HS256", "PS256"]);
    let mut desk = Desk::with(all);
    let forged = format!("{}A", &made(Algorithm::Ps256)[..made(Algorithm::Ps256).len() - 1]);
    let mut refusals = 0;
    while desk.verify(&forged).err() != Some(Unverified::Busy) {
        refusals += 1;
        assert!(refusals < 1_000, "it never ends");
    }
    assert!(refusals > 50, "{refusals}");
    assert_eq!(desk.verify(&made(Algorithm::Ps256)).err(), Some(Unverified::Busy));
    assert_eq!(desk.verify(&made(Algorithm::Hs256)).err(), None);
    desk.now.mono_ms += 100;
    assert_eq!(desk.verify(&made(Algorithm::Ps256)).err(), None, "there is new allowance soon");
}

/// A desk whose provider has the source `idp`, with what sidecars answered about it.
fn sourced(replies: &[(u64, Standing, Vec<Value>, u64)]) -> Desk {
    let mut desk = Desk::with(json!({"key_source": "idp"}));
    for (revision, standing, keys, ask_again_ms) in replies {
        take(&mut desk, *revision, *standing, keys, *ask_again_ms);
    }
    desk
}

fn take(desk: &mut Desk, revision: u64, standing: Standing, keys: &[Value], ask_again_ms: u64) {
    let keys: Vec<Jwk> = keys.iter().map(|key| serde_json::from_value(key.clone()).unwrap()).collect();
    let reply = KeysReply { protocol: 1, standing, revision, keys, ask_again_ms };
    desk.sources.take("idp", &reply, &desk.announced, desk.now);
}

fn announce(desk: &mut Desk, revision: u64) {
    let digest = Digest::of(&desk.policy.mesh.digest_key, Kind::Keyset, "idp");
    desk.announced.announce(digest, revision);
}

fn needs(kid: Option<&str>) -> Option<Unverified> {
    Some(Unverified::NeedsKeys { source: "idp".into(), kid: kid.map(str::to_owned) })
}

#[test]
fn fetched_keys_verify_and_say_of_which_revision_they_are() {
    let token = made(Algorithm::Es256);
    let mut desk = sourced(&[]);
    assert_eq!(desk.verify(&token).err(), needs(None), "nothing was fetched yet");
    take(&mut desk, 7, Standing::Current, &[jwk("p256")], 0);
    let verification = desk.verify(&token).unwrap();
    let held = verification.key.held().unwrap();
    assert_eq!((held.source.as_str(), held.revision), ("idp", 7));
}

#[test]
fn an_unknown_kid_is_asked_for_until_nobody_will_fetch_again_soon() {
    let token = made(Algorithm::Es256);
    let unknown = needs(Some("p256"));
    for (standing, meanwhile) in
        [(Standing::Current, refused(Invalid::Key)), (Standing::Unreachable, Some(Unverified::KeysUnavailable))]
    {
        let mut desk = sourced(&[(1, standing, vec![jwk("rsa")], 500)]);
        assert_eq!(desk.verify(&token).err(), meanwhile, "{standing:?}: sidecars just looked");
        desk.now.mono_ms += 500;
        assert_eq!(desk.verify(&token).err(), unknown, "{standing:?}: they may look again");
        take(&mut desk, 2, Standing::Current, &[jwk("rsa"), jwk("p256")], 500);
        assert_eq!(desk.verify(&token).err(), None, "{standing:?}: it was a rotation");
    }
}

#[test]
fn known_keys_go_on_while_their_source_is_unreachable() {
    let mut desk = sourced(&[(1, Standing::Unreachable, vec![jwk("p256")], 500)]);
    assert_eq!(desk.verify(&made(Algorithm::Es256)).err(), None);
    desk.sources.unanswered("idp", &desk.announced, desk.now);
    assert_eq!(desk.verify(&made(Algorithm::Es256)).err(), None, "not even a sidecar is needed");
    assert_eq!(desk.verify(&made(Algorithm::Rs256)).err(), Some(Unverified::KeysUnavailable));
}

#[test]
fn without_any_good_keys_nobody_can_tell() {
    for standing in [Standing::Unknown, Standing::Unreachable, Standing::Current] {
        let mut desk = sourced(&[(0, standing, vec![], 500)]);
        assert_eq!(desk.verify(&made(Algorithm::Es256)).err(), Some(Unverified::KeysUnavailable), "{standing:?}");
        desk.now.mono_ms += 500;
        assert_eq!(desk.verify(&made(Algorithm::Es256)).err(), needs(None), "{standing:?}: it is asked for again");
    }
}

#[test]
fn none_of_an_outdated_sets_keys_is_believed() {
    let token = made(Algorithm::Es256);
    let mut desk = sourced(&[(1, Standing::Current, vec![jwk("p256")], 60_000)]);
    let key = desk.verify(&token).unwrap().key;
    assert!(key.is_believed(&desk.announced));
    announce(&mut desk, 2);
    assert!(!key.is_believed(&desk.announced), "nor what it verified before");
    assert_eq!(desk.verify(&token).err(), needs(None));
    take(&mut desk, 1, Standing::Current, &[jwk("p256")], 60_000);
    assert_eq!(desk.verify(&token).err(), Some(Unverified::KeysUnavailable), "that sidecar lags, too");
    announce(&mut desk, 3);
    assert_eq!(desk.verify(&token).err(), needs(None), "news are worth asking at once");
    take(&mut desk, 3, Standing::Current, &[jwk("p256"), jwk("rsa")], 60_000);
    assert!(key.is_believed(&desk.announced), "the new set has it, too");
    assert!(Rc::ptr_eq(&key, &desk.verify(&token).unwrap().key));
}

#[test]
fn e8_a_key_that_is_not_in_the_new_set_is_withdrawn_for_good() {
    let token = made(Algorithm::Es256);
    let mut desk = sourced(&[(1, Standing::Current, vec![jwk("p256"), jwk("rsa")], 0)]);
    let key = desk.verify(&token).unwrap().key;
    take(&mut desk, 2, Standing::Current, &[jwk("rsa")], 500);
    assert!(!key.is_believed(&desk.announced));
    assert_eq!(desk.verify(&token).err(), refused(Invalid::Key));
    take(&mut desk, 1, Standing::Current, &[jwk("p256")], 500);
    assert_eq!(desk.verify(&token).err(), refused(Invalid::Key), "a lower revision brings nothing back");
}

#[test]
fn keys_of_a_source_that_cannot_be_used_are_left_out() {
    let bad = json!({"kty": "EC", "crv": "P-256", "kid": "p256", "x": "AA", "y": "AA"});
    let mut desk = sourced(&[]);
    let encryption = changed("rsa", |k| k["use"] = json!("enc"));
    let keys: Vec<Jwk> =
        [bad, encryption, jwk("ed25519")].iter().map(|key| serde_json::from_value(key.clone()).unwrap()).collect();
    let reply = KeysReply { protocol: 1, standing: Standing::Current, revision: 1, keys, ask_again_ms: 500 };
    let taken = desk.sources.take("idp", &reply, &desk.announced, desk.now);
    assert_eq!((taken.replaced, taken.unusable), (true, 2));
    assert_eq!(desk.verify(&made(Algorithm::EdDsa)).err(), None);
    assert_eq!(desk.verify(&made(Algorithm::Es256)).err(), refused(Invalid::Key));
}

#[test]
fn what_the_configuration_itself_can_verify_needs_no_source() {
    let keys = json!({"keys": [jwk("p256")]});
    let mut desk = Desk::with(json!({"key_source": "idp", "jwks": keys, "hs256_secret_env": "JWT"}));
    assert_eq!(desk.verify(&made(Algorithm::Es256)).err(), None);
    assert_eq!(desk.verify(&made(Algorithm::Hs256)).err(), None);
    assert_eq!(desk.verify(&made(Algorithm::Rs256)).err(), needs(None));
    assert_eq!(desk.verify(&made(Algorithm::Hs384)).err(), refused(Invalid::Algorithm), "no secret is fetched");
}
