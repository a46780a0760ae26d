//! **Start here.** One request, from its headers to a decision:
//!
//! [`begin`] → route → strip → extract → verify, then [`judge`] → denylist → (check) → identity.
//!
//! A flow that must ask a sidecar ends in [`Verdict::Ask`] and is taken up again by [`resume`] when
//! the answer is there; one whose token was signed with a key that nobody here knows ends in
//! [`Verdict::AskForKeys`] and is taken up again by [`verify_again`]. Everything is a value: the worker keeps it, the shell carries it out.

use std::borrow::Cow;
use std::rc::Rc;

use sekisho_protocol::check::{CheckDecision, CheckReply, CheckRequest};
use sekisho_protocol::{Digest, PROTOCOL};

use crate::check::ShareKey;
use crate::config::{HostUse, Policy};
use crate::credential::{self, Credential, NoCredential, query};
use crate::denial::{Denial, Inability, Malformed};
use crate::head::{self, Head, Pairs};
use crate::identity::{Caller, Edits, Verified};
use crate::live::Stream;
use crate::path;
use crate::route::{Access, OnBan, OnUnavailable, Protected, Route, RouteId};
use crate::shared::Shared;
use crate::time::Now;
use crate::verify::crypto::Crypto;
use crate::verify::host::HostAbility;
use crate::verify::{self, Context, Unverified, Verification};

/// What is to be done with a request.
#[derive(Debug)]
pub enum Verdict {
    /// It passes, with these edits made first. If a ban is to cut it, the stream is watched from now on.
    Allow(Edits, Option<Stream>),
    /// It is refused.
    Deny(Denial),
    /// Nobody can tell.
    CannotTell(Inability),
    /// It is no proper request.
    Reject(Malformed),
    /// A sidecar must be asked; the flow waits.
    Ask(Flow, Box<Ask>),
    /// The sidecars must be asked for keys first.
    AskForKeys(Box<Unproven>, Wanted),
}

/// Which keys are wanted.
#[derive(Debug)]
pub struct Wanted {
    /// Whose.
    pub source: Rc<str>,
    /// The `kid` that the set in force does not have, if that is why.
    pub kid: Option<String>,
}

/// A request whose token waits for the key that verifies it.
#[derive(Debug)]
pub struct Unproven {
    /// Under which policy it began.
    pub policy: Rc<Policy>,
    /// Its rule.
    pub route: RouteId,
    token: Vec<u8>,
    edits: Edits,
    questions: u8,
}

/// How often keys are asked for because of one request: for a newer set, for a newer one still, for its `kid`.
const QUESTIONS_MAX: u8 = 3;

/// A question to a sidecar.
#[derive(Debug)]
pub struct Ask {
    /// What to send.
    pub request: CheckRequest,
    /// Set if requests of the same credential may share the answer.
    pub share: Option<ShareKey>,
}

/// A request whose credential was verified and whose decision is open.
#[derive(Debug)]
pub struct Flow {
    /// Under which policy it began; a configuration push does not change the rules of a request.
    pub policy: Rc<Policy>,
    /// Its rule.
    pub route: RouteId,
    verified: Rc<Verified>,
    edits: Edits,
}

/// How a check ended.
#[derive(Debug, Clone, Copy)]
pub enum Checked<'a> {
    /// A sidecar decided.
    Answered(&'a CheckReply),
    /// No sidecar could.
    Failed,
}

impl Flow {
    /// Whether the rule's operator chose availability over revocation.
    fn may_pass_unchecked(&self) -> bool {
        self.protected().is_some_and(|protected| protected.on_unavailable == OnUnavailable::Allow)
    }

    fn protected(&self) -> Option<&Protected> {
        match &self.policy.routes.get(self.route).access {
            Access::Protected(protected) => Some(protected),
            Access::Public => None,
        }
    }
}

/// The rule for a request, as soon as it can be named: refusals take their shape from it.
///
/// # Errors
/// [`Malformed`] if the request has no host or no path that could be matched.
pub fn route(policy: &Policy, head: &Head<'_>) -> Result<RouteId, Malformed> {
    if head.path.is_empty() || head.method.eq_ignore_ascii_case(b"CONNECT") {
        return Err(Malformed::Target);
    }
    let path = path::normal_path(head.path).map_err(Malformed::Path)?;
    // What is no host could still reach a rule for every host, and an upstream that reads it as one.
    let host = path::normal_host(head.authority).ok_or(Malformed::Target)?;
    Ok(policy.routes.find(&host, path))
}

