//! Forgets what is over: in this sidecar's copy, in the feed's entries, and in the registry of workers.

use std::sync::Arc;
use std::time::Duration;

use sekisho_protocol::Digest;
use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::feed::mirror::Mirror;
use crate::service::feed::registry::{Patience, Registry};
use crate::service::feed::source::Records;

const JOB: &str = "sweep";
const EVERY: Duration = Duration::from_secs(60);
/// Between two steps in Redis.
const BREATH: Duration = Duration::from_millis(20);
/// Between two steps in this sidecar's copy: a million names take ten seconds.
const COPY_BREATH: Duration = Duration::from_millis(10);
/// When silent workers are forgotten. One that fences checks every request by itself: it is kept for a
/// while so that people see it. One that does not may still admit whom a ban bars: for an hour, every change
/// says that it lags.
const PATIENCE: Patience = Patience { fencing_ms: 120_000, others_ms: 3_600_000 };

/// Sweeps until the sidecar closes.
pub async fn run(mirror: Mirror, records: Arc<dyn Records>, registry: Arc<dyn Registry>, closing: CancellationToken) {
    let mut trouble = Trouble::default();
    while pause(EVERY, &closing).await {
        if until_closing(sweep_copy(&mirror), &closing).await.is_none() {
            return;
        }
        match until_closing(sweep(&*records, &*registry), &closing).await {
            None => return,
            Some(Ok(())) => trouble.ends(JOB),
            Some(Err(error)) => trouble.begins(JOB, &error),
        }
    }
}

async fn sweep_copy(mirror: &Mirror) {
    let mut from = Some(Digest::MIN);
    while let Some(start) = from {
        from = mirror.sweep(start, UnixSeconds::now().get());
        tokio::time::sleep(COPY_BREATH).await;
    }
}

async fn sweep(records: &dyn Records, registry: &dyn Registry) -> Result<(), StoreError> {
    let silent = registry.forget_silent(PATIENCE).await?;
    let (mut removed, mut cursor) = records.sweep(None).await?;
    while cursor.is_some() {
        tokio::time::sleep(BREATH).await;
        let (step, next) = records.sweep(cursor).await?;
        removed += step;
        cursor = next;
    }
    if silent + removed > 0 {
        tracing::debug!(feed.removed = removed, workers.removed = silent, "swept");
    }
    Ok(())
}
