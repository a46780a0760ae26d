//! Delivers events to a webhook, and drops what nobody waits for any more.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::domain::webhook::Webhook;
use crate::service::clock::in_time;
use crate::service::installation::Database;
use crate::service::webhooks::Webhooks;

const JOB: &str = "webhooks";
/// Between two looks at what is due.
const EVERY: Duration = Duration::from_millis(500);
/// After a failure.
const RETRY: Duration = Duration::from_secs(2);
/// Between two looks at what may go.
const TIDY_EVERY: Duration = Duration::from_secs(15);
/// No round takes longer than this on top of what the receiver may take.
const ROUND_MAX: Duration = Duration::from_secs(60);

/// Delivers events to `webhook` until the sidecar closes. Each webhook has a task of its own: one that is slow holds up no
/// other.
pub async fn run(database: Database, webhooks: Webhooks, webhook: Webhook, closing: CancellationToken) {
    let mut trouble = Trouble::default();
    until_ours(&database, &mut trouble, &closing).await;
    loop {
        let next = match until_closing(in_time(webhook.timeout + ROUND_MAX, webhooks.deliver(&webhook)), &closing).await
        {
            None => return,
            Some(Ok(taken)) => {
                trouble.ends(JOB);
                // Where there was something there may be more.
                if taken > 0 { Duration::ZERO } else { EVERY }
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

/// Tidies the outbox until the sidecar closes.
pub async fn tidy(database: Database, webhooks: Webhooks, closing: CancellationToken) {
    let mut trouble = Trouble::default();
    until_ours(&database, &mut trouble, &closing).await;
    loop {
        match until_closing(in_time(ROUND_MAX, webhooks.tidy()), &closing).await {
            None => return,
            Some(Ok(())) => trouble.ends(JOB),
            Some(Err(error)) => trouble.begins(JOB, &error),
        }
        if !pause(TIDY_EVERY, &closing).await {
            return;
        }
    }
}

/// A database that was away when the sidecar started may turn out to be none of ours.
async fn until_ours(database: &Database, trouble: &mut Trouble, closing: &CancellationToken) {
    while let Some(Err(error)) = until_closing(database.open(), closing).await {
        trouble.begins(JOB, &error);
        pause(RETRY, closing).await;
    }
}
