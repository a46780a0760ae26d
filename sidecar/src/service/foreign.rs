//! What other programs do to bans, in the audit trail: nobody ordered it here, so it is recorded when the feed is told of it,
//! by the one sidecar that tells it.
//!
//! A ban of our own that was cut off looks the same, but its details say that it is ours; and while a change of our own goes
//! on, that has its turn. Both are recorded where they were ordered.

use std::sync::{Arc, Mutex, PoisonError};

use sekisho_protocol::Subject;
use sekisho_protocol::feed::FOREVER;

use crate::domain::audit::quota::Quota;
use crate::domain::audit::{Action, By, Event, Outcome};
use crate::domain::time::UnixSeconds;
use crate::service::audit::{Audit, Deed};
use crate::service::bans::BanStore;
use crate::service::error::StoreError;
use crate::service::sessions::Sessions;

/// Who it is in the trail.
const ACTOR: &str = "another program";
/// Most events in a minute: the first walk over an old installation may find a hundred thousand bans.
const OF_ALL: u32 = 1_000;

/// Records it.
#[derive(Clone)]
pub struct Foreign {
    audit: Audit,
    bans: Arc<dyn BanStore>,
    sessions: Sessions,
    quota: Arc<Mutex<Quota>>,
}

/// What another program did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It banned somebody until this Unix second.
    Banned {
        /// [`FOREVER`] if it has no end.
        until: u64,
    },
    /// It lifted a ban.
    Lifted,
}

impl Foreign {
    /// Records in `audit` what is not known to be ours by `bans`, and sees that those bans end `sessions`, too.
    #[must_use]
    pub fn new(audit: Audit, bans: Arc<dyn BanStore>, sessions: Sessions) -> Self {
        Self { audit, bans, sessions, quota: Arc::new(Mutex::new(Quota::new(OF_ALL, OF_ALL))) }
    }

    /// Before the feed is told that somebody is banned: a ban ends sessions, and another program can't see to that. The
    /// moment until which those began that are over; none if the ban is ours, which has seen to it.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn outdate_sessions(&self, subject: &Subject) -> Result<Option<UnixSeconds>, StoreError> {
        if self.bans.is_ours(subject).await? {
            return Ok(None);
        }
        self.sessions.outdate_all_of(subject, UnixSeconds::now()).await.map(Some)
    }

    /// After that: ends the sessions that are listed. None of them holds, whether or not that can be written.
    pub async fn end_sessions(&self, subject: &Subject, moment: UnixSeconds) {
        if let Err(error) = self.sessions.end_listed(subject, |session| session.signed_in_at <= moment).await {
            tracing::warn!(%error, "sessions of somebody whom another program bans stay in the lists");
        }
    }

    /// Records that the feed was told what another program did to somebody's ban. The feed matters more: what cannot be
    /// looked up or recorded is left out, with a line in the log.
    pub async fn saw(&self, subject: &str, seen: Seen) {
        let Ok(subject) = Subject::try_from(subject.to_owned()) else { return };
        match self.bans.is_ours(&subject).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::debug!(%error, "nobody knows whose ban that is"),
        }
        let admitted = self.quota().admit(ACTOR, UnixSeconds::now().get());
        if let Some(left_out) = admitted {
            let deed = Deed::new(seen.action(), By::system(ACTOR), &subject);
            self.audit.note(deed, Outcome::Done, |event| seen.tell(left_out, event)).await;
        }
    }

    /// Tells how many were left out since the last event, at the end of a walk that may have found too many.
    pub async fn tell_left_out(&self) {
        let left_out = self.quota().take_left_out();
        if left_out > 0 {
            let deed = Deed { action: Action::BanGiven, by: By::system(ACTOR), target: None };
            self.audit.note(deed, Outcome::Done, |event| event.tell("left_out", left_out)).await;
        }
    }

    fn quota(&self) -> std::sync::MutexGuard<'_, Quota> {
        self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn action(self) -> Action {
        match self {
            Self::Banned { .. } => Action::BanGiven,
            Self::Lifted => Action::BanLifted,
        }
    }

    fn tell(self, left_out: u64, event: &mut Event) {
        if let Self::Banned { until } = self {
            event.tell("until", (until < FOREVER).then_some(until));
        }
        event.tell("left_out", (left_out > 0).then_some(left_out));
    }
}

#[cfg(test)]
mod tests;
