//! Signing in and out: from a browser's first step to the identity provider to its session, and back.
//!
//! Nothing is kept here of a sign-in that has begun: the browser carries it, sealed. A session begins with a new secret each
//! time, whatever the browser came with (session fixation), and only after nothing bars its owner.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use sekisho_protocol::keys;
use sekisho_protocol::session::cookie::CookieKey;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use crate::domain::audit::By;
use crate::domain::error::Failure;
use crate::domain::return_to::ReturnTo;
use crate::domain::seal::{NONCE_BYTES, Sealed, SealingKey};
use crate::domain::session::{Agent, SessionId};
use crate::domain::sign_in::Origin;
use crate::domain::sign_in::admission::Admission;
use crate::domain::sign_in::attempt::{Attempt, RANDOM_BYTES, State};
use crate::domain::time::UnixSeconds;
use crate::service::change::Changes;
use crate::service::logout::Logouts;
use crate::service::sessions::Sessions;

pub mod back_channel;
pub mod grants;
mod keep;
pub mod provider;
pub mod refresh;
mod refusal;

use grants::GrantStore;
use provider::{Ask, IdentityProvider};
pub use refusal::NotSignedIn;
use refusal::unavailable;

/// Most answers of the provider's that are looked into at a time: each asks it for tokens.
const AT_A_TIME: usize = 64;
/// So long somebody waits until there is room for them.
const ROOM_WAIT: Duration = Duration::from_secs(2);
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
        let _permit = timeout(ROOM_WAIT, self.room.acquire()).await.map_err(|_| busy())?.map_err(|_| busy())?;
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

    /// Signs a browser out: ends its session, and those that its owner has by way of oauth2-proxy, of which the browser may
    /// show one as well; and says where it goes.
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
        let subject = session.subject.clone();
        self.sessions.end_on_order(session, by.clone()).await?;
        self.sessions.end_those_of_oauth2_proxy(&subject, by).await?;
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
