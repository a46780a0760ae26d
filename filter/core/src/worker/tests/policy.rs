//! What rules add to a valid credential: requirements, other answers, identities and credentials for upstreams,
//! and deciding without refusing.

use super::*;
use crate::decision::Decision;

/// A world whose rules are these, before the usual ones.
fn world(routes: Value, more: Value) -> World {
    let mut world = World::new();
    let policy = with(routes, more);
    assert!(world.worker.serves(&policy));
    world.policy = policy;
    world
}

fn with(routes: Value, more: Value) -> Rc<Policy> {
    let mut config = sound();
    let Value::Array(mut routes) = routes else { panic!("no list") };
    routes.extend(config["routes"].as_array().unwrap().clone());
    config["routes"] = routes.into();
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let parsed = Policy::parse(&config.to_string(), &environment);
    Rc::new(parsed.unwrap_or_else(|problems| panic!("{problems:?}")))
}

/// A token of Ann's with one claim more.
fn with_claim(name: &str, value: Value) -> String {
    let mut claims = claims();
    claims[name] = value;
    token(&claims)
}

/// A request with these headers besides the usual pseudo-headers.
fn ask(world: &mut World, method: &str, path: &str, headers: &[(&str, &str)]) -> Step {
    let usual = [(":method", method), (":authority", "localhost"), (":path", path), (":scheme", "https")];
    let all: Vec<_> = usual.into_iter().chain(headers.iter().copied()).collect();
    world.send(world.id(), &all)
}

fn removed(step: &Step) -> Vec<String> {
    let Step::Allow(passage) = step else { panic!("not allowed: {step:?}") };
    passage.edits.remove.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

#[test]
fn a_requirement_is_judged_after_the_denylist_and_says_what_is_missing() {
    let mut world = world(
        json!([{"name": "w", "match": {"prefix": "/w"}, "access": "protected", "require": {"scopes": {"all": ["admin"]}}}]),
        json!({}),
    );
    let (_, step) = world.get("/w", &ann());
    assert_eq!((status(&step), code(&step)), (403, "scope_missing"));
    let (_, step) = world.get("/w", &with_claim("scopes", json!(["admin"])));
    assert_eq!(status(&step), 200);
    world.ban(ANN, FOREVER);
    world.get_checked("/w", &ann(), 1);
    let version = world.version;
    let steps = world.answer(1, version, CheckDecision::Deny(DenyReason::Banned { until: FOREVER }));
    assert_eq!(code(&steps[0].1), "user_banned", "who is banned hears that first");
}

#[test]
fn a_requirement_holds_for_a_request_that_waited_for_a_check() {
    let mut world = world(
        json!([{"name": "w", "match": {"prefix": "/w"}, "access": "protected", "require": {"scopes": {"all": ["admin"]}}}]),
        json!({}),
    );
    world.wait(10);
    world.get_checked("/w", &ann(), 1);
    let version = world.version;
    let steps = world.answer(1, version, CheckDecision::Allow);
    assert_eq!(code(&steps[0].1), "scope_missing");
}

#[test]
fn a_configuration_with_other_questions_keeps_the_cached_tokens_and_reads_their_claims_anew() {
    let rule = |team: &str| {
        let claim = json!([{"claim": "team", "equals": team}]);
        json!([{"name": "w", "match": {"prefix": "/w"}, "access": "protected", "require": {"claims": claim},
                "identity_headers": [{"header": "x-team", "claim": "team"}]}])
    };
    let mut world = world(rule("red"), json!({}));
    let shown = with_claim("team", json!("blue"));
    let (_, step) = world.get("/w", &shown);
    assert_eq!(code(&step), "claim_mismatch");
    let verified = |world: &World| world.worker.shared.verifications.iter().map(|(_, _, count)| count).sum::<u64>();
    let before = verified(&world);
    world.policy = with(rule("blue"), json!({}));
    let (_, step) = world.get("/w", &shown);
    assert_eq!(set(&step, "x-team"), Some("blue"));
    assert_eq!(set(&step, "x-forwarded-email"), None, "the rule's own list replaces the usual one");
    assert_eq!(verified(&world), before, "no signature was verified again");
}

#[test]
fn a_rule_without_need_of_a_credential_takes_a_valid_one_and_refuses_a_wrong_one() {
    let mut world = world(json!([{"name": "o", "match": {"prefix": "/o"}, "access": "optional"}]), json!({}));
    let step = ask(&mut world, "GET", "/o", &[("x-sekisho-subject", "eve")]);
    assert_eq!((status(&step), set(&step, "x-sekisho-subject")), (200, None));
    assert_eq!(removed(&step), ["x-sekisho-subject"]);
    let step = ask(&mut world, "GET", "/o", &[("authorization", "Basic eDp5")]);
    assert_eq!((status(&step), removed(&step).len()), (200, 0), "what is not ours is the upstream's");
    let (_, step) = world.get("/o", &ann());
    assert_eq!(set(&step, "x-sekisho-subject"), Some(ANN));
    let (_, step) = world.get("/o", "a.b.c");
    assert_eq!(status(&step), 401);
}

#[test]
fn tokens_of_other_providers_do_not_count_where_a_rule_names_some() {
    let second =
        json!({"name": "other", "issuers": ["other"], "audiences": ["litellm-api"], "hs256_secret_env": "LLM"});
    let mut providers = sound()["providers"].as_array().unwrap().clone();
    providers.push(second);
    let rule =
        |names: Value| json!([{"name": "w", "match": {"prefix": "/w"}, "access": "protected", "providers": names}]);
    let mut world = world(rule(json!(["other"])), json!({"providers": providers}));
    let (_, step) = world.get("/w", &ann());
    assert_eq!((status(&step), code(&step)), (401, "credential_not_accepted"));
    let (_, step) = world.get("/elsewhere", &ann());
    assert_eq!(status(&step), 200);
}

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

fn show_both(world: &mut World, first: &str, second: &str) -> Step {
    let first = format!("Bearer {first}");
    ask(world, "GET", "/w", &[("authorization", first.as_str()), ("x-work", second)])
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
        let id = world.id();
        let first = format!("Bearer {}", ann());
        let second = of_work();
        let headers = [
            (":method", "GET"),
            (":authority", "localhost"),
            (":path", "/w"),
            ("authorization", first.as_str()),
            ("x-work", second.as_str()),
        ];
        let Step::Check(request, share, _) = world.send(id, &headers) else { panic!("expected a check") };
        assert_eq!(request.subject.as_str(), barred);
        world.worker.dispatched(id, CallId(1), share);
        let version = world.version;
        let steps = world.answer(1, version, CheckDecision::Deny(DenyReason::Banned { until: FOREVER }));
        assert_eq!(code(&steps[0].1), "user_banned");
    }
}

