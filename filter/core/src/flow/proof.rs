//! Whether what a request shows is valid: each credential in turn, and what to do while a key is missing.

use std::borrow::Cow;
use std::rc::Rc;

use sekisho_protocol::session::Ticket;

use super::judge::judge;
use super::pending::{Cache, Pending, Place};
use super::{Flow, Verdict, Wanted, anonymous, nobodys};
use crate::authorize::Subject;
use crate::config::{HostUse, Policy};
use crate::credential::{self, NoCredential};
use crate::denial::{Denial, Inability, Malformed, Refusal};
use crate::identity::Verified;
use crate::route::{Access, Protected};
use crate::session::{Shown, Standing, Worth};
use crate::shared::Shared;
use crate::time::Now;
use crate::upstream::{self, UpstreamCredential};
use crate::verify::crypto::Crypto;
use crate::verify::host::HostAbility;
use crate::verify::{self, Context, Unverified, Verification};

/// What a request shows, not verified yet.
#[derive(Debug)]
pub(super) struct Claimed<'a> {
    /// Whose request it claims to be.
    pub(super) token: Option<Cow<'a, [u8]>>,
    /// And those that a browser shows without being asked.
    pub(super) sessions: Shown,
    /// What its rule wants to see besides, in the rule's order.
    pub(super) also: Vec<Cow<'a, [u8]>>,
    /// Why that is not all there, if it makes no difference where the session turns out to be none.
    pub(super) lacks: Option<NoCredential>,
    /// A browser shows all of it by itself, perhaps for a page of another site.
    pub(super) is_forged: bool,
}

/// A request that waits for the key of one of its tokens, or for what its session is worth.
#[derive(Debug)]
pub struct Unproven {
    /// The request.
    pub pending: Pending,
    claimed: Claimed<'static>,
    place: Place,
    asked: u8,
}

/// How often keys are asked for because of one request: for a newer set, for a newer one still, for its `kid`.
const QUESTIONS_MAX: u8 = 3;

/// Why a request is not proven.
enum Unshown {
    Unverified(Unverified),
    Refused(Refusal),
    /// Sidecars must be asked for the session.
    Unresolved,
    /// It shows a session alone, and that is worth nothing.
    Worthless(Denial),
}

impl Claimed<'_> {
    fn into_owned(self) -> Claimed<'static> {
        let own = |token: Cow<'_, [u8]>| Cow::Owned(token.into_owned());
        let also = self.also.into_iter().map(own).collect();
        Claimed {
            token: self.token.map(own),
            sessions: self.sessions,
            also,
            lacks: self.lacks,
            is_forged: self.is_forged,
        }
    }
}

/// Verifies what a request shows, and goes on with the decision.
pub(super) fn prove(
    mut pending: Pending,
    claimed: Claimed<'_>,
    subject: &Subject<'_>,
    shared: &mut Shared,
    now: Now,
) -> Verdict {
    let policy = Rc::clone(&pending.policy);
    let route = policy.routes.get(pending.route);
    let Some(protected) = route.protected() else {
        return pending.refuse(Inability::Host);
    };
    let does_without = matches!(route.access, Access::Optional(_)) && claimed.token.is_none();
    match show(protected, &claimed, &mut pending, shared, now) {
        Ok((verified, also)) => {
            let as_nobody = does_without.then(|| nobodys(route, subject));
            let token = verified.claims().or(claimed.token.as_deref()).unwrap_or_default();
            let facts = verified.facts(&policy.questions, token);
            let subject = Subject { identity: Some(&verified.identity), facts: Some(&facts), ..*subject };
            let (denied, upstream) = authorize(&policy, &pending, protected, &subject, claimed.is_forged);
            let places = protected.also.iter().map(|also| &also.places).zip(claimed.also.iter().map(|token| &**token));
            let shown = std::iter::once((&*protected.places, token)).chain(places);
            let payloads = shown.filter_map(|(places, token)| places.payload(token)).collect();
            let flow =
                Flow { pending, verified, facts, also, payloads, asked_at: None, next: 0, denied, as_nobody, upstream };
            judge(flow, shared, now)
        }
        Err(Unshown::Refused(refusal)) => pending.refuse(refusal),
        // To send whoever shows a session that is over to sign in would lead nowhere on the rule of the sign-in itself.
        Err(Unshown::Worthless(_)) if does_without => anonymous(pending, route, subject),
        Err(Unshown::Worthless(denial)) => pending.refuse(denial),
        Err(Unshown::Unresolved) => {
            pending.note.asks();
            Verdict::AskForSession(Box::new(wait(pending, claimed, subject)))
        }
        Err(Unshown::Unverified(unverified)) => {
            not_verified(unverified, pending, |pending| wait(pending, claimed, subject))
        }
    }
}