/// The request's target without the tokens in its query: what everybody else may see and log, whatever
/// becomes of the request. None if there are none.
#[must_use]
pub fn clean_target(policy: &Policy, head: &Head<'_>) -> Option<Vec<u8>> {
    if !policy.reads_queries {
        return None;
    }
    match route(policy, head) {
        Ok(id) => query::without(head.path, policy.routes.get(id).parameters()),
        // Which rule this would have been under is not known: a refusal must not be logged with a token either.
        Err(_) => query::without(head.path, policy.routes.iter().flat_map(Route::parameters)),
    }
}

/// The names, among a request's trailers, that must not come from a client: trailers come when nobody asks
/// for the rule any more, so each rule's credentials count.
#[must_use]
pub fn forged_trailers<'a>(pairs: &Pairs<'a>, policy: &Policy) -> Vec<&'a [u8]> {
    head::forged_trailers(pairs, &policy.forgeable, policy.routes.iter().filter_map(Route::places))
}

/// Takes a new request as far as it goes without asking anybody.
pub fn begin(policy: &Rc<Policy>, id: RouteId, head: &Head<'_>, shared: &mut Shared, now: Now) -> Verdict {
    let mut edits = strip(head);
    let Access::Protected(Protected { places, .. }) = &policy.routes.get(id).access else {
        return Verdict::Allow(edits, None);
    };
    let token = match credential::extract(places, head) {
        Ok(Credential::Token(token)) => token,
        Err(none) => return no_credential(none),
    };
    places.edit(head, &token, &mut edits);
    if let Some(verified) = known(&token, policy, shared, now) {
        return judge(Flow { policy: Rc::clone(policy), route: id, verified, edits }, shared, now);
    }
    if let Err(none) = credential::check_shape(&token) {
        return no_credential(none);
    }
    match verify(&token, policy, shared, now) {
        Ok(verified) => judge(Flow { policy: Rc::clone(policy), route: id, verified, edits }, shared, now),
        Err(unverified) => {
            let token = || token.into_owned();
            let unproven = || Unproven { policy: Rc::clone(policy), route: id, token: token(), edits, questions: 0 };
            not_verified(unverified, unproven)
        }
    }
}

fn no_credential(none: NoCredential) -> Verdict {
    match none {
        NoCredential::Missing => Verdict::Deny(Denial::Missing),
        NoCredential::NotBearer => Verdict::Deny(Denial::NotBearer),
        NoCredential::Invalid(invalid) => Verdict::Deny(Denial::Invalid(invalid)),
        NoCredential::Malformed(malformed) => Verdict::Reject(malformed),
    }
}

/// Verifies a token that waited for keys. Another request may have shown it meanwhile, and waited no longer.
pub fn verify_again(unproven: Unproven, shared: &mut Shared, now: Now) -> Verdict {
    let known = known(&unproven.token, &unproven.policy, shared, now);
    match known.map_or_else(|| verify(&unproven.token, &unproven.policy, shared, now), Ok) {
        Ok(verified) => {
            let Unproven { policy, route, edits, .. } = unproven;
            judge(Flow { policy, route, verified, edits }, shared, now)
        }
        Err(unverified) => not_verified(unverified, || unproven),
    }
}

fn not_verified(unverified: Unverified, unproven: impl FnOnce() -> Unproven) -> Verdict {
    match unverified {
        Unverified::Invalid(invalid) => Verdict::Deny(Denial::Invalid(invalid)),
        Unverified::KeysUnavailable => Verdict::CannotTell(Inability::Keys),
        Unverified::Busy => Verdict::CannotTell(Inability::Busy),
        Unverified::NeedsKeys { source, kid } => {
            let mut unproven = unproven();
            unproven.questions += 1;
            if unproven.questions > QUESTIONS_MAX {
                return Verdict::CannotTell(Inability::Keys);
            }
            Verdict::AskForKeys(Box::new(unproven), Wanted { source, kid })
        }
    }
}

/// Decides about a verified credential, by the denylist alone if the replica is fresh.
fn judge(flow: Flow, shared: &mut Shared, now: Now) -> Verdict {
    match shared.replica.denylist().bar(&flow.verified.identity, now.unix_s) {
        // A change that is acknowledged now could not reach what is let in now.
        _ if !shared.replica.is_known() && !flow.may_pass_unchecked() => Verdict::CannotTell(Inability::Unavailable),
        // A stale worker believes nothing that it was told earlier, and shares no answer: one to an earlier
        // request may be older than this one.
        _ if !shared.is_fresh(&flow.policy, now) => ask(flow, None, shared),
        Some(bar) => match shared.confirmed.get(bar, &flow.verified.identity) {
            Some(reason) => Verdict::Deny(reason.clone().into()),
            None => ask(flow, Some(bar), shared),
        },
        None => admit(flow, shared, now),
    }
}

