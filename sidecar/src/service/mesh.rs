//! The whole mesh at a glance: which filters listen, how far each is, and for how long the slowest of them
//! has been behind.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sekisho_protocol::Epoch;
use tokio::time::Instant;

use crate::domain::error::Failure;
use crate::domain::feed::{Stamp, Version};
use crate::domain::page::{Page, Window};
use crate::service::error::StoreError;
use crate::service::feed::census::Census;
use crate::service::feed::registry::{Roll, Worker};

mod cursor;

/// Most versions of which it is remembered when the feed was first seen there. Who is further behind has
/// been so for at least as long as the oldest of them.
const MAX_MARKS: usize = 4_096;

/// How a worker is, as far as the registry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// It polled within its staleness bound, and holds the feed's present version.
    Live,
    /// It polled within its bound, and reads a snapshot: until that is whole it acknowledges nothing.
    Loading,
    /// It polled within its bound, and holds an older version, or one of another epoch.
    Lagging,
    /// It has not polled within its bound, and checks every request by itself.
    Fenced,
    /// It has not polled within its bound, and may let requests pass unchecked: every change lags.
    Silent,
}

impl Condition {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Live, Self::Loading, Self::Lagging, Self::Fenced, Self::Silent];

    /// The condition of one of the workers of `roll`.
    #[must_use]
    pub fn of(worker: &Worker, roll: &Roll) -> Self {
        let presence = &worker.presence;
        match (worker.is_live(roll.now_ms), &presence.holds) {
            (false, _) if presence.fences => Self::Fenced,
            (false, _) => Self::Silent,
            (true, None) => Self::Loading,
            (true, Some(_)) if roll.stamp().is_some_and(|stamp| worker.has_applied(&stamp)) => Self::Live,
            (true, Some(_)) => Self::Lagging,
        }
    }

    /// The stable word for answers and labels.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Loading => "loading",
            Self::Lagging => "lagging",
            Self::Fenced => "fenced",
            Self::Silent => "silent",
        }
    }
}

/// How many workers are in each condition; every condition has a number.
pub type Counts = BTreeMap<Condition, usize>;

/// The mesh at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// The feed's epoch; none if the store lost it.
    pub epoch: Option<Epoch>,
    /// The feed's version.
    pub version: Version,
    /// All workers, counted.
    pub counts: Counts,
    /// A part of the workers, by node and number.
    pub workers: Page<Seen>,
}

/// A worker in an overview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The worker.
    pub worker: Worker,
    /// How it is.
    pub condition: Condition,
    /// How many versions it is behind; none if it holds none of this epoch.
    pub lag: Option<u64>,
    /// How long ago it polled, in milliseconds by the store's clock.
    pub seen_ms: u64,
}

/// What is measured about the whole mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// For how long the feed has been ahead of the slowest worker that polls and holds a version; zero if
    /// none is behind.
    pub lag: Duration,
    /// How many writes the feed's stream holds.
    pub stream_length: u64,
    /// All workers, counted.
    pub counts: Counts,
}

/// Looks at the mesh.
#[derive(Clone)]
pub struct Mesh {
    census: Census,
}

impl Mesh {
    /// Looks by means of `census`.
    #[must_use]
    pub fn new(census: Census) -> Self {
        Self { census }
    }

    /// The part of the mesh that `window` names.
    ///
    /// # Errors
    /// The registry cannot be read, or the window's cursor is none that this gave out.
    pub async fn overview(&self, window: &Window) -> Result<Overview, Failure> {
        let roll = self.census.since(Instant::now()).await?;
        let after = window.after.as_deref().map(cursor::parse).transpose()?;
        let mut workers: Vec<&Worker> = roll.workers.iter().collect();
        workers.sort_by_cached_key(|worker| cursor::position(worker));
        let behind = |worker: &&Worker| after.as_ref().is_none_or(|after| cursor::position(worker) > *after);
        let rows = workers.into_iter().filter(behind).take(window.limit.saturating_add(1));
        let rows = rows.map(|worker| Seen::of(worker, &roll)).collect();
        Ok(Overview {
            epoch: roll.epoch.clone(),
            version: roll.version,
            counts: count(&roll),
            workers: Page::cut(rows, window, |seen| cursor::text(&seen.worker)),
        })
    }

    /// What is measured, from a reading of the registry that is at most `age` old.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn survey(&self, history: &mut History, age: Duration) -> Result<Survey, StoreError> {
        let now = Instant::now();
        let roll = self.census.since(now.checked_sub(age).unwrap_or(now)).await?;
        Ok(Survey { lag: history.lag(&roll, now), stream_length: roll.stream_length, counts: count(&roll) })
    }
}

impl Seen {
    fn of(worker: &Worker, roll: &Roll) -> Self {
        let holds = worker.presence.holds.as_ref().filter(|holds| Some(&holds.epoch) == roll.epoch.as_ref());
        Self {
            condition: Condition::of(worker, roll),
            lag: holds.map(|holds| roll.version.get().saturating_sub(holds.version.get())),
            seen_ms: worker.silent_ms(roll.now_ms),
            worker: worker.clone(),
        }
    }
}

fn count(roll: &Roll) -> Counts {
    let mut counts: Counts = Condition::ALL.into_iter().map(|condition| (condition, 0)).collect();
    for worker in &roll.workers {
        *counts.entry(Condition::of(worker, roll)).or_default() += 1;
    }
    counts
}

/// When the feed was first seen at each of its versions, as far as it was looked at.
#[derive(Debug, Default)]
pub struct History {
    epoch: Option<Epoch>,
    marks: VecDeque<(Version, Instant)>,
}

impl History {
    /// For how long the feed has been ahead of the slowest live worker of `roll`, which was read at `now`. It is
    /// counted from the first look that found the feed ahead, so it is short by the time between two looks at
    /// most.
    fn lag(&mut self, roll: &Roll, now: Instant) -> Duration {
        if self.epoch != roll.epoch {
            (self.epoch, self.marks) = (roll.epoch.clone(), VecDeque::new());
        }
        if self.marks.back().is_none_or(|(version, _)| *version < roll.version) {
            self.marks.push_back((roll.version, now));
        }
        if self.marks.len() > MAX_MARKS {
            self.marks.pop_front();
        }
        let lagging = roll.workers.iter().filter(|worker| Condition::of(worker, roll) == Condition::Lagging);
        let since = lagging.filter_map(|worker| self.ahead_since(worker.presence.holds.as_ref()?));
        since.min().map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// When the feed was first seen ahead of `holds`. Whoever holds another epoch has been behind for as long
    /// as this one is known.
    fn ahead_since(&self, holds: &Stamp) -> Option<Instant> {
        let is_ahead =
            |(version, _): &&(Version, Instant)| self.epoch.as_ref() != Some(&holds.epoch) || *version > holds.version;
        self.marks.iter().find(is_ahead).map(|(_, since)| *since)
    }
}

#[cfg(test)]
mod tests;