#[test]
fn p5_a_stale_worker_checks_each_credential_and_believes_no_older_answer() {
    let mut world = two_tokens();
    world.wait(10);
    let id = world.id();
    let (first, second) = (format!("Bearer {}", ann()), of_work());
    let headers = [
        (":method", "GET"),
        (":authority", "localhost"),
        (":path", "/w"),
        ("authorization", first.as_str()),
        ("x-work", second.as_str()),
    ];
    let Step::Check(request, share, _) = world.send(id, &headers) else { panic!("expected a check") };
    assert_eq!(request.subject.as_str(), ANN);
    world.worker.dispatched(id, CallId(1), share);
    let version = world.version;
    let mut steps = world.answer(1, version, CheckDecision::Allow);
    let Some((_, Step::Check(request, share, _))) = steps.pop() else { panic!("expected a second check") };
    assert_eq!(request.subject.as_str(), "work|batch");
    world.worker.dispatched(id, CallId(2), share);
    world.ban(ANN, FOREVER);
    let version = world.version;
    let steps = world.answer(2, version, CheckDecision::Allow);
    assert_eq!(code(&steps[0].1), "check_unconfirmed", "the first was barred while the second was checked");
}

#[test]
fn p5_two_answers_of_different_moments_admit_nobody() {
    for (second_version, expected) in [(0, "allow"), (1, "check_unconfirmed")] {
        let mut world = two_tokens();
        world.wait(10);
        let id = world.id();
        let (first, second) = (format!("Bearer {}", ann()), of_work());
        let headers = [
            (":method", "GET"),
            (":authority", "localhost"),
            (":path", "/w"),
            ("authorization", first.as_str()),
            ("x-work", second.as_str()),
        ];
        let Step::Check(_, share, _) = world.send(id, &headers) else { panic!("expected a check") };
        world.worker.dispatched(id, CallId(1), share);
        let version = world.version;
        let mut steps = world.answer(1, version, CheckDecision::Allow);
        let Some((_, Step::Check(_, share, _))) = steps.pop() else { panic!("expected a second check") };
        world.worker.dispatched(id, CallId(2), share);
        let steps = world.answer(2, version + second_version, CheckDecision::Allow);
        assert_eq!(code(&steps[0].1), expected, "the sidecars knew {second_version} changes more");
    }
}

