//! Carries audit events from the journal to the trail, closes those that somebody left open, and drops the oldest.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::service::audit::ABANDONED_AFTER;
use crate::service::audit::trail::AuditTrail;
use crate::service::clock::now_ms;
use crate::service::error::StoreError;

const JOB: &str = "audit";
/// So long an event may wait for the next round.
const EVERY: Duration = Duration::from_millis(250);
/// After a failure.
const RETRY: Duration = Duration::from_secs(2);
/// Between two looks at what was left open, and at what is too old.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// Carries until the sidecar closes. Events are kept for `retention`.
pub async fn run(trail: AuditTrail, retention: Duration, closing: CancellationToken) {
    let (mut trouble, mut tidied) = (Trouble::default(), None::<Instant>);
    loop {
        let is_due = tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY);
        let next = match until_closing(round(&trail, is_due.then_some(retention)), &closing).await {
            None => return,
            Some(Ok(())) => {
                trouble.ends(JOB);
                tidied = if is_due { Some(Instant::now()) } else { tidied };
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

async fn round(trail: &AuditTrail, tidy: Option<Duration>) -> Result<(), StoreError> {
    if tidy.is_some() {
        let closed = trail.close_abandoned(before(ABANDONED_AFTER)).await?;
        if closed > 0 {
            tracing::warn!(events.count = closed, "changes were cut short; the audit trail says which");
        }
    }
    trail.carry().await?;
    if let Some(retention) = tidy {
        trail.prune(before(retention)).await?;
    }
    Ok(())
}

/// The Unix millisecond that long ago.
fn before(length: Duration) -> u64 {
    now_ms().saturating_sub(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}
