//! The sessions that one request shows: one of our own, one of oauth2-proxy, or both while an installation goes over
//! from the latter.
//!
//! Of one subject, our own counts: it is the newer way to sign in. Of two, the request is refused (rule E4): whose is it?
//! One that holds no more says nothing about the other.

use std::rc::Rc;

use sekisho_protocol::session::Ticket;

use super::{Session, Standing};
use crate::config::Policy;
use crate::credential::NoCredential;
use crate::flow::Cache;
use crate::head::Head;
use crate::identity::Verified;
use crate::route::Protected;
use crate::shared::Shared;
use crate::time::Now;

/// The sessions of one request.
#[derive(Debug, Default)]
pub struct Shown {
    own: Option<Session>,
    of_oauth2_proxy: Option<Session>,
}

/// What they are worth together.
#[derive(Debug)]
pub enum Worth<'a> {
    /// Sidecars must be asked about one.
    Open,
    /// They let their owner in.
    Live(&'a Rc<Verified>, Cache),
    /// They hold, and are of two owners.
    OfTwo,
    /// None of them holds; why, if anybody knows more of one than that nobody knows it.
    Nothing(Option<&'a Standing>),
}

impl Shown {
    /// The sessions that a request shows to a rule that accepts sessions.
    ///
    /// # Errors
    /// It shows two of one kind.
    pub fn of(
        policy: &Policy,
        protected: &Protected,
        head: &Head<'_>,
        host: &str,
        shared: &mut Shared,
        now: Now,
    ) -> Result<Self, NoCredential> {
        let Some(sessions) = policy.sessions.as_ref().filter(|_| protected.accepts_sessions) else {
            return Ok(Self::default());
        };
        let own = Session::own(sessions, head, host, shared, now)?;
        let of_oauth2_proxy = match &sessions.oauth2_proxy {
            Some(rule) => Session::of_oauth2_proxy(rule, head, host, shared, now)?,
            None => None,
        };
        Ok(Self { own, of_oauth2_proxy })
    }

    /// Whether there is any.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.own.is_some() || self.of_oauth2_proxy.is_some()
    }

    /// Host, id and ticket of the one for which sidecars must be asked next.
    #[must_use]
    pub fn open(&self) -> Option<(&str, &str, Option<&Ticket>)> {
        self.iter().find_map(|session| match &session.standing {
            Standing::Open { host, id, ticket } => Some((host.as_str(), id.as_str(), ticket.as_ref())),
            _ => None,
        })
    }

    /// A sidecar said what that one is worth; `keeps` if it is as new as what this worker knows itself.
    pub fn resolve(&mut self, standing: Standing, keeps: bool, shared: &mut Shared, now: Now) {
        let mut sessions = self.own.iter_mut().chain(&mut self.of_oauth2_proxy);
        if let Some(open) = sessions.find(|session| matches!(session.standing, Standing::Open { .. })) {
            open.resolve(standing, keeps, shared, now);
        }
    }

    /// What they are worth, where the denylist bars some of what this worker still knows to hold.
    #[must_use]
    pub fn worth(&self, is_barred: &dyn Fn(&Verified) -> bool) -> Worth<'_> {
        if self.open().is_some() {
            return Worth::Open;
        }
        match (self.own.as_ref().and_then(Session::live), self.of_oauth2_proxy.as_ref().and_then(Session::live)) {
            (Some((own, cache)), Some((other, other_cache))) => match (is_barred(own), is_barred(other)) {
                (true, false) => Worth::Live(other, other_cache),
                (false, false) if own.identity.subject != other.identity.subject => Worth::OfTwo,
                _ => Worth::Live(own, cache),
            },
            (Some((verified, cache)), None) | (None, Some((verified, cache))) => Worth::Live(verified, cache),
            (None, None) => {
                let standings = || self.iter().map(|session| &session.standing);
                let banned = standings().find(|standing| matches!(standing, Standing::Banned { .. }));
                Worth::Nothing(banned.or_else(|| standings().find(|standing| matches!(standing, Standing::Ended))))
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Session> {
        self.own.iter().chain(&self.of_oauth2_proxy)
    }
}
