//! Cleaning Redis up: what points to nothing any more is found, shown, and deleted, by hand or on schedule.
//!
//! What is found is looked at again a second later, right before it is deleted: a program that writes what belongs
//! together in several steps is through with them by then, in whichever order it takes them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::stream::{self, Stream, StreamExt as _};
use serde_json::Value;
use tokio::time::sleep;

use crate::domain::audit::{Action, By, Event};
use crate::domain::cleanup::schedule::Schedule;
use crate::domain::cleanup::{CleanupLog, Counts, DeletedItem, ITEMS_MAX, Item, PREVIEW_MAX, id_of};
use crate::domain::error::Failure;
use crate::domain::page::{Page, Window};
use crate::domain::time::UnixSeconds;
use crate::service::audit::Deed;
use crate::service::change::Changes;
use crate::service::error::StoreError;

/// Most leftovers that a run remembers before it deletes them; then it goes on from the beginning.
const FOUND_MAX: usize = 50_000;
/// So long something must have pointed to nothing.
const GRACE: Duration = Duration::from_secs(1);
/// Leftovers that one step deletes.
const STEP: usize = 100;
/// Between two steps: others want something of Redis, too.
const BREATH: Duration = Duration::from_millis(1);
/// The life of a turn, which is renewed while a run goes on.
const TURN_LIFE: Duration = Duration::from_secs(60);
/// After so much of it a turn is renewed.
const RENEW_AFTER: Duration = Duration::from_secs(15);

/// Where leftovers are.
#[async_trait]
pub trait CleanupStore: Send + Sync {
    /// Where walks begin that together go over everything.
    fn places(&self) -> Vec<Cursor>;

    /// One step of a walk.
    async fn walk(&self, from: Cursor) -> Result<Step, StoreError>;

    /// Roughly how many bytes it would free to delete these, and others like them: so many of each kind.
    async fn estimate(&self, sample: &[Item], counts: &Counts) -> Result<u64, StoreError>;

    /// Deletes those of `items` that still are leftovers, and what is left over by that.
    async fn delete(&self, items: &[Item]) -> Result<Removed, StoreError>;

    /// Takes the turn to run, which nobody else has then for `life`; none if somebody has it.
    async fn take_turn(&self, life: Duration) -> Result<Option<Turn>, StoreError>;

    /// Makes a turn last for `life` from now on.
    async fn renew_turn(&self, turn: &Turn, life: Duration) -> Result<(), StoreError>;

    /// Ends a turn.
    async fn end_turn(&self, turn: Turn) -> Result<(), StoreError>;

    /// Keeps the log of a run for so many days; false if there is one of that name.
    async fn keep_log(&self, log: &CleanupLog, days: u64) -> Result<bool, StoreError>;

    /// Logs that are kept, the newest first, those from before `before`; and how many there are in all.
    async fn logs(&self, before: Option<u64>, limit: usize, days: u64) -> Result<(Vec<Logged>, u64), StoreError>;

    /// For which moment of the schedule there was a run last; none if that is not possible by the store's own clock. And
    /// whether `moment` is.
    async fn scheduled_run(&self, moment: UnixSeconds) -> Result<(Option<UnixSeconds>, bool), StoreError>;

    /// Notes that there was one for this moment, unless there was one for a later one that is possible.
    async fn note_scheduled_run(&self, moment: UnixSeconds) -> Result<(), StoreError>;
}

/// How far a walk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Which of the places.
    pub place: usize,
    /// How far in it.
    pub at: u64,
}

/// What one step of a walk found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The leftovers.
    pub found: Vec<Item>,
    /// Where it goes on, if it does.
    pub next: Option<Cursor>,
}

/// What one step deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// The items.
    pub items: Vec<Item>,
    /// How many bytes that freed.
    pub freed: u64,
}

/// The right to run.
#[derive(Debug, Clone)]
pub struct Turn {
    /// Different for each turn.
    pub id: String,
}

/// A log, as it is kept: other programs may have written it.
#[derive(Debug, Clone)]
pub struct Logged {
    /// When the run was, in Unix seconds.
    pub at: u64,
    /// The log.
    pub log: Value,
}

/// What a run would delete.
#[derive(Debug, Clone)]
pub struct Preview {
    /// Up to [`PREVIEW_MAX`] of each kind.
    pub items: Vec<Item>,
    /// How many there are.
    pub counts: Counts,
    /// Roughly how many bytes that would free.
    pub estimated_freed: u64,
}

