//! Who has heard of a change: waits until every live filter has said that it applied it.
//!
//! A filter's next poll is its acknowledgement. One that is silent for longer than its staleness
//! bound checks every request by itself (*fenced*, rule P7), unless a route of its lets requests pass
//! then: such a one lags for as long as it is on record, since it may admit whom a ban bars.
//!
//! One that joined after the change was written (*joining*) is not waited for, and has acknowledged
//! nothing. Until it has read a whole snapshot it is stale, and checks every request, by records which the
//! change was written to first (rule P8). Every answer to it, its snapshot's first page included, is at
//! least as new as its joining ([`super::feed::polls`]), and so holds the change: there is no moment in
//! which it is fresh without it. A filter that had something of the feed before it came on record (because
//! the store lost the registry) is none of these, and neither is one that lets requests pass unchecked:
//! they lag.
//!
//! A store that lost data may have lost the registry with it. Until everybody who was on record has
//! polled again or is stale, nobody knows who counts, and no change is complete. Nor is one that this
//! sidecar has not read itself: the store could lose it, and nobody would write it back (rule P2).

use std::time::Duration;

use sekisho_protocol::{Epoch, ReplicaId};
use tokio::time::{Instant, timeout};

use crate::domain::feed::{Stamp, Version};
use crate::service::feed::census::Census;
use crate::service::feed::mirror::Mirror;
use crate::service::feed::registry::{MARGIN_MS, Roll, Worker};
use crate::service::metrics::Metrics;

/// What other sidecars put on record must be asked for: the pause before asking again is an eighth of the
/// time that the change has waited already, but between these two.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// Waits for acknowledgements.
#[derive(Clone)]
pub struct Acknowledgements {
    census: Census,
    mirror: Mirror,
    metrics: Metrics,
    timeout: Duration,
}

/// What came of waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The epoch of the change.
    pub epoch: Epoch,
    /// Its version.
    pub version: Version,
    /// Whether the registry of workers could be read, and names everybody who counts. If not, nobody knows
    /// who applied the change.
    pub counted: bool,
    /// Filter workers that count.
    pub workers: usize,
    /// Those of them that applied the change.
    pub acknowledged: usize,
    /// Those that joined after the change was written, and have not read it yet.
    pub joining: usize,
    /// Silent ones that check every request, and so cannot let anybody in by mistake.
    pub fenced: Vec<Straggler>,
    /// Those that have not applied it, or of which nobody knows.
    pub lagging: Vec<Straggler>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// A worker that has not acknowledged a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Straggler {
    /// Its random id.
    pub replica: ReplicaId,
    /// Its Envoy's node id.
    pub node: String,
    /// Its number within that Envoy, from 1; 0 if nobody knows.
    pub worker: u32,
    /// The version that it has.
    pub version: Version,
}

impl Acknowledgement {
    /// Whether it is known that no worker lags: the change is in force everywhere.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.counted && self.lagging.is_empty()
    }
}

impl Acknowledgements {
    /// Waits by means of `census`, for at most `timeout`; `mirror` knows since when the epoch is in force.
    #[must_use]
    pub fn new(census: Census, mirror: Mirror, metrics: Metrics, timeout: Duration) -> Self {
        Self { census, mirror, metrics, timeout }
    }

    /// Waits until every live worker has applied the write at `stamp`, or time is up. It never fails:
    /// if the registry cannot be read, the answer says so.
    pub async fn wait(&self, stamp: Stamp) -> Acknowledgement {
        let (begun, mut last) = (Instant::now(), None);
        if timeout(self.timeout, self.until_nobody_lags(&stamp, begun, &mut last)).await.is_err() {
            tracing::debug!(feed.version = %stamp.version, "a change is not acknowledged in time");
        }
        let counted = last.is_some() && self.knows_everybody(&stamp);
        let acknowledgement = answer(stamp, counted, last, begun.elapsed());
        self.metrics.acknowledgement(acknowledgement.is_complete(), begun.elapsed());
        acknowledgement
    }

