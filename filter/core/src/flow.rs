//! **Start here.** One request, from its headers to a decision:
//!
//! [`begin`] → route → strip → extract → verify ([`proof`]) → authorize, then [`judge`] → denylist → (check) → identity.
//!
//! A flow that must ask a sidecar ends in [`Verdict::Ask`] and is taken up again by [`resume`] when
//! the answer is there; one whose token was signed with a key that nobody here knows ends in
//! [`Verdict::AskForKeys`] and is taken up again by [`verify_again`]; one whose session nobody here knows in
//! [`Verdict::AskForSession`], and by [`with_session`]. Everything is a value: the worker keeps it, the shell carries it out.

mod judge;
mod pending;
mod proof;

use std::borrow::Cow;
use std::rc::Rc;

use sekisho_protocol::Epoch;
use sekisho_protocol::check::{CheckReply, CheckRequest};

use crate::authorize::facts::Facts;
use crate::authorize::{Subject, Unmet};
use crate::check::ShareKey;
use crate::config::Policy;
use crate::credential::places::{Places, take_away};
use crate::credential::{self, Credential, NoCredential, query};
use crate::cross_site;
use crate::denial::{Denial, Malformed, Refusal};
use crate::head::{self, Head, Pairs};
use crate::identity::{Header, Verified};
use crate::live::Stream;
use crate::route::target::Target;
use crate::route::{Access, OnUnavailable, Preflight, Protected, Route, RouteId};
use crate::session::Shown;
use crate::shared::Shared;
use crate::time::Now;
use crate::upstream::{self, UpstreamCredential};
pub use judge::resume;
pub use pending::{Cache, Note, Pending};
use proof::Claimed;
pub use proof::{Unproven, verify_again, with_session};

/// What is to be done with a request.
#[derive(Debug)]
pub enum Verdict {
    /// It passes, once its headers are edited. If a ban is to cut it, the stream is watched from now on.
    Allow(Pending, Option<Stream>),
    /// It does not pass, unless its rule only says so.
    Refuse(Refusal, Pending),
    /// A sidecar must be asked; the flow waits.
    Ask(Flow, Box<Ask>),
    /// The sidecars must be asked for keys first.
    AskForKeys(Box<Unproven>, Wanted),
    /// They must be asked for the session that it shows.
    AskForSession(Box<Unproven>),
}

/// Which keys are wanted.
#[derive(Debug)]
pub struct Wanted {
    /// Whose.
    pub source: Rc<str>,
    /// The `kid` that the set in force does not have, if that is why.
    pub kid: Option<String>,
}

/// A question to a sidecar.
#[derive(Debug)]
pub struct Ask {
    /// What to send.
    pub request: CheckRequest,
    /// Set if requests of the same credential may share the answer.
    pub share: Option<ShareKey>,
}

/// A request whose credentials were verified and whose decision is open.
#[derive(Debug)]
pub struct Flow {
    /// The request.
    pub pending: Pending,
    verified: Rc<Verified>,
    facts: Rc<Facts>,
    /// The credentials besides.
    also: Vec<Rc<Verified>>,
    /// Headers that tell the upstream what the tokens say.
    payloads: Vec<Header>,
    /// Up to which change sidecars had looked when they allowed an earlier credential.
    asked_at: Option<(Epoch, u64)>,
    /// Which credential is looked up next: the first, then those besides.
    next: usize,
    /// Why it does not pass, whatever its credentials are worth.
    denied: Option<Denial>,
    /// Set where the rule does without its session: what the rule requires and nobody has.
    as_nobody: Option<Result<(), Unmet>>,
    /// What its upstream is shown.
    upstream: Option<Rc<UpstreamCredential>>,
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
        self.pending.route().protected()
    }

    fn credentials(&self) -> impl Iterator<Item = &Rc<Verified>> {
        std::iter::once(&self.verified).chain(&self.also)
    }

    /// The credential that was looked up is barred. A session without which the request could pass is none.
    fn barred(self, denial: Denial) -> Verdict {
        match self.as_nobody {
            Some(as_nobody) if self.next == 0 => self.pending.pass_as_nobody(as_nobody),
            _ => self.pending.refuse(denial),
        }
    }

    /// The credential that is looked up next; none if all were.
    fn current(&self) -> Option<&Rc<Verified>> {
        if self.next == 0 { Some(&self.verified) } else { self.also.get(self.next - 1) }
    }
}

/// The rule for a request, as soon as it can be named: refusals take their shape from it.
///
/// # Errors
/// [`Malformed`] if the request has no host or no path that could be matched.
pub fn route<'a>(policy: &Policy, head: &Head<'a>) -> Result<(RouteId, Target<'a>), Malformed> {
    let target = Target::of(head, policy.routes.tolerated())?;
    let id = policy.routes.find(&target)?;
    Ok((id, target))
}

/// The request's target without the tokens in its query: what everybody else may see and log, whatever
/// becomes of the request. None if there are none.
#[must_use]
pub fn clean_target(policy: &Policy, head: &Head<'_>) -> Option<Vec<u8>> {
    if !policy.reads_queries {
        return None;
    }
    match route(policy, head) {
        Ok((id, _)) => query::without(head.path, policy.routes.get(id).parameters()),
        // Which rule this would have been under is not known: a refusal must not be logged with a token either.
        Err(_) => query::without(head.path, policy.routes.iter().flat_map(Route::parameters)),
    }
}

/// The names, among a request's trailers, that must not come from a client: trailers come when nobody asks
/// for the rule any more, so each rule's credentials count.
#[must_use]
pub fn forged_trailers<'a>(pairs: &Pairs<'a>, policy: &Policy) -> Vec<&'a [u8]> {
    head::forged_trailers(pairs, &policy.forgeable, policy.routes.iter().flat_map(Route::places))
}

