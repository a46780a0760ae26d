//! Rules that do without a session: one that is worth nothing is none there. A browser that goes to sign in shows the
//! session that sent it there.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn banned() -> SessionStanding {
    SessionStanding::Banned { until: START + 100, email: Email::parse(ANN).ok() }
}

fn is_nobodys(step: &Step) {
    assert_eq!(code(step), "allow");
    for name in ["x-forwarded-email", "x-sekisho-subject", "x-sekisho-method", "x-sekisho-identity"] {
        assert_eq!(set(step, name), None, "{name}");
    }
}

#[test]
fn a_session_that_is_unknown_ended_or_banned_is_none_where_none_is_needed() {
    for standing in [SessionStanding::Unknown, SessionStanding::Ended, banned()] {
        let mut world = world();
        get_asking(&mut world, "/optional", 1);
        let steps = answer(&mut world, 1, 1, standing.clone());
        is_nobodys(&steps[0].1);
        assert_eq!(set(&steps[0].1, "cookie"), Some("a=1"), "and nobody is shown the cookie");
        let mut world = self::world();
        get_asking(&mut world, "/", 1);
        assert_ne!(code(&answer(&mut world, 1, 1, standing)[0].1), "allow", "elsewhere it is refused");
    }
}

#[test]
fn a_known_session_that_is_barred_is_none_there_once_that_is_confirmed() {
    for reason in [DenyReason::SessionEnded, DenyReason::Banned { until: START + 100 }] {
        let mut world = knowing();
        assert_eq!(set(&get_with_cookie(&mut world, "/optional").1, "x-forwarded-email"), Some(ANN));
        match reason {
            DenyReason::SessionEnded => drop(end(&mut world)),
            _ => drop(world.ban(ANN, FOREVER)),
        }
        let (request, step) = get_with_cookie(&mut world, "/optional");
        let Step::Check(_, share, _) = step else { panic!("expected a check, got {step:?}") };
        world.worker.dispatched(request, CallId(5), share);
        is_nobodys(&world.answer(5, 2, CheckDecision::Deny(reason.clone()))[0].1);
        is_nobodys(&get_with_cookie(&mut world, "/optional").1);
        assert!([401, 403].contains(&status(&get_with_cookie(&mut world, "/").1)), "{reason:?}");
    }
}

#[test]
fn a_barred_session_that_nobody_can_confirm_is_503() {
    let mut world = knowing();
    end(&mut world);
    let (request, step) = get_with_cookie(&mut world, "/optional");
    let Step::Check(_, share, _) = step else { panic!("expected a check, got {step:?}") };
    world.worker.dispatched(request, CallId(5), share);
    assert_eq!(status(&world.fail(5)[0].1), 503);
    let mut world = self::world();
    get_asking(&mut world, "/optional", 1);
    let steps = world.worker.on_session_reply(CallId(1), world.now.mono_ms, 503, b"", world.now);
    assert_eq!((status(&steps[0].1), code(&steps[0].1)), (503, "check_unavailable"));
}

#[test]
fn what_the_rule_requires_is_asked_of_nobody() {
    let staff_alone = || with(|config| config["routes"][2]["require"] = json!({"groups": {"any": ["staff"]}}));
    let mut world = staff_alone();
    get_asking(&mut world, "/optional", 1);
    let steps = answer(&mut world, 1, 1, SessionStanding::Ended);
    assert_eq!((status(&steps[0].1), code(&steps[0].1)), (403, "group_missing"));
    let mut world = staff_alone();
    get_asking(&mut world, "/optional", 1);
    assert_eq!(code(&answer(&mut world, 1, 1, is_live())[0].1), "allow");
    end(&mut world);
    let (request, step) = get_with_cookie(&mut world, "/optional");
    let Step::Check(_, share, _) = step else { panic!("expected a check, got {step:?}") };
    world.worker.dispatched(request, CallId(5), share);
    let steps = world.answer(5, 2, CheckDecision::Deny(DenyReason::SessionEnded));
    assert_eq!(code(&steps[0].1), "group_missing", "an ended session has no groups");
}

#[test]
fn what_is_no_token_goes_on_as_if_there_were_no_session() {
    for (standing, expected) in [(SessionStanding::Ended, false), (is_live(), true)] {
        let mut world = world();
        let cookie = format!("__Host-sekisho={}", cookie_on(&world, HOST));
        let more = [("cookie", cookie.as_str()), ("authorization", "Basic eA==")];
        let (_, step) = get(&mut world, "/optional", &more);
        dispatch(&mut world, &step, 1);
        let steps = answer(&mut world, 1, 1, standing);
        let Step::Allow(passage) = &steps[0].1 else { panic!("{steps:?}") };
        let is_removed = passage.edits.remove.iter().any(|name| **name == *b"authorization");
        assert_eq!(is_removed, expected, "beside an identity no other credential goes on");
    }
}

#[test]
fn who_turns_out_to_have_no_session_needs_no_second_token_either() {
    let also = |config: &mut Value| {
        let mut work = config["providers"][0].clone();
        (work["name"], work["issuers"]) = (json!("work"), json!(["work"]));
        config["providers"].as_array_mut().unwrap().push(work);
        config["routes"][2]["providers"] = json!(["tokens"]);
        config["routes"][2]["also"] = json!([{"provider": "work", "from": [{"header": "x-work"}]}]);
    };
    for (standing, expected) in
        [(SessionStanding::Unknown, "allow"), (banned(), "allow"), (is_live(), "credential_missing")]
    {
        let mut world = with(also);
        get_asking(&mut world, "/optional", 1);
        assert_eq!(code(&answer(&mut world, 1, 1, standing)[0].1), expected);
    }
}

#[test]
fn a_token_that_is_barred_is_refused_there_too() {
    let mut world = world();
    world.ban(ANN, FOREVER);
    let authorization = format!("Bearer {}", ann());
    let (request, step) = get(&mut world, "/optional", &[("authorization", &authorization)]);
    let Step::Check(_, share, _) = step else { panic!("expected a check, got {step:?}") };
    world.worker.dispatched(request, CallId(5), share);
    let steps = world.answer(5, 2, CheckDecision::Deny(DenyReason::Banned { until: START + 100 }));
    assert_eq!((status(&steps[0].1), code(&steps[0].1)), (401, "user_banned"));
}
