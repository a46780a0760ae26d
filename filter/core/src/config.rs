//! The filter's configuration: JSON in, a [`Policy`] that cannot be wrong out.
//!
//! Every problem is listed, each with its path, and a configuration with one problem is refused
//! whole: the worker goes on with the one it has.

mod answers;
mod field;
mod identity;
mod limits;
mod matching;
mod origins;
mod parse;
mod places;
mod provider;
mod raw;
mod raw_route;
mod require;
mod routes;
#[cfg(feature = "schema")]
mod schema;
mod sessions;
mod upstream;
mod window;

use std::fmt;

use sekisho_protocol::digest::DigestKey;
use subtle::ConstantTimeEq as _;

use crate::authorize::address::AddressSource;
use crate::authorize::facts::Questions;
use crate::credential::cookie::OwnCookies;
use crate::credential::oauth2_proxy::CookieRule;
use crate::head::{Forgeable, Head};
use crate::route::{Mode, RouteId, RouteTable};
use crate::secret::Secret;
use crate::session::Sessions;
use crate::verify::Provider;
use crate::verify::algorithm::Algorithm;
use crate::verify::cache::KeySet;
#[cfg(feature = "schema")]
pub use schema::{schema, validate};

/// A configuration that was validated whole.
#[derive(Debug)]
pub struct Policy {
    /// How the filter reaches the sidecars.
    pub mesh: Mesh,
    /// Who may issue tokens.
    pub providers: Vec<Provider>,
    /// How sessions are shown; none if there are none.
    pub sessions: Option<Sessions>,
    /// What applies to which request.
    pub routes: RouteTable,
    /// What a client could forge: `x-forwarded-host`, `x-real-ip`, … unless trusted proxies are in front.
    pub forgeable: Forgeable,
    /// Whether a rule reads tokens in the query.
    pub reads_queries: bool,
    /// Names the set of providers, for caches of what they verified.
    pub key_set: KeySet,
    /// Milliseconds in each second that a worker may spend on slow cryptography (rule E9).
    pub verify_budget_ms: u32,
    /// Whether the host may verify signatures.
    pub host_crypto: HostUse,
    /// What the rules want to know about tokens.
    pub questions: Questions,
    /// Whose word is taken for the address of a client; none: nobody's.
    pub client_address: Option<AddressSource>,
    /// Of which requests the proxy is told how they were decided.
    pub filter_state: FilterState,
    /// Whether anything is refused at all.
    pub mode: Mode,
    /// Of its text, so that everybody can see which one a worker has.
    pub fingerprint: u64,
    /// The key of those who may know why a request is decided as it is; none: nobody may.
    explain_key: Option<Secret>,
    /// For explanations without a proxy.
    explains_all: bool,
}

/// Of which requests the proxy is told how they were decided. Telling it costs a host call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterState {
    /// Those that do not pass, or would not.
    Refusals,
    /// All.
    All,
}

impl FilterState {
    /// How a configuration names them.
    pub const WORDS: &[(&str, Self)] = &[("refusals", Self::Refusals), ("all", Self::All)];
}

impl HostUse {
    /// How a configuration names them.
    pub const WORDS: &[(&str, Self)] = &[("auto", Self::Auto), ("never", Self::Never)];
}

/// Whether the host may verify signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostUse {
    /// Where it proved that it can.
    Auto,
    /// All of it is done in wasm.
    Never,
}

/// How the filter reaches the sidecars.
#[derive(Debug)]
pub struct Mesh {
    /// Envoy cluster of the feed and of activity reports.
    pub feed_cluster: String,
    /// Envoy cluster of checks: another one, so that a flood of checks cannot starve the feed.
    pub check_cluster: String,
    /// Sent as `Authorization: Bearer …` with each call.
    pub secret: Secret,
    /// The key of the denylist's digests.
    pub digest_key: DigestKey,
    /// Age in milliseconds above which the replica decides nothing alone.
    pub staleness_ms: u32,
    /// Milliseconds that a check may take.
    pub check_timeout_ms: u32,
    /// Requests of one worker that may wait for a check at once (rule P13).
    pub max_checks: usize,
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where: `routes[2].prefix`.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

/// Looks an environment variable up. A parameter, since only the shell may ask the system.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Policy {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Every problem there is, in the order of the paths.
    pub fn parse(text: &str, environment: Environment<'_>) -> Result<Self, Vec<Problem>> {
        parse::policy(text, environment)
    }

    /// The same policy under which everybody may know why.
    #[cfg(feature = "offline")]
    #[must_use]
    pub(crate) fn for_everybody_to_explain(mut self) -> Self {
        self.explains_all = true;
        self
    }

    /// Whether whoever sent this may know why it is decided as it is.
    #[must_use]
    pub fn may_explain(&self, head: &Head<'_>) -> bool {
        let shown = |key: &Secret| head.explain_key.is_some_and(|shown| shown.ct_eq(key.expose()).into());
        self.explains_all || self.explain_key.as_ref().is_some_and(shown)
    }

    /// The cookies of sessions, as far as the upstream of a rule may neither see nor set them; none if there are no sessions.
    /// Sign-ins under way are for the app API to see, oauth2-proxy's session for itself, and a secret of ours for nobody.
    #[must_use]
    pub fn own_cookies(&self, id: RouteId) -> Option<OwnCookies<'_>> {
        let sessions = self.sessions.as_ref()?;
        let oauth2_proxy = sessions.oauth2_proxy.as_ref().filter(|_| !sessions.leads_to_oauth2_proxy(id));
        Some(OwnCookies {
            session: &sessions.cookie,
            attempts: !self.routes.get(id).is_for_the_app(),
            oauth2_proxy: oauth2_proxy.map(CookieRule::name),
        })
    }

    /// Whether a stale worker checks every request: no route lets requests pass unchecked (rule P7).
    #[must_use]
    pub fn fences(&self) -> bool {
        self.routes.iter().all(|route| route.fences())
    }
}

/// Every problem of a configuration that can be seen without its environment: what `sekisho config
/// check` prints.
#[must_use]
pub fn check(text: &str) -> Vec<Problem> {
    // Strong enough to pass, since offline nobody knows the real ones.
    let stand_in = |_: &str| Some("-".repeat(Algorithm::Hs512.hash().size_bytes()));
    Policy::parse(text, &stand_in).err().unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests;
