//! The trail of events: what it keeps, how it is asked, how it is shown to be whole, and what of it is dropped.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::audit::chain::{Break, End, Link, Walk};
use crate::domain::audit::{Action, By, Event, Outcome, Place, Question, Recorded};
use crate::domain::error::Failure;
use crate::domain::page::{Page, Window};
use crate::failpoint::{FailPoint, reach};
use crate::service::audit::{Backlog, Journal};
use crate::service::clock::{in_time, now_ms};
use crate::service::error::StoreError;

/// Events that one step of a walk looks at.
const STEP: usize = 1_000;

/// No step takes longer, unless the database is gone without a word.
const STEP_MAX: Duration = Duration::from_secs(30);

/// Keeps events, in an order that nobody can change without its showing.
#[async_trait]
pub trait Trail: Send + Sync {
    /// Appends those events that are not in it yet, all or none; where it ends then.
    async fn append(&self, events: &[Event]) -> Result<End, StoreError>;

    /// At most `limit` events that fit, the newest first, those behind `after`.
    async fn query(&self, question: &Question, after: Option<Place>, limit: usize)
    -> Result<Vec<Recorded>, StoreError>;

    /// At most `limit` events as they stand, in order, those with a higher number than `after`.
    async fn links(&self, after: u64, limit: usize) -> Result<Vec<Link>, StoreError>;

    /// Where it begins and ends.
    async fn ends(&self) -> Result<Ends, StoreError>;

    /// Drops at most `limit` of the oldest events, none that began at `before_ms` or later.
    async fn prune(&self, before_ms: u64, limit: usize) -> Result<Pruned, StoreError>;
}

/// The ends of the trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The event before the first that is kept.
    pub start: End,
    /// The last event.
    pub head: End,
}

/// What a step of pruning came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruned {
    /// How many events were dropped.
    pub count: usize,
    /// Whether there may be more.
    pub more: bool,
    /// Where the trail begins now, if that changed.
    pub start: Option<End>,
}

/// What a walk over the whole trail found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// How many events are there, each as it was written.
    pub count: u64,
    /// Where the trail begins and ends. Who keeps the head elsewhere will notice if all of it is written anew.
    pub ends: Ends,
    /// What the trail itself says of the pruning that it begins with; none if it says nothing.
    pub pruning: Option<Pruning>,
}

/// What an event says of a pruning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pruning {
    /// When it was, in Unix milliseconds.
    pub at_ms: u64,
    /// Events that had begun before this Unix millisecond were dropped.
    pub before_ms: u64,
}

impl Verified {
    /// Whether the trail begins where its retention explains: at its first event, or where a pruning that dropped nothing
    /// younger than `retention` says.
    #[must_use]
    pub fn begins_as_it_should(&self, retention: Duration) -> bool {
        let retention_ms = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX);
        let is_old = |pruning: Pruning| pruning.before_ms.saturating_add(retention_ms) <= pruning.at_ms;
        self.ends.start == End::GENESIS || self.pruning.is_some_and(is_old)
    }
}

/// The use cases.
#[derive(Clone)]
pub struct AuditTrail {
    journal: Arc<dyn Journal>,
    trail: Arc<dyn Trail>,
}

impl AuditTrail {
    /// The events in `trail`, which come by way of `journal`.
    #[must_use]
    pub fn new(journal: Arc<dyn Journal>, trail: Arc<dyn Trail>) -> Self {
        Self { journal, trail }
    }

    /// Carries what is in line to the trail. Of several who do so at once each event is taken once.
    ///
    /// # Errors
    /// One of the two can't be reached. What is in line stays there.
    pub async fn carry(&self) -> Result<(), StoreError> {
        loop {
            let waiting = self.journal.waiting(STEP).await?;
            if waiting.is_empty() {
                return Ok(());
            }
            let (places, events): (Vec<String>, Vec<Event>) =
                waiting.into_iter().map(|waiting| (waiting.place, waiting.event)).unzip();
            in_time(STEP_MAX, self.trail.append(&events)).await?;
            reach(FailPoint::AuditAppended);
            self.journal.forget(&places).await?;
        }
    }

    /// Closes events of changes that were cut short before `begun_before_ms`; how many.
    ///
    /// # Errors
    /// The journal can't be reached.
    pub async fn close_abandoned(&self, begun_before_ms: u64) -> Result<usize, StoreError> {
        self.journal.close_abandoned(begun_before_ms).await
    }

