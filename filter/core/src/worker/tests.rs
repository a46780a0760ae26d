//! Whole requests through a worker whose sidecar answers what it is told to. The rules of
//! ARCHITECTURE.md that a worker must hold have their tests here, each named after its rule.

use std::cell::Cell;

use sekisho_protocol::check::{CheckDecision, DenyReason};
use sekisho_protocol::digest::Digest;
use sekisho_protocol::feed::{Bar, Change, Effect, Entry, FOREVER, FeedBody, FeedReply, Kind};
use sekisho_protocol::{Epoch, ReplicaId};
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::config::tests::{environment, sound};
use crate::verify::tests::{claims, sign, token};

const START: u64 = 1_800_000_000;
const ANN: &str = "ann@example.com";

struct World {
    worker: Worker,
    policy: Rc<Policy>,
    now: Now,
    version: u64,
    next_id: Cell<u32>,
}

impl World {
    /// A worker that holds an empty snapshot.
    fn new() -> Self {
        let mut world = Self::without_snapshot();
        world.feed(FeedBody::Page { version: 1, count: 0, from: Digest::MIN, next: None, entries: vec![] });
        world
    }

    fn without_snapshot() -> Self {
        let info = ReplicaInfo { id: ReplicaId::from_bytes([1; 16]), node: "n".into(), worker: 1, build: "b".into() };
        let policy = Rc::new(Policy::parse(&sound().to_string(), &environment).unwrap());
        Self {
            worker: Worker::new(info, policy.mesh.digest_key.clone()),
            policy,
            now: Now { unix_s: START, mono_ms: 1_000_000 },
            version: 1,
            next_id: Cell::new(0),
        }
    }

    fn feed(&mut self, body: FeedBody) {
        self.worker.poll(Promise { staleness_ms: 3_000, fences: true }, 0, self.now).expect("a poll is due");
        let reply = FeedReply { protocol: PROTOCOL, epoch: epoch(1), age_ms: 0, recorded: true, body };
        self.worker.on_feed_reply(self.now.mono_ms, 200, &serde_json::to_vec(&reply).unwrap(), self.now).unwrap();
    }

    fn change(&mut self, effect: Effect) {
        let from = self.version;
        self.version += 1;
        let changes = vec![Change { version: self.version, effect }];
        self.feed(FeedBody::Delta { from, version: self.version, changes });
    }

    fn digest(&self, kind: Kind, name: &str) -> Digest {
        Digest::of(&self.policy.mesh.digest_key, kind, name)
    }

    fn ban(&mut self, name: &str, until: u64) {
        let digest = self.digest(Kind::Ban, name);
        self.change(Effect::Put(Entry::Ban(Bar { digest, until })));
    }

    fn lift(&mut self, name: &str) {
        let digest = self.digest(Kind::Ban, name);
        self.change(Effect::Lift(digest));
    }

    fn wait(&mut self, seconds: u64) {
        self.now.unix_s += seconds;
        self.now.mono_ms += seconds * 1_000;
    }

    fn id(&self) -> RequestId {
        self.next_id.set(self.next_id.get() + 1);
        RequestId(self.next_id.get())
    }

    fn send(&mut self, id: RequestId, headers: &[(&str, &str)]) -> Step {
        let pairs: Vec<(&[u8], &[u8])> = headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        self.worker.on_request(&self.policy, id, &Head::read(&pairs, self.policy.trusted_hops), self.now)
    }

    fn get(&mut self, path: &str, token: &str) -> (RequestId, Step) {
        let id = self.id();
        let authorization = format!("Bearer {token}");
        let headers =
            [(":method", "GET"), (":authority", "localhost"), (":path", path), ("authorization", &authorization)];
        let step = self.send(id, &headers);
        (id, step)
    }

    /// Sends a request that must be checked, and says how many checks were sent for it.
    fn get_checked(&mut self, path: &str, token: &str, call: u32) -> RequestId {
        let (id, step) = self.get(path, token);
        let Step::Check(_, share) = step else { panic!("expected a check, got {step:?}") };
        self.worker.dispatched(id, CallId(call), share);
        id
    }

    fn answer(&mut self, call: u32, version: u64, decision: CheckDecision) -> Vec<(RequestId, Step)> {
        let reply = CheckReply { protocol: PROTOCOL, epoch: epoch(1), version, decision };
        self.worker.on_check_reply(CallId(call), 200, &serde_json::to_vec(&reply).unwrap(), self.now)
    }

    fn fail(&mut self, call: u32) -> Vec<(RequestId, Step)> {
        self.worker.on_check_reply(CallId(call), 0, &[], self.now)
    }
}

fn epoch(n: u8) -> Epoch {
    Epoch::from_bytes([n; 16])
}

fn ann() -> String {
    token(&claims())
}

fn status(step: &Step) -> u16 {
    match step {
        Step::Allow(_) => 200,
        Step::Answer(answer) => answer.status,
        Step::Check(..) | Step::Wait => 0,
    }
}

fn code(step: &Step) -> &'static str {
    match step {
        Step::Answer(answer) => answer.code,
        Step::Allow(_) => "allow",
        Step::Check(..) => "check",
        Step::Wait => "wait",
    }
}

fn set<'a>(step: &'a Step, name: &str) -> Option<&'a str> {
    let Step::Allow(edits) = step else { panic!("not allowed: {step:?}") };
    edits.set.iter().find(|(known, _)| *known == name).map(|(_, value)| &**value)
}

#[test]
fn a_valid_token_passes_without_a_check_and_tells_the_upstream_who_asks() {
    let mut world = World::new();
    let (_, step) = world.get("/v1/chat", &ann());
    assert_eq!(set(&step, "x-forwarded-email"), Some(ANN));
    assert_eq!(set(&step, "x-sekisho-method"), Some("jwt"));
    assert_eq!(set(&step, "x-sekisho-token-id"), Some("t-1"));
    assert_eq!(set(&step, "x-sekisho-scopes"), Some("api:read api:write"));
    assert!(set(&step, "x-sekisho-identity").is_some());
    let Step::Allow(edits) = step else { unreachable!() };
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
    let Step::Allow(edits) = step else { unreachable!() };
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
fn an_unreachable_sidecar_is_503_or_what_the_route_chose() {
    let mut world = World::without_snapshot();
    world.get_checked("/v1", &ann(), 1);
    assert_eq!(status(&world.fail(1)[0].1), 503);
    world.get_checked("/open", &ann(), 2);
    assert_eq!(code(&world.fail(2)[0].1), "allow");
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
    assert_eq!(step, Step::Wait);
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
fn p11_a_worker_serves_no_policy_of_another_mesh() {
    let world = World::new();
    let mut config = sound();
    config["mesh"]["secret_env"] = json!("LLM");
    let other = Policy::parse(&config.to_string(), &environment).unwrap();
    assert!(world.worker.serves(&world.policy) && !world.worker.serves(&other));
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
fn what_happened_is_reported_by_route_outcome_and_subject() {
    let mut world = World::new();
    world.get("/v1", &ann());
    world.get("/v1", &ann());
    world.get("/v1", "nonsense");
    let now = world.now;
    let report = world.worker.report(now).unwrap();
    assert_eq!((report.subjects.len(), report.subjects[0].requests), (1, 2));
    let mut outcomes: Vec<_> =
        report.outcomes.iter().map(|o| (o.route.as_str(), o.outcome.as_str(), o.requests)).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, [("llm", "allow", 2), ("llm", "token_malformed", 1)]);
}
