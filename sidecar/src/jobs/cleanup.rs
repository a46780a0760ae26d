//! Clears leftovers in Redis away, when the schedule says so.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::domain::time::UnixSeconds;
use crate::service::cleanup::Cleanup;

const JOB: &str = "cleanup";
/// Between two looks at the clock.
const EVERY: Duration = Duration::from_secs(20);
/// After a failure: each attempt is an audit event.
const RETRY: Duration = Duration::from_secs(300);

/// Looks at the schedule until the sidecar closes.
pub async fn run(cleanup: Cleanup, closing: CancellationToken) {
    if cleanup.habits().schedule.is_none() {
        return;
    }
    let mut trouble = Trouble::default();
    loop {
        let next = match until_closing(cleanup.run_if_due(UnixSeconds::now()), &closing).await {
            None => return,
            Some(Ok(None)) => {
                trouble.ends(JOB);
                EVERY
            }
            Some(Ok(Some(log))) => {
                trouble.ends(JOB);
                tracing::info!(
                    cleanup.id = log.cleanup_id,
                    deleted.count = log.total_deleted,
                    duration_ms = log.duration_ms,
                    "leftovers are cleared away, as scheduled"
                );
                EVERY
            }
            Some(Err(error)) => {
                trouble.begins(JOB, &error);
                RETRY
            }
        };
        if !pause(next, &closing).await {
            return;
        }
    }
}
