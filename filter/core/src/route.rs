//! Which rule applies to a request, and what it says: the first one that matches.

mod guard;
pub mod matcher;
pub mod target;
pub mod template;

use std::rc::Rc;

use sekisho_protocol::identity::APP_AUDIENCE;

use crate::answer::Answers;
use crate::authorize::Requirement;
use crate::credential::places::Places;
use crate::cross_site::TrustedOrigins;
use crate::denial::Malformed;
use crate::identity::assertion::Target as Audience;
use crate::identity::headers::IdentityHeader;
use crate::path::readings::Kinds;
use crate::upstream::UpstreamCredential;
use guard::{Glance, Guard};
use matcher::{Match, Matcher};
use target::{Ambiguity, Target};

/// The rules, in the order in which they were written.
#[derive(Debug)]
pub struct RouteTable {
    routes: Vec<Route>,
    /// One for each of them.
    guards: Vec<Guard>,
    /// For a request that no rule names.
    unmatched: Route,
    /// What some rule does not mind about paths.
    tolerated: Kinds,
}

/// The position of a rule in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteId(usize);

impl RouteId {
    /// Of what no rule names.
    pub const NONE: Self = Self(usize::MAX);

    /// Whether it is the rule at this position.
    #[must_use]
    pub fn is_at(self, position: usize) -> bool {
        self.0 == position
    }
}

/// One rule.
#[derive(Debug)]
pub struct Route {
    /// For logs, metrics and checks.
    pub name: Rc<str>,
    /// Where it stands in the configuration: `routes[3]`.
    pub at: Rc<str>,
    /// Which requests it is about.
    pub matcher: Matcher,
    /// Who may pass.
    pub access: Access,
    /// What must be true besides.
    pub require: Option<Requirement>,
    /// Whether that asks for more than the token, so that it may rule a request out at once.
    pub looks_around: bool,
    /// What its refusals look like.
    pub answers: Rc<Answers>,
    /// What becomes of a browser's question whether it may ask (CORS).
    pub preflight: Preflight,
    /// Whether it refuses, or only says that it would.
    pub mode: Mode,
    /// With which paths it applies that upstreams read in several ways; with no others.
    pub unusual_paths: Kinds,
}

/// Who may pass.
#[derive(Debug)]
pub enum Access {
    /// Anybody. What a client could forge is stripped all the same.
    Public,
    /// Nobody.
    Deny,
    /// Whoever shows a valid credential, or none.
    Optional(Protected),
    /// Whoever shows a valid credential.
    Protected(Protected),
}

/// What a protected rule wants.
#[derive(Debug)]
pub struct Protected {
    /// Where it reads tokens.
    pub places: Rc<Places>,
    /// Whether a session will do, too.
    pub accepts_sessions: bool,
    /// Whose pages may send what changes something with a session alone, besides its host's own.
    pub trusted_origins: TrustedOrigins,
    /// Whose tokens count; none: those of every provider.
    pub providers: Option<Vec<String>>,
    /// What must be shown besides.
    pub also: Vec<Also>,
    /// Whom the identity assertion is for; none sends no assertion.
    pub target: Option<Rc<Audience>>,
    /// The headers that tell the upstream who asks.
    pub headers: Rc<[IdentityHeader]>,
    /// What the upstream wants to be shown: the first that fits the caller.
    pub credentials: Vec<Rc<UpstreamCredential>>,
    /// What happens when nobody can be asked.
    pub on_unavailable: OnUnavailable,
    /// What becomes of a stream whose credential is barred, or ends, while it is open.
    pub on_ban: OnBan,
}

/// A second token that must be shown beside the first, of a workload for instance.
#[derive(Debug)]
pub struct Also {
    /// Whose it must be.
    pub provider: String,
    /// Where it is read; none of these is a place of the first one.
    pub places: Places,
}

/// What happens to a request that would have to be checked when no sidecar answers. What the local
/// denylist bars is refused in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnUnavailable {
    /// 503.
    #[default]
    Deny,
    /// It passes: the operator chose availability over revocation.
    Allow,
}

/// What becomes of a request that was admitted and is not over when its credential is barred or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnBan {
    /// It is cut, before the change is acknowledged.
    #[default]
    Cut,
    /// It may come to its end.
    Finish,
}

/// What becomes of a CORS preflight (Fetch §4.8), which never carries a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preflight {
    /// It is judged like any request.
    #[default]
    Check,
    /// It passes, for the upstream or the proxy's own CORS filter to answer.
    Pass,
}

