//! Sessions of oauth2-proxy: what one is worth whose ticket a filter shows, and what becomes of those that oauth2-proxy,
//! or somebody else, deletes.
//!
//! Who a session belongs to is known only once its ticket was shown, so it is then kept among our own sessions, without
//! the ticket's secret: lists, bans, logouts and deletions find it there, and delete what oauth2-proxy keeps, too.

use std::sync::Arc;

use async_trait::async_trait;
use sekisho_protocol::PROTOCOL;
use sekisho_protocol::activity::Method;
use sekisho_protocol::check::{CheckDecision, CheckRequest, DenyReason};
use sekisho_protocol::session::{LiveSession, SessionQuestion, SessionReply, SessionStanding, Ticket as Shown};

use crate::domain::feed::Stamp;
use crate::domain::feed::position::{Position, Verdict};
use crate::domain::oauth2_proxy::Ticket;
use crate::domain::oauth2_proxy::rules::Rules;
use crate::domain::session::{Session, SessionId};
use crate::domain::time::UnixSeconds;
use crate::service::checks::{Checks, Inability};
use crate::service::error::StoreError;
use crate::service::feed::mirror::Mirror;
use crate::service::sessions::{SessionStore, Sessions, live};

pub mod deleted;
pub mod unseen;

/// Most often it is written down that a session was used, in seconds.
const NOTED_EVERY_S: u64 = 60;

/// What oauth2-proxy keeps, and what is remembered of whose tickets were shown.
#[async_trait]
pub trait Oauth2ProxyStore: Send + Sync {
    /// What is under a key, and where the feed stood in the store once that was read: one round trip.
    async fn look_up(&self, key: &str) -> Result<(Found, Position), StoreError>;

    /// Whether there is anything under a key.
    async fn is_there(&self, key: &str) -> Result<bool, StoreError>;

    /// What is remembered of the last session whose ticket was shown.
    async fn seen(&self, key: &str) -> Result<Option<Seen>, StoreError>;

    /// Remembers it, until `seen.ends_at`.
    async fn note(&self, key: &str, seen: &Seen) -> Result<(), StoreError>;

    /// Some of the keys of which something is remembered, from `cursor` on, and where to go on.
    async fn noted(&self, cursor: Option<u64>) -> Result<(Vec<String>, Option<u64>), StoreError>;

    /// Forgets that a key is among those.
    async fn forget(&self, key: &str) -> Result<(), StoreError>;

    /// Some keys that begin so, hold a text and were never shown, from `cursor` on, with the milliseconds after which
    /// they end; and where to go on.
    async fn unseen(&self, prefix: &str, cursor: u64) -> Result<(Vec<(String, Option<u64>)>, u64), StoreError>;

    /// After how many milliseconds the text under a key ends, if ever; none if there is no text.
    async fn text(&self, key: &str) -> Result<Option<Option<u64>>, StoreError>;

    /// Deletes a text under a key; whether there was one.
    async fn delete_text(&self, key: &str) -> Result<bool, StoreError>;
}

/// What is under the key of a session.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The sealed session; none if there is none.
    pub value: Option<Vec<u8>>,
    /// The whole seconds after which it ends; none if it never does.
    pub left_s: Option<u64>,
    /// What is remembered of the last one whose ticket was shown.
    pub seen: Option<Seen>,
}

/// What is remembered of a session whose ticket was shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it is called.
    pub id: SessionId,
    /// The digest of its ticket.
    pub ticket: String,
    /// When that was written down.
    pub noted_at: UnixSeconds,
    /// When it ends.
    pub ends_at: UnixSeconds,
}

/// The use cases.
#[derive(Clone)]
pub struct Oauth2Proxy {
    rules: Arc<Rules>,
    store: Arc<dyn Oauth2ProxyStore>,
    kept: Arc<dyn SessionStore>,
    sessions: Sessions,
    mirror: Mirror,
    checks: Checks,
}

/// Why nothing is told of a session.
enum Untold {
    Unable(Inability),
    /// It is worth no more than this.
    Worth(SessionStanding),
}

impl From<StoreError> for Untold {
    fn from(error: StoreError) -> Self {
        Self::Unable(error.into())
    }
}

impl Oauth2Proxy {
    /// Sessions that `store` finds where an oauth2-proxy keeps them, by these rules. Those that were shown are `kept` among
    /// our own, and ended by `sessions`.
    #[must_use]
    pub fn new(
        rules: Rules,
        store: Arc<dyn Oauth2ProxyStore>,
        kept: Arc<dyn SessionStore>,
        sessions: Sessions,
        mirror: Mirror,
        checks: Checks,
    ) -> Self {
        Self { rules: Arc::new(rules), store, kept, sessions, mirror, checks }
    }

    /// What the session of a ticket is worth.
    ///
    /// # Errors
    /// Nothing can be said.
    pub async fn resolve(
        &self,
        question: &SessionQuestion,
        shown: &Shown,
        now: UnixSeconds,
    ) -> Result<SessionReply, Inability> {
        // Before anything is read (rule P5).
        let stamp = self.mirror.stamp().ok_or(Inability::NotLoaded)?;
        let standing = match self.standing(question, shown, &stamp, now).await {
            Ok(session) => SessionStanding::Live(Box::new(told(session, now))),
            Err(Untold::Worth(standing)) => standing,
            Err(Untold::Unable(inability)) => return Err(inability),
        };
        Ok(SessionReply { protocol: PROTOCOL, epoch: stamp.epoch, version: stamp.version.get(), standing })
    }

