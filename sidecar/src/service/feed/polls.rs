//! Answers the filters' polls: a delta, a page of a snapshot, or after a while "nothing new".
//!
//! Registration comes before the snapshot (rule P7), and a snapshot is never older than what the
//! store held when its reader was registered. An answer never goes back behind what the poll says
//! it has (rule P3), and says how old the store's last word is (rule P4).

use std::sync::Arc;
use std::time::Duration;

use sekisho_protocol::feed::FeedQuery;
use sekisho_protocol::{Digest, ReplicaId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::attendance::Attendance;
use super::census::Census;
use super::mirror::Mirror;
use super::registry::{Presence, Registered, Start};
use crate::domain::feed::state::{Delta, State};
use crate::domain::feed::{Stamp, Version};
use crate::failpoint::{FailPoint, reach};
use crate::service::error::StoreError;
use crate::service::metrics::{Metrics, PollAnswer};

mod needed;
mod pages;
mod reply;

use needed::{Needed, Progress, Recorded};
use pages::Pages;
pub use reply::Reply;

/// Most polls that are held at a time: one for each worker that can be on record, and some that come over another
/// connection before the last one is missed.
const MAX_HELD: usize = 16_384;
/// So many epochs a poll may see before it is given up.
const EPOCHS: usize = 2;
/// A replica that registers is told nothing that is older than this: it would start out stale.
const REGISTRATION_MAX_AGE: Duration = Duration::from_secs(1);

/// Answers polls.
#[derive(Clone)]
pub struct Polls {
    mirror: Mirror,
    census: Census,
    metrics: Metrics,
    pages: Pages,
    node: String,
    hold: Duration,
    attendance: Attendance,
    room: Arc<Semaphore>,
    closing: CancellationToken,
}

/// Why a poll got no answer. The filter asks again, perhaps another sidecar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nothing was read from the store yet, or not lately enough for somebody new.
    #[error("the feed is not loaded")]
    NotLoaded,
    /// Nobody new can be taken up.
    #[error("the replica could not be registered")]
    NotRegistered,
    /// Too many polls, or too many replicas.
    #[error("too many replicas poll")]
    Full,
}

impl Polls {
    /// Answers from `mirror`; a poll without news is held for `hold`, or until `closing`.
    #[must_use]
    pub fn new(
        mirror: Mirror,
        census: Census,
        metrics: Metrics,
        node: String,
        hold: Duration,
        closing: CancellationToken,
    ) -> Self {
        Self {
            mirror,
            census,
            pages: Pages::new(metrics.clone()),
            metrics,
            node,
            hold,
            attendance: Attendance::default(),
            room: Arc::new(Semaphore::new(MAX_HELD)),
            closing,
        }
    }

    /// The answer to a poll.
    ///
    /// # Errors
    /// There is none now.
    pub async fn answer(&self, query: FeedQuery) -> Result<Reply, Unanswered> {
        let answered = self.answer_unmeasured(query).await;
        self.metrics.poll(answered.as_ref().map_or(PollAnswer::None, Reply::kind));
        answered
    }

    async fn answer_unmeasured(&self, query: FeedQuery) -> Result<Reply, Unanswered> {
        let _room = self.enter()?;
        // A replica must hear of something several times before its bound is over, whatever we hold.
        let hold = self.hold.min(Duration::from_millis(u64::from(query.staleness_ms)) / 3);
        let deadline = Instant::now() + hold;
        // If the epoch changes while the poll is held, the replica needs a snapshot, and has to be registered for it.
        for _ in 0..EPOCHS {
            match self.answer_in_one_epoch(&query, deadline).await? {
                Outcome::Answer(reply) => return Ok(*reply),
                Outcome::OtherEpoch => {}
                Outcome::Behind => break,
            }
        }
        Err(Unanswered::NotLoaded)
    }

    async fn answer_in_one_epoch(&self, query: &FeedQuery, deadline: Instant) -> Result<Outcome, Unanswered> {
        let mut changes = self.mirror.changes();
        let needed = self.record(query).await?;
        loop {
            changes.mark_unchanged();
            match self.mirror.look(|state, _| needed.progress(state)) {
                Some(Progress::OtherEpoch) => return Ok(Outcome::OtherEpoch),
                Some(Progress::News) => break,
                Some(Progress::NothingNew | Progress::Behind) | None => {}
            }
            let changed = tokio::select! {
                changed = timeout_at(deadline, changes.changed()) => changed.is_ok(),
                () = self.closing.cancelled() => false,
            };
            if !changed {
                break;
            }
        }
        let reply = self.reply(&needed).await;
        Ok(reply.map_or(Outcome::Behind, |reply| Outcome::Answer(Box::new(reply))))
    }