    /// Returns when nobody lags any more; `last` is the last count until then.
    async fn until_nobody_lags(&self, stamp: &Stamp, begun: Instant, last: &mut Option<Count>) {
        let mut recorded = self.census.changes();
        let mut is_readable = true;
        // Nobody has heard of the change yet, so the first look can wait for the first poll.
        let _ = timeout(SHORTEST_PAUSE, recorded.changed()).await;
        loop {
            recorded.mark_unchanged();
            match self.census.since(Instant::now()).await {
                Ok(roll) => {
                    let count = last.insert(count(&roll, stamp));
                    if count.lagging.is_empty() && self.knows_everybody(stamp) {
                        return;
                    }
                }
                Err(error) if is_readable => {
                    tracing::warn!(%error, "the registry of workers cannot be read");
                    is_readable = false;
                }
                Err(_) => {}
            }
            let pause = (begun.elapsed() / 8).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            // What this sidecar itself puts on record ends the pause; whichever it was, the next reading tells.
            let _ = timeout(pause, recorded.changed()).await;
        }
    }
}

impl Acknowledgements {
    /// Whether everybody is on record who may decide by what they know. Not so right after the store lost
    /// data: workers that it forgot come back with their next poll, or are stale after their bound.
    fn knows_everybody(&self, stamp: &Stamp) -> bool {
        let margin = Duration::from_millis(MARGIN_MS);
        self.mirror.has_settled(stamp, self.census.longest_bound() + margin)
    }
}

/// The workers of one roll, by how far they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Count {
    workers: usize,
    acknowledged: usize,
    joining: usize,
    fenced: Vec<Straggler>,
    lagging: Vec<Straggler>,
}

fn count(roll: &Roll, stamp: &Stamp) -> Count {
    let mut count = Count { workers: roll.workers.len(), ..Count::default() };
    for worker in &roll.workers {
        match standing(worker, roll.now_ms, stamp) {
            Standing::Acknowledged => count.acknowledged += 1,
            Standing::Joining => count.joining += 1,
            Standing::Fenced => count.fenced.push(Straggler::from(worker)),
            Standing::Lagging => count.lagging.push(Straggler::from(worker)),
        }
    }
    count
}

impl From<&Worker> for Straggler {
    fn from(worker: &Worker) -> Self {
        let presence = &worker.presence;
        Self {
            replica: presence.replica.clone(),
            node: presence.node.clone(),
            worker: presence.worker,
            version: presence.holds.as_ref().map_or(Version::ZERO, |stamp| stamp.version),
        }
    }
}

/// How a worker stands to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It applied it.
    Acknowledged,
    /// It joined after it, and checks every request until it has read it.
    Joining,
    /// It is silent, and checks every request.
    Fenced,
    /// It may let through what the change bars.
    Lagging,
}

fn standing(worker: &Worker, now_ms: u64, stamp: &Stamp) -> Standing {
    let fences = worker.presence.fences;
    let joined_later = worker.joined.as_ref().is_some_and(|joined| joined.reaches(stamp));
    match (worker.is_live(now_ms), worker.has_applied(stamp)) {
        (false, _) if fences => Standing::Fenced,
        // What it applied stays applied, however long it is silent.
        (_, true) => Standing::Acknowledged,
        (true, false) if fences && joined_later => Standing::Joining,
        (_, false) => Standing::Lagging,
    }
}

fn answer(stamp: Stamp, counted: bool, count: Option<Count>, elapsed: Duration) -> Acknowledgement {
    let Count { workers, acknowledged, joining, fenced, lagging } = count.unwrap_or_default();
    Acknowledgement {
        epoch: stamp.epoch,
        version: stamp.version,
        counted,
        workers,
        acknowledged,
        joining,
        fenced,
        lagging,
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests;