/// Takes a new request as far as it goes without asking anybody.
pub fn begin(
    policy: &Rc<Policy>,
    id: RouteId,
    head: &Head<'_>,
    target: &Target<'_>,
    shared: &mut Shared,
    now: Now,
) -> Verdict {
    let mut pending = Pending::of(policy, id, head, target);
    let route = policy.routes.get(id);
    let own = policy.own_cookies(id);
    if let Some(protected) = route.protected() {
        upstream::strip(&protected.credentials, head, &mut pending.edits);
    }
    let address = || pending::address_of(policy, head);
    let subject = Subject {
        identity: None,
        facts: None,
        address: &address,
        path: &target.path,
        others: target.others(),
        now_s: now.unix_s,
    };
    // A client at the wrong place or time costs no signature.
    if let Some(unmet) = route.require.as_ref().filter(|_| route.looks_around).and_then(|r| r.ruled_out(&subject)) {
        return pending.refuse(Denial::Unmet(unmet));
    }
    if route.preflight == Preflight::Pass && head.is_preflight() {
        // None carries a credential; what looks like one is not for whoever answers.
        take_away(route, own, &|_| false, head, &mut pending.edits);
        return Verdict::Allow(pending, None);
    }
    let (protected, is_optional) = match &route.access {
        Access::Deny => return pending.refuse(Denial::Closed),
        Access::Public => return anonymous(pending, route, &subject),
        Access::Optional(protected) => (protected, true),
        Access::Protected(protected) => (protected, false),
    };
    let sessions = match Shown::of(policy, protected, head, &target.host, shared, now) {
        Ok(sessions) => sessions,
        Err(none) => return pending.refuse(none),
    };
    let token = match credential::extract(&protected.places, head) {
        Ok(Credential::Token(token)) => Some(token),
        Err(NoCredential::Missing | NoCredential::Foreign) if sessions.is_any() || is_optional => None,
        Err(none) => return pending.refuse(none),
    };
    let does_without = is_optional && token.is_none();
    if does_without {
        // What has another scheme is the upstream's; what only looks like a place of ours is nobody's.
        let is_first = |places: &Places| std::ptr::eq(places, &*protected.places);
        let mut edits = pending.edits.clone();
        take_away(route, own, &is_first, head, &mut edits);
        pending.edits_of_nobody = Some(edits.into());
        if !sessions.is_any() {
            return anonymous(pending, route, &subject);
        }
    }
    take_away(route, own, &|places| places.forward, head, &mut pending.edits);
    let (also, lacks) = match besides(protected, head) {
        Ok(also) => (also, None),
        // Whoever turns out to have no session needs nothing beside it either.
        Err(none) if does_without => (Vec::new(), Some(none)),
        Err(none) => return pending.refuse(none),
    };
    let is_forged = may_be_forged(head, target, protected, token.as_deref(), sessions.is_any());
    let claimed = Claimed { token, sessions, also, lacks, is_forged };
    let verdict = proof::prove(pending, claimed, &subject, shared, now);
    remembered(verdict, policy, head, shared)
}

/// Whether a page of another site may have led a browser to send all that lets this request in. A token in a cookie is sent
/// like a session, and across sites where that is not.
fn may_be_forged(
    head: &Head<'_>,
    target: &Target<'_>,
    protected: &Protected,
    token: Option<&[u8]>,
    shows_session: bool,
) -> bool {
    let is_a_browsers = |token| credential::is_in_cookies_alone(token, &protected.places, head);
    protected.accepts_sessions
        && cross_site::may_be_forged(head, &target.host, &protected.trusted_origins)
        && token.map_or(shows_session, is_a_browsers)
}

/// The same, with what is worth knowing of the request's headers: they are gone once somebody was asked.
fn remembered(mut verdict: Verdict, policy: &Policy, head: &Head<'_>, shared: &mut Shared) -> Verdict {
    match &mut verdict {
        Verdict::Ask(flow, _) => flow.pending.remember(head),
        Verdict::AskForKeys(unproven, _) | Verdict::AskForSession(unproven) => unproven.pending.remember(head),
        Verdict::Allow(pending, _) => {
            if let Some(caller) = &pending.edits.caller {
                shared.activity.locate(&caller.verified, || pending::seen_from(policy, head));
            }
        }
        Verdict::Refuse(Refusal::Denied(Denial::SessionBanned { .. } | Denial::SessionEnded), pending) => {
            pending.remember_reader(head);
        }
        Verdict::Refuse(..) => {}
    }
    verdict
}

/// Decides about a request that shows no credential and needs none.
fn anonymous(pending: Pending, route: &Route, subject: &Subject<'_>) -> Verdict {
    pending.pass_as_nobody(nobodys(route, subject))
}

/// Whether a rule is met by nobody in particular.
fn nobodys(route: &Route, subject: &Subject<'_>) -> Result<(), Unmet> {
    let nothing = Facts::default();
    let subject = Subject { identity: None, facts: Some(&nothing), ..*subject };
    route.require.as_ref().map_or(Ok(()), |require| require.check(&subject))
}

/// The tokens that a rule wants to see beside the first, all of them.
fn besides<'a>(protected: &Protected, head: &Head<'a>) -> Result<Vec<Cow<'a, [u8]>>, NoCredential> {
    let mut tokens = Vec::new();
    for also in &protected.also {
        let Credential::Token(token) = credential::extract(&also.places, head)?;
        tokens.push(token);
    }
    Ok(tokens)
}
