//! Who has heard of a change: waits until every live filter has said that it applied it.
//!
//! A filter's next poll is its acknowledgement. One that is silent for longer than its staleness
//! bound checks every request by itself (*fenced*, rule P7), unless a route of its lets requests pass
//! then: such a one lags for as long as it is on record, since it may admit whom a ban bars.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sekisho_protocol::{Epoch, ReplicaId};
use tokio::time::sleep;

use crate::domain::feed::{Stamp, Version};
use crate::service::feed::registry::{Registry, Roll, Worker};

/// A worker counts as live for so much longer than its staleness bound, in milliseconds: its last
/// poll was answered a little after it was put on record.
const MARGIN_MS: u64 = 500;
/// The registry is read again after pauses between these two.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// Waits for acknowledgements.
#[derive(Clone)]
pub struct Acknowledgements {
    registry: Arc<dyn Registry>,
    timeout: Duration,
}

/// What came of waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The epoch of the change.
    pub epoch: Epoch,
    /// Its version.
    pub version: Version,
    /// Whether the registry of workers could be read. If not, nobody knows who applied the change.
    pub counted: bool,
    /// Filter workers that count.
    pub workers: usize,
    /// Those of them that applied the change.
    pub acknowledged: usize,
    /// Silent ones that check every request, and so cannot let anybody in by mistake.
    pub fenced: usize,
    /// Those that have not applied it, or of which nobody knows.
    pub lagging: Vec<Laggard>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// A worker that has not applied a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Laggard {
    /// Its random id.
    pub replica: ReplicaId,
    /// Its Envoy's node id.
    pub node: String,
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
    /// Waits by means of `registry`, for at most `timeout`.
    #[must_use]
    pub fn new(registry: Arc<dyn Registry>, timeout: Duration) -> Self {
        Self { registry, timeout }
    }

    /// Waits until every live worker has applied the write at `stamp`, or time is up. It never fails:
    /// if the registry cannot be read, the answer says so.
    pub async fn wait(&self, stamp: Stamp) -> Acknowledgement {
        let start = Instant::now();
        let mut pause = SHORTEST_PAUSE;
        let mut last = None;
        loop {
            match self.registry.roll().await {
                Ok(roll) => last = Some(count(&roll, &stamp)),
                Err(error) => tracing::warn!(%error, "the registry of workers cannot be read"),
            }
            let is_done = last.as_ref().is_some_and(|count| count.lagging.is_empty());
            if is_done || start.elapsed() + pause >= self.timeout {
                return answer(stamp, last, start.elapsed());
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The workers of one roll, by how far they are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Count {
    workers: usize,
    acknowledged: usize,
    fenced: usize,
    lagging: Vec<Laggard>,
}

fn count(roll: &Roll, stamp: &Stamp) -> Count {
    let mut count = Count { workers: 0, acknowledged: 0, fenced: 0, lagging: Vec::new() };
    for worker in &roll.workers {
        let standing = standing(worker, roll.now_ms, stamp);
        count.workers += 1;
        match standing {
            Standing::Acknowledged => count.acknowledged += 1,
            Standing::Fenced => count.fenced += 1,
            Standing::Lagging => count.lagging.push(Laggard {
                replica: worker.presence.replica.clone(),
                node: worker.presence.node.clone(),
                version: worker.presence.holds.as_ref().map_or(Version::ZERO, |stamp| stamp.version),
            }),
        }
    }
    count
}

/// How a worker stands to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It applied it.
    Acknowledged,
    /// It is silent, and checks every request.
    Fenced,
    /// It may let through what the change bars.
    Lagging,
}

fn standing(worker: &Worker, now_ms: u64, stamp: &Stamp) -> Standing {
    let presence = &worker.presence;
    let silent_ms = now_ms.saturating_sub(worker.polled_at_ms);
    let is_live = silent_ms <= u64::from(presence.staleness_ms) + MARGIN_MS;
    // What it applied stays applied, so this comes first.
    let has_applied =
        presence.holds.as_ref().is_some_and(|holds| holds.epoch == stamp.epoch && holds.version >= stamp.version);
    match (is_live, presence.fences) {
        (true, _) if has_applied => Standing::Acknowledged,
        (true, _) => Standing::Lagging,
        (false, true) => Standing::Fenced,
        (false, false) if has_applied => Standing::Acknowledged,
        (false, false) => Standing::Lagging,
    }
}

fn answer(stamp: Stamp, count: Option<Count>, elapsed: Duration) -> Acknowledgement {
    let counted = count.is_some();
    let count = count.unwrap_or(Count { workers: 0, acknowledged: 0, fenced: 0, lagging: Vec::new() });
    Acknowledgement {
        epoch: stamp.epoch,
        version: stamp.version,
        counted,
        workers: count.workers,
        acknowledged: count.acknowledged,
        fenced: count.fenced,
        lagging: count.lagging,
        elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests;
