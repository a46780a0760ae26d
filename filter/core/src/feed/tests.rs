use sekisho_protocol::feed::Bar;
use serde_json::{Value, json};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

const STALENESS_MS: u32 = 3_000;

/// A replica with a clock and a sidecar that answers what it is told to.
struct World {
    replica: Replica,
    now: Now,
}

fn epoch(n: u8) -> Epoch {
    Epoch::from_bytes([n; 16])
}

fn ban(raw: u64) -> Entry {
    Entry::Ban(Bar { digest: Digest::from_raw(raw), until: 9_000 })
}

fn put(version: u64, raw: u64) -> Change {
    Change { version, effect: Effect::Put(ban(raw)) }
}

fn delta(from: u64, changes: Vec<Change>) -> FeedBody {
    FeedBody::Delta { from, version: changes.last().map_or(from, |c| c.version), changes }
}

fn page(version: u64, from: Digest, next: Option<Digest>, raws: &[u64]) -> FeedBody {
    FeedBody::Page { version, count: 100, from, next, entries: raws.iter().map(|raw| ban(*raw)).collect() }
}

impl World {
    fn new() -> Self {
        let info = ReplicaInfo { id: ReplicaId::from_bytes([1; 16]), node: "n".into(), worker: 1, build: "b".into() };
        Self { replica: Replica::new(info), now: Now { unix_s: 100, mono_ms: 1_000_000 } }
    }

    /// One that holds a snapshot of version 10 of epoch 1.
    fn loaded() -> Self {
        let mut world = Self::new();
        world.answer(1, 0, page(10, Digest::MIN, None, &[2, 4])).unwrap();
        world
    }

    fn poll(&mut self) -> Option<FeedQuery> {
        self.replica.poll(self.now, Promise { staleness_ms: STALENESS_MS, fences: true }, 0)
    }

    fn answer(&mut self, of_epoch: u8, age_ms: u64, body: FeedBody) -> Result<News, FeedError> {
        let reply = FeedReply { protocol: PROTOCOL, epoch: epoch(of_epoch), age_ms, recorded: true, body };
        self.answer_raw(200, &serde_json::to_value(reply).unwrap())
    }

    fn answer_raw(&mut self, status: u32, body: &Value) -> Result<News, FeedError> {
        self.poll().expect("a poll is due");
        self.replica.on_reply(self.now.mono_ms, status, body.to_string().as_bytes(), self.now)
    }

    /// The poll that is under way fails, and the pause after a failure is over.
    fn fail_poll(&mut self) {
        self.replica.on_reply(self.now.mono_ms, 0, &[], self.now).unwrap_err();
        self.wait(RETRY_MAX_MS);
    }

    fn wait(&mut self, ms: u64) {
        self.now.mono_ms += ms;
    }

    fn bars(&self, raw: u64) -> bool {
        self.replica.denylist().barred_until(Digest::from_raw(raw), self.now.unix_s).is_some()
    }

    fn version(&self) -> Option<u64> {
        self.replica.position().map(|position| position.version)
    }

    fn is_fresh(&self) -> bool {
        self.replica.is_fresh(self.now, STALENESS_MS)
    }
}

#[test]
fn the_first_poll_asks_for_a_snapshot_and_the_next_one_acknowledges_it() {
    let mut world = World::new();
    assert!(!world.is_fresh());
    let query = world.poll().unwrap();
    assert_eq!((query.epoch, query.since, query.from), (None, 0, None));
    world.fail_poll();
    world.answer(1, 0, page(10, Digest::MIN, None, &[2])).unwrap();
    assert!(world.is_fresh() && world.bars(2));
    let query = world.poll().unwrap();
    assert_eq!((query.epoch, query.since, query.from), (Some(epoch(1)), 10, None));
}

#[test]
fn only_one_poll_is_under_way() {
    let mut world = World::new();
    assert!(world.poll().is_some());
    assert!(world.poll().is_none());
    world.wait(POLL_LOST_MS + 1);
    assert!(world.poll().is_some(), "one that was never answered is given up");
}

