//! The end of all sessions of somebody, as part of a change that is recorded and followed.
//!
//! Each session that is listed is ended by its own record and feed entry. One that is not (a browser that signs in at this
//! moment, a session of another program that nobody has shown yet) is ended by a moment on record: whatever began before
//! it is over for good. That comes first, so that a sidecar which crashes half-way has ended them all.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use sekisho_protocol::Subject;

use super::Sessions;
use crate::domain::feed::{Stamp, ended_sessions_end};
use crate::domain::session::Session;
use crate::domain::time::UnixSeconds;
use crate::failpoint::{FailPoint, reach};
use crate::service::error::StoreError;
use crate::service::logout::CLOCKS_DIFFER_S;

/// How many sessions are ended at the same time.
const AT_ONCE: usize = 16;

/// Sessions that were ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ended {
    /// How many.
    pub count: usize,
    /// The last write to the feed, if there was one.
    pub stamp: Option<Stamp>,
}

impl Ended {
    fn and(self, stamp: Stamp) -> Self {
        let is_last = self.stamp.as_ref().is_none_or(|last| last.epoch != stamp.epoch || last.version < stamp.version);
        Self { count: self.count + 1, stamp: if is_last { Some(stamp) } else { self.stamp } }
    }

    /// The last write of a change that wrote `before` and then ended these.
    #[must_use]
    pub fn last(&self, before: Stamp) -> Stamp {
        self.stamp.clone().unwrap_or(before)
    }
}

impl Sessions {
    /// Ends all sessions of somebody.
    ///
    /// # Errors
    /// The store can't be reached; it may be written then, and the call should be made again.
    pub async fn end_all_of(&self, subject: &Subject, now: UnixSeconds) -> Result<Ended, StoreError> {
        let moment = self.outdate_all_of(subject, now).await?;
        self.end_listed(subject, |session| session.signed_in_at <= moment).await
    }

    /// Puts on record that whatever session of somebody began until now is over: the moment from which on one holds.
    ///
    /// # Errors
    /// As [`Self::end_all_of`].
    pub(in crate::service) async fn outdate_all_of(
        &self,
        subject: &Subject,
        now: UnixSeconds,
    ) -> Result<UnixSeconds, StoreError> {
        // As with a logout: what began in this very second, by a clock that is a little ahead.
        let moment = now.plus(1 + CLOCKS_DIFFER_S);
        self.store.outdate(subject, moment, ended_sessions_end(moment)).await
    }

    /// Ends those of somebody's listed sessions that are over by the moment on record: what was cut short is done, so that
    /// filters hear of each of them.
    ///
    /// # Errors
    /// As [`Self::end_all_of`].
    pub(in crate::service) async fn end_outdated(&self, subject: &Subject) -> Result<Ended, StoreError> {
        let Some(moment) = self.store.bars(subject).await?.valid_since else { return Ok(Ended::default()) };
        self.end_listed(subject, |session| session.signed_in_at < moment).await
    }

    /// Ends those of somebody's sessions that are listed and `concerned`.
    ///
    /// # Errors
    /// As [`Self::end_all_of`].
    pub(in crate::service) async fn end_listed(
        &self,
        subject: &Subject,
        concerned: impl Fn(&Session) -> bool,
    ) -> Result<Ended, StoreError> {
        let mut sessions = self.store.of_subject(subject).await?;
        sessions.retain(concerned);
        self.end_each(sessions).await
    }

    /// Ends these sessions.
    pub(super) async fn end_each(&self, sessions: Vec<Session>) -> Result<Ended, StoreError> {
        let count = sessions.len();
        let ended = stream::iter(sessions).map(|session| async move { self.end(&session).await });
        let ended = ended.buffer_unordered(AT_ONCE).try_fold(Ended::default(), |ended, stamp| async move {
            let ended = ended.and(stamp);
            if ended.count < count {
                reach(FailPoint::SessionsPart);
            }
            Ok(ended)
        });
        ended.await
    }
}
