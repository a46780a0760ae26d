//! Sessions: begin, find out what one is worth, end.
//!
//! What is ended is a record and a feed entry, in this order (rule P8), for as long as the session could have held.
//! What is known of the session stays where it is: of whoever comes with it after that it must be known whether they
//! are banned.

use std::cmp::Reverse;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sekisho_protocol::check::{CheckDecision, CheckReply, CheckRequest, DenyReason};
use sekisho_protocol::feed::Kind;
use sekisho_protocol::session::{LiveSession, SessionQuestion, SessionReply, SessionStanding};
use sekisho_protocol::{PROTOCOL, ReplicaId, Subject};
use tokio::sync::mpsc;

use crate::domain::error::Failure;
use crate::domain::feed::position::{Position, Verdict};
use crate::domain::feed::write::Says;
use crate::domain::feed::{Mark, Stamp};
use crate::domain::session::{Session, SessionId};
use crate::domain::time::UnixSeconds;
use crate::failpoint::{FailPoint, reach};
use crate::service::change::Changes;
use crate::service::checks::{Checks, Inability};
use crate::service::error::StoreError;
use crate::service::feed::Feed;
use crate::service::feed::mirror::Mirror;
use crate::service::feed::registry::Registry;
use crate::service::recent_sign_in::RecentSignIn;
use crate::service::sessions::listing::SessionIndex;

pub mod ending;
pub mod listing;
pub mod orders;

/// How many sessions somebody has: who signs in once more loses the one that ends first.
pub const SESSIONS_MAX: usize = 100;

/// Keeps sessions.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Keeps a new session for as long as it holds without being used.
    async fn insert(&self, session: &Session, now: UnixSeconds) -> Result<(), StoreError>;

    /// What is known of a session, and where the feed stood in the store once that was read: one round trip.
    async fn look_up(&self, id: &SessionId) -> Result<(Found, Position), StoreError>;

    /// Keeps a changed session for as long as it holds from `now`, if it is still the one that was `seen`; whether it was.
    async fn replace(&self, seen: &Session, changed: &Session, now: UnixSeconds) -> Result<bool, StoreError>;

    /// Puts on record that a session is ended. The record ends at `until`.
    async fn end(&self, session: &Session, until: UnixSeconds) -> Result<(), StoreError>;

    /// Takes a session out of the lists: it is ended, and the feed says so.
    async fn forget(&self, session: &Session) -> Result<(), StoreError>;

    /// The sessions of somebody that are listed, in no order: those that hold, and those whose end was cut short.
    async fn of_subject(&self, subject: &Subject) -> Result<Vec<Session>, StoreError>;

    /// What the records say against sessions of somebody: one round trip.
    async fn bars(&self, subject: &Subject) -> Result<Bars, StoreError>;

    /// Puts on record that the subject's sessions from before `began_before` are ended, until `until`. If a later moment
    /// is on record, or this very one, that one moves on by a second. The moment on record afterwards.
    async fn outdate(
        &self,
        subject: &Subject,
        began_before: UnixSeconds,
        until: UnixSeconds,
    ) -> Result<UnixSeconds, StoreError>;
}

/// What bars all sessions of somebody, or the older ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bars {
    /// Until when the subject is banned, Unix seconds; none if it isn't.
    pub banned_until: Option<u64>,
    /// Those that began before this moment are ended.
    pub valid_since: Option<UnixSeconds>,
}

/// What the store says of a session.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Found {
    /// What is known of it; none if its time is over, or there never was one.
    pub session: Option<Session>,
    /// Whether somebody ended it.
    pub is_ended: bool,
}

/// Where sessions are.
pub struct Kept {
    /// The records.
    pub store: Arc<dyn SessionStore>,
    /// The lists.
    pub index: Arc<dyn SessionIndex>,
    /// Who hears of those about whose owners the identity provider should be asked again.
    pub due: mpsc::Sender<SessionId>,
}

/// The use cases.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<dyn SessionStore>,
    index: Arc<dyn SessionIndex>,
    feed: Arc<dyn Feed>,
    registry: Arc<dyn Registry>,
    mirror: Mirror,
    checks: Checks,
    changes: Changes,
    due: mpsc::Sender<SessionId>,
    recent_sign_in: Option<RecentSignIn>,
}