#[test]
fn p1_a_delta_with_a_gap_changes_nothing_and_a_snapshot_follows() {
    for changes in [vec![put(12, 6)], vec![put(11, 6), put(13, 8)]] {
        let mut world = World::loaded();
        let refused = world.answer(1, 0, delta(10, changes));
        assert!(matches!(refused, Err(FeedError::Gap { have: 10, .. })), "{refused:?}");
        assert_eq!(world.version(), Some(10));
        assert!(!world.bars(6) && !world.is_fresh(), "it checks every request");
        world.wait(RETRY_MAX_MS);
        assert_eq!(world.poll().unwrap().epoch, None, "it asks for a snapshot");
    }
}

#[test]
fn p1_a_delta_that_starts_later_or_claims_more_than_it_holds_is_a_gap() {
    let mut world = World::loaded();
    assert!(matches!(world.answer(1, 0, delta(11, vec![put(12, 6)])), Err(FeedError::Gap { have: 10, got: 11 })));
    let mut world = World::loaded();
    let body = FeedBody::Delta { from: 10, version: 12, changes: vec![put(11, 6)] };
    assert!(matches!(world.answer(1, 0, body), Err(FeedError::Gap { .. })));
}

#[test]
fn p2_versions_of_another_epoch_are_never_mixed_in() {
    let mut world = World::loaded();
    assert!(world.answer(2, 0, delta(10, vec![put(11, 6)])).is_err());
    assert!(!world.bars(6));
    world.wait(RETRY_MAX_MS);
    // A snapshot of the new epoch replaces what was held, even with lower versions.
    world.answer(2, 0, page(3, Digest::MIN, None, &[8])).unwrap();
    assert_eq!(world.replica.position(), Some(&Position { epoch: epoch(2), version: 3 }));
    assert!(world.bars(8));
}

#[test]
fn p3_a_lower_version_within_an_epoch_is_refused() {
    let mut world = World::loaded();
    let refused = world.answer(1, 0, page(9, Digest::MIN, None, &[]));
    assert_eq!(refused, Err(FeedError::Backwards { have: 10, got: 9 }));
    world.wait(RETRY_MAX_MS);
    assert_eq!(world.answer(1, 0, delta(9, vec![])), Err(FeedError::Backwards { have: 10, got: 9 }));
    assert!(world.bars(2) && world.bars(4));
}

#[test]
fn p3_a_snapshot_has_the_version_of_its_first_page_and_refuses_older_ones() {
    let mut world = World::new();
    let second = Digest::from_raw(1_000);
    world.answer(1, 0, page(10, Digest::MIN, Some(second), &[2])).unwrap();
    assert!(!world.is_fresh(), "half a snapshot decides nothing");
    let query = world.poll().unwrap();
    assert_eq!((query.since, query.from, query.epoch), (10, Some(second), Some(epoch(1))));
    world.fail_poll();
    let older = world.answer(1, 0, page(9, second, None, &[1_000]));
    assert_eq!(older, Err(FeedError::Backwards { have: 10, got: 9 }));
    world.wait(RETRY_MAX_MS);
    world.answer(1, 0, page(14, second, None, &[1_000])).unwrap();
    assert_eq!(world.version(), Some(10), "the deltas 11 to 14 come again");
    world.answer(1, 0, delta(10, vec![put(11, 1_000), put(12, 6)])).unwrap();
    assert!(world.bars(2) && world.bars(1_000) && world.bars(6));
}

#[test]
fn p2_a_snapshot_whose_epoch_ends_half_way_starts_anew() {
    let mut world = World::new();
    let second = Digest::from_raw(1_000);
    world.answer(1, 0, page(10, Digest::MIN, Some(second), &[2])).unwrap();
    assert!(world.answer(2, 0, page(11, second, None, &[1_000])).is_err());
    world.wait(RETRY_MAX_MS);
    let query = world.poll().unwrap();
    assert_eq!((query.epoch, query.from), (None, None));
}

