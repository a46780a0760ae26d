//! When this sidecar last put each replica on record: who may be answered while the store is away.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sekisho_protocol::ReplicaId;
use sekisho_protocol::feed::FeedQuery;

/// Most replicas that are remembered. Those beyond simply get no answer without the store.
const MAX_REPLICAS: usize = 10_000;
/// The longest staleness bound that a replica can have; older memories are of no use.
const LONGEST: Duration = Duration::from_secs(60);

/// The memory. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Attendance(Arc<Mutex<HashMap<ReplicaId, Instant>>>);

impl Attendance {
    /// The replica was put on record, not before `asked_at`. The store may have done so long before it
    /// answered, and counts from then.
    pub(super) fn note(&self, replica: &ReplicaId, asked_at: Instant) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MAX_REPLICAS && !seen.contains_key(replica) {
            seen.retain(|_, at| at.elapsed() <= LONGEST);
        }
        if seen.len() < MAX_REPLICAS || seen.contains_key(replica) {
            seen.insert(replica.clone(), asked_at);
        }
    }

    /// How long ago the replica was put on record, if it still counts as live there.
    pub(super) fn since(&self, query: &FeedQuery) -> Option<Duration> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bound = Duration::from_millis(u64::from(query.staleness_ms));
        seen.get(&query.replica).map(Instant::elapsed).filter(|elapsed| *elapsed <= bound)
    }
}
