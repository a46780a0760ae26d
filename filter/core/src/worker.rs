//! What the requests of one VM share, and the events that reach it.
//!
//! The shell calls one method for each event and carries out what comes back; it keeps no state of
//! its own about requests. Root contexts come and go with configurations, the worker stays: that is
//! why a configuration push loses neither the replica nor the cache (rule P11).

use std::rc::Rc;

use sekisho_protocol::check::{CheckReply, CheckRequest};
use sekisho_protocol::digest::DigestKey;
use sekisho_protocol::feed::FeedQuery;
use sekisho_protocol::keyset::KeysQuery;
use sekisho_protocol::session::SessionQuestion;
use sekisho_protocol::{PROTOCOL, feed};

use crate::activity::Activity;
use crate::answer::Answer;
use crate::check::{CallId, Checks, Confirmed, RequestId, ShareKey};
use crate::config::{FilterState, Policy};
use crate::decision::{Decision, Line, explain};
use crate::denial::{Denial, Inability, Refusal};
use crate::feed::{FeedError, News, Promise, Replica, ReplicaInfo};
use crate::flow::{self, Checked, Flow, Pending, Unproven, Verdict};
use crate::head::Head;
use crate::id_map::IdMap;
use crate::identity::Edits;
use crate::key_calls::KeyCalls;
use crate::live::{Live, Stream};
use crate::metrics::{Metrics, Row};
use crate::session::refused::Refused;
use crate::set_cookie::Guard;
use crate::shared::Shared;
use crate::sources::Sources;
use crate::time::Now;
use crate::trace::Trace;
use crate::verify::Invalid;
use crate::verify::budget::Budget;
use crate::verify::cache::TokenCache;
use crate::verify::crypto::Verifications;
use crate::verify::host::{HostAbility, HostCrypto};

mod keys;
mod sessions;
mod statistics;

pub use keys::{KEYS_TIMEOUT_MS, KeysTaken};

/// Slots of the denylist that one tick visits: a million in half a minute, a fraction of a
/// millisecond at a time.
const SWEEP_SLOTS: usize = 8_192;

/// A worker that has heard nothing for so long cuts its open streams: the sidecars name a silent worker with
/// each change, but forget it after two minutes.
const UNHEARD_MS: u64 = 90_000;

/// The state of one VM.
#[derive(Debug)]
pub struct Worker {
    /// The mesh whose feed the replica holds.
    digest_key: DigestKey,
    shared: Shared,
    checks: Checks,
    /// Requests that wait for a check. What is not here was decided.
    held: IdMap<RequestId, Flow>,
    key_calls: KeyCalls,
    /// Requests that wait for the key of their token.
    unproven: IdMap<RequestId, Unproven>,
    session_calls: KeyCalls,
    /// Requests that wait for what their session is worth.
    unresolved: IdMap<RequestId, Unproven>,
    /// Requests that were admitted and that a ban cuts (rule P12).
    live: Live,
    /// By the monotonic clock: up to when the state of this worker was sampled.
    observed_at_ms: Option<u64>,
}

/// A stream that must end now: with this answer, or in the middle of the one that it has begun.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut {
    /// Which.
    pub stream: RequestId,
    /// For a client that was answered nothing yet.
    pub answer: Answer,
}

/// How a request passes.
#[derive(Debug)]
pub struct Passage {
    /// What becomes of its headers.
    pub edits: Edits,
    /// What the proxy's filter state is to say.
    pub state: Option<State>,
    /// Headers of its answer, for whoever may know why.
    pub lines: Vec<Line>,
    /// Which cookies its upstream may not set: see [`crate::set_cookie`].
    pub guard: Guard,
}

/// What the proxy's filter state says about a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The name of its rule.
    pub route: Rc<str>,
    /// What became of it.
    pub decision: Decision,
    /// The code of its refusal; `none` if there is none.
    pub reason: &'static str,
}

