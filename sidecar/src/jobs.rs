//! What runs beside the listeners: following the feed, watching and reconciling the records, sweeping, surveying
//! the filters, seeing who must sign in again, looking after keys (the signing keys, and those of identity providers), and delivering events to webhooks.
//!
//! A job never ends by itself, unless it is switched off. What goes wrong is logged once, when it begins and when it is over.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

pub mod active_users;
pub mod audit;
pub mod cleanup;
pub mod follow;
pub mod keysets;
pub mod oauth2_proxy;
pub mod outbox;
pub mod recent_sign_in;
pub mod reconcile;
pub mod refresh;
pub mod sessions;
pub mod signing_keys;
pub mod survey;
pub mod sweep;
pub mod tokens;
pub mod watch;

/// Waits, unless the sidecar closes; whether it goes on.
async fn pause(length: Duration, closing: &CancellationToken) -> bool {
    until_closing(tokio::time::sleep(length), closing).await.is_some()
}

/// Does `work`, unless the sidecar closes.
async fn until_closing<T>(work: impl Future<Output = T>, closing: &CancellationToken) -> Option<T> {
    closing.run_until_cancelled(work).await
}

/// Says that something goes wrong, and that it is over, once each.
#[derive(Debug, Default)]
struct Trouble {
    is_on: bool,
}

impl Trouble {
    fn begins(&mut self, job: &'static str, error: &dyn std::fmt::Display) {
        if !self.is_on {
            tracing::warn!(job, %error, "a job cannot reach what it needs, and tries again");
        }
        self.is_on = true;
    }

    fn ends(&mut self, job: &'static str) {
        if self.is_on {
            tracing::info!(job, "a job works again");
        }
        self.is_on = false;
    }
}
