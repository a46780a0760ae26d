//! Sessions that somebody orders to be ended: one, or all of a person. Recorded, and followed to every filter.

use sekisho_protocol::Subject;
use sekisho_protocol::activity::Method;
use sekisho_protocol::feed::Kind;

use super::{Found, Sessions};
use crate::domain::audit::{Action, By, Event};
use crate::domain::caller::Caller;
use crate::domain::error::Failure;
use crate::domain::feed::{Mark, Stamp};
use crate::domain::session::{Session, SessionId};
use crate::domain::time::UnixSeconds;
use crate::service::audit::Deed;
use crate::service::change::Change;

/// A session that was ended.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedSession {
    /// What it was.
    pub session: Session,
    /// What the change came to.
    pub change: Change,
}

/// Somebody whose sessions were ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedAll {
    /// How many there were.
    pub count: usize,
    /// What the change came to.
    pub change: Change,
}

impl Sessions {
    /// The session with this key, which need not be the id of any. One that is over is not there any more, unless what
    /// ended it was cut short.
    ///
    /// # Errors
    /// [`Failure::SessionNotFound`], [`Failure::Unavailable`].
    pub async fn find(&self, key: &str, now: UnixSeconds) -> Result<Session, Failure> {
        let not_found = || Failure::SessionNotFound { key: key.to_owned() };
        let id = SessionId::parse(key).map_err(|_| not_found())?;
        let (Found { session, is_ended }, _) = self.store.look_up(&id).await?;
        let session = session.filter(|session| !session.is_over(now)).ok_or_else(not_found)?;
        if is_ended && self.feed.entry(Kind::Session, id.as_str()).await?.is_some() {
            return Err(not_found());
        }
        Ok(session)
    }

    /// A session of the caller's own.
    ///
    /// # Errors
    /// As [`Self::find`]; nobody is told whether there is one of somebody else.
    pub async fn find_own(&self, caller: &Caller, key: &str, now: UnixSeconds) -> Result<Session, Failure> {
        let session = self.find(key, now).await?;
        let is_own = session.subject == *caller.subject();
        if is_own { Ok(session) } else { Err(Failure::SessionNotFound { key: key.to_owned() }) }
    }

    /// Ends a session for good.
    ///
    /// # Errors
    /// [`Failure::Unavailable`]; it may be written then, and the call should be made again.
    pub async fn end_on_order(&self, session: Session, by: By) -> Result<EndedSession, Failure> {
        let deed = Deed::new(Action::SessionEnded, by, &session.subject);
        let this = self.clone();
        let change = async move {
            let stamp = this.end(&session).await?;
            Ok(EndedSession { session, change: this.changes.follow(stamp).await })
        };
        let tell = |ended: &EndedSession, event: &mut Event| {
            event.tell("session_key", ended.session.id.as_str());
            event.tell("host", ended.session.host.as_str());
            event.tell("method", ended.session.method.as_str());
            ended.change.tell(event);
        };
        self.changes.carry_out(deed, change, tell).await
    }

    /// Ends all sessions of somebody for good, also those that nobody has on record. They may sign in again at once, and
    /// their tokens are as good as before.
    ///
    /// # Errors
    /// As [`Self::end_on_order`].
    pub async fn end_all_on_order(&self, subject: Subject, by: By, now: UnixSeconds) -> Result<EndedAll, Failure> {
        let deed = Deed::new(Action::SessionsEnded, by, &subject);
        let this = self.clone();
        let change = async move {
            let ended = this.end_all_of(&subject, now).await?;
            let stamp = match ended.stamp {
                Some(stamp) => stamp,
                None => this.present().await?,
            };
            Ok(EndedAll { count: ended.count, change: this.changes.follow(stamp).await })
        };
        let tell = |ended: &EndedAll, event: &mut Event| {
            event.tell("count", ended.count);
            ended.change.tell(event);
        };
        self.changes.carry_out(deed, change, tell).await
    }

    /// Ends the sessions that somebody has by way of oauth2-proxy: who signs out of ours must not stay in by a cookie of its.
    ///
    /// # Errors
    /// As [`Self::end_on_order`].
    pub async fn end_those_of_oauth2_proxy(&self, subject: &Subject, by: By) -> Result<(), Failure> {
        let mut sessions = self.store.of_subject(subject).await?;
        sessions.retain(|session| session.method == Method::Oauth2Proxy);
        for session in sessions {
            self.end_on_order(session, by.clone()).await?;
        }
        Ok(())
    }

    /// Where the feed stands, when there was nothing to tell it.
    pub(in crate::service) async fn present(&self) -> Result<Stamp, Failure> {
        let roll = self.registry.roll().await?;
        match roll.epoch {
            Some(epoch) => Ok(Stamp { epoch, version: roll.version }),
            // A store that nobody used yet. A mark that ended long ago begins the feed.
            None => Ok(self.feed.put(&Mark::new(Kind::Session, "none", 1)).await?),
        }
    }
}
