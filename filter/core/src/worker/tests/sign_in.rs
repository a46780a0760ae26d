//! Tokens that need a recent sign-in: sidecars say who has none.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// A policy whose tokens need a recent sign-in, or not.
fn policy(recent_sign_in: bool) -> Rc<Policy> {
    let mut config = sound();
    config["providers"][0]["recent_sign_in"] = json!(recent_sign_in);
    Rc::new(Policy::parse(&config.to_string(), &environment).unwrap())
}

fn world() -> World {
    let mut world = World::new();
    world.policy = policy(true);
    world
}

fn require(world: &mut World) -> Vec<Cut> {
    let digest = world.digest(Kind::SignIn, ANN);
    world.change(Effect::Put(Entry::SignIn(Bar { digest, until: FOREVER })))
}

#[test]
fn whoever_must_sign_in_is_told_so_once_that_is_confirmed() {
    let mut world = world();
    assert_eq!(code(&world.get("/v1", &ann()).1), "allow");
    require(&mut world);
    let (id, step) = world.get("/v1", &ann());
    let Step::Check(request, share, _) = step else { panic!("expected a check, got {step:?}") };
    assert!(request.recent_sign_in);
    world.worker.dispatched(id, CallId(1), share);
    let steps = world.answer(1, 2, CheckDecision::Deny(DenyReason::SignInNeeded));
    let Step::Answer(answer) = &steps[0].1 else { panic!("{steps:?}") };
    assert_eq!((answer.status, answer.code), (401, "sign_in_needed"));
    assert_eq!(answer.message, "Invalid or expired token: User must sign in again");
    let challenge = answer.headers.iter().find(|(name, _)| name == "www-authenticate").unwrap();
    assert!(challenge.1.contains(r#"error="insufficient_user_authentication""#), "RFC 9470 §3: {challenge:?}");
    assert_eq!(code(&world.get("/v1", &ann()).1), "sign_in_needed", "and is known to be");
    let digest = world.digest(Kind::SignIn, ANN);
    world.change(Effect::Lift(digest));
    assert_eq!(code(&world.get("/v1", &ann()).1), "allow");
}

#[test]
fn p6_a_check_lets_in_who_signed_in_before_the_bar_is_lifted() {
    let mut world = world();
    require(&mut world);
    world.get_checked("/v1", &ann(), 1);
    assert_eq!(code(&world.answer(1, 2, CheckDecision::Allow)[0].1), "allow");
    world.get_checked("/v1", &ann(), 2);
    assert_eq!(code(&world.fail(2)[0].1), "check_unconfirmed");
}

#[test]
fn a_provider_that_does_not_say_so_wants_no_sign_in_and_a_push_of_the_configuration_holds_at_once() {
    let mut world = world();
    world.policy = policy(false);
    assert_eq!(code(&world.get("/v1", &ann()).1), "allow");
    require(&mut world);
    assert_eq!(code(&world.get("/v1", &ann()).1), "allow", "nothing is looked up");
    world.policy = policy(true);
    assert_eq!(code(&world.get("/v1", &ann()).1), "check", "though the token was verified before");
    world.policy = policy(false);
    world.wait(4);
    let (_, step) = world.get("/v1", &ann());
    let Step::Check(request, ..) = step else { panic!("expected a check, got {step:?}") };
    assert!(!request.recent_sign_in);
}

#[test]
fn p12_what_a_token_let_in_is_cut_when_its_owner_must_sign_in() {
    let mut world = world();
    world.get("/v1", &ann());
    assert_eq!(require(&mut world).len(), 1);
    let mut world = World::new();
    world.get("/v1", &ann());
    assert_eq!(require(&mut world).len(), 0);
}
