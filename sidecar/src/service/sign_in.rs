//! Signing in and out: from a browser's first step to the identity provider to its session, and back.
//!
//! Nothing is kept here of a sign-in that has begun: the browser carries it, sealed. A session begins with a new secret each
//! time, whatever the browser came with (session fixation), and only after nothing bars its owner.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sekisho_protocol::activity::Method;
use sekisho_protocol::keys;
use sekisho_protocol::session::cookie::{self, CookieKey, SECRET_BYTES};
use tokio::sync::Semaphore;
use url::Url;

use crate::domain::audit::{Action, By, Event};
use crate::domain::error::Failure;
use crate::domain::return_to::ReturnTo;
use crate::domain::seal::{NONCE_BYTES, Sealed, SealingKey};
use crate::domain::session::{Agent, Session, SessionId};
use crate::domain::sign_in::Origin;
use crate::domain::sign_in::admission::{Admission, NotAdmitted, Person};
use crate::domain::sign_in::attempt::{Attempt, RANDOM_BYTES, State};
use crate::domain::sign_in::grant::Grant;
use crate::domain::time::UnixSeconds;
use crate::service::audit::Deed;
use crate::service::change::Changes;
use crate::service::logout::Logouts;
use crate::service::sessions::Sessions;

pub mod back_channel;
pub mod grants;
pub mod provider;
pub mod refresh;

use grants::GrantStore;
use provider::{Ask, Given, IdentityProvider, ProviderError};

/// Most answers of the provider's that are looked into at a time: each asks it for tokens.
const AT_A_TIME: usize = 64;
/// A grant is kept for a little longer than its session, so that whoever ends the session finds it.
const GRANT_MARGIN_S: u64 = 60;

/// The code or the grant was withdrawn, was used up, or has ended (RFC 6749 §5.2).
const INVALID_GRANT: &str = "invalid_grant";

/// Where a provider sends browsers with its answer.
pub const CALLBACK: &str = "/oauth2/callback";
/// Where it sends those who signed out.
pub const SIGNED_OUT: &str = "/oauth2/signed_out";

/// How people sign in here.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Where they do.
    pub origins: Vec<Origin>,
    /// Who may.
    pub admission: Admission,
    /// A session that nobody uses for so many seconds ends.
    pub idle_s: u64,
    /// So many seconds after its owner signed in it ends in any case.
    pub lifetime_s: u64,
    /// After so many seconds the provider is asked about its owner again; never if none.
    pub refresh_s: Option<u64>,
    /// Whether whoever signs out here signs out at the provider, too.
    pub leaves_provider: bool,
    /// Whether a logout that the provider tells of for somebody revokes all their tokens, too.
    pub logout_revokes: bool,
}

/// The use cases.
#[derive(Clone)]
pub struct SignIn {
    provider: Arc<dyn IdentityProvider>,
    grants: Arc<dyn GrantStore>,
    sessions: Sessions,
    logouts: Logouts,
    changes: Changes,
    keys: Arc<Keys>,
    terms: Arc<Terms>,
    room: Arc<Semaphore>,
}

/// What is derived from the mesh secret for this: every sidecar has it, and Redis never sees it.
struct Keys {
    cookie: CookieKey,
    attempt: SealingKey,
    grant: SealingKey,
}

/// What the use cases work with.
pub struct Parts {
    /// Where people sign in.
    pub provider: Arc<dyn IdentityProvider>,
    /// Keeps what that gives us.
    pub grants: Arc<dyn GrantStore>,
    /// Keeps sessions.
    pub sessions: Sessions,
    /// Revokes tokens.
    pub logouts: Logouts,
    /// Records and follows changes.
    pub changes: Changes,
}

/// The browser that signs in.
pub struct Browser {
    /// Where it is, as far as that is known.
    pub address: Option<IpAddr>,
    /// What it says that it is.
    pub agent: Option<Agent>,
    /// The session that it has, if it has one.
    pub session: Option<SessionId>,
    /// The same, for the record.
    pub origin: By,
}

/// A sign-in that has begun.
pub struct Begun {
    /// The provider's page.
    pub location: Url,
    /// What its answer will bear.
    pub state: State,
    /// What the browser keeps until then.
    pub attempt: Sealed,
}

/// The provider's answer, as the browser brings it (RFC 6749 §4.1.2, RFC 9207).
pub struct Answer {
    /// `code`, or `error`.
    pub outcome: Result<String, String>,
    /// `iss`.
    pub issuer: Option<String>,
}

