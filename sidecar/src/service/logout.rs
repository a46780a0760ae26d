//! Logging somebody out everywhere: whatever was issued to them until now is invalid, by whomever it
//! was issued.
//!
//! One record and one feed entry say since when their tokens are valid, in this order (rule P8). The
//! moment is never lowered, since clocks differ, and nothing lifts it: it ends when no token from
//! before it can be alive (rule P10).

use std::sync::Arc;

use async_trait::async_trait;
use sekisho_protocol::{Email, Subject};

use crate::domain::audit::{Action, By, Event};
use crate::domain::error::Failure;
use crate::domain::feed::{Mark, Stamp, not_before_end};
use crate::domain::time::UnixSeconds;
use crate::failpoint::{FailPoint, reach};
use crate::service::audit::Deed;
use crate::service::change::{Change, Changes};
use crate::service::error::StoreError;
use crate::service::feed::Feed;
use crate::service::sessions::Sessions;
use crate::service::tokens::TokenStore;

/// By how much the clocks of those who issue tokens may be ahead, in seconds.
pub(super) const CLOCKS_DIFFER_S: u64 = 1;

/// Keeps since when people's tokens are valid.
#[async_trait]
pub trait NotBeforeStore: Send + Sync {
    /// Puts on record that the subject's tokens from before `issued_before` are invalid, until `until`. If a
    /// later moment is on record, or this very one, that one moves on by a second. The moment on record
    /// afterwards.
    async fn raise(
        &self,
        subject: &Subject,
        issued_before: UnixSeconds,
        until: UnixSeconds,
    ) -> Result<UnixSeconds, StoreError>;

    /// The moment on record, if there is one.
    async fn issued_before(&self, subject: &Subject) -> Result<Option<UnixSeconds>, StoreError>;
}

/// Somebody who was logged out everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedOut {
    /// What was issued before this moment is invalid.
    pub issued_before: UnixSeconds,
    /// How many sessions ended.
    pub ended_sessions: usize,
    /// What the change came to.
    pub change: Change,
}

/// The use cases.
#[derive(Clone)]
pub struct Logouts {
    store: Arc<dyn NotBeforeStore>,
    tokens: Arc<dyn TokenStore>,
    feed: Arc<dyn Feed>,
    sessions: Sessions,
    changes: Changes,
}

impl Logouts {
    /// Logouts kept by `store`; `tokens` counts what they revoke, and `sessions` end.
    #[must_use]
    pub fn new(
        store: Arc<dyn NotBeforeStore>,
        tokens: Arc<dyn TokenStore>,
        feed: Arc<dyn Feed>,
        sessions: Sessions,
        changes: Changes,
    ) -> Self {
        Self { store, tokens, feed, sessions, changes }
    }

    /// Makes everything invalid that was issued to somebody until `now`.
    ///
    /// # Errors
    /// [`Failure::Unavailable`]; it may be written then, and the call should be made again.
    pub async fn log_out(&self, subject: Subject, by: By, now: UnixSeconds) -> Result<LoggedOut, Failure> {
        let deed = Deed::new(Action::UserLoggedOut, by, &subject);
        let this = self.clone();
        let tell = |done: &LoggedOut, event: &mut Event| {
            event.tell("sessions", done.ended_sessions);
            done.change.tell(event);
        };
        self.changes.carry_out(deed, async move { this.invalidate(&subject, now).await }, tell).await
    }

    /// The same as part of another change.
    ///
    /// # Errors
    /// As [`Self::log_out`].
    pub(super) async fn invalidate(&self, subject: &Subject, now: UnixSeconds) -> Result<LoggedOut, Failure> {
        // What was issued in this very second, a moment ago, must be invalid, too, and whoever issued it may
        // have a clock that is a little ahead.
        let wanted = now.plus(1 + CLOCKS_DIFFER_S);
        // Sessions have a moment of their own, and one that began at that, a moment ago, may be from after this logout's.
        let moment = self.sessions.outdate_all_of(subject, now).await?;
        let (issued_before, stamp) = self.write(subject, wanted).await?;
        let ended = self.sessions.end_listed(subject, |session| session.signed_in_at <= moment).await?;
        let change = self.changes.follow(ended.last(stamp)).await;
        // Lists and places follow; what holds is the record.
        if let Ok(email) = Email::parse(subject.as_str()) {
            self.tokens.note_revoked(&email).await?;
        }
        Ok(LoggedOut { issued_before, ended_sessions: ended.count, change })
    }

    /// Since when somebody's tokens are valid, if they were ever logged out.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn issued_before(&self, subject: &Subject) -> Result<Option<UnixSeconds>, Failure> {
        Ok(self.store.issued_before(subject).await?)
    }

    async fn write(&self, subject: &Subject, wanted: UnixSeconds) -> Result<(UnixSeconds, Stamp), Failure> {
        let until = UnixSeconds(not_before_end(wanted.get()));
        let issued_before = self.store.raise(subject, wanted, until).await?;
        reach(FailPoint::NotBeforeRecorded);
        let stamp = self.feed.put(&Mark::not_before(subject, issued_before.get())).await?;
        reach(FailPoint::NotBeforeEntered);
        Ok((issued_before, stamp))
    }
}

#[cfg(test)]
mod tests;
