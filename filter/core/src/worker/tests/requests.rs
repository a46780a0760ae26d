//! What a request is answered with, and what its upstream is told.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

#[test]
fn a_valid_token_passes_without_a_check_and_tells_the_upstream_who_asks() {
    let mut world = World::new();
    let (_, step) = world.get("/v1/chat", &ann());
    assert_eq!(set(&step, "x-forwarded-email"), Some(ANN));
    assert_eq!(set(&step, "x-sekisho-method"), Some("jwt"));
    assert_eq!(set(&step, "x-sekisho-token-id"), Some("t-1"));
    assert_eq!(set(&step, "x-sekisho-scopes"), Some("api:read api:write"));
    assert!(set(&step, "x-sekisho-identity").is_some());
    let Step::Allow(Passage { edits, .. }) = step else { unreachable!() };
    assert_eq!(edits.remove, [&b"authorization"[..]], "the client's credential ends here");
}

#[test]
fn refusals_name_their_reason() {
    let mut world = World::new();
    let forged = sign(r#"{"alg":"HS256"}"#, &claims().to_string(), b"guessed");
    let id = world.id();
    let none = world.send(id, &[(":method", "GET"), (":path", "/v1"), (":authority", "x")]);
    assert_eq!((status(&none), code(&none)), (401, "credential_missing"));
    let (_, step) = world.get("/v1", &forged);
    assert_eq!((status(&step), code(&step)), (401, "token_signature"));
    let (_, step) = world.get("/v1//x", &ann());
    assert_eq!((status(&step), code(&step)), (400, "unusual_path"));
}

#[test]
fn e1_a_public_route_is_stripped_too() {
    let mut world = World::new();
    let id = world.id();
    let step = world.send(
        id,
        &[
            (":method", "GET"),
            (":path", "/health"),
            (":authority", "App.example:8080"),
            ("x_sekisho_subject", "eve"),
            ("connection", "upgrade, x-sekisho-identity"),
            ("upgrade", "websocket"),
        ],
    );
    assert_eq!(set(&step, "connection"), Some("Upgrade"));
    let Step::Allow(Passage { edits, .. }) = step else { unreachable!() };
    assert_eq!(edits.remove, [&b"x_sekisho_subject"[..]]);
}

#[test]
fn e2_connect_and_a_missing_path_are_refused() {
    let mut world = World::new();
    for headers in [
        &[(":method", "CONNECT"), (":authority", "x")][..],
        &[(":method", "CONNECT"), (":path", "/"), (":authority", "x")],
    ] {
        let id = world.id();
        assert_eq!(code(&world.send(id, headers)), "request_target");
    }
}

#[test]
fn e6_assertions_for_the_app_are_signed_with_a_key_that_no_upstream_holds() {
    let mut world = World::new();
    let id = world.id();
    let authorization = format!("Bearer {}", ann());
    let headers = [
        (":method", "GET"),
        (":authority", "app.example"),
        (":path", "/api"),
        ("authorization", authorization.as_str()),
    ];
    let app = world.send(id, &headers);
    let (_, llm) = world.get("/v1", &ann());
    assert_ne!(set(&app, "x-sekisho-identity"), set(&llm, "x-sekisho-identity"));
    let (_, again) = world.get("/v1", &ann());
    assert_eq!(set(&llm, "x-sekisho-identity"), set(&again, "x-sekisho-identity"), "cached per audience");
}

#[test]
fn e9_nobody_passes_without_the_assertion_for_which_there_is_no_budget_left() {
    let mut world = World::new();
    let mut config = sound();
    config["verify_budget_ms"] = json!(10);
    config["identities"][1] = json!({"name": "llm", "audience": "llm", "algorithm": "ES256"});
    world.policy = Rc::new(Policy::parse(&config.to_string(), &environment).unwrap());
    let of = |n: usize| {
        let mut claims = claims();
        (claims["jti"], claims["user_email"]) = (json!(format!("t-{n}")), json!(format!("user{n}@example.com")));
        token(&claims)
    };
    let answers: Vec<_> = (0..100).map(|n| world.get("/v1", &of(n)).1).collect();
    let passed = answers.iter().take_while(|step| matches!(step, Step::Allow(_))).count();
    assert!((5..20).contains(&passed), "{passed}");
    for step in &answers[passed..] {
        assert_eq!((status(step), code(step)), (503, "verify_busy"));
    }
    let (_, again) = world.get("/v1", &of(0));
    assert!(set(&again, "x-sekisho-identity").is_some(), "what is kept costs nothing");
    let (_, elsewhere) = world.get("/open", &of(99));
    assert_eq!(set(&elsewhere, "x-forwarded-email"), Some("user99@example.com"), "nothing is signed there");
}

#[test]
fn e2_an_authority_that_is_no_host_is_refused() {
    let mut world = World::new();
    for authority in ["", "app.example.", "u@app.example", "app.example, other"] {
        let id = world.id();
        let step = world.send(id, &[(":method", "GET"), (":path", "/health"), (":authority", authority)]);
        assert_eq!(code(&step), "request_target", "{authority:?}");
    }
}

#[test]
fn a_forged_token_causes_no_check() {
    let mut world = World::without_snapshot();
    for n in 0..100 {
        let forged = sign(r#"{"alg":"HS256"}"#, &claims().to_string(), format!("guess {n}").as_bytes());
        assert_eq!(code(&world.get("/v1", &forged).1), "token_signature");
    }
}

#[test]
fn what_happened_is_reported_by_route_outcome_and_subject() {
    let mut world = World::new();
    world.get("/v1", &ann());
    world.get("/v1", &ann());
    world.get("/v1", "nonsense");
    let now = world.now;
    world.worker.samples(PROMISE, 0, now);
    let report = world.worker.report(now).unwrap();
    assert_eq!((report.subjects.len(), report.subjects[0].requests), (1, 2));
    let mut outcomes: Vec<_> =
        report.outcomes.iter().map(|o| (o.route.as_str(), o.outcome.as_str(), o.requests)).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, [("llm", "allow", 2), ("llm", "token_malformed", 1)]);
}

#[test]
fn where_somebody_is_gets_reported_also_if_a_sidecar_was_asked_first() {
    let mut world = World::without_snapshot();
    let mut config = sound();
    config["client_address"] = json!("x-forwarded-for");
    world.policy = Rc::new(Policy::parse(&config.to_string(), &environment).unwrap());
    let (id, authorization) = (world.id(), format!("Bearer {}", ann()));
    let target = [(":method", "GET"), (":authority", "localhost"), (":path", "/v1")];
    let headers = [("x-forwarded-for", "192.0.2.7"), ("authorization", authorization.as_str())];
    let step = world.send(id, &[&target[..], &headers[..]].concat());
    let Step::Check(_, share, _) = step else { panic!("expected a check, got {step:?}") };
    world.worker.dispatched(id, CallId(1), share);
    assert_eq!(code(&world.answer(1, 1, CheckDecision::Allow)[0].1), "allow");
    let now = world.now;
    let report = world.worker.report(now).unwrap();
    assert_eq!(report.subjects[0].address, Some("192.0.2.7".parse().unwrap()));
}