fn wait(pending: Pending, claimed: Claimed<'_>, subject: &Subject<'_>) -> Unproven {
    let place = Place { address: (subject.address)(), path: subject.path.to_owned(), others: subject.others.to_vec() };
    Unproven { pending, claimed: claimed.into_owned(), place, asked: 0 }
}

impl Unproven {
    /// Host, id and ticket of the session for which sidecars must be asked.
    #[must_use]
    pub fn open_session(&self) -> Option<(&str, &str, Option<&Ticket>)> {
        self.claimed.sessions.open()
    }
}

/// Goes on with a request now that a sidecar said what its session is worth. What is older than the replica, or told to
/// a stale worker, decides about this request alone, and only as far as the denylist and checks let it (rule P5).
pub fn with_session(
    mut unproven: Unproven,
    standing: Standing,
    as_new: bool,
    shared: &mut Shared,
    now: Now,
) -> Verdict {
    let keeps = as_new && shared.is_fresh(&unproven.pending.policy, now);
    unproven.claimed.sessions.resolve(standing, keeps, shared, now);
    verify_again(unproven, shared, now)
}

/// Verifies a token that waited for keys. Another request may have shown it meanwhile, and waited no longer.
pub fn verify_again(unproven: Unproven, shared: &mut Shared, now: Now) -> Verdict {
    let Unproven { pending, claimed, place, asked } = unproven;
    let subject = Subject {
        identity: None,
        facts: None,
        address: &|| place.address,
        path: &place.path,
        others: &place.others,
        now_s: now.unix_s,
    };
    match prove(pending, claimed, &subject, shared, now) {
        Verdict::AskForKeys(mut unproven, wanted) => {
            unproven.asked += asked;
            if unproven.asked > QUESTIONS_MAX {
                return unproven.pending.refuse(Inability::Keys);
            }
            Verdict::AskForKeys(unproven, wanted)
        }
        Verdict::AskForSession(mut unproven) => {
            unproven.asked = asked;
            Verdict::AskForSession(unproven)
        }
        verdict => verdict,
    }
}

fn not_verified(unverified: Unverified, mut pending: Pending, wait: impl FnOnce(Pending) -> Unproven) -> Verdict {
    match unverified {
        Unverified::Invalid(invalid) => pending.refuse(Denial::Invalid(invalid)),
        Unverified::KeysUnavailable => pending.refuse(Inability::Keys),
        Unverified::Busy => pending.refuse(Inability::Busy),
        Unverified::NeedsKeys { source, kid } => {
            pending.note.asks();
            let mut unproven = wait(pending);
            unproven.asked += 1;
            Verdict::AskForKeys(Box::new(unproven), Wanted { source, kid })
        }
    }
}

/// Each credential, verified.
fn show(
    protected: &Protected,
    claimed: &Claimed<'_>,
    pending: &mut Pending,
    shared: &mut Shared,
    now: Now,
) -> Result<(Rc<Verified>, Vec<Rc<Verified>>), Unshown> {
    let policy = Rc::clone(&pending.policy);
    let (verified, cache) = first(claimed, &policy, shared, now).inspect_err(|_| {
        pending.note.cache = Cache::Miss;
    })?;
    pending.note.cache = cache;
    if let Some(none) = &claimed.lacks {
        return Err(Unshown::Refused(none.clone().into()));
    }
    pending.note.provider = Some(Rc::clone(&verified.identity.provider));
    pending.note.method = verified.identity.method;
    let is_accepted = |names: &Vec<String>| names.iter().any(|name| **name == *verified.identity.provider);
    if claimed.token.is_some() && !protected.providers.as_ref().is_none_or(is_accepted) {
        return Err(Unshown::Refused(Denial::NotAccepted.into()));
    }
    let mut also = Vec::new();
    for (token, wanted) in claimed.also.iter().zip(&protected.also) {
        let (second, _) = known_or_verified(token, &policy, shared, now)?;
        if *second.identity.provider != *wanted.provider {
            return Err(Unshown::Refused(Denial::NotAccepted.into()));
        }
        also.push(second);
    }
    Ok((verified, also))
}

