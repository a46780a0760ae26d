//! Open streams end with what admitted them (rule P12).

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn streams(cuts: &[Cut]) -> Vec<RequestId> {
    cuts.iter().map(|cut| cut.stream).collect()
}

fn codes(cuts: &[Cut]) -> Vec<&'static str> {
    cuts.iter().map(|cut| cut.answer.code).collect()
}

fn bob() -> String {
    let mut claims = claims();
    claims["user_email"] = json!("bob@example.com");
    claims["jti"] = json!("t-bob");
    token(&claims)
}

impl World {
    /// One whose route `/open` lets open streams finish.
    fn with_finishing_route() -> Self {
        let mut world = Self::new();
        let mut config = sound();
        config["routes"][2]["on_ban"] = json!("finish");
        world.policy = Rc::new(Policy::parse(&config.to_string(), &environment).unwrap());
        world
    }

    fn open(&mut self, path: &str, token: &str) -> RequestId {
        let (id, step) = self.get(path, token);
        assert_eq!(code(&step), "allow");
        id
    }
}

#[test]
fn p12_a_ban_cuts_the_streams_of_its_subject_once_and_nobody_elses() {
    let mut world = World::new();
    let (first, second) = (world.open("/v1", &ann()), world.open("/v1", &ann()));
    let other = world.open("/v1", &bob());
    let mut cuts = world.ban(ANN, FOREVER);
    cuts.sort_by_key(|cut| cut.stream);
    assert_eq!(streams(&cuts), [first, second]);
    assert_eq!((cuts[0].answer.status, cuts[0].answer.code), (503, "stream_cut"));
    assert_eq!(world.ban(ANN, FOREVER), [], "what was cut is not cut again");
    assert_eq!(streams(&world.ban("bob@example.com", FOREVER)), [other]);
}

#[test]
fn p12_a_stream_that_is_over_is_not_cut() {
    let mut world = World::new();
    let stream = world.open("/v1", &ann());
    world.worker.on_leave(stream);
    assert_eq!(world.ban(ANN, FOREVER), []);
}

#[test]
fn p12_a_revoked_token_cuts_the_streams_of_that_token_alone() {
    let mut world = World::new();
    let mut sister = claims();
    sister["jti"] = json!("t-2");
    let (revoked, _kept) = (world.open("/v1", &ann()), world.open("/v1", &token(&sister)));
    let digest = world.digest(Kind::Token, "t-1");
    assert_eq!(streams(&world.change(Effect::Put(Entry::Token(Bar { digest, until: FOREVER })))), [revoked]);
}

#[test]
fn p12_a_logout_everywhere_cuts_the_streams_of_earlier_tokens_alone() {
    let mut world = World::new();
    let mut later = claims();
    later["iat"] = json!(START);
    let (early, _late) = (world.open("/v1", &ann()), world.open("/v1", &token(&later)));
    let digest = world.digest(Kind::NotBefore, ANN);
    let logout = Entry::NotBefore { digest, issued_before: START, until: FOREVER };
    assert_eq!(streams(&world.change(Effect::Put(logout))), [early]);
}

#[test]
fn p12_a_lift_cuts_nothing_and_neither_does_a_ban_that_is_lifted_by_the_same_answer() {
    let mut world = World::new();
    world.open("/v1", &ann());
    assert_eq!(world.lift(ANN), []);
    let digest = world.digest(Kind::Ban, ANN);
    let effects = [Effect::Put(Entry::Ban(Bar { digest, until: FOREVER })), Effect::Lift(digest)];
    let changes = effects.into_iter().zip(3..).map(|(effect, version)| Change { version, effect }).collect();
    assert_eq!(world.feed(FeedBody::Delta { from: 2, version: 4, changes }), []);
}

#[test]
fn p12_a_snapshot_cuts_whom_it_bars_page_by_page() {
    let mut world = World::new();
    let stream = world.open("/v1", &ann());
    let digest = world.digest(Kind::Ban, ANN);
    let page = |from, next, entries| FeedBody::Page { version: 9, count: 1, from, next, entries };
    let reload = FeedReply {
        protocol: PROTOCOL,
        epoch: epoch(2),
        age_ms: 0,
        recorded: true,
        body: page(Digest::MIN, Some(Digest::from_raw(u64::MAX)), vec![Entry::Ban(Bar { digest, until: FOREVER })]),
    };
    world.worker.poll(PROMISE, 0, world.now).unwrap();
    let cuts =
        world.worker.on_feed_reply(world.now.mono_ms, 200, &serde_json::to_vec(&reload).unwrap(), world.now).unwrap();
    assert_eq!(streams(&cuts), [stream], "before the snapshot is complete");
}

#[test]
fn p12_a_route_may_let_its_streams_finish() {
    let mut world = World::with_finishing_route();
    let (_kept, cut) = (world.open("/open", &ann()), world.open("/v1", &ann()));
    assert_eq!(streams(&world.ban(ANN, FOREVER)), [cut]);
    world.wait(10_000);
    let now = world.now;
    assert_eq!(world.worker.expire(now), []);
}

#[test]
fn p12_a_stream_ends_with_its_credential_and_the_leeway() {
    let mut world = World::new();
    let stream = world.open("/v1", &ann());
    world.now.unix_s = START + 3_600 + 29;
    let now = world.now;
    assert_eq!(world.worker.expire(now), [], "within the leeway a new request would pass as well");
    world.wait(1);
    let now = world.now;
    let cuts = world.worker.expire(now);
    assert_eq!((streams(&cuts), codes(&cuts)), (vec![stream], vec!["token_expired"]));
    assert_eq!(cuts[0].answer.status, 401);
}

#[test]
fn p12_a_held_request_that_a_check_admits_is_cut_like_any_other() {
    let mut world = World::new();
    world.wait(4);
    let stream = world.get_checked("/v1", &ann(), 1);
    assert_eq!(code(&world.answer(1, 1, CheckDecision::Allow)[0].1), "allow");
    assert_eq!(streams(&world.ban(ANN, FOREVER)), [stream]);
}

#[test]
fn p12_what_is_cut_is_counted() {
    let mut world = World::new();
    world.open("/v1", &ann());
    world.ban(ANN, FOREVER);
    let now = world.now;
    world.worker.samples(PROMISE, 0, now);
    let report = world.worker.report(now).unwrap();
    let count = |outcome: &str| report.outcomes.iter().find(|row| row.outcome == outcome).map(|row| row.requests);
    assert_eq!((count("allow"), count("stream_cut")), (Some(1), Some(1)));
}

#[test]
fn p12_a_worker_that_hears_nothing_cuts_its_streams_before_it_is_forgotten() {
    let mut world = World::new();
    let (cut, _allowed) = (world.open("/v1", &ann()), world.open("/open", &ann()));
    world.wait(90);
    let now = world.now;
    assert_eq!(world.worker.expire(now), []);
    world.wait(1);
    let now = world.now;
    let cuts = world.worker.expire(now);
    assert_eq!((streams(&cuts), codes(&cuts)), (vec![cut], vec!["stream_cut"]));
}
