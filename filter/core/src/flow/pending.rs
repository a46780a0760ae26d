//! What is remembered of a request while it is decided, for whichever end it comes to.

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;

use sekisho_protocol::activity::Method;

use crate::answer::language::Language;
use crate::answer::{Answers, navigation};
use crate::authorize::Unmet;
use crate::authorize::address::{self, AddressSource};
use crate::config::Policy;
use crate::credential::places::take_cookies;
use crate::credential::query;
use crate::denial::{Denial, Refusal};
use crate::head::Head;
use crate::identity::Edits;
use crate::route::target::Target;
use crate::route::{Mode, Route, RouteId};
use crate::time::Now;
use crate::trace::{self, Trace};

use super::Verdict;

/// A request that is being decided.
#[derive(Debug)]
pub struct Pending {
    /// Under which policy it began; a configuration push does not change the rules of a request.
    pub policy: Rc<Policy>,
    /// Its rule.
    pub route: RouteId,
    /// What becomes of its headers, whatever is decided.
    pub edits: Edits,
    /// The same if it turns out that it shows nothing that counts, where that makes a difference.
    pub(super) edits_of_nobody: Option<Box<Edits>>,
    /// Where a browser is sent that must sign in first.
    pub sign_in: Option<String>,
    /// In which language its answer is read, if a browser shows it, once somebody must be asked or it is refused.
    pub page: Option<Language>,
    /// The trace that it belongs to, once somebody must be asked.
    pub trace: Option<Trace>,
    /// Where it comes from, as far as that is known, once somebody must be asked.
    pub(super) seen_from: Option<IpAddr>,
    /// What the decision was made of.
    pub note: Note,
}

/// What a decision was made of, for metrics and for whoever asks why.
#[derive(Debug, Default, Clone)]
pub struct Note {
    /// The provider of the credential, once that was verified.
    pub provider: Option<Rc<str>>,
    /// What it is.
    pub method: Method,
    /// Whether the credential had been verified before.
    pub cache: Cache,
    /// How often sidecars were asked.
    pub questions: u8,
    /// Whether whoever sent the request may know why it is decided as it is.
    pub explain: bool,
    /// By the monotonic clock: since when it waits for an answer; none if nobody had to be asked.
    pub held_since_ms: Option<u64>,
}

impl Note {
    /// Sidecars are asked once more.
    pub(super) fn asks(&mut self) {
        self.questions = self.questions.saturating_add(1);
    }

    /// It waits from now on, unless it waited before.
    pub(crate) fn held_since(&mut self, now: Now) {
        self.held_since_ms.get_or_insert(now.mono_ms);
    }
}

/// Whether a credential was found in the cache.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cache {
    /// No credential was looked for.
    #[default]
    None,
    /// It had been verified before.
    Hit,
    /// It was verified now, or could not be.
    Miss,
}

/// Where a request comes from and goes to, for rules that ask.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) address: Option<IpAddr>,
    pub(super) path: String,
    pub(super) others: Vec<String>,
}

impl Pending {
    /// A request that begins.
    pub(super) fn of(policy: &Rc<Policy>, route: RouteId, head: &Head<'_>, target: &Target<'_>) -> Self {
        let sign_in = policy.routes.get(route).answers.sign_in.as_ref();
        let sign_in = sign_in.and_then(|page| {
            let clean = query::without(head.path, policy.routes.get(route).parameters());
            navigation::sign_in(page, head, &target.host, clean.as_deref().unwrap_or(head.path))
        });
        let note = Note { explain: policy.may_explain(head), ..Note::default() };
        Self {
            policy: Rc::clone(policy),
            route,
            edits: stripped(policy, route, head),
            edits_of_nobody: None,
            sign_in,
            page: None,
            trace: None,
            seen_from: None,
            note,
        }
    }

    /// A request for which no rule could be looked for.
    pub(crate) fn of_nobody(policy: &Rc<Policy>, head: &Head<'_>) -> Self {
        let note = Note { explain: policy.may_explain(head), ..Note::default() };
        let edits = stripped(policy, RouteId::NONE, head);
        Self {
            policy: Rc::clone(policy),
            route: RouteId::NONE,
            edits,
            edits_of_nobody: None,
            sign_in: None,
            page: None,
            trace: None,
            seen_from: None,
            note,
        }
    }

    /// Keeps what is worth knowing of its headers: they are gone once it is decided.
    pub(super) fn remember(&mut self, head: &Head<'_>) {
        self.trace = Some(trace::of(head));
        self.seen_from = seen_from(&self.policy, head);
        self.remember_reader(head);
    }

    /// Keeps who would read an answer.
    pub(super) fn remember_reader(&mut self, head: &Head<'_>) {
        self.page = navigation::reader(head);
    }

    /// Its rule.
    #[must_use]
    pub fn route(&self) -> &Route {
        self.policy.routes.get(self.route)
    }

    /// How those are answered that may not pass.
    #[must_use]
    pub fn answers(&self) -> &Answers {
        &self.route().answers
    }

    /// Whether whatever is decided is only said.
    #[must_use]
    pub fn is_shadow(&self) -> bool {
        self.policy.mode == Mode::Shadow || self.route().mode == Mode::Shadow
    }

    /// It shows nothing that counts, and passes if what its rule requires is met without.
    pub(super) fn pass_as_nobody(mut self, required: Result<(), Unmet>) -> Verdict {
        (self.note.provider, self.note.method) = (None, Method::default());
        if let Some(edits) = self.edits_of_nobody.take() {
            self.edits = *edits;
        }
        match required {
            Ok(()) => Verdict::Allow(self, None),
            Err(unmet) => self.refuse(Denial::Unmet(unmet)),
        }
    }

    pub(super) fn refuse(self, refusal: impl Into<Refusal>) -> Verdict {
        Verdict::Refuse(refusal.into(), self)
    }
}

/// Rules E1 and E7: what a client could have forged goes, and our own cookies, whatever becomes of the request.
fn stripped(policy: &Policy, route: RouteId, head: &Head<'_>) -> Edits {
    let remove = head.forged.iter().map(|name| Cow::Owned(name.to_vec())).collect();
    let mut edits = Edits { remove, ..Edits::default() };
    if head.upgrade_nominates {
        edits.set.push(("connection".into(), "Upgrade".into()));
    }
    take_cookies(&[], policy.own_cookies(route), head, &mut edits);
    edits
}

/// The address of the client, if it is known. Asked only where a rule wants it: it may cost a host call.
pub(super) fn address_of(policy: &Policy, head: &Head<'_>) -> Option<IpAddr> {
    address::of_client(head, policy.client_address, policy.forgeable.trusted_hops)
}

/// The same for people to read, not for rules: where nobody said whose word is taken, the proxy's is.
pub(super) fn seen_from(policy: &Policy, head: &Head<'_>) -> Option<IpAddr> {
    let source = policy.client_address.unwrap_or(AddressSource::Connection);
    address::of_client(head, Some(source), policy.forgeable.trusted_hops)
}