/// When runs start by themselves, and how long their logs are kept.
#[derive(Debug, Clone)]
pub struct Habits {
    /// None if nothing starts by itself.
    pub schedule: Option<Schedule>,
    /// In days.
    pub log_retention_days: u64,
}

/// The use cases.
#[derive(Clone)]
pub struct Cleanup {
    store: Arc<dyn CleanupStore>,
    changes: Changes,
    habits: Arc<Habits>,
}

impl Cleanup {
    /// Cleans `store` up.
    #[must_use]
    pub fn new(store: Arc<dyn CleanupStore>, changes: Changes, habits: Habits) -> Self {
        Self { store, changes, habits: Arc::new(habits) }
    }

    /// When runs start by themselves, and how long their logs are kept.
    #[must_use]
    pub fn habits(&self) -> &Habits {
        &self.habits
    }

    /// What a run would delete now. Deletes nothing.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn preview(&self) -> Result<Preview, Failure> {
        let (mut items, mut counts, mut steps) = (Vec::new(), Counts::default(), self.steps());
        while let Some(found) = steps.next().await {
            for item in found? {
                if counts.add(item.kind) <= PREVIEW_MAX {
                    items.push(item);
                }
            }
        }
        items.sort_by_key(|item| item.kind);
        let estimated_freed = self.store.estimate(&items, &counts).await?;
        Ok(Preview { items, counts, estimated_freed })
    }

    /// Runs now, because `by` wants it.
    ///
    /// # Errors
    /// [`Failure::CleanupRuns`] if one runs already; those of recording; [`Failure::Unavailable`].
    pub async fn run(&self, by: By) -> Result<CleanupLog, Failure> {
        let turn = self.store.take_turn(TURN_LIFE).await?.ok_or(Failure::CleanupRuns)?;
        self.record(turn, by, true).await
    }

    /// Runs if the schedule says so: at its time, or once for all times that were missed. Of several sidecars one does.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_if_due(&self, now: UnixSeconds) -> Result<Option<CleanupLog>, Failure> {
        let Some(moment) = self.habits.schedule.as_ref().and_then(|schedule| schedule.last_until(now)) else {
            return Ok(None);
        };
        match self.store.scheduled_run(moment).await? {
            // It is this sidecar's clock that is wrong. Those that are right will run.
            (_, false) => return Ok(None),
            // Nothing was missed before there was a schedule.
            (None, true) => {
                self.store.note_scheduled_run(moment).await?;
                return Ok(None);
            }
            (Some(last), true) if last >= moment => return Ok(None),
            (Some(_), true) => {}
        }
        let Some(turn) = self.store.take_turn(TURN_LIFE).await? else { return Ok(None) };
        if self.store.scheduled_run(moment).await?.0.is_some_and(|last| last >= moment) {
            self.store.end_turn(turn).await?;
            return Ok(None);
        }
        let log = self.record(turn, By::system("schedule"), false).await?;
        // Afterwards: a run that was cut short is made again.
        self.store.note_scheduled_run(moment).await?;
        Ok(Some(log))
    }

    /// A part of the logs, the newest first, and how many there are in all.
    ///
    /// # Errors
    /// [`Failure::Invalid`] if the cursor is none of ours; [`Failure::Unavailable`].
    pub async fn logs(&self, window: &Window) -> Result<(Page<Logged>, u64), Failure> {
        let before = window.after.as_deref().map(str::parse).transpose();
        let before = before.map_err(|_| Failure::invalid("cursor", "must be the `next_cursor` of an answer"))?;
        let (rows, total) = self.store.logs(before, window.limit, self.habits.log_retention_days).await?;
        // The store may give fewer than it was asked for, since logs can be long.
        let last = rows.last().map(|row| row.at);
        let next = match last {
            Some(at) if !self.store.logs(Some(at), 0, self.habits.log_retention_days).await?.0.is_empty() => Some(at),
            _ => None,
        };
        Ok((Page { rows, next: next.map(|at| at.to_string()), limit: window.limit }, total))
    }

    async fn record(&self, turn: Turn, by: By, manual: bool) -> Result<CleanupLog, Failure> {
        let (this, executed_by) = (self.clone(), by.actor.clone());
        let deed = Deed { action: Action::CleanupRun, by, target: None };
        let change = async move {
            let ran = this.clean(&turn, executed_by, manual).await;
            this.store.end_turn(turn).await?;
            ran
        };
        let tell = |log: &CleanupLog, event: &mut Event| {
            event.tell("cleanup_id", log.cleanup_id.as_str());
            event.tell("manual", log.manual);
            event.tell("total_deleted", log.total_deleted);
            event.tell("freed_memory", log.freed_memory);
            event.tell("duration_ms", log.duration_ms);
        };
        self.changes.carry_out(deed, change, tell).await
    }

    async fn clean(&self, turn: &Turn, executed_by: String, manual: bool) -> Result<CleanupLog, Failure> {
        let (begun, executed_at) = (Instant::now(), UnixSeconds::now().get());
        let (mut tally, mut hold) = (Tally::default(), Hold { store: &*self.store, turn, renewed: begun });
        loop {
            let (found, is_all) = self.find(&mut hold).await?;
            if !found.is_empty() {
                sleep(GRACE).await;
                self.delete(&mut hold, &found, &mut tally).await?;
            }
            // What could not be deleted would be found again and again.
            if is_all || !tally.has_grown() {
                break;
            }
        }
        let mut log = CleanupLog {
            cleanup_id: String::new(),
            executed_at,
            executed_by,
            manual,
            results: tally.counts.into(),
            total_deleted: tally.counts.total(),
            freed_memory: tally.freed,
            duration_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            deleted_items_left_out: tally.counts.total().saturating_sub(tally.items.len() as u64),
            deleted_items: tally.items,
        };
        self.keep(&mut log).await?;
        Ok(log)
    }

    /// Leftovers, up to [`FOUND_MAX`], and whether these are all.
    async fn find(&self, hold: &mut Hold<'_>) -> Result<(Vec<Item>, bool), Failure> {
        let (mut found, mut steps, mut is_all) = (Vec::new(), self.steps(), false);
        while !is_all && found.len() < FOUND_MAX {
            match steps.next().await {
                Some(step) => found.extend(step?),
                None => is_all = true,
            }
            hold.go_on().await?;
        }
        found.sort_by_key(|item: &Item| item.kind);
        Ok((found, is_all))
    }

    /// What is found, step by step. All places are walked at the same time: Redis need not wait until we have looked at what
    /// it gave.
    fn steps(&self) -> impl Stream<Item = Result<Vec<Item>, StoreError>> + Unpin {
        let store = &*self.store;
        let walk = move |begin| {
            Box::pin(stream::unfold(Some(begin), move |at| async move {
                Some(match store.walk(at?).await {
                    Ok(step) => (Ok(step.found), step.next),
                    Err(error) => (Err(error), None),
                })
            }))
        };
        stream::select_all(store.places().into_iter().map(walk))
    }

    async fn delete(&self, hold: &mut Hold<'_>, found: &[Item], tally: &mut Tally) -> Result<(), Failure> {
        for items in found.chunks(STEP) {
            hold.go_on().await?;
            tally.add(self.store.delete(items).await?, UnixSeconds::now());
            sleep(BREATH).await;
        }
        Ok(())
    }

    /// Keeps the log under the name of its second, or of one after it that no other run has.
    async fn keep(&self, log: &mut CleanupLog) -> Result<(), Failure> {
        for later in 0..60 {
            log.executed_at = log.executed_at.saturating_add(u64::from(later > 0));
            log.cleanup_id = id_of(log.executed_at);
            if self.store.keep_log(log, self.habits.log_retention_days).await? {
                return Ok(());
            }
        }
        Err(Failure::Internal { cause: "no name is free for the log of a clean-up".to_owned() })
    }
}