/// Whose request it is. Beside a token a session proves nothing, but one that holds must be of the same subject
/// (rule E4).
fn first(
    claimed: &Claimed<'_>,
    policy: &Policy,
    shared: &mut Shared,
    now: Now,
) -> Result<(Rc<Verified>, Cache), Unshown> {
    let token = claimed.token.as_ref().map(|token| known_or_verified(token, policy, shared, now)).transpose()?;
    let several = || Err(Unshown::Refused(Refusal::Malformed(Malformed::SeveralCredentials)));
    let denylist = shared.replica.denylist();
    let is_barred = |verified: &Verified| denylist.bar(&verified.identity, now.unix_s).is_some();
    match (token, claimed.sessions.worth(&is_barred)) {
        (_, Worth::Open) => Err(Unshown::Unresolved),
        (_, Worth::OfTwo) => several(),
        (Some((verified, _)), Worth::Live(other, _))
            if other.identity.subject != verified.identity.subject && !is_barred(other) =>
        {
            several()
        }
        (Some(verified), _) => Ok(verified),
        (None, Worth::Live(verified, cache)) => Ok((Rc::clone(verified), cache)),
        (None, Worth::Nothing(Some(Standing::Banned { until, email }))) => {
            Err(Unshown::Worthless(Denial::SessionBanned { until: *until, email: email.clone() }))
        }
        (None, Worth::Nothing(Some(Standing::Ended))) => Err(Unshown::Worthless(Denial::SessionEnded)),
        (None, Worth::Nothing(_)) => Err(Unshown::Worthless(Denial::Missing)),
    }
}

/// Why the request does not pass, whatever its credentials are worth, and what the upstream is to be shown. Judged before anybody is asked,
/// said only after nothing bars the caller: somebody banned is to hear that, and not which scope is missing.
fn authorize(
    policy: &Policy,
    pending: &Pending,
    protected: &Protected,
    subject: &Subject<'_>,
    is_forged: bool,
) -> (Option<Denial>, Option<Rc<UpstreamCredential>>) {
    if is_forged {
        return (Some(Denial::CrossSite), None);
    }
    let require = policy.routes.get(pending.route).require.as_ref();
    match require.and_then(|require| require.check(subject).err()) {
        Some(unmet) => (Some(Denial::Unmet(unmet)), None),
        None => (None, upstream::choose(&protected.credentials, subject)),
    }
}

fn known_or_verified(
    token: &[u8],
    policy: &Policy,
    shared: &mut Shared,
    now: Now,
) -> Result<(Rc<Verified>, Cache), Unshown> {
    if let Some(known) = shared.tokens.get(token, policy.key_set, shared.replica.keysets(), now.unix_s) {
        return Ok((known, Cache::Hit));
    }
    credential::check_shape(token).map_err(|none| Unshown::Refused(none.into()))?;
    verify(token, policy, shared, now).map(|verified| (verified, Cache::Miss)).map_err(Unshown::Unverified)
}

fn verify(token: &[u8], policy: &Policy, shared: &mut Shared, now: Now) -> Result<Rc<Verified>, Unverified> {
    #[cfg(feature = "offline")]
    if shared.trusts_tokens {
        return verify_by(verify::believe, token, policy, shared, now);
    }
    verify_by(verify::verify, token, policy, shared, now)
}

fn verify_by(
    judge: fn(&[u8], &mut Context<'_>) -> Result<Verification, Unverified>,
    token: &[u8],
    policy: &Policy,
    shared: &mut Shared,
    now: Now,
) -> Result<Rc<Verified>, Unverified> {
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
    let Verification { identity, key } = judge(token, &mut context)?;
    let verified = Verified::new(identity, key);
    shared.tokens.insert(token, &verified, policy.key_set, now.unix_s);
    Ok(verified)
}
