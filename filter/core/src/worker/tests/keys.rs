//! Tokens whose keys sidecars fetch: requests wait for them, and what becomes of those that a withdrawn key let in.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use sekisho_protocol::keyset::{KeysReply, Standing};

use super::*;
use crate::verify::algorithm::Algorithm;
use crate::verify::tests::{jwk, made};

const SOURCE: &str = "idp";

/// A world whose provider's keys sidecars fetch. None is there yet.
fn world() -> World {
    let mut world = World::new();
    let mut config = sound();
    config["providers"] = json!([{"name": "idp", "issuers": ["https://issuer.example"],
                                  "audiences": ["litellm-api"], "key_source": SOURCE}]);
    world.policy = Rc::new(Policy::parse(&config.to_string(), &environment).unwrap());
    world
}

fn reply(revision: u64, keys: &[&str], standing: Standing, ask_again_ms: u64) -> KeysReply {
    let keys = keys.iter().map(|name| serde_json::from_value(jwk(name)).unwrap()).collect();
    KeysReply { protocol: PROTOCOL, standing, revision, keys, ask_again_ms }
}

/// Sends a request whose keys must be asked for, under this number of a callout.
fn get_asking(world: &mut World, token: &str, call: u32) -> (RequestId, Option<String>) {
    let (id, step) = world.get("/v1", token);
    let Step::AskForKeys(query, _) = step else { panic!("expected a question, got {step:?}") };
    assert_eq!(query.source, SOURCE);
    world.worker.keys_dispatched(SOURCE, CallId(call));
    (id, query.kid)
}

fn answer(world: &mut World, call: u32, reply: &KeysReply) -> KeysTaken {
    world.worker.on_keys_reply(CallId(call), 200, &serde_json::to_vec(reply).unwrap(), world.now)
}

/// A world that holds the EdDSA key under revision 5.
fn world_with_keys() -> World {
    let mut world = world();
    let query = world.worker.keys_due(std::iter::once(&world.policy), world.now).expect("keys are due");
    assert_eq!((query.source.as_str(), query.kid), (SOURCE, None));
    world.worker.keys_dispatched(SOURCE, CallId(1));
    answer(&mut world, 1, &reply(5, &["ed25519"], Standing::Current, 0));
    world
}

fn announce(world: &mut World, revision: u64) {
    let digest = world.digest(Kind::Keyset, SOURCE);
    world.change(Effect::Put(Entry::Keyset { digest, revision }));
}

fn codes(taken: &KeysTaken) -> Vec<&'static str> {
    taken.steps.iter().map(|(_, step)| code(step)).collect()
}

#[test]
fn requests_wait_for_keys_and_one_question_serves_them_all() {
    let mut world = world();
    let token = made(Algorithm::EdDsa);
    let (first, kid) = get_asking(&mut world, &token, 7);
    assert_eq!(kid, None, "nothing is known, so it is not about a kid");
    let (second, step) = world.get("/v1", &token);
    assert_eq!(code(&step), "wait");
    let taken = answer(&mut world, 7, &reply(5, &["ed25519"], Standing::Current, 0));
    assert_eq!(taken.steps.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [first, second]);
    assert_eq!(codes(&taken), ["allow", "allow"]);
    assert_eq!(code(&world.get("/v1", &token).1), "allow");
}

#[test]
fn keys_are_asked_for_before_a_request_needs_them_and_once() {
    let mut world = world_with_keys();
    assert_eq!(world.worker.keys_due(std::iter::once(&world.policy), world.now), None);
    announce(&mut world, 6);
    assert!(world.worker.keys_due(std::iter::once(&world.policy), world.now).is_some());
    assert_eq!(world.worker.keys_due(std::iter::once(&world.policy), world.now), None, "it is under way");
}

#[test]
fn a_rotation_loses_no_request_even_if_the_new_key_is_used_at_once() {
    let mut world = world_with_keys();
    assert_eq!(code(&world.get("/v1", &made(Algorithm::EdDsa)).1), "allow");
    let (_, kid) = get_asking(&mut world, &made(Algorithm::Es256), 8);
    assert!(kid.is_some(), "a kid that the set does not have");
    let taken = answer(&mut world, 8, &reply(6, &["ed25519", "p256"], Standing::Current, 10_000));
    assert_eq!(codes(&taken), ["allow"]);
    assert!(taken.cuts.is_empty());
    assert_eq!(code(&world.get("/v1", &made(Algorithm::EdDsa)).1), "allow", "the old key goes on");
}

#[test]
fn a_flood_of_unknown_kids_asks_once_in_the_interval_that_the_sidecars_name() {
    let mut world = world_with_keys();
    get_asking(&mut world, &made(Algorithm::Es256), 8);
    let taken = answer(&mut world, 8, &reply(5, &["ed25519"], Standing::Current, 10_000));
    assert_eq!(codes(&taken), ["token_key"]);
    for _ in 0..100 {
        assert_eq!(code(&world.get("/v1", &made(Algorithm::Es256)).1), "token_key");
    }
    world.now.mono_ms += 10_001;
    get_asking(&mut world, &made(Algorithm::Es256), 9);
}