    /// The answer that can be given now; none if there is none.
    async fn reply(&self, needed: &Needed) -> Option<Reply> {
        match self.mirror.look(|state, age| contents(state, age, needed)).flatten()? {
            Contents::Changes(reply) => Some(reply),
            Contents::Page { from, least } => {
                let (page, age) = self.pages.page(&self.mirror, from, &least).await?;
                Some(Reply::page(page, age.max(needed.least_age()), needed.is_recorded()))
            }
        }
    }

    /// A replica says goodbye.
    ///
    /// # Errors
    /// The registry cannot be reached; it will forget the replica by itself.
    pub async fn goodbye(&self, replica: &ReplicaId) -> Result<(), StoreError> {
        self.census.remove(replica).await
    }

    fn enter(&self) -> Result<OwnedSemaphorePermit, Unanswered> {
        Arc::clone(&self.room).try_acquire_owned().map_err(|_| Unanswered::Full)
    }

    /// Notes the poll, and says what an answer to it needs.
    async fn record(&self, query: &FeedQuery) -> Result<Needed, Unanswered> {
        let current = self.mirror.look(|state, age| (state.stamp().epoch.clone(), age));
        let (epoch, age) = current.ok_or(Unanswered::NotLoaded)?;
        let since = Version::new(query.since);
        // Whoever still reads a snapshot holds nothing yet: an entry may stand in a page to come.
        let complete = query.epoch.clone().filter(|_| query.from.is_none());
        let holds = complete.map(|epoch| Stamp { epoch, version: since });
        let start = if query.epoch.is_none() { Start::Blank } else { Start::Held };
        let asked_at = std::time::Instant::now();
        let recorded = self.census.record(&presence(query, &self.node, holds), start).await;
        let wants_news = query.epoch.as_ref() == Some(&epoch) && query.from.is_none();
        match recorded {
            Ok(Registered::Full) => Err(Unanswered::Full),
            Ok(Registered::At(at)) => {
                reach(FailPoint::PollRecorded);
                self.attendance.note(&query.replica, asked_at);
                match at {
                    at if wants_news => Ok(Needed::News { epoch, since, at: Recorded::At(at) }),
                    Some(at) if age <= REGISTRATION_MAX_AGE => Ok(Needed::page(query, at)),
                    _ => Err(Unanswered::NotLoaded),
                }
            }
            // Whoever was on record a moment ago still counts as live there, so every change waits for
            // it: without the store it gets an answer, too, which says how old it is.
            Err(error) => match self.attendance.since(query).filter(|_| wants_news) {
                Some(since_record) => Ok(Needed::News { epoch, since, at: Recorded::Unknown(since_record) }),
                None => {
                    tracing::warn!(replica.id = %query.replica, %error, "a replica cannot be registered");
                    Err(Unanswered::NotRegistered)
                }
            },
        }
    }
}

/// How an attempt to answer ended.
enum Outcome {
    Answer(Box<Reply>),
    OtherEpoch,
    Behind,
}

fn presence(query: &FeedQuery, sidecar: &str, holds: Option<Stamp>) -> Presence {
    Presence {
        replica: query.replica.clone(),
        node: query.node.clone(),
        worker: query.worker,
        build: query.build.clone(),
        fences: query.fences,
        staleness_ms: query.staleness_ms,
        sidecar: sidecar.to_owned(),
        holds,
        memory_bytes: query.memory_bytes,
        entries: query.entries,
        age_ms: query.age_ms,
    }
}

/// What an answer carries.
enum Contents {
    /// Changes, perhaps none.
    Changes(Reply),
    /// The page that starts at `from`, at least as new as `least`.
    Page { from: Digest, least: Stamp },
}

/// What `state` has for an answer; none if it is not there yet.
fn contents(state: &State, age: Duration, needed: &Needed) -> Option<Contents> {
    if matches!(needed.progress(state), Progress::Behind | Progress::OtherEpoch) {
        return None;
    }
    let stamp = state.stamp();
    Some(match needed {
        Needed::News { since, .. } => match state.delta(*since) {
            Delta::Changes(changes) => {
                let reached = changes.last().map_or(since.get(), |last| last.version);
                let age = (reached >= stamp.version.get()).then(|| age.max(needed.least_age()));
                Contents::Changes(Reply::changes(stamp.epoch.clone(), *since, changes, age, needed.is_recorded()))
            }
            Delta::TooOld => Contents::Page { from: Digest::MIN, least: stamp.clone() },
        },
        Needed::Snapshot { from, least } => Contents::Page { from: *from, least: least.clone() },
    })
}
