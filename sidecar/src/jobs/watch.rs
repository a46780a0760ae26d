//! Listens to what other programs do to the records (rule P9). After each (re)connect the store's
//! setting is checked and the records are walked over, for what was missed meanwhile.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::service::error::StoreError;
use crate::service::feed::reconcile::{Reconciler, Settled};
use crate::service::feed::source::{Notice, Notices};
use crate::service::readiness::{NoticeState, Noticing};

const JOB: &str = "watch";
const RETRY: Duration = Duration::from_millis(500);
/// Our own writes are noticed, too. Their entry follows the record within this time, and then agrees.
const GRACE: Duration = Duration::from_millis(50);
/// Records that are settled at the same time: another program may write many at once.
const AT_ONCE: usize = 64;

/// Listens until the sidecar closes; wakes the walk over all records by `wake`.
pub async fn run(
    mut notices: impl Notices,
    reconciler: Reconciler,
    state: NoticeState,
    wake: Arc<Notify>,
    closing: CancellationToken,
) {
    let mut trouble = Trouble::default();
    loop {
        match until_closing(notices.subscribe(), &closing).await {
            None => return,
            Some(Ok(on)) => {
                trouble.ends(JOB);
                if !on {
                    tracing::warn!("Redis sends no keyspace notices; set notify-keyspace-events to Kg$xe");
                }
                state.set(if on { Noticing::On } else { Noticing::Forbidden });
                wake.notify_one();
                let Some(Err(error)) = until_closing(listen(&mut notices, &reconciler), &closing).await else { return };
                trouble.begins(JOB, &error);
            }
            Some(Err(error)) => trouble.begins(JOB, &error),
        }
        state.set(Noticing::Offline);
        if !pause(RETRY, &closing).await {
            return;
        }
    }
}

async fn listen(notices: &mut impl Notices, reconciler: &Reconciler) -> Result<(), StoreError> {
    let mut settling = FuturesUnordered::new();
    loop {
        tokio::select! {
            notice = notices.next(), if settling.len() < AT_ONCE => settling.push(settle(reconciler, notice?)),
            Some(settled) = settling.next() => settled?,
        }
    }
}

async fn settle(reconciler: &Reconciler, Notice { kind, name, deed }: Notice) -> Result<(), StoreError> {
    tokio::time::sleep(GRACE).await;
    match reconciler.settle(kind, &name, deed).await? {
        Settled::Agreed => {}
        settled => tracing::info!(feed.kind = ?kind, ?settled, "another program changed a record"),
    }
    Ok(())
}