/// What the shell must do with a request.
#[derive(Debug)]
pub enum Step {
    /// Make the edits, then let it pass.
    Allow(Passage),
    /// Answer it.
    Answer(Answer),
    /// Send this check and tell [`Worker::dispatched`] its number, or [`Worker::not_dispatched`].
    Check(CheckRequest, Option<ShareKey>, Option<Trace>),
    /// Send this question and tell [`Worker::keys_dispatched`] its number, or [`Worker::keys_not_dispatched`].
    AskForKeys(KeysQuery, Option<Trace>),
    /// Send this question and tell [`Worker::session_dispatched`] its number, or [`Worker::session_not_dispatched`].
    AskForSession(SessionQuestion, Option<Trace>),
    /// Hold it: an answer that is under way will decide.
    Wait,
}

impl Worker {
    /// A worker of a mesh that knows nothing yet: it checks every request. `host` verifies signatures for which
    /// it can prove now that it does.
    #[must_use]
    pub fn new(info: ReplicaInfo, digest_key: DigestKey, host: Rc<dyn HostCrypto>) -> Self {
        let shared = Shared {
            replica: Replica::new(info),
            tokens: TokenCache::default(),
            sources: Sources::new(digest_key.clone()),
            ability: HostAbility::prove(&*host),
            host,
            budget: Budget::default(),
            verifications: Verifications::default(),
            confirmed: Confirmed::default(),
            refused: Refused::default(),
            activity: Activity::default(),
            metrics: Metrics::default(),
            #[cfg(feature = "offline")]
            trusts_tokens: false,
        };
        Self {
            digest_key,
            shared,
            checks: Checks::default(),
            held: IdMap::default(),
            key_calls: KeyCalls::default(),
            unproven: IdMap::default(),
            session_calls: KeyCalls::default(),
            unresolved: IdMap::default(),
            live: Live::default(),
            observed_at_ms: None,
        }
    }

    /// Whether this worker may serve under `policy`. Under another mesh secret nobody would be found in the
    /// replica: every ban would be void.
    #[must_use]
    pub fn serves(&self, policy: &Policy) -> bool {
        self.digest_key == policy.mesh.digest_key
    }

    /// A request's headers are there.
    pub fn on_request(&mut self, policy: &Rc<Policy>, id: RequestId, head: &Head<'_>, now: Now) -> Step {
        match flow::route(policy, head) {
            Ok((route, target)) => {
                let verdict = flow::begin(policy, route, head, &target, &mut self.shared, now);
                self.decide(id, verdict, now)
            }
            Err(malformed) => {
                let pending = Pending::of_nobody(policy, head);
                self.finish(id, Verdict::Refuse(Refusal::Malformed(malformed), pending), now)
            }
        }
    }

    /// The host took a check on under this number.
    pub fn dispatched(&mut self, id: RequestId, call: CallId, share: Option<ShareKey>) {
        self.checks.dispatched(call, id, share);
    }

    /// The host refused a check at once: no such cluster, or nobody in it.
    pub fn not_dispatched(&mut self, id: RequestId, now: Now) -> Step {
        self.settle(id, Checked::Failed, now).unwrap_or(Step::Wait)
    }

    /// A check was answered, or failed: what to do with each request that waited for it. A status
    /// of 0 means that nobody answered.
    pub fn on_check_reply(&mut self, call: CallId, status: u32, body: &[u8], now: Now) -> Vec<(RequestId, Step)> {
        let reply = (status == 200).then(|| serde_json::from_slice::<CheckReply>(body).ok()).flatten();
        let reply = reply.filter(|reply| reply.protocol == PROTOCOL);
        let checked = reply.as_ref().map_or(Checked::Failed, Checked::Answered);
        let waiting = self.checks.answered(call);
        waiting.into_iter().filter_map(|id| self.settle(id, checked, now).map(|step| (id, step))).collect()
    }

