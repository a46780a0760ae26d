//! Answers the filters' polls: a delta, a page of a snapshot, or after a while "nothing new".
//!
//! Registration comes before the snapshot (rule P7), and a snapshot is never older than what the
//! store held when its reader was registered. An answer never goes back behind what the poll says
//! it has (rule P3), and says how old the store's last word is (rule P4).

use std::sync::Arc;
use std::time::Duration;

use sekisho_protocol::feed::{FeedBody, FeedQuery, FeedReply};
use sekisho_protocol::{Digest, PROTOCOL, ReplicaId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::attendance::Attendance;
use super::mirror::Mirror;
use super::registry::{Presence, Registered, Registry};
use crate::domain::feed::state::{Delta, State};
use crate::domain::feed::{Stamp, Version};
use crate::domain::time::UnixSeconds;
use crate::failpoint::{FailPoint, reach};
use crate::service::error::StoreError;
use crate::service::metrics::{Metrics, PollAnswer};

mod needed;

use needed::{Needed, Progress, Recorded};

/// Most polls that are held at a time: a few per worker, and a mesh of a thousand workers fits.
const MAX_HELD: usize = 4_096;
/// A replica that registers is told nothing that is older than this: it would start out stale.
const REGISTRATION_MAX_AGE: Duration = Duration::from_secs(1);

/// Answers polls.
#[derive(Clone)]
pub struct Polls {
    mirror: Mirror,
    registry: Arc<dyn Registry>,
    metrics: Metrics,
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
        registry: Arc<dyn Registry>,
        metrics: Metrics,
        node: String,
        hold: Duration,
        closing: CancellationToken,
    ) -> Self {
        Self {
            mirror,
            registry,
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
    pub async fn answer(&self, query: FeedQuery) -> Result<FeedReply, Unanswered> {
        let answered = self.answer_unmeasured(query).await;
        self.metrics.poll(answered.as_ref().map_or(PollAnswer::None, |reply| PollAnswer::of(&reply.body)));
        answered
    }

    async fn answer_unmeasured(&self, query: FeedQuery) -> Result<FeedReply, Unanswered> {
        let _room = self.enter()?;
        // A replica must hear of something several times before its bound is over, whatever we hold.
        let hold = self.hold.min(Duration::from_millis(u64::from(query.staleness_ms)) / 3);
        let deadline = Instant::now() + hold;
        let reply = match self.answer_in_one_epoch(&query, deadline).await? {
            Outcome::Answer(reply) => Some(*reply),
            // The epoch changed while the poll was held: now the replica needs a snapshot, and has to be
            // registered for it.
            Outcome::OtherEpoch => match self.answer_in_one_epoch(&query, deadline).await? {
                Outcome::Answer(reply) => Some(*reply),
                Outcome::OtherEpoch | Outcome::Behind => None,
            },
            Outcome::Behind => None,
        };
        reply.ok_or(Unanswered::NotLoaded)
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
        let reply = self.mirror.look(|state, age| reply(state, age, query, &needed)).flatten();
        Ok(reply.map_or(Outcome::Behind, |reply| Outcome::Answer(Box::new(reply))))
    }

    /// A replica says goodbye.
    ///
    /// # Errors
    /// The registry cannot be reached; it will forget the replica by itself.
    pub async fn goodbye(&self, replica: &ReplicaId) -> Result<(), StoreError> {
        self.registry.remove(replica).await
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
        let recorded = self.registry.record(&presence(query, &self.node, holds)).await;
        let wants_news = query.epoch.as_ref() == Some(&epoch) && query.from.is_none();
        match recorded {
            Ok(Registered::Full) => Err(Unanswered::Full),
            Ok(Registered::At(at)) => {
                reach(FailPoint::PollRecorded);
                self.attendance.note(&query.replica);
                match at {
                    at if wants_news => Ok(Needed::News { epoch, since, at: Recorded::At(at) }),
                    Some(at) if age <= REGISTRATION_MAX_AGE => Ok(Needed::Snapshot { at }),
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
    Answer(Box<FeedReply>),
    OtherEpoch,
    Behind,
}

fn presence(query: &FeedQuery, sidecar: &str, holds: Option<Stamp>) -> Presence {
    Presence {
        replica: query.replica.clone(),
        node: query.node.clone(),
        build: query.build.clone(),
        fences: query.fences,
        staleness_ms: query.staleness_ms,
        sidecar: sidecar.to_owned(),
        holds,
    }
}

/// The answer that `state` gives; none if it cannot give one.
fn reply(state: &State, age: Duration, query: &FeedQuery, needed: &Needed) -> Option<FeedReply> {
    if matches!(needed.progress(state), Progress::Behind | Progress::OtherEpoch) {
        return None;
    }
    let body = match needed {
        Needed::News { since, .. } => match state.delta(*since) {
            Delta::Changes(changes) => delta(*since, changes),
            Delta::TooOld => page(state, Digest::MIN),
        },
        Needed::Snapshot { .. } => page(state, query.from.unwrap_or(Digest::MIN)),
    };
    let age_ms = match &body {
        // A ban that the replica was not waited for may be among what is to come: this answer alone must not
        // make it fresh.
        FeedBody::Delta { version, .. } if *version < state.stamp().version.get() => u64::MAX,
        _ => u64::try_from(age.max(needed.least_age()).as_millis()).unwrap_or(u64::MAX),
    };
    let recorded = needed.is_recorded();
    Some(FeedReply { protocol: PROTOCOL, epoch: state.stamp().epoch.clone(), age_ms, recorded, body })
}

fn delta(since: Version, changes: Vec<sekisho_protocol::feed::Change>) -> FeedBody {
    let version = changes.last().map_or(since.get(), |last| last.version);
    FeedBody::Delta { from: since.get(), version, changes }
}

fn page(state: &State, from: Digest) -> FeedBody {
    let page = state.page(from, UnixSeconds::now().get());
    let version = state.stamp().version.get();
    FeedBody::Page { version, count: page.count, from, next: page.next, entries: page.entries }
}
