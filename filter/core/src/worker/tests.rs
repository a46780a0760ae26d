//! Whole requests through a worker whose sidecar answers what it is told to. The rules of
//! ARCHITECTURE.md that a worker must hold have their tests here, each named after its rule.

use std::cell::Cell;

use sekisho_protocol::check::{CheckDecision, DenyReason};
use sekisho_protocol::digest::Digest;
use sekisho_protocol::feed::{Bar, Change, Effect, Entry, FOREVER, FeedBody, FeedReply, Kind};
use sekisho_protocol::{Epoch, ReplicaId};
use serde_json::{Value, json};

use super::*;
use crate::config::tests::{environment, sound};
use crate::verify::host::NoHost;
use crate::verify::tests::{claims, sign, token};

mod checks;
mod keys;
mod places;
mod policy;
mod replica;
mod requests;
mod sessions;
mod sign_in;
mod streams;

const START: u64 = 1_800_000_000;
const ANN: &str = "ann@example.com";
const PROMISE: Promise = Promise { staleness_ms: 3_000, fences: true };

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
        world.feed(FeedBody::Page { version: 1, count: 0, from: middle(), next: None, entries: vec![] });
        world
    }

    /// A worker that is on record, and in the middle of its first snapshot.
    fn without_snapshot() -> Self {
        let mut world = Self::unknown();
        let next = Some(middle());
        world.feed(FeedBody::Page { version: 1, count: 0, from: Digest::MIN, next, entries: vec![] });
        world
    }

    /// A worker of which no sidecar knows yet.
    fn unknown() -> Self {
        let info = ReplicaInfo { id: ReplicaId::from_bytes([1; 16]), node: "n".into(), worker: 1, build: "b".into() };
        let policy = Rc::new(Policy::parse(&sound().to_string(), &environment).unwrap());
        Self {
            worker: Worker::new(info, policy.mesh.digest_key.clone(), Rc::new(NoHost)),
            policy,
            now: Now { unix_s: START, mono_ms: 1_000_000 },
            version: 1,
            next_id: Cell::new(0),
        }
    }

    fn feed(&mut self, body: FeedBody) -> Vec<Cut> {
        self.worker.poll(PROMISE, 0, self.now).expect("a poll is due");
        let reply = FeedReply { protocol: PROTOCOL, epoch: epoch(1), age_ms: 0, recorded: true, body };
        self.worker.on_feed_reply(self.now.mono_ms, 200, &serde_json::to_vec(&reply).unwrap(), self.now).unwrap()
    }

    fn change(&mut self, effect: Effect) -> Vec<Cut> {
        let from = self.version;
        self.version += 1;
        let changes = vec![Change { version: self.version, effect }];
        self.feed(FeedBody::Delta { from, version: self.version, changes })
    }

    fn digest(&self, kind: Kind, name: &str) -> Digest {
        Digest::of(&self.policy.mesh.digest_key, kind, name)
    }

    fn ban(&mut self, name: &str, until: u64) -> Vec<Cut> {
        let digest = self.digest(Kind::Ban, name);
        self.change(Effect::Put(Entry::Ban(Bar { digest, until })))
    }

    fn lift(&mut self, name: &str) -> Vec<Cut> {
        let digest = self.digest(Kind::Ban, name);
        self.change(Effect::Lift(digest))
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
        self.worker.on_request(&self.policy, id, &Head::read(&pairs, &self.policy.forgeable), self.now)
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
        let Step::Check(_, share, _) = step else { panic!("expected a check, got {step:?}") };
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

/// Where the second page of every first snapshot begins.
fn middle() -> Digest {
    Digest::from_raw(1 << 63)
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
        Step::Check(..) | Step::AskForKeys(..) | Step::AskForSession(..) | Step::Wait => 0,
    }
}

fn code(step: &Step) -> &'static str {
    match step {
        Step::Answer(answer) => answer.code,
        Step::Allow(_) => "allow",
        Step::Check(..) => "check",
        Step::AskForKeys(..) => "keys",
        Step::AskForSession(..) => "session",
        Step::Wait => "wait",
    }
}

fn set<'a>(step: &'a Step, name: &str) -> Option<&'a str> {
    let Step::Allow(passage) = step else { panic!("not allowed: {step:?}") };
    passage.edits.settings().find(|(known, _)| *known == name).map(|(_, value)| std::str::from_utf8(value).unwrap())
}
