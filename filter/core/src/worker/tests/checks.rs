//! When a sidecar is asked, and which of its answers win (rules P5, P6, P10, P13).

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn an_unreachable_sidecar_is_503_or_what_the_route_chose() {
    let mut world = World::without_snapshot();
    world.get_checked("/v1", &ann(), 1);
    assert_eq!(status(&world.fail(1)[0].1), 503);
    let mut promised_nothing = World::unknown();
    promised_nothing.get_checked("/open", &ann(), 2);
    assert_eq!(code(&promised_nothing.fail(2)[0].1), "allow");
    let (id, step) = world.get("/v1", &ann());
    assert!(matches!(step, Step::Check(..)));
    let now = world.now;
    assert_eq!(code(&world.worker.not_dispatched(id, now)), "check_unavailable");
}

#[test]
fn a_check_answer_that_cannot_be_read_decides_nothing() {
    for body in
        [&b"{}"[..], br#"{"protocol":9,"epoch":"01010101010101010101010101010101","version":1,"decision":"allow"}"#]
    {
        let mut world = World::without_snapshot();
        world.get_checked("/v1", &ann(), 1);
        let now = world.now;
        let steps = world.worker.on_check_reply(CallId(1), 200, body, now);
        assert_eq!(code(&steps[0].1), "check_unavailable");
    }
}

#[test]
fn p6_a_hit_is_confirmed_once_and_then_refused_without_asking() {
    let mut world = World::new();
    world.ban(ANN, FOREVER);
    world.get_checked("/v1", &ann(), 1);
    let steps = world.answer(1, 2, CheckDecision::Deny(DenyReason::Banned { until: START + 90_000 }));
    assert_eq!(code(&steps[0].1), "user_banned");
    let (_, step) = world.get("/v1", &ann());
    let Step::Answer(answer) = &step else { panic!("{step:?}") };
    assert!(answer.body.contains("Invalid or expired token: User is banned for 1 days 1 hours"), "{}", answer.body);
    world.lift(ANN);
    assert_eq!(code(&world.get("/v1", &ann()).1), "allow", "the same token passes after the lift");
}

#[test]
fn p6_a_hit_that_nobody_confirms_is_503_whatever_the_route_chose() {
    let mut world = World::new();
    world.ban(ANN, FOREVER);
    for (path, call) in [("/v1", 1), ("/open", 2)] {
        world.get_checked(path, &ann(), call);
        let steps = world.fail(call);
        assert_eq!((status(&steps[0].1), code(&steps[0].1)), (503, "check_unconfirmed"));
    }
}

#[test]
fn p6_an_answer_as_new_as_the_replica_clears_a_collision() {
    let mut world = World::new();
    world.ban(ANN, FOREVER);
    world.get_checked("/v1", &ann(), 1);
    assert_eq!(code(&world.answer(1, 2, CheckDecision::Allow)[0].1), "allow");
    assert_eq!(code(&world.get("/v1", &ann()).1), "check", "and the next request asks again");
}

#[test]
fn p5_an_allow_that_is_older_than_the_replica_never_wins() {
    let mut world = World::new();
    world.wait(4); // stale: the request is checked
    world.get_checked("/v1", &ann(), 1);
    world.ban(ANN, FOREVER); // arrives while the check is under way
    assert_eq!(code(&world.answer(1, 1, CheckDecision::Allow)[0].1), "check_unconfirmed");
}

#[test]
fn p5_a_denial_that_is_older_than_the_replica_is_not_kept() {
    let mut world = World::new();
    world.ban(ANN, FOREVER);
    world.get_checked("/v1", &ann(), 1);
    world.ban("bob@example.com", FOREVER);
    assert_eq!(code(&world.answer(1, 2, CheckDecision::Deny(DenyReason::TokenRevoked))[0].1), "token_revoked");
    assert_eq!(code(&world.get("/v1", &ann()).1), "check");
}

#[test]
fn p5_an_answer_of_another_epoch_does_not_clear_a_hit() {
    let mut world = World::new();
    world.ban(ANN, FOREVER);
    world.get_checked("/v1", &ann(), 1);
    let reply = CheckReply { protocol: PROTOCOL, epoch: epoch(2), version: 99, decision: CheckDecision::Allow };
    let now = world.now;
    let steps = world.worker.on_check_reply(CallId(1), 200, &serde_json::to_vec(&reply).unwrap(), now);
    assert_eq!(code(&steps[0].1), "check_unconfirmed");
}

#[test]
fn p5_a_stale_worker_keeps_no_denial() {
    let mut world = World::new();
    world.ban(ANN, FOREVER);
    world.wait(4);
    world.get_checked("/v1", &ann(), 1);
    world.answer(1, 2, CheckDecision::Deny(DenyReason::TokenRevoked));
    assert_eq!(code(&world.get("/v1", &ann()).1), "check");
}

#[test]
fn p13_requests_of_one_credential_share_the_check_of_a_hit_even_if_the_first_leaves() {
    let mut world = World::new();
    world.ban(ANN, FOREVER);
    let first = world.get_checked("/v1", &ann(), 1);
    let (second, step) = world.get("/v1", &ann());
    assert!(matches!(step, Step::Wait), "{step:?}");
    world.worker.on_leave(first);
    let steps = world.answer(1, 2, CheckDecision::Deny(DenyReason::TokenRevoked));
    assert_eq!(steps.iter().map(|(id, step)| (*id, code(step))).collect::<Vec<_>>(), [(second, "token_revoked")]);
}

#[test]
fn p13_a_stale_worker_shares_no_check() {
    let mut world = World::without_snapshot();
    world.get_checked("/v1", &ann(), 1);
    assert_eq!(code(&world.get("/v1", &ann()).1), "check");
}

#[test]
fn p13_the_excess_of_checks_is_503_at_once() {
    let mut world = World::without_snapshot();
    world.get_checked("/v1", &ann(), 1);
    let second = world.get_checked("/v1", &ann(), 2);
    // `/open` chose to pass when no sidecar answers; a flood must not buy that.
    assert_eq!(code(&world.get("/open", &ann()).1), "check_overloaded");
    world.worker.on_leave(second);
    assert_eq!(code(&world.get("/v1", &ann()).1), "check_overloaded", "its callout is still under way");
    world.fail(2);
    assert_eq!(code(&world.get("/v1", &ann()).1), "check");
}

#[test]
fn p13_a_stale_worker_shares_no_check_of_a_hit_either() {
    let mut world = World::new();
    world.ban(ANN, FOREVER);
    world.wait(4);
    world.get_checked("/v1", &ann(), 1);
    assert_eq!(code(&world.get("/v1", &ann()).1), "check");
}

#[test]
fn p6_a_stale_worker_asks_again_about_what_was_confirmed_earlier() {
    let mut world = World::new();
    world.ban(ANN, FOREVER);
    world.get_checked("/v1", &ann(), 1);
    world.answer(1, 2, CheckDecision::Deny(DenyReason::Banned { until: FOREVER }));
    assert_eq!(code(&world.get("/v1", &ann()).1), "user_banned");
    world.wait(4);
    assert_eq!(code(&world.get("/v1", &ann()).1), "check");
}

#[test]
fn p6_a_lift_that_a_snapshot_says_by_silence_takes_effect_at_once() {
    let mut world = World::new();
    world.ban(ANN, FOREVER);
    world.get_checked("/v1", &ann(), 1);
    world.answer(1, 2, CheckDecision::Deny(DenyReason::Banned { until: FOREVER }));
    world.feed(FeedBody::Page { version: 5, count: 0, from: Digest::MIN, next: None, entries: vec![] });
    world.get_checked("/v1", &ann(), 2);
    assert_eq!(code(&world.answer(2, 5, CheckDecision::Allow)[0].1), "allow");
}

#[test]
fn p10_a_revoked_token_bars_that_token_alone() {
    let mut world = World::new();
    let digest = world.digest(Kind::Token, "t-1");
    world.change(Effect::Put(Entry::Token(Bar { digest, until: START + 3_700 })));
    assert_eq!(code(&world.get("/v1", &ann()).1), "check");
    let other = Value::from("t-2");
    let mut claims = claims();
    claims["jti"] = other;
    assert_eq!(code(&world.get("/v1", &token(&claims)).1), "allow");
}

#[test]
fn tokens_issued_before_a_logout_everywhere_are_asked_about() {
    let mut world = World::new();
    let digest = world.digest(Kind::NotBefore, ANN);
    let issued_before = START;
    world.change(Effect::Put(Entry::NotBefore { digest, issued_before, until: FOREVER }));
    assert_eq!(code(&world.get("/v1", &ann()).1), "check");
    let mut later = claims();
    later["iat"] = json!(START);
    assert_eq!(code(&world.get("/v1", &token(&later)).1), "allow");
}