    /// The request is over, decided or not.
    pub fn on_leave(&mut self, id: RequestId) {
        self.live.end(id);
        if self.held.remove(&id).is_some() {
            self.checks.leave(id);
        }
        if self.unproven.remove(&id).is_some() {
            self.key_calls.leave(id);
        }
        if self.unresolved.remove(&id).is_some() {
            self.session_calls.leave(id);
        }
    }

    /// The poll to send now, if one is due. It speaks for all policies of the VM: see
    /// [`FeedQuery::fences`] and [`FeedQuery::staleness_ms`].
    pub fn poll(&mut self, promise: Promise, memory_bytes: u64, now: Now) -> Option<FeedQuery> {
        self.shared.replica.poll(now, promise, memory_bytes)
    }

    /// The poll that was sent at `sent_at_ms` was answered, or failed. A status of 0 means that nobody
    /// answered. The next poll acknowledges the news, so what it cuts must be cut before that is sent.
    ///
    /// # Errors
    /// [`FeedError`], to be logged; the replica is unchanged and the next poll waits a little.
    pub fn on_feed_reply(
        &mut self,
        sent_at_ms: u64,
        status: u32,
        body: &[u8],
        now: Now,
    ) -> Result<Vec<Cut>, FeedError> {
        let news = self.shared.replica.on_reply(sent_at_ms, status, body, now)?;
        match &news {
            News::Everything => self.shared.confirmed.clear(),
            News::Of(digests) => digests.iter().for_each(|digest| self.shared.confirmed.forget(*digest)),
        }
        let barred = self.live.take_barred(&news, self.shared.replica.denylist(), now.unix_s);
        Ok(self.cut(barred, &Inability::Cut.into(), now))
    }

    /// The streams whose credential has ended since this was asked last; and all that could be barred without
    /// this worker's knowledge, once it has heard nothing for so long that it will be forgotten.
    pub fn expire(&mut self, now: Now) -> Vec<Cut> {
        let ended = self.live.take_ended(now.unix_s);
        let mut cuts = self.cut(ended, &Denial::Invalid(Invalid::Expired).into(), now);
        if self.shared.replica.age_ms(now).is_some_and(|age| age > UNHEARD_MS) {
            let unheard = self.live.take_unheard();
            cuts.extend(self.cut(unheard, &Inability::Cut.into(), now));
        }
        cuts
    }

    /// Ends what is over, a little at a time.
    pub fn sweep(&mut self, now: Now) {
        self.shared.replica.denylist_mut().sweep(SWEEP_SLOTS, now.unix_s);
        let denylist = self.shared.replica.denylist();
        self.shared.confirmed.retain(|bar| denylist.holds(bar));
    }

    /// The replica, for logs and metrics.
    #[must_use]
    pub fn replica(&self) -> &Replica {
        &self.shared.replica
    }

    /// The query with which this replica says goodbye.
    #[must_use]
    pub fn goodbye(&self) -> feed::GoodbyeQuery {
        feed::GoodbyeQuery { replica: self.shared.replica.id().clone() }
    }

    /// Takes tokens for signed as they should be from now on: for explanations, by which nobody is let in.
    #[cfg(feature = "offline")]
    pub(crate) fn trust_tokens(&mut self) {
        self.shared.trusts_tokens = true;
    }

    fn decide(&mut self, id: RequestId, verdict: Verdict, now: Now) -> Step {
        match verdict {
            Verdict::Ask(flow, ask) => self.hold(id, flow, *ask, now),
            Verdict::AskForKeys(unproven, wanted) => self.hold_for_keys(id, *unproven, wanted, now),
            Verdict::AskForSession(unproven) => self.hold_for_session(id, *unproven, now),
            verdict => self.finish(id, verdict, now),
        }
    }

