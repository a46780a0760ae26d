//! What a worker knows alone: freshness, the end of bars, configurations that come and go (rules P4, P11, E8).

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn p4_a_stale_worker_checks_every_request_and_recovers() {
    let mut world = World::new();
    assert_eq!(code(&world.get("/v1", &ann()).1), "allow");
    world.wait(4);
    for call in [1, 2] {
        let id = world.get_checked("/v1", &ann(), call);
        let steps = world.answer(call, 1, CheckDecision::Allow);
        assert_eq!((steps[0].0, code(&steps[0].1)), (id, "allow"));
    }
    world.feed(FeedBody::Delta { from: 1, version: 1, changes: vec![] });
    assert_eq!(code(&world.get("/v1", &ann()).1), "allow");
}

#[test]
fn before_the_first_snapshot_every_request_is_checked() {
    let mut world = World::without_snapshot();
    world.get_checked("/v1", &ann(), 1);
    let steps = world.answer(1, 7, CheckDecision::Deny(DenyReason::TokenRevoked));
    assert_eq!(code(&steps[0].1), "token_revoked");
    world.get_checked("/v1", &ann(), 2);
    assert_eq!(code(&world.answer(2, 7, CheckDecision::Allow)[0].1), "allow");
}

#[test]
fn p11_a_worker_serves_no_policy_of_another_mesh() {
    let world = World::new();
    let mut config = sound();
    config["mesh"]["secret_env"] = json!("LLM");
    let other = Policy::parse(&config.to_string(), &environment).unwrap();
    assert!(world.worker.serves(&world.policy) && !world.worker.serves(&other));
}

#[test]
fn a_ban_ends_by_itself_in_the_worker() {
    let mut world = World::new();
    world.ban(ANN, START + 2);
    assert_eq!(code(&world.get("/v1", &ann()).1), "check");
    world.wait(2);
    assert_eq!(code(&world.get("/v1", &ann()).1), "allow");
}

#[test]
fn e8_a_cached_token_is_refused_once_it_ends() {
    let mut world = World::new();
    world.wait(3_500);
    world.feed(FeedBody::Delta { from: 1, version: 1, changes: vec![] });
    assert_eq!(code(&world.get("/v1", &ann()).1), "allow");
    world.wait(130);
    world.feed(FeedBody::Delta { from: 1, version: 1, changes: vec![] });
    assert_eq!(code(&world.get("/v1", &ann()).1), "token_expired");
}

#[test]
fn p11_a_new_policy_keeps_the_replica_and_drops_what_an_old_key_verified() {
    let mut world = World::new();
    world.ban("bob@example.com", FOREVER);
    assert_eq!(code(&world.get("/v1", &ann()).1), "allow");
    let mut config = sound();
    config["providers"][0]["hs256_secret_env"] = json!("LLM");
    world.policy = Rc::new(Policy::parse(&config.to_string(), &environment).unwrap());
    assert_eq!(code(&world.get("/v1", &ann()).1), "token_signature");
    assert_eq!(world.worker.replica().position().map(|p| p.version), Some(2));
}

#[test]
fn p7_a_route_that_now_lets_pass_does_so_only_once_the_sidecars_know() {
    let mut world = World::new();
    world.wait(4);
    world.get_checked("/open", &ann(), 1);
    assert_eq!(code(&world.fail(1)[0].1), "check_unavailable", "changes still count on the promise to check");
    let lax = Promise { fences: false, ..PROMISE };
    world.worker.poll(lax, 0, world.now).expect("a poll is due");
    let body = FeedBody::Delta { from: 1, version: 1, changes: vec![] };
    for (recorded, expected) in [(false, "check_unavailable"), (true, "allow")] {
        let reply = FeedReply { protocol: PROTOCOL, epoch: epoch(1), age_ms: u64::MAX, recorded, body: body.clone() };
        let bytes = serde_json::to_vec(&reply).unwrap();
        world.worker.on_feed_reply(world.now.mono_ms, 200, &bytes, world.now).unwrap();
        world.worker.poll(lax, 0, world.now);
        world.get_checked("/open", &ann(), 2);
        assert_eq!(code(&world.fail(2)[0].1), expected, "recorded: {recorded}");
    }
}

#[test]
fn p7_a_longer_bound_counts_only_once_the_sidecars_know() {
    let mut world = World::new();
    let mut config = sound();
    config["mesh"]["staleness_ms"] = json!(60_000);
    world.policy = Rc::new(Policy::parse(&config.to_string(), &environment).unwrap());
    world.wait(4);
    assert_eq!(code(&world.get("/v1", &ann()).1), "check");
}

#[test]
fn p7_a_worker_of_which_nobody_knows_lets_nobody_in_but_where_the_route_chose_so() {
    let mut world = World::unknown();
    assert_eq!(code(&world.get("/v1", &ann()).1), "check_unavailable");
    assert_eq!(code(&world.get("/open", &ann()).1), "check");
    assert_eq!(code(&world.get("/v1", "forged").1), "token_malformed", "that needs nobody");
    let mut world = World::without_snapshot();
    assert_eq!(code(&world.get("/v1", &ann()).1), "check");
}
