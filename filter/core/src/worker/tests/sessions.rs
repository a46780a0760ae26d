//! Sessions: what is asked about them, what of the answers is kept, and what upstreams get to see.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sekisho_protocol::Email;
use sekisho_protocol::activity::Method;
use sekisho_protocol::session::cookie::{CookieKey, id};
use sekisho_protocol::session::{LiveSession, SessionQuestion, SessionReply, SessionStanding};

use super::*;

mod cookies;
mod cross_site;
mod oauth2_proxy;
mod optional;
mod pages;

const SECRET: [u8; 32] = [7; 32];
const HOST: &str = "shop.example";

/// A world that accepts sessions on all but `/tokens`.
fn world() -> World {
    with(|_| ())
}

fn with(change: impl FnOnce(&mut Value)) -> World {
    let mut world = World::new();
    let mut config = sound();
    config["sessions"] = json!({});
    config["routes"] = json!([
        {"name": "public", "match": {"prefix": "/public"}, "access": "public"},
        {"name": "tokens", "match": {"prefix": "/tokens"}, "access": "protected"},
        {"name": "optional", "match": {"prefix": "/optional"}, "access": "optional", "sessions": "accept"},
        {"name": "open", "match": {"prefix": "/open"}, "access": "protected", "sessions": "accept",
         "on_unavailable": "allow"},
        {"name": "group", "match": {"prefix": "/group"}, "access": "protected", "sessions": "accept",
         "require": {"groups": {"any": ["staff"]}}},
        {"name": "app", "access": "protected", "identity": "app", "sessions": "accept",
         "answers": {"sign_in": "/sign-in"}},
    ]);
    change(&mut config);
    world.policy = Rc::new(Policy::parse(&config.to_string(), &environment).unwrap());
    world
}

fn cookie_on(world: &World, host: &str) -> String {
    CookieKey::of_mesh(world.policy.mesh.secret.expose()).cookie(host, &SECRET)
}

fn get(world: &mut World, path: &str, more: &[(&str, &str)]) -> (RequestId, Step) {
    let target = [(":method", "GET"), (":authority", HOST), (":path", path)];
    let all: Vec<_> = target.into_iter().chain(more.iter().copied()).collect();
    let id = world.id();
    let step = world.send(id, &all);
    (id, step)
}

fn get_with_cookie(world: &mut World, path: &str) -> (RequestId, Step) {
    let cookie = format!("a=1; __Host-sekisho={}", cookie_on(world, HOST));
    get(world, path, &[("cookie", &cookie)])
}

fn get_asking(world: &mut World, path: &str, call: u32) -> RequestId {
    let (id, step) = get_with_cookie(world, path);
    dispatch(world, &step, call);
    id
}

fn dispatch(world: &mut World, step: &Step, call: u32) {
    let Step::AskForSession(question, _) = step else { panic!("expected a question, got {step:?}") };
    assert_eq!((question.host.as_str(), &question.id), (HOST, &id(&SECRET)));
    world.worker.session_dispatched(question, CallId(call));
}

fn live() -> LiveSession {
    let claims = BASE64_URL_SAFE_NO_PAD.encode(json!({"groups": ["staff"]}).to_string());
    let email = Email::parse(ANN).unwrap();
    LiveSession {
        id: None,
        subject: email.clone().into(),
        email: Some(email),
        method: Method::Session,
        claims,
        signed_in_at: START - 10,
        ends_at: START + 1_000,
        cache_s: 60,
    }
}

fn answer(world: &mut World, call: u32, version: u64, standing: SessionStanding) -> Vec<(RequestId, Step)> {
    let sent_at_ms = world.now.mono_ms;
    answer_later(world, call, version, standing, sent_at_ms)
}

fn answer_later(
    world: &mut World,
    call: u32,
    version: u64,
    standing: SessionStanding,
    sent_at_ms: u64,
) -> Vec<(RequestId, Step)> {
    let reply = SessionReply { protocol: PROTOCOL, epoch: epoch(1), version, standing };
    let body = serde_json::to_vec(&reply).unwrap();
    world.worker.on_session_reply(CallId(call), sent_at_ms, 200, &body, world.now)
}

fn is_live() -> SessionStanding {
    SessionStanding::Live(Box::new(live()))
}

/// A world that knows the session.
fn knowing() -> World {
    let mut world = world();
    get_asking(&mut world, "/", 1);
    assert_eq!(code(&answer(&mut world, 1, 1, is_live())[0].1), "allow");
    world
}