/// A session that has begun.
pub struct SignedIn {
    /// The value of its cookie.
    pub cookie: String,
    /// For how many seconds the browser keeps that at most.
    pub max_age_s: u64,
    /// Where the browser goes, on its host.
    pub return_to: String,
}

/// Why nobody was signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSignedIn {
    /// The provider or the store can't be asked now, or too many are signing in.
    #[error("nobody can sign in now: {0}")]
    Unavailable(String),
    /// The answer belongs to no sign-in that this browser began just now.
    #[error("the answer belongs to no sign-in of this browser")]
    Stale,
    /// The provider did not let them in.
    #[error("the identity provider refused: {0}")]
    Refused(String),
    /// What was said in the provider's name can't be believed.
    #[error("{0}")]
    Untrusted(String),
    /// The provider lets them in, and we do not.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// They are banned.
    #[error("banned")]
    Banned {
        /// Unix seconds; [`sekisho_protocol::feed::FOREVER`] if the ban has no end.
        until: u64,
    },
}

impl SignIn {
    /// Signs people in at `parts`' provider; none if the mesh secret is no secret.
    #[must_use]
    pub fn new(parts: Parts, mesh_secret: &[u8], terms: Terms) -> Option<Self> {
        let keys = Keys {
            cookie: CookieKey::of_mesh(mesh_secret),
            attempt: SealingKey::new(&keys::sign_in_attempt_key(mesh_secret))?,
            grant: SealingKey::new(&keys::provider_grant_key(mesh_secret))?,
        };
        let Parts { provider, grants, sessions, logouts, changes } = parts;
        let (keys, terms, room) = (Arc::new(keys), Arc::new(terms), Arc::new(Semaphore::new(AT_A_TIME)));
        Some(Self { provider, grants, sessions, logouts, changes, keys, terms, room })
    }

    /// The origin that a host belongs to; none if nobody signs in there.
    #[must_use]
    pub fn origin(&self, host: &str) -> Option<&Origin> {
        self.terms.origins.iter().find(|origin| origin.host() == host)
    }

