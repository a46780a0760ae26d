//! Rules that want a second credential beside the first.

use super::*;

/// Rules that want a token of `work` in `x-work` beside the ordinary one.
fn two_tokens() -> World {
    let work = json!({"name": "work", "issuers": ["work"], "audiences": ["mesh"], "hs256_secret_env": "LLM"});
    let mut providers = sound()["providers"].as_array().unwrap().clone();
    providers.push(work);
    let also = json!([{"provider": "work", "from": [{"header": "x-work"}]}]);
    let routes =
        json!([{"name": "w", "match": {"prefix": "/w"}, "access": "protected", "providers": ["tokens"], "also": also}]);
    world(routes, json!({"providers": providers}))
}

fn of_work() -> String {
    let claims = json!({"iss": "work", "aud": "mesh", "sub": "batch", "jti": "w-1", "iat": START, "exp": START + 600});
    sign(r#"{"alg":"HS256"}"#, &claims.to_string(), "l".repeat(32).as_bytes())
}

/// Shows both tokens to a new request.
fn begin_both(world: &mut World, first: &str, second: &str) -> (RequestId, Step) {
    let (id, first) = (world.id(), format!("Bearer {first}"));
    let headers = [
        (":method", "GET"),
        (":authority", "localhost"),
        (":path", "/w"),
        ("authorization", first.as_str()),
        ("x-work", second),
    ];
    (id, world.send(id, &headers))
}

fn show_both(world: &mut World, first: &str, second: &str) -> Step {
    begin_both(world, first, second).1
}

/// Shows both to a worker that must check one of them, and says who is asked about. The check is this call.
fn check_both(world: &mut World, call: u32) -> (RequestId, String) {
    let (id, step) = begin_both(world, &ann(), &of_work());
    (id, dispatch(world, id, step, call))
}

/// Sends the check that a step asks for.
fn dispatch(world: &mut World, id: RequestId, step: Step, call: u32) -> String {
    let Step::Check(request, share, _) = step else { panic!("expected a check, got {step:?}") };
    world.worker.dispatched(id, CallId(call), share);
    request.subject.as_str().to_owned()
}

#[test]
fn a_rule_may_want_two_credentials_and_then_takes_no_less() {
    let mut world = two_tokens();
    let step = show_both(&mut world, &ann(), &of_work());
    assert_eq!(set(&step, "x-sekisho-subject"), Some(ANN), "the first says whose request it is");
    assert_eq!(removed(&step), ["authorization", "x-work"]);
    let (_, step) = world.get("/w", &ann());
    assert_eq!((status(&step), code(&step)), (401, "credential_missing"));
    let step = show_both(&mut world, &ann(), &ann());
    assert_eq!((status(&step), code(&step)), (401, "credential_not_accepted"));
    let step = show_both(&mut world, &of_work(), &of_work());
    assert_eq!((status(&step), code(&step)), (401, "credential_not_accepted"));
    let step = show_both(&mut world, &ann(), "a.b.c");
    assert_eq!(status(&step), 401);
}

#[test]
fn p6_a_bar_of_either_credential_bars_the_request_and_cuts_its_stream() {
    for barred in [ANN, "work|batch"] {
        let mut world = two_tokens();
        let before = show_both(&mut world, &ann(), &of_work());
        assert_eq!(status(&before), 200);
        assert_eq!(world.ban(barred, FOREVER).len(), 1, "the open stream of {barred}");
        assert_eq!(check_both(&mut world, 1).1, barred);
        let version = world.version;
        let steps = world.answer(1, version, CheckDecision::Deny(DenyReason::Banned { until: FOREVER }));
        assert_eq!(code(&steps[0].1), "user_banned");
    }
}

/// A stale worker has asked about the first credential, was told that it may, and has asked about the second.
fn half_checked() -> World {
    let mut world = two_tokens();
    world.wait(10);
    let (id, subject) = check_both(&mut world, 1);
    assert_eq!(subject, ANN);
    let version = world.version;
    let (_, step) = world.answer(1, version, CheckDecision::Allow).pop().expect("a step");
    assert_eq!(dispatch(&mut world, id, step, 2), "work|batch");
    world
}

#[test]
fn p5_a_stale_worker_checks_each_credential_and_believes_no_older_answer() {
    let mut world = half_checked();
    world.ban(ANN, FOREVER);
    let version = world.version;
    let steps = world.answer(2, version, CheckDecision::Allow);
    assert_eq!(code(&steps[0].1), "check_unconfirmed", "the first was barred while the second was checked");
}

#[test]
fn p5_two_answers_of_different_moments_admit_nobody() {
    for (more, expected) in [(0, "allow"), (1, "check_unconfirmed")] {
        let mut world = half_checked();
        let version = world.version + more;
        let steps = world.answer(2, version, CheckDecision::Allow);
        assert_eq!(code(&steps[0].1), expected, "the sidecars knew {more} changes more");
    }
}

#[test]
fn p7_what_passed_by_a_replica_that_went_stale_meanwhile_was_not_checked() {
    for (seconds, expected) in [(0, "allow"), (10, "check_unconfirmed")] {
        let mut world = two_tokens();
        world.ban("work|batch", FOREVER);
        assert_eq!(check_both(&mut world, 1).1, "work|batch", "the first passed by the replica alone");
        world.wait(seconds);
        let version = world.version;
        let steps = world.answer(1, version, CheckDecision::Allow);
        assert_eq!(code(&steps[0].1), expected, "{seconds} s later");
    }
}

#[test]
fn every_cookie_with_a_token_is_taken_away_whichever_credential_it_is() {
    let work = json!({"name": "work", "issuers": ["work"], "audiences": ["mesh"], "hs256_secret_env": "LLM"});
    let mut providers = sound()["providers"].as_array().unwrap().clone();
    providers.push(work);
    let mut world = world(
        json!([{"name": "w", "match": {"prefix": "/w"}, "access": "protected", "providers": ["tokens"],
                "tokens": {"from": [{"cookie": "a"}]}, "also": [{"provider": "work", "from": [{"cookie": "b"}]}]}]),
        json!({"providers": providers}),
    );
    let cookie = format!("a={}; theirs=1; b={}", ann(), of_work());
    let step = ask(&mut world, "GET", "/w", &[("cookie", cookie.as_str())]);
    assert_eq!(set(&step, "cookie"), Some("theirs=1"));
}

#[test]
fn one_token_is_never_enough_for_a_rule_that_wants_two() {
    let problem = |providers: Value| {
        let mut config = sound();
        config["routes"][1]["providers"] = providers;
        config["routes"][1]["also"] = json!([{"provider": "tokens", "from": [{"header": "x-second"}]}]);
        let problems = Policy::parse(&config.to_string(), &environment).unwrap_err();
        problems.iter().any(|problem| problem.path == "routes[1].also[0].provider")
    };
    assert!(problem(Value::Null) && problem(json!(["tokens"])));
}