fn end(world: &mut World) -> Vec<Cut> {
    let digest = world.digest(Kind::Session, &id(&SECRET));
    world.change(Effect::Put(Entry::Session(Bar { digest, until: START + 1_000 })))
}

#[test]
fn a_session_is_asked_about_once_and_then_known_for_as_long_as_the_answer_says() {
    let mut world = knowing();
    let (_, step) = get_with_cookie(&mut world, "/");
    assert_eq!(set(&step, "x-forwarded-email"), Some(ANN));
    assert_eq!(set(&step, "x-sekisho-method"), Some("session"));
    assert_eq!(set(&step, "x-sekisho-token-id"), Some(id(&SECRET).as_str()));
    assert_eq!(code(&get_with_cookie(&mut world, "/group").1), "allow", "its claims are a token's");
    world.wait(60);
    world.feed(FeedBody::Delta { from: 1, version: 1, changes: vec![] });
    assert_eq!(code(&get_with_cookie(&mut world, "/").1), "session");
}

#[test]
fn what_is_known_is_kept_from_when_it_was_asked_and_never_beyond_the_end() {
    for (ends_in, cache_s, took_s, kept_s) in [(1_000, 60, 20, 40), (1_000, 600, 0, 60), (30, 60, 0, 30)] {
        let mut world = world();
        get_asking(&mut world, "/", 1);
        let sent_at_ms = world.now.mono_ms;
        world.wait(took_s);
        world.feed(FeedBody::Delta { from: 1, version: 1, changes: vec![] });
        let ends_at = START + ends_in;
        let standing = SessionStanding::Live(Box::new(LiveSession { ends_at, cache_s, ..live() }));
        answer_later(&mut world, 1, 1, standing, sent_at_ms);
        world.wait(kept_s - 1);
        world.feed(FeedBody::Delta { from: 1, version: 1, changes: vec![] });
        assert_eq!(code(&get_with_cookie(&mut world, "/").1), "allow", "{ends_in} {cache_s} {took_s}");
        world.wait(1);
        assert_eq!(code(&get_with_cookie(&mut world, "/").1), "session", "{ends_in} {cache_s} {took_s}");
    }
}

#[test]
fn a_cookie_that_nobody_made_for_this_host_is_none_and_nobody_is_asked() {
    let mut world = world();
    let other = cookie_on(&world, "other.example");
    for cookie in [other.as_str(), "x", "", "x.y"] {
        let cookie = format!("__Host-sekisho={cookie}");
        let (_, step) = get(&mut world, "/", &[("cookie", &cookie)]);
        assert_eq!((status(&step), code(&step)), (401, "credential_missing"), "{cookie}");
        assert_eq!(code(&get(&mut world, "/optional", &[("cookie", &cookie)]).1), "allow", "{cookie}");
    }
}

#[test]
fn a_session_that_nobody_knows_is_none() {
    let mut world = world();
    get_asking(&mut world, "/", 1);
    let steps = answer(&mut world, 1, 1, SessionStanding::Unknown);
    assert_eq!((status(&steps[0].1), code(&steps[0].1)), (401, "credential_missing"));
    // Nobody is asked again for a while: a cookie that was good once would else cost a question each time.
    let (_, step) = get_with_cookie(&mut world, "/optional");
    assert_eq!((code(&step), set(&step, "x-forwarded-email")), ("allow", None));
    assert_eq!(code(&get_with_cookie(&mut world, "/").1), "credential_missing");
    world.wait(10);
    get_asking(&mut world, "/optional", 2);
    let mut world = self::world();
    let cookie = format!("__Host-sekisho={}", cookie_on(&world, HOST));
    let (_, step) = get(&mut world, "/", &[("cookie", &cookie), ("accept", "text/html")]);
    dispatch(&mut world, &step, 3);
    let ended = LiveSession { ends_at: START, ..live() };
    let steps = answer(&mut world, 3, 1, SessionStanding::Live(Box::new(ended)));
    assert_eq!(status(&steps[0].1), 302, "a browser goes to sign in");
}

#[test]
fn a_rule_that_ignores_sessions_wants_a_token_and_nobody_is_shown_the_cookie() {
    let mut world = knowing();
    assert_eq!(code(&get_with_cookie(&mut world, "/tokens").1), "credential_missing");
    for path in ["/", "/public", "/optional"] {
        let (_, step) = get_with_cookie(&mut world, path);
        assert_eq!(set(&step, "cookie"), Some("a=1"), "{path}");
    }
}