    /// Whether cookies are for TLS alone.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.terms.origins.iter().all(Origin::is_secure)
    }

    /// Begins a sign-in on `origin`, after which the browser goes to `return_to`. With `other_account` the provider asks which
    /// account it shall be, even if it knows.
    ///
    /// # Errors
    /// The provider can't be asked where people sign in.
    pub async fn begin(
        &self,
        origin: &Origin,
        return_to: &ReturnTo,
        other_account: bool,
        now: UnixSeconds,
    ) -> Result<Begun, NotSignedIn> {
        let state = State::new(random()?);
        let [nonce, verifier] = [random()?, random()?].map(|bytes| State::new(bytes).as_str().to_owned());
        let return_to = return_to.as_str().to_owned();
        let attempt = Attempt { nonce, verifier, return_to, begun_at: now };
        let ask = Ask { attempt: &attempt, state: &state, redirect_uri: &origin.page(CALLBACK), other_account };
        let location = self.provider.authorization(ask).await?;
        let attempt = attempt.seal(&self.keys.attempt, origin.host(), &state, seal_nonce()?);
        let attempt = attempt.map_err(|error| NotSignedIn::Unavailable(error.to_string()))?;
        Ok(Begun { location, state, attempt })
    }

    /// The attempt in a cookie; none if it is not this state's on this host, or too late.
    #[must_use]
    pub fn attempt(&self, origin: &Origin, state: &State, cookie: &str, now: UnixSeconds) -> Option<Attempt> {
        Attempt::open(&self.keys.attempt, origin.host(), state, cookie, now)
    }

    /// Ends a sign-in with the provider's answer: a new session.
    ///
    /// # Errors
    /// Nobody was signed in.
    pub async fn finish(
        &self,
        origin: &Origin,
        attempt: Attempt,
        answer: Answer,
        browser: Browser,
        now: UnixSeconds,
    ) -> Result<SignedIn, NotSignedIn> {
        let busy = || NotSignedIn::Unavailable("too many are signing in".into());
        let _permit = self.room.try_acquire().map_err(|_| busy())?;
        // Before the code goes anywhere: it may be another provider's (mix-up, RFC 9207 §1).
        self.provider.check_issuer(answer.issuer.as_deref()).await?;
        let code = answer.outcome.map_err(|code| match code.as_str() {
            "server_error" | "temporarily_unavailable" => NotSignedIn::Unavailable(code),
            _ => NotSignedIn::Refused(code),
        })?;
        let given = self.provider.redeem(&code, &attempt, &origin.page(CALLBACK)).await?;
        let person = self.terms.admission.admit(&given.said).inspect_err(|error| {
            tracing::info!(%error, provider.sub = given.said.sub, "somebody may not sign in");
        })?;
        let (session, cookie) = self.new_session(origin, person, &given, &browser, now)?;
        let max_age_s = self.terms.lifetime_s;
        if !self.keep(session, given, browser, attempt.begun_at, now).await? {
            return Err(NotSignedIn::Refused("logged_out".into()));
        }
        Ok(SignedIn { cookie, max_age_s, return_to: attempt.return_to })
    }

    /// Signs a browser out: ends its session, and says where it goes.
    ///
    /// # Errors
    /// The session could not be ended.
    pub async fn sign_out(&self, origin: &Origin, session: Option<&SessionId>, by: By) -> Result<Url, Failure> {
        let signed_out = origin.page(SIGNED_OUT);
        let session = match session {
            Some(id) => self.sessions.known(id).await?,
            None => None,
        };
        let Some(session) = session else { return Ok(signed_out) };
        let grant = self.grant(&session.id).await.unwrap_or_default();
        self.sessions.end_on_order(session, by).await?;
        let Some(grant) = grant.filter(|_| self.terms.leaves_provider) else { return Ok(signed_out) };
        match self.provider.sign_out(grant.id_token.as_deref(), &signed_out).await {
            Ok(page) => Ok(page.unwrap_or(signed_out)),
            Err(error) => {
                tracing::warn!(%error, "somebody signed out here, and could not be sent to sign out at the provider");
                Ok(signed_out)
            }
        }
    }

    /// The origin of the provider's sign-out page, if there is one: a page that leads there must be allowed to.
    pub async fn provider_origin(&self, origin: &Origin) -> Option<String> {
        let page = self.provider.sign_out(None, &origin.page(SIGNED_OUT)).await.ok()??;
        self.terms.leaves_provider.then(|| page.origin().ascii_serialization())
    }

    fn new_session(
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
    async fn keep(
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

    async fn keep_grant(&self, session: &Session, grant: &Grant, now: UnixSeconds) -> Result<(), Failure> {
        let internal = |cause: String| Failure::Internal { cause };
        let nonce = seal_nonce().map_err(|error| internal(error.to_string()))?;
        let sealed = grant.seal(&self.keys.grant, &session.id, nonce).map_err(|error| internal(error.to_string()))?;
        let life = Duration::from_secs(session.ends_at.since(now).saturating_add(GRANT_MARGIN_S));
        Ok(self.grants.keep(session, &sealed, &grant.names(), life).await?)
    }

    async fn grant(&self, id: &SessionId) -> Result<Option<Grant>, Failure> {
        let sealed = self.grants.get(id).await?;
        Ok(sealed.and_then(|sealed| Grant::open(&self.keys.grant, id, &sealed)))
    }

    /// A session of our own that holds.
    async fn find(&self, id: Option<&SessionId>) -> Result<Option<Session>, Failure> {
        let Some(id) = id else { return Ok(None) };
        Ok(self.sessions.known(id).await?.filter(|session| session.method == Method::Session))
    }
}

impl From<Failure> for NotSignedIn {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Banned { until, .. } => Self::Banned { until },
            failure => unavailable(failure),
        }
    }
}

impl From<ProviderError> for NotSignedIn {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Unavailable(cause) => Self::Unavailable(cause),
            // The one refusal that is about this sign-in (RFC 6749 §5.2); all others are about us.
            ProviderError::Refused(code) if code == INVALID_GRANT => Self::Refused(code),
            ProviderError::Refused(code) => Self::Unavailable(format!("the identity provider refuses us: {code}")),
            ProviderError::Untrusted(cause) => Self::Untrusted(cause),
        }
    }
}

fn unavailable(error: impl ToString) -> NotSignedIn {
    NotSignedIn::Unavailable(error.to_string())
}

fn random() -> Result<[u8; RANDOM_BYTES], NotSignedIn> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(unavailable)?;
    Ok(bytes)
}

fn seal_nonce() -> Result<[u8; NONCE_BYTES], NotSignedIn> {
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(unavailable)?;
    Ok(nonce)
}

#[cfg(test)]
mod tests;