impl Sessions {
    /// Sessions `kept` here; `checks` says what bars them.
    #[must_use]
    pub fn new(
        kept: Kept,
        feed: Arc<dyn Feed>,
        registry: Arc<dyn Registry>,
        mirror: Mirror,
        checks: Checks,
        changes: Changes,
    ) -> Self {
        let Kept { store, index, due } = kept;
        Self { store, index, feed, registry, mirror, checks, changes, due, recent_sign_in: None }
    }

    /// The same, and `recent_sign_in` hears of who signs in.
    #[must_use]
    pub fn telling(self, recent_sign_in: RecentSignIn) -> Self {
        Self { recent_sign_in: Some(recent_sign_in), ..self }
    }

    /// Begins a session for somebody who signed in just now. It is as it is kept: whoever was logged out everywhere, or
    /// banned and unbanned, in this very second must be able to come back in it.
    ///
    /// A ban that is given meanwhile either finds the session in the list, or is found here: it is on record before it
    /// looks for sessions, and the session is in the list before bans are looked for.
    ///
    /// # Errors
    /// [`Failure::Banned`]; [`Failure::Overtaken`] if they were logged out meanwhile; [`Failure::Unavailable`].
    pub async fn begin(&self, mut session: Session, now: UnixSeconds) -> Result<Session, Failure> {
        let valid_since = self.admitted(&session.subject).await?;
        session.signed_in_at = valid_since.map_or(session.signed_in_at, |moment| moment.max(session.signed_in_at));
        self.store.insert(&session, now).await?;
        let still_admitted = self.admitted(&session.subject).await;
        if still_admitted.as_ref().is_ok_and(|moment| *moment == valid_since) {
            self.note_sign_in(&session, now).await?;
            if let Err(error) = self.end_surplus(&session.subject).await {
                tracing::warn!(%error, "a session that somebody has too many could not be ended; the next sign-in does it");
            }
            return Ok(session);
        }
        // Nobody has its cookie yet, so no filter must hear of that.
        self.store.end(&session, UnixSeconds(Mark::ended_session(&session.id, session.ends_at).until())).await?;
        self.store.forget(&session).await?;
        still_admitted?;
        Err(Failure::Overtaken { subject: session.subject })
    }

    async fn end_surplus(&self, subject: &Subject) -> Result<(), StoreError> {
        let mut sessions = self.store.of_subject(subject).await?;
        sessions.sort_by_key(|session| Reverse(session.ends_at));
        let surplus = sessions.into_iter().skip(SESSIONS_MAX).collect();
        self.end_each(surplus).await.map(drop)
    }

    /// Since when sessions of somebody are valid, if nobody bans them. The copy of the feed is asked, too: it knows of
    /// bans that a store has lost, or that another program wrote under another spelling.
    ///
    /// # Errors
    /// [`Failure::Banned`], [`Failure::Unavailable`].
    pub(super) async fn admitted(&self, subject: &Subject) -> Result<Option<UnixSeconds>, Failure> {
        let Bars { banned_until, valid_since } = self.store.bars(subject).await?;
        let now = UnixSeconds::now().get();
        let held = self.mirror.look(|state, _| match state.holding(Kind::Ban, subject.as_str(), now) {
            Some(Says::Holds { until, .. }) => Some(until),
            _ => None,
        });
        match banned_until.max(held.flatten()) {
            Some(until) => Err(Failure::Banned { subject: subject.clone(), until }),
            None => Ok(valid_since),
        }
    }