    async fn standing(
        &self,
        question: &SessionQuestion,
        shown: &Shown,
        stamp: &Stamp,
        now: UnixSeconds,
    ) -> Result<Session, Untold> {
        // Only what this cookie's sessions may be called is ever read.
        let ticket = Ticket::parse(shown.expose(), &self.rules.cookie).map_err(|_| unknown())?;
        let key = ticket.id();
        let (found, position) = self.store.look_up(key).await?;
        if position.judge(Some(stamp)) != Verdict::Continues {
            return Err(Untold::Unable(Inability::OtherEpoch));
        }
        let Some(value) = &found.value else { return Err(self.gone(question, shown, key, found.seen, stamp).await?) };
        let held = ticket.open(value).map_err(|_| unknown())?;
        let mut session = self.rules.session(key, &held, &question.host, found.left_s, now).map_err(|refused| {
            tracing::debug!(session.key = key, %refused, "a session of oauth2-proxy lets nobody in");
            unknown()
        })?;
        // oauth2-proxy writes anew when a session was created, as often as it refreshes its tokens.
        if found.seen.as_ref().is_some_and(|seen| seen.id == session.id)
            && let Some(known) = self.kept.look_up(&session.id).await?.0.session
        {
            session.signed_in_at = session.signed_in_at.min(known.signed_in_at);
        }
        // Kept before it is judged: a ban that comes meanwhile finds it, or is found. And a deletion that is heard of
        // after that finds it, too; one from before is seen by the judge.
        self.keep(key, shown, &session, found.seen, now).await?;
        match self.judge(&session, question, stamp).await? {
            CheckDecision::Allow => Ok(session),
            CheckDecision::Deny(reason) => {
                // oauth2-proxy is to refuse it, too. Somebody who signs in while banned gets no session that would hold once
                // the ban is over; nor does a refresh bring back what was ended meanwhile.
                if let Err(error) = self.sessions.end(&session).await {
                    tracing::debug!(%error, "a session of oauth2-proxy that is barred could not be ended");
                }
                Err(Untold::Worth(denied(reason, &session)))
            }
        }
    }

    /// What is to be said of a session that oauth2-proxy does not keep any more. Of whom a ban or an end bars, that is
    /// said, to the holder of the very ticket that was shown then.
    async fn gone(
        &self,
        question: &SessionQuestion,
        shown: &Shown,
        key: &str,
        seen: Option<Seen>,
        stamp: &Stamp,
    ) -> Result<Untold, Untold> {
        let Some(seen) = seen.filter(|seen| seen.ticket == shown.digest()) else { return Err(unknown()) };
        let (known, _) = self.kept.look_up(&seen.id).await?;
        let Some(session) = known.session else { return Err(unknown()) };
        match self.judge(&session, question, stamp).await? {
            CheckDecision::Deny(reason @ DenyReason::Banned { .. }) => Ok(Untold::Worth(denied(reason, &session))),
            _ => {
                // The notice of its deletion may have been lost.
                if let Err(error) = self.settle_deleted(key).await {
                    tracing::debug!(%error, "a session that oauth2-proxy deleted could not be ended");
                }
                Ok(Untold::Worth(SessionStanding::Ended))
            }
        }
    }

    /// Keeps what is known of a session among our own, if it is not there yet as it is now.
    async fn keep(
        &self,
        key: &str,
        shown: &Shown,
        session: &Session,
        seen: Option<Seen>,
        now: UnixSeconds,
    ) -> Result<(), Untold> {
        let is_noted = seen.as_ref().is_some_and(|seen| {
            seen.id == session.id
                && seen.ends_at == session.ends_at
                && seen.ticket == shown.digest()
                && now.since(seen.noted_at) < NOTED_EVERY_S
        });
        if is_noted {
            return Ok(());
        }
        self.kept.insert(session, now).await?;
        let noted = Seen { id: session.id.clone(), ticket: shown.digest(), noted_at: now, ends_at: session.ends_at };
        self.store.note(key, &noted).await?;
        // Somebody signed in anew with this ticket: what was behind it before is over.
        if let Some(before) = seen.map(|seen| seen.id).filter(|before| *before != session.id)
            && let (Some(before), false) = self.kept.look_up(&before).await.map(|(f, _)| (f.session, f.is_ended))?
            && let Err(error) = self.sessions.end(&before).await
        {
            tracing::debug!(%error, "a session in whose place another came could not be ended");
        }
        Ok(())
    }

    /// What bars it, and whether oauth2-proxy still keeps it.
    async fn judge(
        &self,
        session: &Session,
        question: &SessionQuestion,
        stamp: &Stamp,
    ) -> Result<CheckDecision, Untold> {
        let check = CheckRequest {
            protocol: PROTOCOL,
            replica: question.replica.clone(),
            route: String::new(),
            subject: session.subject.clone(),
            method: Method::Oauth2Proxy,
            token_id: Some(session.id.to_string()),
            issued_at: Some(session.signed_in_at.get()),
            recent_sign_in: false,
            keys: None,
        };
        let reply = self.checks.decide_unmeasured(&check).await.map_err(Untold::Unable)?;
        if reply.epoch == stamp.epoch { Ok(reply.decision) } else { Err(Untold::Unable(Inability::OtherEpoch)) }
    }
}

fn unknown() -> Untold {
    Untold::Worth(SessionStanding::Unknown)
}

fn denied(reason: DenyReason, session: &Session) -> SessionStanding {
    match reason {
        DenyReason::Banned { until } => SessionStanding::Banned { until, email: session.email.clone() },
        _ => SessionStanding::Ended,
    }
}

/// The session as filters are told of it, with its name: what they asked by is a digest of the ticket.
fn told(session: Session, now: UnixSeconds) -> LiveSession {
    let id = Some(session.id.to_string());
    LiveSession { id, ..live(session, now) }
}
