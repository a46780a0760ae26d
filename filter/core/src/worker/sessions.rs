//! Requests that wait for what sidecars say of a session: those of one session wait for one answer (rule P13).

use sekisho_protocol::PROTOCOL;
use sekisho_protocol::session::{SessionQuestion, SessionReply};

use super::{Step, Worker};
use crate::check::{CallId, RequestId};
use crate::denial::Inability;
use crate::flow::{self, Unproven, Verdict};
use crate::session::Standing;
use crate::time::Now;

impl Worker {
    /// The host took a question for a session on under this number.
    pub fn session_dispatched(&mut self, question: &SessionQuestion, call: CallId) {
        self.session_calls.dispatched(&name(question), call);
    }

    /// The host refused a question for a session at once: what to do with each request that waited for it.
    pub fn session_not_dispatched(&mut self, question: &SessionQuestion, now: Now) -> Vec<(RequestId, Step)> {
        let waiting = self.session_calls.refused(&name(question));
        self.go_on_with(waiting, None, now)
    }

    /// The question that was sent at `sent_at_ms` was answered, or failed. A status of 0 means that nobody answered.
    pub fn on_session_reply(
        &mut self,
        call: CallId,
        sent_at_ms: u64,
        status: u32,
        body: &[u8],
        now: Now,
    ) -> Vec<(RequestId, Step)> {
        let Some((name, waiting)) = self.session_calls.answered(call) else { return Vec::new() };
        let reply = (status == 200).then(|| serde_json::from_slice::<SessionReply>(body).ok()).flatten();
        let reply = reply.filter(|reply| reply.protocol == PROTOCOL);
        let asked_at_s = now.unix_s.saturating_sub(now.mono_ms.saturating_sub(sent_at_ms).div_ceil(1_000));
        let said = reply.and_then(|reply| {
            let as_new = self.shared.is_as_new(&reply.epoch, reply.version);
            let id = name.rsplit('/').next().unwrap_or_default();
            let standing = Standing::of(reply.standing, id, &self.digest_key, asked_at_s, now)?;
            Some((standing, as_new))
        });
        self.go_on_with(waiting, said.as_ref(), now)
    }

    /// Holds a request whose session nobody here knows.
    pub(super) fn hold_for_session(&mut self, id: RequestId, mut unproven: Unproven, now: Now) -> Step {
        let Some((host, session, ticket)) = unproven.open_session() else {
            return self.finish(id, Verdict::Refuse(Inability::Host.into(), unproven.pending), now);
        };
        let question = SessionQuestion {
            protocol: PROTOCOL,
            replica: self.shared.replica.id().clone(),
            host: host.to_owned(),
            id: session.to_owned(),
            ticket: ticket.cloned(),
        };
        // Both: a client that leaves frees its place among those that wait, but its callout goes on.
        let busy = self.unresolved.len().max(self.session_calls.in_flight());
        if busy >= unproven.pending.policy.mesh.max_checks {
            return self.finish(id, Verdict::Refuse(Inability::Overloaded.into(), unproven.pending), now);
        }
        unproven.pending.note.held_since(now);
        let trace = unproven.pending.trace.clone();
        self.unresolved.insert(id, unproven);
        if self.session_calls.wait(&name(&question), id) { Step::AskForSession(question, trace) } else { Step::Wait }
    }

    /// Takes those up again that waited. Whatever their rule says of sidecars that cannot be asked: nobody knows whose
    /// requests these are.
    fn go_on_with(
        &mut self,
        waiting: Vec<RequestId>,
        said: Option<&(Standing, bool)>,
        now: Now,
    ) -> Vec<(RequestId, Step)> {
        let go_on = |id: RequestId| {
            let unproven = self.unresolved.remove(&id)?;
            let verdict = match said {
                Some((standing, as_new)) => {
                    flow::with_session(unproven, standing.clone(), *as_new, &mut self.shared, now)
                }
                None => Verdict::Refuse(Inability::Unavailable.into(), unproven.pending),
            };
            Some((id, self.decide(id, verdict, now)))
        };
        waiting.into_iter().filter_map(go_on).collect()
    }
}

/// No id has a slash in it. What stands for a ticket is its digest: whoever shows another secret shares no answer.
fn name(question: &SessionQuestion) -> String {
    format!("{}/{}", question.host, question.id)
}