/// Whether a rule refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It decides, and says what it decided, but lets everything pass.
    Shadow,
}

impl RouteTable {
    /// A table of rules, the first match of which wins.
    #[must_use]
    pub fn new(routes: Vec<Route>, unmatched: Route) -> Self {
        let tolerated = routes.iter().fold(Kinds::default(), |kinds, route| kinds.and(route.unusual_paths));
        let guards = routes.iter().map(|route| Guard::of(&route.matcher)).collect();
        Self { routes, guards, unmatched, tolerated }
    }

    /// What some rule does not mind about paths: see [`Target::of`].
    #[must_use]
    pub fn tolerated(&self) -> Kinds {
        self.tolerated
    }

    /// The rules in their order, and last what applies to a request that none of them is about.
    pub fn iter(&self) -> impl Iterator<Item = &Route> + Clone {
        self.routes.iter().chain(std::iter::once(&self.unmatched))
    }

    /// The position of the rule with this name.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.routes.iter().position(|route| *route.name == *name)
    }

    /// The rule for a request.
    ///
    /// # Errors
    /// [`Malformed`] if nobody can tell whether a rule is about it: what comes after that rule must not apply instead.
    pub fn find(&self, target: &Target<'_>) -> Result<RouteId, Malformed> {
        let id = self.first(target)?;
        match &target.ambiguity {
            None => Ok(id),
            Some(ambiguity) => self.find_for_every_reading(id, target, ambiguity),
        }
    }

    /// Whatever its upstream makes of a path, it must be a path of the same rule, and one that does not mind.
    fn find_for_every_reading(
        &self,
        id: RouteId,
        target: &Target<'_>,
        ambiguity: &Ambiguity,
    ) -> Result<RouteId, Malformed> {
        for path in &ambiguity.others {
            if self.first(&target.read_as(path))? != id {
                return Err(Malformed::Path(ambiguity.unusual));
            }
        }
        let is_tolerated = self.get(id).unusual_paths.include(ambiguity.kinds);
        if is_tolerated { Ok(id) } else { Err(Malformed::Path(ambiguity.unusual)) }
    }

    fn first(&self, target: &Target<'_>) -> Result<RouteId, Malformed> {
        let glance = Glance::at(target);
        let candidates = self.guards.iter().zip(&self.routes).enumerate();
        for (index, (_, route)) in candidates.filter(|(_, (guard, _))| guard.lets_through(&glance)) {
            match route.matcher.matches(target) {
                Match::Yes => return Ok(RouteId(index)),
                Match::No => {}
                // A rule that refuses nobody must not make another refuse.
                Match::Refused(_) if route.mode == Mode::Shadow => {}
                Match::Refused(malformed) => return Err(malformed),
            }
        }
        Ok(RouteId::NONE)
    }

    /// The rule that [`Self::find`] found.
    #[must_use]
    pub fn get(&self, id: RouteId) -> &Route {
        self.routes.get(id.0).unwrap_or(&self.unmatched)
    }
}

impl Route {
    /// What it wants of a credential; none if it reads none.
    #[must_use]
    pub fn protected(&self) -> Option<&Protected> {
        match &self.access {
            Access::Public | Access::Deny => None,
            Access::Optional(protected) | Access::Protected(protected) => Some(protected),
        }
    }

    /// Whether its upstream is the app API, which alone may set our own cookies: it gets the assertion that the app API believes.
    #[must_use]
    pub fn is_for_the_app(&self) -> bool {
        let target = self.protected().and_then(|protected| protected.target.as_ref());
        target.is_some_and(|target| target.audience == APP_AUDIENCE)
    }

    /// Whether a stale worker lets none of this rule's requests pass unchecked.
    #[must_use]
    pub fn fences(&self) -> bool {
        self.protected().is_none_or(|protected| protected.on_unavailable == OnUnavailable::Deny)
    }

    /// The query parameters in which it reads tokens.
    pub fn parameters(&self) -> impl Iterator<Item = &str> + Clone {
        self.places().flat_map(Places::parameters)
    }

    /// Where it reads tokens.
    pub fn places(&self) -> impl Iterator<Item = &Places> + Clone {
        let protected = self.protected();
        let also = protected.into_iter().flat_map(|protected| &protected.also).map(|also| &also.places);
        protected.into_iter().map(|protected| &*protected.places).chain(also)
    }
}

#[cfg(test)]
mod tests;