    fn hold(&mut self, id: RequestId, mut flow: Flow, ask: flow::Ask, now: Now) -> Step {
        // Both: a client that leaves frees its place among the held, but its callout goes on.
        let busy = self.held.len().max(self.checks.in_flight());
        if busy >= flow.pending.policy.mesh.max_checks {
            return self.finish(id, Verdict::Refuse(Inability::Overloaded.into(), flow.pending), now);
        }
        flow.pending.note.held_since(now);
        let trace = flow.pending.trace.clone();
        self.held.insert(id, flow);
        if ask.share.as_ref().is_some_and(|share| self.checks.join(share, id)) {
            return Step::Wait;
        }
        Step::Check(ask.request, ask.share, trace)
    }

    /// Takes a held request up again. None if it left meanwhile.
    fn settle(&mut self, id: RequestId, checked: Checked<'_>, now: Now) -> Option<Step> {
        let flow = self.held.remove(&id)?;
        let verdict = flow::resume(flow, checked, &mut self.shared, now);
        Some(self.decide(id, verdict, now))
    }

    /// Turns a verdict into what the shell does, and counts it.
    fn finish(&mut self, id: RequestId, verdict: Verdict, now: Now) -> Step {
        let (refusal, pending) = match verdict {
            Verdict::Allow(pending, stream) => {
                if let Some(stream) = stream {
                    self.live.begin(id, stream);
                }
                (None, pending)
            }
            Verdict::Refuse(refusal, pending) => (Some(refusal), pending),
            // Only a flow that is not decided yet may ask, and [`Self::decide`] saw to those.
            Verdict::Ask(Flow { pending, .. }, _) => (Some(Inability::Host.into()), pending),
            Verdict::AskForKeys(unproven, _) | Verdict::AskForSession(unproven) => {
                (Some(Inability::Host.into()), unproven.pending)
            }
        };
        let is_shadow = pending.is_shadow();
        let decision = refusal.as_ref().map_or(Decision::Allow, |refusal| Decision::of(refusal, is_shadow));
        let reason = refusal.as_ref().map_or("none", Refusal::code);
        self.shared.metrics.decided(Row {
            route: Rc::clone(&pending.route().name),
            decision,
            reason,
            provider: pending.note.provider.clone(),
            cache: pending.note.cache,
            freshness: self.shared.freshness(pending.policy.mesh.staleness_ms, now),
        });
        if let Some(since_ms) = pending.note.held_since_ms {
            self.shared.metrics.held(now.mono_ms.saturating_sub(since_ms));
        }
        let lines = if pending.note.explain {
            explain(decision, refusal.as_ref(), &pending, &self.shared.replica, now)
        } else {
            Vec::new()
        };
        match refusal {
            Some(refusal) if !is_shadow => {
                let mut answer = pending.answers().to(&refusal, pending.sign_in.as_deref(), pending.page, now.unix_s);
                answer.headers.extend(lines);
                answer.route = Some(Rc::clone(&pending.route().name));
                Step::Answer(answer)
            }
            refusal => {
                let is_told = refusal.is_some() || pending.policy.filter_state == FilterState::All;
                let state = is_told.then(|| State { route: Rc::clone(&pending.route().name), decision, reason });
                let guard = Guard::of(&pending.policy, pending.route);
                Step::Allow(Passage { edits: pending.edits, state, lines, guard })
            }
        }
    }

    /// Counts what is cut.
    fn cut(&mut self, streams: Vec<(RequestId, Stream)>, refusal: &Refusal, now: Now) -> Vec<Cut> {
        let cut = |(id, stream): (RequestId, Stream)| {
            let route = stream.policy.routes.get(stream.route);
            self.shared.metrics.cut(&route.name, refusal.code());
            let answer =
                Answer { route: Some(Rc::clone(&route.name)), ..route.answers.to(refusal, None, None, now.unix_s) };
            Cut { stream: id, answer }
        };
        streams.into_iter().map(cut).collect()
    }
}

#[cfg(test)]
mod tests;