#[test]
fn an_upstream_is_shown_its_own_credential_and_never_the_clients() {
    let credentials = json!([
        {"when": {"scopes": {"all": ["admin"]}}, "secret_env": "LLM"},
        {"secret_env": "JWT"}
    ]);
    let mut world = world(
        json!([
            {"name": "k", "match": {"prefix": "/k"}, "access": "protected", "upstream_credential": credentials},
            {"name": "x", "match": {"prefix": "/x"}, "access": "protected",
             "upstream_credential": [{"header": "x-api-key", "secret_env": "JWT"}]},
        ]),
        json!({}),
    );
    let (_, step) = world.get("/k", &ann());
    assert_eq!(set(&step, "authorization"), Some(&*format!("Bearer {}", "j".repeat(32))));
    let (_, step) = world.get("/k", &with_claim("scopes", json!(["admin"])));
    assert_eq!(set(&step, "authorization"), Some(&*format!("Bearer {}", "l".repeat(32))));
    let token = format!("Bearer {}", ann());
    let step = ask(
        &mut world,
        "GET",
        "/x",
        &[("authorization", token.as_str()), ("x-api-key", "mine"), ("x_api_key", "mine")],
    );
    assert_eq!(set(&step, "x-api-key"), Some("j".repeat(32).as_str()), "without a scheme unless one is named");
    assert_eq!(removed(&step), ["x-api-key", "x_api_key", "authorization"]);
    assert!(!format!("{step:?}").contains(&"j".repeat(32)), "a secret is in no log");
}

#[test]
fn a_claim_header_of_the_client_is_taken_away_on_every_rule() {
    let headers = json!([{"header": "x-team", "claim": "team"}]);
    let mut world = world(
        json!([{"name": "t", "match": {"prefix": "/t"}, "access": "protected", "identity_headers": headers},
               {"name": "p", "match": {"prefix": "/p"}, "access": "public"}]),
        json!({}),
    );
    for path in ["/t", "/p"] {
        let token = format!("Bearer {}", ann());
        let step = ask(&mut world, "GET", path, &[("authorization", token.as_str()), ("X_Team", "admins")]);
        assert!(removed(&step).contains(&"X_Team".to_owned()), "{path}");
        assert_eq!(set(&step, "x-team"), None, "the token names no team");
    }
}

#[test]
fn a_preflight_passes_where_a_rule_lets_it_and_carries_no_credential_on() {
    let rule =
        |pass: &str| json!([{"name": "c", "match": {"prefix": "/c"}, "access": "protected", "cors_preflight": pass}]);
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "POST")];
    let mut open = world(rule("pass"), json!({}));
    let with_credential: Vec<_> = preflight.into_iter().chain([("authorization", "Bearer x")]).collect();
    let step = ask(&mut open, "OPTIONS", "/c", &with_credential);
    assert_eq!(removed(&step), ["authorization"]);
    for (method, headers) in [("OPTIONS", &preflight[..1]), ("OPTIONS", &[]), ("POST", &preflight[..])] {
        assert_eq!(status(&ask(&mut open, method, "/c", headers)), 401, "{method} {headers:?}");
    }
    assert_eq!(status(&ask(&mut world(rule("check"), json!({})), "OPTIONS", "/c", &preflight)), 401);
}

#[test]
fn a_shadow_decides_counts_and_refuses_nobody() {
    let mut world = world(
        json!([{"name": "s", "match": {"prefix": "/s"}, "access": "protected", "shadow": true, "identity": "llm",
                "upstream_credential": [{"secret_env": "JWT"}]}]),
        json!({}),
    );
    let step = ask(&mut world, "GET", "/s", &[("x-sekisho-subject", "eve")]);
    assert_eq!(removed(&step), ["x-sekisho-subject"], "what could be forged goes all the same");
    let Step::Allow(Passage { edits, state, .. }) = &step else { unreachable!() };
    assert_eq!(*state, Some(State { route: "s".into(), decision: Decision::ShadowDeny, reason: "credential_missing" }));
    assert_eq!(edits.settings().count(), 0, "nobody vouches for it, and it gets no credential");
    let (_, step) = world.get("/s", &ann());
    assert!(set(&step, "authorization").is_some() && set(&step, "x-sekisho-identity").is_some());
    assert_eq!(world.ban(ANN, FOREVER), [], "what it admitted is not cut");
    let names: Vec<_> = world.worker.samples(PROMISE, 0, world.now).into_iter().map(|sample| sample.name).collect();
    assert!(
        names.contains(
            &"sekisho.filter.requests.route=s.decision=shadow_deny.reason=credential_missing.provider=none.cache=none\
              .freshness=fresh"
                .into()
        ),
        "{names:?}"
    );
}

