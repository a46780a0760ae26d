//! The registry as this sidecar uses it: a poll that it puts on record wakes whoever waits for one, and
//! a read serves everybody who asked before it began.
//!
//! Every read brings all workers, up to ten thousand rows. So at most one is under way, and it is followed by
//! a rest in proportion to the rows that it brought: however many changes wait, the store has about as much
//! time for the polls. The rows count and not the time that they took, since that tells more about how busy
//! the machine is, and a change is not to wait longer for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sekisho_protocol::ReplicaId;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep_until};

use super::registry::{Presence, Registered, Registry, Roll, Start};
use crate::service::error::StoreError;

/// The rest for each row: about what it takes to read one.
const REST_PER_ROW: Duration = Duration::from_micros(2);
/// A shorter rest is left out: timers are no finer than this.
const SHORTEST_REST: Duration = Duration::from_millis(1);

/// No worker may have a longer staleness bound.
const LONGEST_BOUND: Duration = Duration::from_secs(60);

/// The registry. Clones share what was read.
#[derive(Clone)]
pub struct Census {
    registry: Arc<dyn Registry>,
    last: Arc<Mutex<Option<Reading>>>,
    recorded: watch::Sender<()>,
    /// The longest staleness bound of a worker that this sidecar ever heard of, in milliseconds; 0: of none.
    longest_bound_ms: Arc<AtomicU32>,
}

/// A read of the registry.
struct Reading {
    asked_at: Instant,
    answered_at: Instant,
    roll: Arc<Roll>,
}

impl Reading {
    /// How long the store is to be left alone after it.
    fn rest(&self) -> Duration {
        REST_PER_ROW * u32::try_from(self.roll.workers.len()).unwrap_or(u32::MAX)
    }
}

impl Census {
    /// Keeps and reads `registry`.
    #[must_use]
    pub fn new(registry: Arc<dyn Registry>) -> Self {
        Self { registry, last: Arc::default(), recorded: watch::Sender::new(()), longest_bound_ms: Arc::default() }
    }

    /// Notes a poll, and says where the feed stands.
    ///
    /// # Errors
    /// The registry cannot be reached.
    pub async fn record(&self, presence: &Presence, start: Start) -> Result<Registered, StoreError> {
        let registered = self.registry.record(presence, start).await?;
        self.note(presence);
        self.recorded.send_replace(());
        Ok(registered)
    }

    /// Forgets a worker that said goodbye.
    ///
    /// # Errors
    /// The registry cannot be reached; it will forget the worker by itself.
    pub async fn remove(&self, replica: &ReplicaId) -> Result<(), StoreError> {
        self.registry.remove(replica).await?;
        self.recorded.send_replace(());
        Ok(())
    }

    /// For how long at most a worker decides by what it last heard, even if it is on record no more.
    #[must_use]
    pub fn longest_bound(&self) -> Duration {
        match self.longest_bound_ms.load(Ordering::Relaxed) {
            0 => LONGEST_BOUND,
            bound_ms => Duration::from_millis(bound_ms.into()),
        }
    }

    fn note(&self, presence: &Presence) {
        self.longest_bound_ms.fetch_max(presence.staleness_ms, Ordering::Relaxed);
    }

    /// Tells of each change that this sidecar makes from now on. Other sidecars' changes must be asked for.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.recorded.subscribe()
    }

    /// The registry as it was at `moment` or later.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn since(&self, moment: Instant) -> Result<Arc<Roll>, StoreError> {
        let mut last = self.last.lock().await;
        if let Some(reading) = &*last {
            if reading.asked_at >= moment {
                return Ok(Arc::clone(&reading.roll));
            }
            let rest = reading.rest();
            if rest >= SHORTEST_REST {
                sleep_until(reading.answered_at + rest).await;
            }
        }
        let asked_at = Instant::now();
        let roll = Arc::new(self.registry.roll().await?);
        roll.workers.iter().for_each(|worker| self.note(&worker.presence));
        *last = Some(Reading { asked_at, answered_at: Instant::now(), roll: Arc::clone(&roll) });
        Ok(roll)
    }
}

#[cfg(test)]
mod tests;
