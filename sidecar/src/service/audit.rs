//! The audit trail: every change that somebody orders, and what security calls for, becomes one event.
//!
//! Changes are written to Redis, events are kept in SQL, and neither waits for the other. So an event begins in the
//! journal, in Redis, before the change does ([`Journal::open`]), and is closed there with its outcome; a job carries
//! closed events over to SQL ([`crate::jobs::audit`]), where a hash chain ties them together. Whoever ends between the two
//! leaves an open event behind, which the same job closes as interrupted: no change goes unrecorded, whichever part dies.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::audit::{Action, By, Event, Outcome};
use crate::domain::error::Failure;
use crate::failpoint::{FailPoint, reach};
use crate::service::clock::now_ms;
use crate::service::error::StoreError;

pub mod trail;

/// Most events that wait in the journal for SQL. Beyond, changes are refused: they would go unrecorded.
/// What everybody may cause ([`Event::is_everybodys`]) is refused first: nobody fills it up so that they can't be banned.
pub const WAITING_MAX: u64 = 100_000;
/// An event that has been open for so long, and not been touched, is nobody's any more.
pub const ABANDONED_AFTER: Duration = Duration::from_secs(300);
/// How often the event of a change that runs is touched: some clean-ups take longer than [`ABANDONED_AFTER`].
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// Keeps events until they are in the trail.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Keeps an event whose outcome is not known yet; false if there is no room.
    async fn open(&self, event: &Event) -> Result<bool, StoreError>;

    /// Notes that the change of an event, if that is open, still runs.
    async fn touch(&self, event: &Event, now_ms: u64) -> Result<(), StoreError>;

    /// Puts an event, open until now or new, in line for the trail; false if it is new and there is no room.
    async fn close(&self, event: &Event) -> Result<bool, StoreError>;

    /// Puts events that were opened, and last touched, before this moment in line for the trail, as interrupted; how many.
    async fn close_abandoned(&self, begun_before_ms: u64) -> Result<usize, StoreError>;

    /// At most `limit` events in line, the oldest first. What is no event is set aside, where people find it.
    async fn waiting(&self, limit: usize) -> Result<Vec<Waiting>, StoreError>;

    /// Takes events that are in the trail out of the line.
    async fn forget(&self, places: &[String]) -> Result<(), StoreError>;

    /// How much waits.
    async fn backlog(&self) -> Result<Backlog, StoreError>;
}

/// How much waits in the journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events in line for the trail.
    pub waiting: u64,
    /// For how long the first of them has waited, by the journal's clock.
    pub oldest: Duration,
    /// Events of changes whose outcome is not known yet.
    pub open: u64,
}

/// An event in line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its place in the line.
    pub place: String,
    /// The event.
    pub event: Event,
}

/// Records what happens.
#[derive(Clone)]
pub struct Audit {
    journal: Arc<dyn Journal>,
}

/// What somebody is about to do.
#[derive(Debug, Clone)]
pub struct Deed {
    /// What.
    pub action: Action,
    /// Who.
    pub by: By,
    /// To whom or what: the person, if it is about one. None if that is not known before.
    pub target: Option<String>,
}

impl Deed {
    /// What `by` does to `target`.
    pub fn new(action: Action, by: By, target: impl ToString) -> Self {
        Self { action, by, target: Some(target.to_string()) }
    }
}

impl Audit {
    /// Records in `journal`.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self { journal }
    }

    /// Carries out `change`, and records that `deed` was done, refused, or failed. `tell` adds what is worth knowing of the
    /// result. Nothing is carried out that cannot be recorded.
    ///
    /// # Errors
    /// Those of `change`; [`Failure::Unavailable`] if the journal cannot be written, [`Failure::AuditFull`] if it is full.
    pub async fn record<T>(
        &self,
        deed: Deed,
        change: impl Future<Output = Result<T, Failure>>,
        tell: impl FnOnce(&T, &mut Event),
    ) -> Result<T, Failure> {
        let mut event = begun(deed);
        if !self.journal.open(&event).await? {
            return Err(Failure::AuditFull);
        }
        reach(FailPoint::AuditOpened);
        let result = self.touching(&event, change).await;
        match &result {
            Ok(done) => {
                event.outcome = Outcome::Done;
                tell(done, &mut event);
            }
            Err(failure) => {
                event.outcome = failure.into();
                event.tell("code", failure.code());
            }
        }
        reach(FailPoint::AuditChanged);
        // The change stands. If Redis is away just now, the event stays open, and ends as interrupted.
        if let Err(error) = self.journal.close(&event).await {
            tracing::warn!(%error, event.id, "what came of a change could not be recorded");
        }
        result
    }

    /// Runs `change`, and touches its event for as long as that takes.
    async fn touching<T>(&self, event: &Event, change: impl Future<Output = T>) -> T {
        tokio::pin!(change);
        loop {
            tokio::select! {
                done = &mut change => return done,
                () = tokio::time::sleep(TOUCH_EVERY) => if let Err(error) = self.journal.touch(event, now_ms()).await {
                    tracing::warn!(%error, event.id, "it could not be noted that a change still runs");
                },
            }
        }
    }

    /// Records what was seen, not done. It is left out, with a line in the log, if it cannot be recorded.
    pub async fn note(&self, deed: Deed, outcome: Outcome, tell: impl FnOnce(&mut Event)) {
        let mut event = begun(deed);
        event.outcome = outcome;
        tell(&mut event);
        match self.journal.close(&event).await {
            Ok(true) => {}
            Ok(false) => tracing::warn!(action = event.action.word(), "an event is left out: too many wait"),
            Err(error) => tracing::warn!(%error, action = event.action.word(), "an event could not be recorded"),
        }
    }
}

fn begun(deed: Deed) -> Event {
    let id = uuid::Uuid::now_v7().to_string();
    Event::begun(id, now_ms(), deed.action, deed.by, deed.target.as_deref())
}