#[test]
fn a_filter_in_shadow_refuses_nothing_at_all() {
    let mut world = world(json!([{"name": "d", "match": {"prefix": "/d"}, "access": "deny"}]), json!({"shadow": true}));
    for (path, route, reason) in
        [("/d", "d", "route_closed"), ("/a//b", "(unmatched)", "unusual_path"), ("/v1", "llm", "credential_missing")]
    {
        let step = ask(&mut world, "GET", path, &[]);
        let Step::Allow(Passage { state, .. }) = step else { panic!("{path}: {step:?}") };
        assert_eq!(state, Some(State { route: route.into(), decision: Decision::ShadowDeny, reason }), "{path}");
    }
}

#[test]
fn the_filter_state_of_what_passes_is_set_only_where_it_is_asked_for() {
    let all = State { route: "llm".into(), decision: Decision::Allow, reason: "none" };
    for (more, expected) in [(json!({}), None), (json!({"filter_state": "all"}), Some(all))] {
        let mut world = world(json!([]), more);
        let (_, step) = world.get("/v1", &ann());
        let Step::Allow(passage) = step else { panic!("{step:?}") };
        assert_eq!(passage.state, expected);
    }
}

#[test]
fn only_whoever_holds_the_key_is_told_why() {
    let mut world = world(json!([]), json!({"explain": {"key_env": "LLM"}}));
    let key = "l".repeat(32);
    let token = format!("Bearer {}", ann());
    let line = |lines: &[crate::decision::Line], name: &str| {
        lines.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    for shown in ["", "l", &"m".repeat(32)] {
        let headers = [("authorization", token.as_str()), ("x-sekisho-explain", shown)];
        let Step::Allow(passage) = ask(&mut world, "GET", "/v1", &headers) else { panic!() };
        assert!(passage.lines.is_empty(), "{shown}");
    }
    let headers = [("authorization", token.as_str()), ("x-sekisho-explain", key.as_str())];
    let step = ask(&mut world, "GET", "/v1", &headers);
    assert!(removed(&step).contains(&"x-sekisho-explain".to_owned()), "the key ends here");
    let Step::Allow(passage) = step else { unreachable!() };
    for (name, expected) in [
        ("x-sekisho-decision", "allow"),
        ("x-sekisho-route", "llm"),
        ("x-sekisho-rule", "routes[3]"),
        ("x-sekisho-credential", "jwt; provider=tokens"),
        ("x-sekisho-cache", "hit"),
        ("x-sekisho-decided-by", "denylist"),
    ] {
        assert_eq!(line(&passage.lines, name).as_deref(), Some(expected), "{name}");
    }
    assert!(line(&passage.lines, "x-sekisho-version").unwrap().contains("/1; age_ms=0; configuration="));
    let Step::Answer(answer) = ask(&mut world, "GET", "/v1", &[("x-sekisho-explain", key.as_str())]) else { panic!() };
    assert_eq!(line(&answer.headers, "x-sekisho-decided-by").as_deref(), Some("extract"));
    let Step::Answer(answer) = ask(&mut world, "GET", "/v1", &[]) else { panic!() };
    assert_eq!(line(&answer.headers, "x-sekisho-decision"), None);
}

#[test]
fn a_browser_without_a_credential_is_sent_to_sign_in_and_a_program_is_told() {
    let mut world = world(
        json!([{"name": "ui", "match": {"prefix": "/ui"}, "access": "protected", "answers": {"sign_in": "/oauth2/start"}}]),
        json!({}),
    );
    let Step::Answer(answer) = ask(&mut world, "GET", "/ui?tab=1", &[("accept", "text/html")]) else { panic!() };
    assert_eq!(answer.status, 302);
    assert!(answer.headers.contains(&("location".into(), "/oauth2/start?rd=/ui%3Ftab%3D1".into())), "{answer:?}");
    assert_eq!(status(&ask(&mut world, "GET", "/ui", &[("accept", "application/json")])), 401);
}

#[test]
fn questions_carry_the_trace_of_the_request_because_of_which_they_are_asked() {
    let mut world = World::new();
    world.wait(10);
    let token = format!("Bearer {}", ann());
    let headers = [("authorization", token.as_str()), ("traceparent", "00-a-b-01"), ("x-request-id", "r-1")];
    let Step::Check(_, _, Some(trace)) = ask(&mut world, "GET", "/v1", &headers) else { panic!("expected a check") };
    let trace: Vec<_> = trace.iter().map(|(name, value)| (*name, &**value)).collect();
    assert_eq!(trace, [(&b"traceparent"[..], &b"00-a-b-01"[..]), (b"x-request-id", b"r-1")]);
}

#[test]
fn a_shadow_vouches_for_nothing_that_was_not_verified() {
    let tokens = json!({"from": [{"header": "authorization"}, {"query": "t"}], "payload_header": "x-payload"});
    let mut world = world(
        json!([{"name": "s", "match": {"prefix": "/s"}, "access": "protected", "shadow": true, "tokens": tokens}]),
        json!({}),
    );
    for (path, token) in [("/s", "x.eyJzdWIiOiJhZG1pbiJ9.x"), ("/s?t=x.%0d%0ax-sekisho-subject:%20admin.x", "")] {
        let token = format!("Bearer {token}");
        let headers = [("authorization", token.as_str())];
        let step = ask(&mut world, "GET", path, if token.len() > 10 { &headers } else { &[] });
        assert_eq!(set(&step, "x-payload"), None, "{path}");
    }
    let (_, step) = world.get("/s", &ann());
    assert!(set(&step, "x-payload").is_some(), "what was verified may be said");
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

#[test]
fn where_no_credential_is_needed_one_that_is_broken_is_refused_all_the_same() {
    let rule =
        |from: Value| json!([{"name": "o", "match": {"prefix": "/o"}, "access": "optional", "tokens": {"from": from}}]);
    let both = json!([{"header": "authorization"}, {"header": "x-token", "prefix": "tok-"}]);
    for from in [json!([{"header": "authorization"}]), both] {
        let mut world = world(rule(from.clone()), json!({}));
        for value in ["Bearer a.b.c x", "Bearer\ta.b.c", "bearer", "Bearer ", "Bearer,a.b.c"] {
            let step = ask(&mut world, "GET", "/o", &[("authorization", value)]);
            assert!(matches!(status(&step), 400 | 401), "{value:?} {from}");
        }
        let step = ask(
            &mut world,
            "GET",
            "/o",
            &[("authorization", "Basic x"), ("x_authorization", "y"), ("X_Authorization", "y")],
        );
        assert_eq!(status(&step), 200);
        let step = ask(&mut world, "GET", "/o", &[("authorization", "BearerToken x"), ("Authorization_", "y")]);
        assert_eq!(status(&step), 200, "another scheme");
    }
    let mut world = world(rule(json!([{"header": "x-token", "prefix": "tok-"}])), json!({}));
    let step = ask(&mut world, "GET", "/o", &[("x_token", "tok-a.b.c"), ("x-token", "other")]);
    assert_eq!(removed(&step), ["x_token"], "what only folds to a place of ours goes");
}

#[test]
fn a_credential_that_is_forwarded_goes_alone() {
    let tokens = json!({"from": [{"header": "x-token"}], "forward": true});
    let mut world =
        world(json!([{"name": "f", "match": {"prefix": "/f"}, "access": "protected", "tokens": tokens}]), json!({}));
    let token = ann();
    let step = ask(&mut world, "GET", "/f", &[("x-token", token.as_str()), ("X_Token", "forged")]);
    assert_eq!(removed(&step), ["X_Token"]);
}

#[test]
fn no_token_of_the_query_is_in_the_address_to_come_back_to() {
    let tokens = json!({"from": [{"query": "t"}]});
    let mut world = world(
        json!([{"name": "ui", "match": {"prefix": "/ui"}, "access": "protected", "tokens": tokens,
                "require": {"max_sign_in_age_s": 60}, "answers": {"sign_in": "https://login.example/start"}}]),
        json!({}),
    );
    let path = format!("/ui?a=1&t={}", ann());
    let Step::Answer(answer) = ask(&mut world, "GET", &path, &[("accept", "text/html")]) else { panic!() };
    let location = answer.headers.iter().find(|(name, _)| name == "location").map(|(_, value)| value.as_str());
    assert_eq!(location, Some("https://login.example/start?rd=https%3A//localhost/ui%3Fa%3D1"));
}

#[test]
fn the_name_of_an_upstreams_credential_is_no_clients_even_if_nobody_is_shown_one() {
    let mut world = world(
        json!([{"name": "o", "match": {"prefix": "/o"}, "access": "optional",
                "upstream_credential": [{"header": "x-api-key", "secret_env": "JWT"}]}]),
        json!({}),
    );
    let step = ask(&mut world, "GET", "/o", &[("x-api-key", "mine"), ("X_Api_Key", "mine")]);
    assert_eq!((removed(&step), set(&step, "x-api-key")), (vec!["x-api-key".into(), "X_Api_Key".into()], None));
}