#[test]
fn e4_two_sessions_are_refused_and_the_same_one_twice_is_one() {
    let mut world = knowing();
    let cookie = format!("__Host-sekisho={}", cookie_on(&world, HOST));
    assert_eq!(code(&get(&mut world, "/", &[("cookie", &cookie), ("cookie", &cookie)]).1), "allow");
    let (_, step) = get(&mut world, "/", &[("cookie", &cookie), ("cookie", "__Host-sekisho=x")]);
    assert_eq!((status(&step), code(&step)), (400, "several_credentials"));
}

#[test]
fn e4_a_token_beside_a_session_must_be_of_the_same_user_and_decides() {
    let mut bobs = claims();
    bobs["user_email"] = json!("bob@example.com");
    for (token, expected) in [(ann(), "allow"), (token(&bobs), "several_credentials")] {
        for mut world in [world(), knowing()] {
            let cookie = format!("__Host-sekisho={}", cookie_on(&world, HOST));
            let authorization = format!("Bearer {token}");
            let (_, mut step) = get(&mut world, "/", &[("cookie", &cookie), ("authorization", &authorization)]);
            if code(&step) == "session" {
                dispatch(&mut world, &step, 9);
                step = answer(&mut world, 9, 1, is_live()).remove(0).1;
            }
            assert_eq!(code(&step), expected);
            if expected == "allow" {
                assert_eq!(set(&step, "x-sekisho-method"), Some("jwt"));
            }
        }
    }
}

#[test]
fn e4_a_session_that_holds_no_more_says_nothing_about_the_token_beside_it() {
    for standing in [SessionStanding::Unknown, SessionStanding::Ended] {
        let mut world = world();
        let cookie = format!("__Host-sekisho={}", cookie_on(&world, HOST));
        let authorization = format!("Bearer {}", ann());
        let (_, step) = get(&mut world, "/", &[("cookie", &cookie), ("authorization", &authorization)]);
        dispatch(&mut world, &step, 1);
        assert_eq!(code(&answer(&mut world, 1, 1, standing)[0].1), "allow");
    }
}

#[test]
fn the_cookie_of_a_session_is_no_token() {
    let mut world = with(|config| config["tokens"] = json!({"from": [{"query": "t"}]}));
    get_asking(&mut world, "/", 1);
    answer(&mut world, 1, 1, is_live());
    let path = format!("/tokens?t={HOST}%00{}", cookie_on(&world, HOST));
    assert_eq!(status(&get(&mut world, &path, &[]).1), 401);
}

#[test]
fn an_ended_session_is_refused_though_it_is_known() {
    let mut world = knowing();
    end(&mut world);
    let (request_id, step) = get_with_cookie(&mut world, "/");
    let Step::Check(request, share, _) = step else { panic!("expected a check, got {step:?}") };
    assert_eq!((request.method, request.token_id.as_deref()), (Method::Session, Some(id(&SECRET).as_str())));
    assert_eq!(request.issued_at, Some(START - 10));
    world.worker.dispatched(request_id, CallId(5), share);
    let steps = world.answer(5, 2, CheckDecision::Deny(DenyReason::SessionEnded));
    assert_eq!((status(&steps[0].1), code(&steps[0].1)), (401, "session_ended"));
    assert_eq!(code(&get_with_cookie(&mut world, "/").1), "session_ended", "and is known to be");
}

#[test]
fn the_owner_of_a_session_who_is_banned_is_told_so_with_403() {
    let mut world = knowing();
    world.ban(ANN, FOREVER);
    let (request_id, step) = get_with_cookie(&mut world, "/");
    let Step::Check(_, share, _) = step else { panic!("expected a check, got {step:?}") };
    world.worker.dispatched(request_id, CallId(5), share);
    let by_check = world.answer(5, 2, CheckDecision::Deny(DenyReason::Banned { until: START + 100 }));
    let mut world = self::world();
    get_asking(&mut world, "/", 1);
    let by_question =
        answer(&mut world, 1, 1, SessionStanding::Banned { until: START + 100, email: Email::parse(ANN).ok() });
    for steps in [by_check, by_question] {
        let Step::Answer(answer) = &steps[0].1 else { panic!("{steps:?}") };
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, answer.code), (403, "user_banned"));
        assert_eq!((&body["error"], &body["banned_until_seconds"]), (&json!("Access denied"), &json!(100)));
        assert_eq!(body["user_email"], ANN);
    }
}

