//! Walks over the records every half minute, and whenever something may have been missed (rule P8).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::service::error::StoreError;
use crate::service::feed::reconcile::Reconciler;

const JOB: &str = "reconcile";
/// So long a record without an entry can go unnoticed if no notice of it comes.
const EVERY: Duration = Duration::from_secs(30);
/// After a failure.
const RETRY: Duration = Duration::from_secs(1);
/// Between two steps of a walk: Redis does other things, too.
const BREATH: Duration = Duration::from_millis(5);

/// Walks until the sidecar closes; at once whenever it is woken by `wake`.
pub async fn run(reconciler: Reconciler, wake: Arc<Notify>, closing: CancellationToken) {
    let mut trouble = Trouble::default();
    loop {
        let next = match until_closing(walk(&reconciler), &closing).await {
            None => return,
            Some(Ok(told)) => {
                trouble.ends(JOB);
                if told > 0 {
                    tracing::info!(records.told = told, "records that the feed did not know were taken into it");
                }
                EVERY
            }
            Some(Err(error)) => {
                trouble.begins(JOB, &error);
                RETRY
            }
        };
        if until_closing(timeout(next, wake.notified()), &closing).await.is_none() {
            return;
        }
    }
}

/// One whole walk: how many records the feed was told of.
///
/// # Errors
/// The store cannot be reached.
pub async fn walk(reconciler: &Reconciler) -> Result<usize, StoreError> {
    let mut told = 0;
    for kind in Reconciler::kinds() {
        let mut cursor = None;
        loop {
            let (step, next) = reconciler.walk(kind, cursor).await?;
            told += step;
            if next.is_none() {
                break;
            }
            cursor = next;
            pause(BREATH, &CancellationToken::new()).await;
        }
    }
    reconciler.walked().await;
    Ok(told)
}