#[test]
fn an_unknown_kid_of_a_source_that_cannot_be_reached_is_nobodys_fault() {
    let mut world = world_with_keys();
    get_asking(&mut world, &made(Algorithm::Es256), 8);
    let taken = answer(&mut world, 8, &reply(5, &["ed25519"], Standing::Unreachable, 10_000));
    assert_eq!(codes(&taken), ["keys_unavailable"]);
    assert_eq!(code(&world.get("/v1", &made(Algorithm::Es256)).1), "keys_unavailable");
    assert_eq!(code(&world.get("/v1", &made(Algorithm::EdDsa)).1), "allow", "the last good keys stay");
}

#[test]
fn nobody_who_can_be_asked_is_an_inability_too() {
    let mut world = world();
    let (first, _) = get_asking(&mut world, &made(Algorithm::EdDsa), 7);
    let taken = world.worker.on_keys_reply(CallId(7), 0, &[], world.now);
    assert_eq!((codes(&taken), taken.steps[0].0), (vec!["keys_unavailable"], first));
    world.now.mono_ms += 1_000;
    let (id, step) = world.get("/v1", &made(Algorithm::EdDsa));
    assert_eq!(code(&step), "keys");
    let steps = world.worker.keys_not_dispatched(SOURCE, world.now);
    assert_eq!((steps[0].0, code(&steps[0].1)), (id, "keys_unavailable"));
}

#[test]
fn e8_after_a_newer_set_is_announced_no_older_key_is_believed() {
    let mut world = world_with_keys();
    let token = made(Algorithm::EdDsa);
    let (open, step) = world.get("/v1", &token);
    assert_eq!(code(&step), "allow");
    announce(&mut world, 6);
    get_asking(&mut world, &token, 8);
    let taken = answer(&mut world, 8, &reply(6, &["p256"], Standing::Current, 10_000));
    assert_eq!(codes(&taken), ["token_key"], "the key was withdrawn");
    let cut: Vec<_> = taken.cuts.iter().map(|cut| (cut.stream, cut.answer.code)).collect();
    assert_eq!(cut, [(open, "stream_cut")], "and so is what it let in");
}

#[test]
fn e8_a_late_answer_with_an_older_set_brings_no_key_back() {
    let mut world = world_with_keys();
    let token = made(Algorithm::EdDsa);
    announce(&mut world, 6);
    get_asking(&mut world, &token, 8);
    let taken = answer(&mut world, 8, &reply(5, &["ed25519"], Standing::Current, 0));
    assert_eq!(codes(&taken), ["keys_unavailable"]);
}

#[test]
fn p13_requests_that_wait_for_keys_are_bounded_and_take_no_place_of_those_that_wait_for_checks() {
    let mut world = world();
    let token = made(Algorithm::EdDsa);
    get_asking(&mut world, &token, 7);
    assert_eq!(code(&world.get("/v1", &token).1), "wait");
    let (_, step) = world.get("/v1", &token);
    assert_eq!((status(&step), code(&step)), (503, "check_overloaded"), "max_checks is 2");
}

#[test]
fn p13_who_leaves_is_not_answered() {
    let mut world = world();
    let (id, _) = get_asking(&mut world, &made(Algorithm::EdDsa), 7);
    world.worker.on_leave(id);
    let taken = answer(&mut world, 7, &reply(5, &["ed25519"], Standing::Current, 0));
    assert!(taken.steps.is_empty(), "{:?}", taken.steps);
}

#[test]
fn a_token_that_waited_for_keys_is_checked_like_any_other_and_the_check_names_the_keys() {
    let mut world = world();
    world.wait(10); // it is stale
    let (id, _) = get_asking(&mut world, &made(Algorithm::EdDsa), 7);
    let taken = answer(&mut world, 7, &reply(5, &["ed25519"], Standing::Current, 0));
    let [(asked, Step::Check(request, None, _))] = &taken.steps[..] else { panic!("{taken:?}") };
    assert_eq!(*asked, id);
    let keys = request.keys.as_ref().expect("the check names the keys");
    assert_eq!((keys.source.as_str(), keys.revision), (SOURCE, 5));
}

#[test]
fn e8_a_check_that_was_under_way_brings_no_withdrawn_key_back() {
    for keys in [None, Some(&["p256"][..])] {
        for is_answered in [true, false] {
            let mut world = world_with_keys();
            world.wait(10); // it is stale
            let version = world.version;
            let id = world.get_checked("/v1", &made(Algorithm::EdDsa), 8);
            announce(&mut world, 6);
            if let Some(keys) = keys {
                let query = world.worker.keys_due(std::iter::once(&world.policy), world.now).expect("keys are due");
                world.worker.keys_dispatched(&query.source, CallId(9));
                answer(&mut world, 9, &reply(6, keys, Standing::Current, 0));
            }
            let steps = if is_answered { world.answer(8, version, CheckDecision::Allow) } else { world.fail(8) };
            assert_eq!((steps[0].0, code(&steps[0].1)), (id, "keys_unavailable"), "{keys:?} {is_answered}");
        }
    }
}

#[test]
fn a_source_without_keys_is_not_asked_for_again_before_the_sidecars_say() {
    let mut world = world();
    let due = |world: &mut World| world.worker.keys_due(std::iter::once(&world.policy), world.now).is_some();
    assert!(due(&mut world));
    world.worker.keys_dispatched(SOURCE, CallId(1));
    answer(&mut world, 1, &reply(0, &[], Standing::Unknown, 10_000));
    world.now.mono_ms += 9_000;
    assert!(!due(&mut world), "nobody fetches it before");
    announce(&mut world, 6);
    assert!(due(&mut world), "but now there are keys");
}