#[test]
fn p12_what_a_session_let_in_is_cut_when_it_is_ended_and_at_its_end() {
    let mut world = knowing();
    assert_eq!(end(&mut world).len(), 1);
    let mut world = knowing();
    world.wait(999);
    world.feed(FeedBody::Delta { from: 1, version: 1, changes: vec![] });
    assert_eq!(world.worker.expire(world.now).len(), 0, "long after the answer was forgotten");
    world.wait(1);
    assert_eq!(world.worker.expire(world.now).len(), 1);
}

#[test]
fn a_logout_everywhere_bars_sessions_that_began_before() {
    let mut world = knowing();
    let digest = world.digest(Kind::NotBefore, ANN);
    world.change(Effect::Put(Entry::NotBefore { digest, issued_before: START, until: FOREVER }));
    assert_eq!(code(&get_with_cookie(&mut world, "/").1), "check");
}

#[test]
fn p5_an_answer_that_is_older_than_the_replica_is_not_kept_and_the_denylist_decides() {
    let mut world = world();
    get_asking(&mut world, "/", 1);
    end(&mut world);
    assert_eq!(code(&answer(&mut world, 1, 1, is_live())[0].1), "check");
    let mut world = self::world();
    get_asking(&mut world, "/", 1);
    world.ban("bob@example.com", FOREVER);
    assert_eq!(code(&answer(&mut world, 1, 1, is_live())[0].1), "allow");
    assert_eq!(code(&get_with_cookie(&mut world, "/").1), "session");
}

#[test]
fn p5_a_stale_worker_keeps_nothing_and_checks_the_session_besides() {
    let mut world = world();
    world.wait(4);
    get_asking(&mut world, "/", 1);
    let (id, step) = answer(&mut world, 1, 1, is_live()).remove(0);
    let Step::Check(_, share, _) = step else { panic!("expected a check, got {step:?}") };
    world.worker.dispatched(id, CallId(2), share);
    assert_eq!(code(&world.answer(2, 1, CheckDecision::Allow)[0].1), "allow");
    assert_eq!(code(&get_with_cookie(&mut world, "/").1), "session");
}

#[test]
fn p13_requests_of_one_session_share_a_question_even_if_the_first_leaves() {
    let mut world = world();
    let first = get_asking(&mut world, "/", 1);
    let (second, step) = get_with_cookie(&mut world, "/group");
    assert_eq!(code(&step), "wait");
    world.worker.on_leave(first);
    let steps = answer(&mut world, 1, 1, is_live());
    assert_eq!(steps.iter().map(|(id, step)| (*id, code(step))).collect::<Vec<_>>(), [(second, "allow")]);
}

#[test]
fn p13_the_excess_of_requests_that_wait_for_sessions_is_503_at_once() {
    let mut world = world();
    get_asking(&mut world, "/", 1);
    assert_eq!(code(&get_with_cookie(&mut world, "/open").1), "wait");
    assert_eq!(code(&get_with_cookie(&mut world, "/open").1), "check_overloaded");
}

#[test]
fn a_session_that_nobody_can_be_asked_about_is_503_whatever_the_rule_says() {
    for (status_of_call, body) in [(0, &b""[..]), (503, b""), (200, b"{}")] {
        let mut world = world();
        get_asking(&mut world, "/open", 1);
        let steps = world.worker.on_session_reply(CallId(1), world.now.mono_ms, status_of_call, body, world.now);
        assert_eq!((status(&steps[0].1), code(&steps[0].1)), (503, "check_unavailable"));
    }
    for spoilt in [LiveSession { claims: "a\n".into(), ..live() }, LiveSession { claims: "a".repeat(9_000), ..live() }]
    {
        let mut world = world();
        get_asking(&mut world, "/open", 1);
        let steps = answer(&mut world, 1, 1, SessionStanding::Live(Box::new(spoilt)));
        assert_eq!(code(&steps[0].1), "check_unavailable");
    }
    let mut world = world();
    let (_, step) = get_with_cookie(&mut world, "/open");
    let Step::AskForSession(question, _) = &step else { panic!("{step:?}") };
    let steps = world.worker.session_not_dispatched(question, world.now);
    assert_eq!(code(&steps[0].1), "check_unavailable");
}

#[test]
fn a_question_names_the_session_by_its_id_and_never_the_cookie() {
    let mut world = world();
    let (_, step) = get_with_cookie(&mut world, "/");
    let Step::AskForSession(question, _) = step else { panic!("{step:?}") };
    let SessionQuestion { protocol, host, id: named, .. } = question;
    assert_eq!((protocol, host.as_str(), named), (PROTOCOL, HOST, id(&SECRET)));
}
