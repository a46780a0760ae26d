//! What verified credentials are worth now: nothing if the denylist, or a sidecar, bars one of them.

use std::rc::Rc;

use sekisho_protocol::check::{CheckDecision, CheckReply, CheckRequest};
use sekisho_protocol::{Digest, PROTOCOL};

use super::{Ask, Checked, Flow, Verdict};
use crate::check::ShareKey;
use crate::denial::{Denial, Inability};
use crate::identity::{Caller, Verified};
use crate::live::Stream;
use crate::route::OnBan;
use crate::shared::Shared;
use crate::time::Now;
use crate::verify::budget::Allowance;

/// Decides about verified credentials, by the denylist alone if the replica is fresh.
pub(super) fn judge(mut flow: Flow, shared: &mut Shared, now: Now) -> Verdict {
    while let Some(verified) = flow.current() {
        match shared.replica.denylist().bar(&verified.identity, now.unix_s) {
            // A change that is acknowledged now could not reach what is let in now.
            _ if !shared.replica.is_known() && !flow.may_pass_unchecked() => {
                return flow.pending.refuse(Inability::Unavailable);
            }
            // A stale worker believes nothing that it was told earlier, and shares no answer: one to an earlier
            // request may be older than this one.
            _ if !shared.is_fresh(&flow.pending.policy, now) => return ask(flow, None, shared),
            Some(bar) => match shared.confirmed.get(bar, &verified.identity) {
                Some(reason) => {
                    let denial = Denial::of(reason, &verified.identity);
                    return flow.barred(denial);
                }
                None => return ask(flow, Some(bar), shared),
            },
            None => flow.next += 1,
        }
    }
    admit(flow, shared, now)
}

/// Decides once a sidecar was asked. The denylist is asked again: it may have changed meanwhile.
pub fn resume(flow: Flow, checked: Checked<'_>, shared: &mut Shared, now: Now) -> Verdict {
    // Rule E8: the key may have been withdrawn meanwhile, and whoever was answered may have known less than this
    // worker. The request's token is looked at anew when it comes again.
    if !flow.credentials().all(|verified| verified.key.is_believed(shared.replica.keysets())) {
        return flow.pending.refuse(Inability::Keys);
    }
    let denylist = shared.replica.denylist();
    let bar_of = |verified: &Rc<Verified>| denylist.bar(&verified.identity, now.unix_s);
    let is_fresh = shared.is_fresh(&flow.pending.policy, now);
    let may_pass = flow.may_pass_unchecked() && shared.may_pass_unchecked(&flow.pending.policy);
    // What passed before this one by the replica alone, of which nobody knows any more whether it tells the truth
    // (rule P7): changes count on this worker to check every request from then on.
    if flow.next > 0 && flow.asked_at.is_none() && !is_fresh && !may_pass {
        return flow.pending.refuse(Inability::Unconfirmed);
    }
    // What passed before this one was looked up may have been barred since. Who asks again is told the reason.
    if flow.credentials().take(flow.next).any(|verified| bar_of(verified).is_some()) {
        return flow.pending.refuse(Inability::Unconfirmed);
    }
    let Some(verified) = flow.current() else { return flow.pending.refuse(Inability::Host) };
    let bar = bar_of(verified);
    let reply = match checked {
        Checked::Answered(reply) => reply,
        // Rule P6: what the denylist bars is refused whatever `on_unavailable` says.
        Checked::Failed if bar.is_some() => return flow.pending.refuse(Inability::Unconfirmed),
        Checked::Failed if may_pass || is_fresh => return go_on(flow, None, shared, now),
        Checked::Failed => return flow.pending.refuse(Inability::Unavailable),
    };
    // Rule P5: an answer that is older than the replica decides nothing that the replica bars.
    let as_new = shared.is_as_new(&reply.epoch, reply.version);
    match (&reply.decision, bar) {
        (CheckDecision::Deny(reason), bar) => {
            if let Some(bar) = bar.filter(|_| as_new && is_fresh) {
                shared.confirmed.insert(bar, &verified.identity, reason.clone());
            }
            let denial = Denial::of(reason, &verified.identity);
            flow.barred(denial)
        }
        (CheckDecision::Allow, Some(_)) if !as_new => flow.pending.refuse(Inability::Unconfirmed),
        (CheckDecision::Allow, _) => go_on(flow, Some(reply), shared, now),
    }
}

/// The credential that was looked up bars nothing: on to the next.
fn go_on(mut flow: Flow, reply: Option<&CheckReply>, shared: &mut Shared, now: Now) -> Verdict {
    let looked_at = reply.map(|reply| (reply.epoch.clone(), reply.version));
    // Rule P5: what changed between two answers may be about the credential of the first.
    if flow.asked_at.is_some() && flow.asked_at != looked_at {
        return flow.pending.refuse(Inability::Unconfirmed);
    }
    flow.asked_at = looked_at;
    flow.next += 1;
    judge(flow, shared, now)
}

/// Asks a sidecar; `bar` is the hit that is to be confirmed, by one answer for all who ask for it.
fn ask(mut flow: Flow, bar: Option<Digest>, shared: &Shared) -> Verdict {
    let Some(verified) = flow.current() else { return flow.pending.refuse(Inability::Host) };
    let identity = &verified.identity;
    let request = CheckRequest {
        protocol: PROTOCOL,
        replica: shared.replica.id().clone(),
        route: flow.pending.route().name.to_string(),
        subject: identity.subject.clone(),
        method: identity.method,
        token_id: identity.token_id.clone(),
        issued_at: identity.issued_at,
        keys: verified.key.held(),
        recent_sign_in: identity.sign_in_digest.is_some(),
    };
    let share = bar.map(|bar| ShareKey::new(bar, identity));
    flow.pending.note.asks();
    Verdict::Ask(flow, Box::new(Ask { request, share }))
}

fn admit(flow: Flow, shared: &mut Shared, now: Now) -> Verdict {
    let Flow { mut pending, verified, facts, also, denied, upstream, payloads, .. } = flow;
    if let Some(denial) = denied {
        return pending.refuse(denial);
    }
    let policy = Rc::clone(&pending.policy);
    let Some(protected) = policy.routes.get(pending.route).protected() else {
        return pending.refuse(Inability::Host);
    };
    let per_second_ms = policy.verify_budget_ms;
    let mut allowance = Allowance { budget: &mut shared.budget, per_second_ms, now };
    let target = protected.target.as_ref();
    let assertion = match target.map(|target| verified.assertion(target, &mut allowance)).transpose() {
        Ok(assertion) => assertion,
        Err(inability) => return pending.refuse(inability),
    };
    shared.activity.admitted(&verified, now.unix_s);
    if pending.seen_from.is_some() {
        shared.activity.locate(&verified, || pending.seen_from);
    }
    let headers = Rc::clone(&protected.headers);
    pending.edits.caller = Some(Caller { verified: Rc::clone(&verified), facts, headers, assertion });
    pending.edits.upstream = upstream;
    pending.edits.set.extend(payloads);
    // What is let in by a rule that refuses nobody is not cut either.
    let is_cut = protected.on_ban == OnBan::Cut && !pending.is_shadow();
    let stream = is_cut.then(|| Stream { policy, route: pending.route, verified, also });
    Verdict::Allow(pending, stream)
}
