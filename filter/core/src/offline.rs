//! The filter's decision about one request, without a proxy and without sidecars: nobody is barred, and everything
//! else is decided by the same code as in the proxy. For `sekisho explain`; the filter is compiled without it.

use std::rc::Rc;

use sekisho_protocol::feed::{FeedBody, FeedReply};
use sekisho_protocol::identity::HEADER;
use sekisho_protocol::{Digest, Epoch, PROTOCOL, ReplicaId};

use crate::authorize::address::Connection;
use crate::check::RequestId;
use crate::config::{Environment, Policy, Problem};
use crate::decision::Line;
use crate::feed::{Promise, ReplicaInfo};
use crate::head::{Head, Pairs};
use crate::time::Now;
use crate::verify::host::NoHost;
use crate::worker::{Step, Worker};

/// A request, as it would reach the filter.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// Its headers, the pseudo-headers included, with names in lower case.
    pub pairs: &'a Pairs<'a>,
    /// What the proxy would say is the client's address.
    pub source: Option<&'a str>,
    /// Unix seconds.
    pub at_s: u64,
    /// Whether its tokens are taken for signed as they should be.
    pub trusts_tokens: bool,
}

/// What would become of it.
#[derive(Debug)]
pub enum Outcome {
    /// It passes: headers that are removed, and those that are set.
    Passes {
        /// Names.
        removed: Vec<String>,
        /// Names and values; a credential of the upstream is not shown.
        set: Vec<(String, String)>,
    },
    /// It is answered.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The answer's headers.
        headers: Vec<Line>,
        /// Its body.
        body: String,
    },
    /// It depends on the keys of this source, which only sidecars have.
    NeedsKeys(String),
    /// It depends on a session, which only sidecars know.
    NeedsSession,
}

/// A decision and why it is taken.
#[derive(Debug)]
pub struct Explanation {
    /// What would become of the request.
    pub outcome: Outcome,
    /// What decided, as the headers of an explanation say it.
    pub lines: Vec<Line>,
}

#[derive(Debug)]
struct Peer<'a>(Option<&'a str>);

impl Connection for Peer<'_> {
    fn source(&self) -> Option<Vec<u8>> {
        self.0.map(|text| text.as_bytes().to_vec())
    }
}

/// Decides about a request under a configuration.
///
/// # Errors
/// Every problem of the configuration.
pub fn explain(text: &str, environment: Environment<'_>, request: &Request<'_>) -> Result<Explanation, Vec<Problem>> {
    let policy = Rc::new(Policy::parse(text, environment)?.for_everybody_to_explain());
    let now = Now { unix_s: request.at_s, mono_ms: 1_000_000 };
    let mut worker = worker(&policy, now);
    let peer = Peer(request.source);
    let head = Head { connection: Some(&peer), ..Head::read(request.pairs, &policy.forgeable) };
    if request.trusts_tokens {
        worker.trust_tokens();
    }
    Ok(explanation(worker.on_request(&policy, RequestId(1), &head, now)))
}

fn explanation(step: Step) -> Explanation {
    match step {
        Step::Allow(passage) => {
            let upstream = passage.edits.upstream.as_ref().map(|credential| credential.header.clone());
            let shown = |name: &str, value: &[u8]| {
                // Neither is anybody's but the upstream's.
                match name {
                    HEADER => "(a signed assertion)".into(),
                    name if upstream.as_deref() == Some(name) => "(the upstream's credential)".into(),
                    _ => String::from_utf8_lossy(value).into_owned(),
                }
            };
            let set = passage.edits.settings().map(|(name, value)| (name.to_owned(), shown(name, value))).collect();
            let removed = passage.edits.remove.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
            Explanation { outcome: Outcome::Passes { removed, set }, lines: passage.lines }
        }
        Step::Answer(answer) => {
            let is_line = |(name, _): &Line| name.starts_with("x-sekisho-");
            let (lines, headers) = answer.headers.into_iter().partition(is_line);
            Explanation { outcome: Outcome::Answered { status: answer.status, headers, body: answer.body }, lines }
        }
        Step::AskForKeys(query, _) => Explanation { outcome: Outcome::NeedsKeys(query.source), lines: Vec::new() },
        // Only sidecars know sessions.
        Step::AskForSession(..) => Explanation { outcome: Outcome::NeedsSession, lines: Vec::new() },
        // A fresh replica in which nobody is barred asks nothing.
        Step::Check(..) | Step::Wait => Explanation { outcome: Outcome::NeedsKeys(String::new()), lines: Vec::new() },
    }
}

/// A worker whose replica is fresh and in which nobody is barred.
fn worker(policy: &Policy, now: Now) -> Worker {
    let id = ReplicaId::from_bytes([0; 16]);
    let build = env!("CARGO_PKG_VERSION").into();
    let info = ReplicaInfo { id, node: "offline".into(), worker: 0, build };
    let mut worker = Worker::new(info, policy.mesh.digest_key.clone(), Rc::new(NoHost));
    for (from, next) in [(Digest::MIN, Some(middle())), (middle(), None)] {
        let body = FeedBody::Page { version: 1, count: 0, from, next, entries: Vec::new() };
        let reply =
            FeedReply { protocol: PROTOCOL, epoch: Epoch::from_bytes([0; 16]), age_ms: 0, recorded: true, body };
        worker.poll(Promise { staleness_ms: policy.mesh.staleness_ms, fences: true }, 0, now);
        if let Ok(json) = serde_json::to_vec(&reply) {
            let _ = worker.on_feed_reply(now.mono_ms, 200, &json, now);
        }
    }
    worker
}

fn middle() -> Digest {
    Digest::from_raw(1 << 63)
}