    /// A session that is on record and that nobody ended.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn known(&self, id: &SessionId) -> Result<Option<Session>, Failure> {
        let (Found { session, is_ended }, _) = self.store.look_up(id).await?;
        Ok(session.filter(|_| !is_ended))
    }

    /// Changes what is on record of a session, if it is still the one that was `seen`; whether it was.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn amend(&self, seen: &Session, amended: &Session) -> Result<bool, Failure> {
        Ok(self.store.replace(seen, amended, UnixSeconds::now()).await?)
    }

    /// What a session is worth on a host.
    ///
    /// # Errors
    /// Nothing can be said.
    pub async fn resolve(&self, question: &SessionQuestion, now: UnixSeconds) -> Result<SessionReply, Inability> {
        // Before anything is read (rule P5).
        let stamp = self.mirror.stamp().ok_or(Inability::NotLoaded)?;
        let reply = |standing| {
            let (epoch, version) = (stamp.epoch.clone(), stamp.version.get());
            SessionReply { protocol: PROTOCOL, epoch, version, standing }
        };
        let Ok(id) = SessionId::parse(&question.id) else { return Ok(reply(SessionStanding::Unknown)) };
        let (found, position) = self.store.look_up(&id).await?;
        if position.judge(Some(&stamp)) != Verdict::Continues {
            return Err(Inability::OtherEpoch);
        }
        let session = match found {
            Found { session: Some(session), .. } if session.host == question.host => session,
            Found { session: None, is_ended: true } => {
                return Ok(reply(SessionStanding::Ended));
            }
            _ => return Ok(reply(SessionStanding::Unknown)),
        };
        let CheckReply { epoch, decision, .. } =
            self.checks.decide_unmeasured(&check(&session, &question.replica)).await?;
        if epoch != stamp.epoch {
            return Err(Inability::OtherEpoch);
        }
        Ok(reply(match decision {
            CheckDecision::Deny(DenyReason::Banned { until }) => {
                SessionStanding::Banned { until, email: session.email }
            }
            CheckDecision::Deny(_) => SessionStanding::Ended,
            CheckDecision::Allow if session.is_over(now) => SessionStanding::Unknown,
            CheckDecision::Allow => {
                self.note_use(&session, now);
                if session.is_refresh_due(now) {
                    // If the queue is full, the next question will do.
                    drop(self.due.try_send(session.id.clone()));
                }
                SessionStanding::Live(Box::new(live(session, now)))
            }
        }))
    }

    /// Ends a session, as part of a change that is recorded and followed. Once more changes nothing.
    ///
    /// # Errors
    /// The store can't be reached; it may be written then, and the call should be made again.
    pub async fn end(&self, session: &Session) -> Result<Stamp, StoreError> {
        let mark = Mark::ended_session(&session.id, session.could_hold_until(UnixSeconds::now()));
        self.store.end(session, UnixSeconds(mark.until())).await?;
        reach(FailPoint::SessionRecorded);
        let stamp = self.feed.put(&mark).await?;
        reach(FailPoint::SessionEntered);
        // Not before: whoever ends all of somebody's finds one whose end was cut short, and ends it again.
        self.store.forget(session).await?;
        Ok(stamp)
    }

    /// Tokens of our own are filed under an address, so that is who signed in.
    async fn note_sign_in(&self, session: &Session, now: UnixSeconds) -> Result<(), Failure> {
        let (Some(recent), Some(email)) = (&self.recent_sign_in, &session.email) else { return Ok(()) };
        Ok(recent.note(&email.clone().into(), now, now).await?)
    }

    /// Writes down that a session was used, if that is due. Nobody waits for it: if it fails, the next use will do.
    fn note_use(&self, session: &Session, now: UnixSeconds) {
        let Some(used) = session.used(now) else { return };
        let (store, seen) = (Arc::clone(&self.store), session.clone());
        tokio::spawn(async move {
            // If it was changed meanwhile, the next use will do.
            if let Err(error) = store.replace(&seen, &used, now).await {
                tracing::debug!(%error, "the use of a session could not be written down");
            }
        });
    }
}

/// What bars a session is what would bar a request that comes with it.
fn check(session: &Session, replica: &ReplicaId) -> CheckRequest {
    CheckRequest {
        protocol: PROTOCOL,
        replica: replica.clone(),
        route: String::new(),
        subject: session.subject.clone(),
        method: session.method,
        token_id: Some(session.id.to_string()),
        issued_at: Some(session.signed_in_at.get()),
        keys: None,
        recent_sign_in: false,
    }
}

/// The session as filters are told of it.
pub(super) fn live(session: Session, now: UnixSeconds) -> LiveSession {
    LiveSession {
        id: None,
        cache_s: session.cache_s(now),
        claims: URL_SAFE_NO_PAD.encode(serde_json::Value::Object(session.claims).to_string()),
        subject: session.subject,
        email: session.email,
        method: session.method,
        signed_in_at: session.signed_in_at.get(),
        ends_at: session.ends_at.get(),
    }
}