    /// How much waits to be carried.
    ///
    /// # Errors
    /// The journal can't be reached.
    pub async fn backlog(&self) -> Result<Backlog, StoreError> {
        self.journal.backlog().await
    }

    /// A part of the events that fit, the newest first.
    ///
    /// # Errors
    /// [`Failure::Invalid`] if the cursor is none of ours; [`Failure::Unavailable`].
    pub async fn list(&self, question: &Question, window: &Window) -> Result<Page<Recorded>, Failure> {
        let after = window.after.as_deref().map(place).transpose()?;
        let rows = self.trail.query(question, after, window.limit.saturating_add(1)).await?;
        Ok(Page::cut(rows, window, |row| format!("{}.{}", row.event.at_ms, row.end.seq)))
    }

    /// Walks over all events. `remembered` is an end that was printed before, which must still be part of the chain.
    ///
    /// # Errors
    /// The store can't be reached. A trail that is not whole is no error, but an answer.
    pub async fn verify(&self, remembered: Option<End>) -> Result<Result<Verified, Break>, Failure> {
        // The end first: what is appended meanwhile is beyond it.
        let mut ends = self.trail.ends().await?;
        loop {
            let found = self.walk(ends, remembered).await?;
            let now = self.trail.ends().await?;
            // What was pruned meanwhile is missing, and nobody's fault.
            if found.is_ok() || now.start == ends.start {
                return Ok(found);
            }
            ends = now;
        }
    }

    async fn walk(&self, ends: Ends, remembered: Option<End>) -> Result<Result<Verified, Break>, Failure> {
        if let Some(end) = remembered.filter(|end| end.seq <= ends.start.seq && *end != End::GENESIS) {
            return Ok(Err(Break::Dropped { remembered: end.seq, start: ends.start.seq }));
        }
        let (mut walk, mut recalled, mut pruning) = (Walk::from(ends.start), remembered, None);
        loop {
            recalled = recalled.filter(|end| *end != walk.at());
            let links = self.trail.links(walk.at().seq, STEP).await?;
            let links: Vec<&Link> = links.iter().take_while(|link| link.end.seq <= ends.head.seq).collect();
            if links.is_empty() {
                break;
            }
            for link in links {
                if let Err(found) = walk.step(link) {
                    return Ok(Err(found));
                }
                recalled = recalled.filter(|end| *end != walk.at());
                pruning = told_of(link, ends.start).or(pruning);
            }
        }
        let count = walk.at().seq - ends.start.seq;
        Ok(match (walk.finish(ends.head), recalled) {
            (Err(found), _) => Err(found),
            (Ok(()), Some(end)) => Err(Break::Remembered(end.seq)),
            (Ok(()), None) => Ok(Verified { count, ends, pruning }),
        })
    }

    /// Drops the oldest events up to the first that began at `before_ms` or later; how many.
    ///
    /// # Errors
    /// The store can't be reached.
    pub async fn prune(&self, before_ms: u64) -> Result<usize, StoreError> {
        let (mut dropped, mut more, mut start) = (0, true, None);
        while more {
            let step = in_time(STEP_MAX, self.trail.prune(before_ms, STEP)).await?;
            (dropped, more, start) = (dropped + step.count, step.more, step.start.or(start));
        }
        if dropped > 0 {
            let id = uuid::Uuid::now_v7().to_string();
            let mut event = Event::begun(id, now_ms(), Action::AuditPruned, By::system("audit"), None);
            event.outcome = Outcome::Done;
            event.tell("count", dropped);
            event.tell("before_ms", before_ms);
            event.tell("start", start.map(|start| start.to_string()));
            self.journal.close(&event).await?;
        }
        Ok(dropped)
    }
}

/// What the event of a link says of the pruning after which the trail begins with `start`, if it is about that.
fn told_of(link: &Link, start: End) -> Option<Pruning> {
    if link.columns.action != Action::AuditPruned.word() {
        return None;
    }
    let event: Event = serde_json::from_str(&link.body).ok()?;
    let is_it = event.details.get("start")?.as_str()?.parse() == Ok(start);
    let before_ms = event.details.get("before_ms")?.as_u64()?;
    is_it.then_some(Pruning { at_ms: event.at_ms, before_ms })
}

fn place(cursor: &str) -> Result<Place, Failure> {
    let numbers = cursor.split_once('.').and_then(|(at_ms, seq)| Some((at_ms.parse().ok()?, seq.parse().ok()?)));
    let (at_ms, seq) = numbers.ok_or_else(|| Failure::invalid("cursor", "must be the `next_cursor` of an answer"))?;
    Ok(Place { at_ms, seq })
}
