//! What rules add to a valid credential: requirements, other answers, identities and credentials for upstreams.

use super::*;

mod also;
mod seeing;

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
