//! The core in this process, given what Envoy would give it.

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow, bail};
use e2e::token::now;
use e2e::world::Keys;
use sekisho_core::authorize::address::Connection;
use sekisho_core::check::RequestId;
use sekisho_core::config::Policy;
use sekisho_core::feed::{Promise, ReplicaInfo};
use sekisho_core::flow::clean_target;
use sekisho_core::head::Head;
use sekisho_core::identity::Edits;
use sekisho_core::time::Now;
use sekisho_core::verify::host::NoHost;
use sekisho_core::worker::{Step, Worker};
use sekisho_protocol::feed::{FeedBody, FeedReply};
use sekisho_protocol::{Digest, Epoch, PROTOCOL, ReplicaId};
use serde_json::Value;

use super::rows::Row;
use super::{EXPLAINED, Outcome, Seen};

/// A worker with an empty denylist.
pub(super) struct Alone {
    worker: Worker,
    policy: Rc<Policy>,
    count: u32,
}

/// The connection of every client here.
#[derive(Debug)]
struct Local;

impl Connection for Local {
    fn source(&self) -> Option<Vec<u8>> {
        Some(b"127.0.0.1:4711".to_vec())
    }
}

type Pair = (Vec<u8>, Vec<u8>);

impl Alone {
    pub(super) fn new(policy: &Value) -> Result<Self> {
        let environment: BTreeMap<String, String> = Keys::default().of_envoy().into_iter().collect();
        let policy = Policy::parse(&policy.to_string(), &|name| environment.get(name).cloned());
        let policy = Rc::new(policy.map_err(|problems| anyhow!("{problems:?}"))?);
        let info =
            ReplicaInfo { id: ReplicaId::from_bytes([1; 16]), node: String::new(), worker: 1, build: String::new() };
        let mut worker = Worker::new(info, policy.mesh.digest_key.clone(), Rc::new(NoHost));
        let middle = Digest::from_raw(1 << 63);
        for (from, next) in [(Digest::MIN, Some(middle)), (middle, None)] {
            let body = FeedBody::Page { version: 1, count: 0, from, next, entries: vec![] };
            let reply =
                FeedReply { protocol: PROTOCOL, epoch: Epoch::from_bytes([1; 16]), age_ms: 0, recorded: true, body };
            let promise = Promise { staleness_ms: policy.mesh.staleness_ms, fences: policy.fences() };
            worker.poll(promise, 0, moment()).context("no poll is due")?;
            worker.on_feed_reply(moment().mono_ms, 200, &serde_json::to_vec(&reply)?, moment())?;
        }
        Ok(Self { worker, policy, count: 0 })
    }

    pub(super) fn ask(&mut self, row: &Row) -> Result<Outcome> {
        let mut pairs = pairs_of(row);
        let clean = with_head(&pairs, &self.policy, |head| clean_target(&self.policy, head));
        self.count += 1;
        let id = RequestId(self.count);
        let step = with_head(&pairs, &self.policy, |head| self.worker.on_request(&self.policy, id, head, moment()));
        if let (Some(clean), Some((_, path))) = (clean, pairs.iter_mut().find(|(name, _)| name == b":path")) {
            *path = clean;
        }
        match step {
            Step::Allow(passage) => {
                let answer = explained(passage.lines.into_iter().map(|(name, value)| (name.into_owned(), value)));
                Ok(Outcome { status: 200, answer, body: String::new(), upstream: Some(edited(pairs, &passage.edits)) })
            }
            Step::Answer(answer) => {
                let headers = answer.headers.into_iter().map(|(name, value)| (name.into_owned(), value));
                let body = if row.method == "HEAD" { String::new() } else { answer.body };
                Ok(Outcome { status: answer.status, answer: explained(headers), body, upstream: None })
            }
            other => bail!("undecided: {other:?}"),
        }
    }
}

/// Tokens end by the wall clock. By the other one no time passes: however slow the machine, the replica stays fresh.
fn moment() -> Now {
    Now { unix_s: now(), mono_ms: 1_000_000 }
}

/// What Envoy makes of a request before the filter sees it: names in lower case, and itself in `x-forwarded-for`.
fn pairs_of(row: &Row) -> Vec<Pair> {
    let (host, path) = row.seen();
    let mut pairs: Vec<Pair> = Vec::new();
    let mut add = |name: &str, value: &str| pairs.push((name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    for (name, value) in [(":authority", host), (":path", path), (":method", &row.method), (":scheme", "http")] {
        add(name, value);
    }
    let mut forwarded = Vec::new();
    for (name, value) in &row.headers {
        let name = name.to_ascii_lowercase();
        if name == "x-forwarded-for" {
            forwarded.push(value.as_str());
        } else {
            add(&name, value.trim());
        }
    }
    forwarded.push("127.0.0.1");
    add("x-forwarded-for", &forwarded.join(","));
    add("x-forwarded-proto", "http");
    pairs
}

fn with_head<T>(pairs: &[Pair], policy: &Policy, then: impl FnOnce(&Head<'_>) -> T) -> T {
    let pairs: Vec<(&[u8], &[u8])> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
    then(&Head { connection: Some(&Local), ..Head::read(&pairs, &policy.forgeable) })
}

/// What the upstream sees once the shell has made the edits: removals first, and each setting replaces what is there.
fn edited(mut pairs: Vec<Pair>, edits: &Edits) -> Seen {
    pairs.retain(|(name, _)| !edits.remove.iter().any(|removed| **removed == **name));
    for (name, value) in edits.settings() {
        pairs.retain(|(known, _)| known != name.as_bytes());
        pairs.push((name.as_bytes().to_vec(), value.to_vec()));
    }
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let pairs = pairs.into_iter().map(|(name, value)| (text(name), text(value)));
    let (pseudo, headers): (Vec<_>, Vec<_>) = pairs.partition(|(name, _)| name.starts_with(':'));
    let pseudo: BTreeMap<_, _> = pseudo.into_iter().collect();
    let pseudo = |name: &str| pseudo.get(name).map_or("", String::as_str);
    Seen::new(pseudo(":method"), pseudo(":path"), headers.into_iter())
}

/// All headers of an answer but those of the explanation that differ each time.
pub(super) fn explained(headers: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    headers.filter(|(name, _)| !name.starts_with("x-sekisho-") || EXPLAINED.contains(&name.as_str())).collect()
}
