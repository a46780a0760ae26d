//! What a change of state comes to: who applied it, and what of it would survive a power cut.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::audit::Event;
use crate::domain::error::Failure;
use crate::domain::feed::Stamp;
use crate::service::acknowledgement::{Acknowledgement, Acknowledgements};
use crate::service::audit::{Audit, Deed};
use crate::service::error::StoreError;

/// How durable a write to the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Lost with the store's process.
    Memory,
    /// On disk from time to time, as a snapshot.
    Snapshots,
    /// In the append-only file, which is synced when the operating system likes.
    AppendOnly,
    /// In the append-only file, synced every second.
    EverySecond,
    /// In the append-only file, synced before the store answers.
    Always,
    /// The store would not say.
    Unknown,
}

impl Durability {
    /// The stable word for answers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Snapshots => "rdb",
            Self::AppendOnly => "aof",
            Self::EverySecond => "aof_everysec",
            Self::Always => "aof_always",
            Self::Unknown => "unknown",
        }
    }
}

/// Knows how durable writes are.
#[async_trait]
pub trait Persistence: Send + Sync {
    /// How durable a write is now; it can be reconfigured at any time.
    async fn durability(&self) -> Result<Durability, StoreError>;
}

/// A change that is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which filters have applied it.
    pub acknowledgement: Acknowledgement,
    /// How durable it is.
    pub durability: Durability,
}

impl Change {
    /// Whether it is in force everywhere; if not, it is written, and takes effect as filters catch up.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.acknowledgement.is_complete()
    }

    /// Adds to an audit event how far the change got.
    pub fn tell(&self, event: &mut Event) {
        event.tell("version", self.acknowledgement.version.get());
        event.tell("workers", self.acknowledgement.workers);
        event.tell("lagging", self.acknowledgement.lagging.len());
    }
}

/// Carries changes out, records who ordered them, and follows them after they are written.
#[derive(Clone)]
pub struct Changes {
    acknowledgements: Acknowledgements,
    persistence: Arc<dyn Persistence>,
    audit: Audit,
}

impl Changes {
    /// Follows changes by means of the first two, and records them in `audit`.
    #[must_use]
    pub fn new(acknowledgements: Acknowledgements, persistence: Arc<dyn Persistence>, audit: Audit) -> Self {
        Self { acknowledgements, persistence, audit }
    }

    /// Carries out `change`, to its end even if whoever asked for it hangs up, and records that `deed` was done, refused or
    /// failed. `tell` adds to the event what is worth knowing of the result.
    ///
    /// # Errors
    /// Those of `change`, and of [`Audit::record`].
    pub async fn carry_out<T: Send + 'static>(
        &self,
        deed: Deed,
        change: impl Future<Output = Result<T, Failure>> + Send + 'static,
        tell: impl FnOnce(&T, &mut Event) + Send + 'static,
    ) -> Result<T, Failure> {
        let audit = self.audit.clone();
        to_its_end(async move { audit.record(deed, change, tell).await }).await
    }

    /// Waits until the write at `stamp` is acknowledged, or time is up.
    pub async fn follow(&self, stamp: Stamp) -> Change {
        let (acknowledgement, durability) =
            tokio::join!(self.acknowledgements.wait(stamp), self.persistence.durability());
        // What is written is written: not to know how durable it is makes nothing undone.
        Change { acknowledgement, durability: durability.unwrap_or(Durability::Unknown) }
    }
}

/// Runs a change to its end, even if whoever asked for it hangs up: a connection that breaks must
/// not leave a record without its feed entry.
///
/// # Errors
/// Those of `change`.
pub(super) async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    tokio::spawn(change).await.unwrap_or_else(|error| Err(Failure::Internal { cause: error.to_string() }))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { message } => Self::Unavailable { cause: message },
            error @ (StoreError::Corrupt { .. } | StoreError::Unusable { .. }) => {
                Self::Internal { cause: error.to_string() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_change_runs_to_its_end_even_if_nobody_waits_for_it_any_more() {
        let (begin, begun) = oneshot::channel();
        let (go_on, gone_on) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        let waiting = tokio::spawn(to_its_end(async move {
            begin.send(()).unwrap();
            gone_on.await.unwrap();
            end.send(()).unwrap();
            Ok(())
        }));
        begun.await.unwrap();
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        go_on.send(()).unwrap();
        ended.await.unwrap();
    }
}