/// Decides once a sidecar was asked. The denylist is asked again: it may have changed meanwhile.
pub fn resume(flow: Flow, checked: Checked<'_>, shared: &mut Shared, now: Now) -> Verdict {
    // Rule E8: the key may have been withdrawn meanwhile, and whoever was answered may have known less than this
    // worker. The request's token is looked at anew when it comes again.
    if !flow.verified.key.is_believed(shared.replica.keysets()) {
        return Verdict::CannotTell(Inability::Keys);
    }
    let bar = shared.replica.denylist().bar(&flow.verified.identity, now.unix_s);
    let reply = match checked {
        Checked::Answered(reply) => reply,
        // Rule P6: what the denylist bars is refused whatever `on_unavailable` says.
        Checked::Failed if bar.is_some() => return Verdict::CannotTell(Inability::Unconfirmed),
        Checked::Failed if shared.is_fresh(&flow.policy, now) => return admit(flow, shared, now),
        Checked::Failed => {
            if flow.may_pass_unchecked() && shared.may_pass_unchecked(&flow.policy) {
                return admit(flow, shared, now);
            }
            return Verdict::CannotTell(Inability::Unavailable);
        }
    };
    // Rule P5: an answer that is older than the replica decides nothing that the replica bars.
    let as_new = shared
        .replica
        .position()
        .is_some_and(|position| reply.epoch == position.epoch && reply.version >= position.version);
    match (&reply.decision, bar) {
        (CheckDecision::Deny(reason), bar) => {
            if let Some(bar) = bar.filter(|_| as_new && shared.is_fresh(&flow.policy, now)) {
                shared.confirmed.insert(bar, &flow.verified.identity, reason.clone());
            }
            Verdict::Deny(reason.clone().into())
        }
        (CheckDecision::Allow, Some(_)) if !as_new => Verdict::CannotTell(Inability::Unconfirmed),
        (CheckDecision::Allow, _) => admit(flow, shared, now),
    }
}

/// Rule E1: what a client could have forged goes, on public routes, too.
fn strip(head: &Head<'_>) -> Edits {
    let mut edits =
        Edits { remove: head.forged.iter().map(|name| Cow::Owned(name.to_vec())).collect(), ..Edits::default() };
    if head.upgrade_nominates {
        edits.set.push(("connection".into(), "Upgrade".into()));
    }
    edits
}

/// What is known of a token that was verified before.
fn known(token: &[u8], policy: &Policy, shared: &mut Shared, now: Now) -> Option<Rc<Verified>> {
    shared.tokens.get(token, policy.key_set, shared.replica.keysets(), now.unix_s)
}

fn verify(token: &[u8], policy: &Policy, shared: &mut Shared, now: Now) -> Result<Rc<Verified>, Unverified> {
    let announced = shared.replica.keysets();
    let ability = if policy.host_crypto == HostUse::Never { HostAbility::NONE } else { shared.ability };
    let mut context = Context {
        providers: &policy.providers,
        sources: &shared.sources,
        announced,
        crypto: Crypto {
            host: &*shared.host,
            ability,
            budget: &mut shared.budget,
            budget_ms: policy.verify_budget_ms,
            count: &mut shared.verifications,
        },
        digest_key: &policy.mesh.digest_key,
        now,
    };
    let Verification { identity, key } = verify::verify(token, &mut context)?;
    let verified = Verified::new(identity, key);
    shared.tokens.insert(token, &verified, policy.key_set, now.unix_s);
    Ok(verified)
}

/// Asks a sidecar; `bar` is the hit that is to be confirmed, by one answer for all who ask for it.
fn ask(flow: Flow, bar: Option<Digest>, shared: &Shared) -> Verdict {
    let identity = &flow.verified.identity;
    let request = CheckRequest {
        protocol: PROTOCOL,
        replica: shared.replica.id().clone(),
        route: flow.policy.routes.get(flow.route).name.clone(),
        subject: identity.subject.clone(),
        token_id: identity.token_id.clone(),
        issued_at: identity.issued_at,
        keys: flow.verified.key.held(),
    };
    let share = bar.map(|bar| ShareKey::new(bar, identity));
    Verdict::Ask(flow, Box::new(Ask { request, share }))
}

fn admit(mut flow: Flow, shared: &mut Shared, now: Now) -> Verdict {
    let target = flow.protected().and_then(|protected| protected.target.as_ref());
    let assertion = match target.map(|target| flow.verified.assertion(target, now.unix_s)) {
        Some(None) => return Verdict::CannotTell(Inability::Host),
        Some(assertion) => assertion,
        None => None,
    };
    flow.edits.caller = Some(Caller { verified: Rc::clone(&flow.verified), assertion });
    shared.activity.admitted(&flow.verified, now.unix_s);
    let is_cut = flow.protected().is_none_or(|protected| protected.on_ban == OnBan::Cut);
    let Flow { policy, route, verified, edits } = flow;
    Verdict::Allow(edits, is_cut.then_some(Stream { policy, route, verified }))
}