#[test]
fn p4_staleness_counts_from_when_the_poll_was_sent_plus_the_age_that_the_sidecar_admits() {
    let mut world = World::loaded();
    let reply = FeedReply { protocol: PROTOCOL, epoch: epoch(1), age_ms: 500, recorded: true, body: delta(10, vec![]) };
    for (round, expected) in [(1, 1_000), (2, 1_500)] {
        world.poll().unwrap();
        let sent_at_ms = world.now.mono_ms;
        world.wait(1_000); // held
        world.replica.on_reply(sent_at_ms, 200, &serde_json::to_vec(&reply).unwrap(), world.now).unwrap();
        // In the first round the snapshot was younger than this answer.
        assert_eq!(world.replica.age_ms(world.now), Some(expected), "round {round}");
    }
    world.wait(1_500);
    assert!(world.is_fresh());
    world.wait(1);
    assert!(!world.is_fresh());
}

#[test]
fn p4_an_answer_that_is_not_all_there_is_makes_nothing_fresh() {
    let mut world = World::loaded();
    world.wait(4_000);
    world.answer(1, u64::MAX, delta(10, vec![put(11, 6)])).unwrap();
    assert!(world.bars(6) && !world.is_fresh(), "a ban may be among what is to come");
    world.answer(1, 0, delta(11, vec![])).unwrap();
    assert!(world.is_fresh());
}

#[test]
fn p4_an_answer_that_comes_after_its_poll_was_given_up_changes_nothing() {
    let mut world = World::loaded();
    world.poll().unwrap();
    let first_ms = world.now.mono_ms;
    world.wait(POLL_LOST_MS + 1);
    world.poll().expect("the first is given up");
    let reply =
        FeedReply { protocol: PROTOCOL, epoch: epoch(1), age_ms: 0, recorded: true, body: delta(10, vec![put(11, 6)]) };
    let late = world.replica.on_reply(first_ms, 200, &serde_json::to_vec(&reply).unwrap(), world.now);
    assert_eq!(late, Ok(News::Of(vec![])));
    assert!(!world.is_fresh() && !world.bars(6));
}

#[test]
fn p4_a_sidecar_that_lost_redis_makes_its_workers_stale() {
    let mut world = World::loaded();
    for age_ms in [1_000, 2_000, 3_000, 4_000] {
        world.wait(1_000);
        world.answer(1, age_ms, delta(10, vec![])).unwrap();
    }
    assert!(!world.is_fresh(), "it answers, but with news from long ago");
}

#[test]
fn an_answer_that_cannot_be_read_makes_the_replica_stale_at_once() {
    let unknown = json!({"protocol": PROTOCOL, "epoch": epoch(1), "age_ms": 0, "recorded": true, "body": {"delta": {
        "from": 10, "version": 11, "changes": [{"version": 11, "effect": {"put": {"curse": {"d": "0000000000000006", "u": 1}}}}]
    }}});
    let protocol = json!({"protocol": PROTOCOL + 1, "epoch": epoch(1), "age_ms": 0, "recorded": true, "body": {"delta": {
        "from": 10, "version": 10, "changes": []
    }}});
    for body in [unknown, protocol, json!("nonsense")] {
        let mut world = World::loaded();
        assert!(world.is_fresh());
        assert!(matches!(world.answer_raw(200, &body), Err(FeedError::Unreadable(_))));
        assert!(!world.is_fresh());
        assert_eq!(world.version(), Some(10));
    }
}

#[test]
fn a_failed_poll_is_repeated_later_and_later_but_at_least_once_a_second() {
    let mut world = World::loaded();
    for _ in 0..10 {
        assert_eq!(world.answer_raw(503, &json!({})), Err(FeedError::Unavailable(503)));
        assert!(world.poll().is_none());
        world.wait(RETRY_MAX_MS);
    }
    world.answer(1, 0, delta(10, vec![])).unwrap();
    assert!(world.poll().is_some(), "after an answer it polls at once");
}

#[test]
fn a_delta_names_the_digests_that_it_changed() {
    let mut world = World::loaded();
    let lift = Change { version: 12, effect: Effect::Lift(Digest::from_raw(2)) };
    let changed = world.answer(1, 0, delta(10, vec![put(11, 6), lift])).unwrap();
    assert_eq!(changed, News::Of(vec![Digest::from_raw(6), Digest::from_raw(2)]));
    assert!(world.bars(6) && !world.bars(2));
}