/// A turn that lasts for as long as its run goes on.
struct Hold<'a> {
    store: &'a dyn CleanupStore,
    turn: &'a Turn,
    renewed: Instant,
}

impl Hold<'_> {
    /// Renews it, if it is time to.
    async fn go_on(&mut self) -> Result<(), Failure> {
        if self.renewed.elapsed() >= RENEW_AFTER {
            self.store.renew_turn(self.turn, TURN_LIFE).await?;
            self.renewed = Instant::now();
        }
        Ok(())
    }
}

/// What a run has deleted so far.
#[derive(Default)]
struct Tally {
    counts: Counts,
    items: Vec<DeletedItem>,
    freed: u64,
    before: u64,
}

impl Tally {
    fn add(&mut self, removed: Removed, now: UnixSeconds) {
        self.freed = self.freed.saturating_add(removed.freed);
        for item in removed.items {
            self.counts.add(item.kind);
            if self.items.len() < ITEMS_MAX {
                let reason = item.kind.reason().to_owned();
                self.items.push(DeletedItem { item, reason, timestamp: now.get() });
            }
        }
    }

    /// Whether there is more than the last time when this was asked.
    fn has_grown(&mut self) -> bool {
        let (before, now) = (self.before, self.counts.total());
        self.before = now;
        now > before
    }
}
