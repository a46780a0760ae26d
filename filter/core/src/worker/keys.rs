//! Keys that sidecars fetch: requests that wait for them, and what becomes of those that a withdrawn one let in.

use std::rc::Rc;

use sekisho_protocol::PROTOCOL;
use sekisho_protocol::keyset::{KeysQuery, KeysReply};

use super::{Cut, Step, Worker};
use crate::check::{CallId, RequestId};
use crate::config::Policy;
use crate::denial::Inability;
use crate::flow::{self, Unproven, Verdict, Wanted};
use crate::sources::Taken;
use crate::time::Now;

/// How long the host may hold a question for keys: sidecars may have to fetch them first.
pub const KEYS_TIMEOUT_MS: u32 = 5_000;

/// What an answer about keys leads to.
#[derive(Debug, Default)]
pub struct KeysTaken {
    /// What to do with each request that waited.
    pub steps: Vec<(RequestId, Step)>,
    /// The streams that a withdrawn key let in.
    pub cuts: Vec<Cut>,
    /// For the log: something about these keys that an operator should know.
    pub notice: Option<String>,
}

impl Worker {
    /// A question that nobody waits for yet, if one is due: the first one for each source that `policies` name,
    /// and one for each newer set that the feed announced.
    pub fn keys_due<'p>(&mut self, policies: impl Iterator<Item = &'p Rc<Policy>>, now: Now) -> Option<KeysQuery> {
        let announced = self.shared.replica.keysets();
        let mut sources = policies.flat_map(|policy| policy.providers.iter().filter_map(|provider| provider.source()));
        let is_due = |source: &&Rc<str>| self.shared.sources.is_due(source, announced, now);
        let source = sources.find(|source| is_due(source) && self.key_calls.begin(source))?;
        Some(self.keys_query(source, None))
    }

    /// The host took a question for keys on under this number.
    pub fn keys_dispatched(&mut self, source: &str, call: CallId) {
        self.key_calls.dispatched(source, call);
    }

    /// The host refused a question for keys at once: what to do with each request that waited for it.
    pub fn keys_not_dispatched(&mut self, source: &str, now: Now) -> Vec<(RequestId, Step)> {
        self.shared.sources.unanswered(source, self.shared.replica.keysets(), now);
        let waiting = self.key_calls.refused(source);
        self.without_keys(waiting, now)
    }

    /// A question for keys was answered, or failed. A status of 0 means that nobody answered.
    pub fn on_keys_reply(&mut self, call: CallId, status: u32, body: &[u8], now: Now) -> KeysTaken {
        let Some((source, waiting)) = self.key_calls.answered(call) else {
            return KeysTaken::default();
        };
        let reply = (status == 200).then(|| serde_json::from_slice::<KeysReply>(body).ok()).flatten();
        let announced = self.shared.replica.keysets();
        let Some(reply) = reply.filter(|reply| reply.protocol == PROTOCOL) else {
            self.shared.sources.unanswered(&source, announced, now);
            return KeysTaken { steps: self.without_keys(waiting, now), ..KeysTaken::default() };
        };
        let Taken { replaced, unusable } = self.shared.sources.take(&source, &reply, announced, now);
        let cuts = if replaced { self.cut_withdrawn(now) } else { Vec::new() };
        let notice =
            (unusable > 0).then(|| format!("the keys of `{source}`: {unusable} cannot be used by this filter"));
        let steps = waiting.into_iter().filter_map(|id| Some((id, self.take_up_again(id, now)?))).collect();
        KeysTaken { steps, cuts, notice }
    }

    /// Holds a request whose token's key nobody here knows.
    pub(super) fn hold_for_keys(&mut self, id: RequestId, mut unproven: Unproven, wanted: Wanted, now: Now) -> Step {
        // A flood of tokens with made-up keys fills this table and no other.
        if self.unproven.len() >= unproven.pending.policy.mesh.max_checks {
            return self.finish(id, Verdict::Refuse(Inability::Overloaded.into(), unproven.pending), now);
        }
        unproven.pending.note.held_since(now);
        let trace = unproven.pending.trace.clone();
        self.unproven.insert(id, unproven);
        if self.key_calls.wait(&wanted.source, id) {
            Step::AskForKeys(self.keys_query(&wanted.source, wanted.kid), trace)
        } else {
            Step::Wait
        }
    }

    fn keys_query(&self, source: &str, kid: Option<String>) -> KeysQuery {
        KeysQuery { replica: self.shared.replica.id().clone(), source: source.to_owned(), kid }
    }

    fn take_up_again(&mut self, id: RequestId, now: Now) -> Option<Step> {
        let unproven = self.unproven.remove(&id)?;
        let verdict = flow::verify_again(unproven, &mut self.shared, now);
        Some(self.decide(id, verdict, now))
    }

    fn without_keys(&mut self, waiting: Vec<RequestId>, now: Now) -> Vec<(RequestId, Step)> {
        let refuse = |id: RequestId| {
            let Unproven { pending, .. } = self.unproven.remove(&id)?;
            Some((id, self.finish(id, Verdict::Refuse(Inability::Keys.into(), pending), now)))
        };
        waiting.into_iter().filter_map(refuse).collect()
    }

    fn cut_withdrawn(&mut self, now: Now) -> Vec<Cut> {
        let withdrawn = self.live.take_withdrawn();
        self.cut(withdrawn, &Inability::Cut.into(), now)
    }
}
