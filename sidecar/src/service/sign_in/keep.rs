//! Keeps what comes of a sign-in: the session, and what the provider gave us with it.

use std::time::Duration;

use sekisho_protocol::activity::Method;
use sekisho_protocol::session::cookie::{self, SECRET_BYTES};

use super::provider::Given;
use super::refusal::{NotSignedIn, unavailable};
use super::{Browser, SignIn, random, seal_nonce};
use crate::domain::audit::{Action, By, Event};
use crate::domain::error::Failure;
use crate::domain::session::{Session, SessionId};
use crate::domain::sign_in::Origin;
use crate::domain::sign_in::admission::Person;
use crate::domain::sign_in::grant::Grant;
use crate::domain::time::UnixSeconds;
use crate::service::audit::Deed;

/// A grant is kept for a little longer than its session, so that whoever ends the session finds it.
const GRANT_MARGIN_S: u64 = 60;

impl SignIn {
    pub(super) fn new_session(
        &self,
        origin: &Origin,
        person: Person,
        given: &Given,
        browser: &Browser,
        now: UnixSeconds,
    ) -> Result<(Session, String), NotSignedIn> {
        let secret: [u8; SECRET_BYTES] = random()?;
        let id = SessionId::parse(&cookie::id(&secret)).map_err(unavailable)?;
        let refresh_at = self.terms.refresh_s.filter(|_| given.refresh_token.is_some()).map(|after| now.plus(after));
        let session = Session {
            id,
            subject: person.subject,
            email: person.email,
            host: origin.host().to_owned(),
            method: Method::Session,
            claims: person.claims,
            signed_in_at: now,
            last_access: now,
            ends_at: now.plus(self.terms.lifetime_s),
            idle_s: self.terms.idle_s,
            refresh_at,
            address: browser.address,
            agent: browser.agent.clone(),
        };
        Ok((session, self.keys.cookie.cookie(origin.host(), &secret)))
    }

    /// Keeps a new session, and ends the one that it takes the place of; false if the provider ended it meanwhile.
    pub(super) async fn keep(
        &self,
        session: Session,
        given: Given,
        browser: Browser,
        begun_at: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<bool, Failure> {
        let by = By { actor: session.subject.to_string(), ..browser.origin };
        let deed = Deed::new(Action::SessionBegun, by.clone(), &session.subject);
        let (this, id, host) = (self.clone(), session.id.clone(), session.host.clone());
        let begin = async move {
            let Given { said, refresh_token, id_token } = given;
            let grant = Grant { refresh_token, id_token, issuer: said.issuer, sub: said.sub, sid: said.sid };
            // Before anything is kept of somebody who is banned.
            this.sessions.admitted(&session.subject).await?;
            // First, so that the provider can end whatever has begun.
            this.keep_grant(&session, &grant, now).await?;
            let session = this.sessions.begin(session, now).await?;
            // The provider may have told of a logout since the sign-in began.
            let logged_out = this.grants.logged_out(&grant.names()).await?;
            let stands = logged_out.is_none_or(|at| begun_at > at);
            if !stands {
                this.sessions.end(&session).await?;
            }
            Ok(stands)
        };
        let tell = move |stands: &bool, event: &mut Event| {
            event.tell("session", id.as_str());
            event.tell("host", host);
            event.tell("logged_out", (!stands).then_some(true));
        };
        let stands = self.changes.carry_out(deed, begin, tell).await?;
        // It is as good as forgotten: nobody has its cookie any more.
        if let Some(old) = self.find(browser.session.as_ref()).await.unwrap_or_default()
            && let Err(error) = self.sessions.end_on_order(old, by).await
        {
            tracing::warn!(%error, "the session that a browser had before it signed in anew could not be ended");
        }
        Ok(stands)
    }

    pub(super) async fn keep_grant(&self, session: &Session, grant: &Grant, now: UnixSeconds) -> Result<(), Failure> {
        let internal = |cause: String| Failure::Internal { cause };
        let nonce = seal_nonce().map_err(|error| internal(error.to_string()))?;
        let sealed = grant.seal(&self.keys.grant, &session.id, nonce).map_err(|error| internal(error.to_string()))?;
        let life = Duration::from_secs(session.ends_at.since(now).saturating_add(GRANT_MARGIN_S));
        Ok(self.grants.keep(session, &sealed, &grant.names(), life).await?)
    }

    pub(super) async fn grant(&self, id: &SessionId) -> Result<Option<Grant>, Failure> {
        let sealed = self.grants.get(id).await?;
        Ok(sealed.and_then(|sealed| Grant::open(&self.keys.grant, id, &sealed)))
    }

    /// A session of our own that holds.
    pub(super) async fn find(&self, id: Option<&SessionId>) -> Result<Option<Session>, Failure> {
        let Some(id) = id else { return Ok(None) };
        Ok(self.sessions.known(id).await?.filter(|session| session.method == Method::Session))
    }
}
