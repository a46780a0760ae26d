//! Ends sessions here that oauth2-proxy deletes: hears of deletions, and walks over the sessions that were shown after each
//! (re)connect and every half minute, for what was missed.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::domain::error::Failure;
use crate::service::oauth2_proxy::Oauth2Proxy;
use crate::service::oauth2_proxy::deleted::Deletions;

const JOB: &str = "oauth2_proxy";
const RETRY: Duration = Duration::from_millis(500);
/// So long a deletion can go unnoticed if no notice of it comes; filters ask again after a minute at most.
const EVERY: Duration = Duration::from_secs(30);
/// Between two steps of a walk: Redis does other things, too.
const BREATH: Duration = Duration::from_millis(5);
/// Sessions that are ended at the same time: many may be deleted at once.
const AT_ONCE: usize = 64;

/// Listens until the sidecar closes.
pub async fn run(mut deletions: impl Deletions, service: Oauth2Proxy, closing: CancellationToken) {
    let mut trouble = Trouble::default();
    loop {
        match until_closing(deletions.subscribe(), &closing).await {
            None => return,
            // Whether notices come at all is what `watch` says.
            Some(Ok(_)) => {
                trouble.ends(JOB);
                let both = async {
                    tokio::select! {
                        error = listen(&mut deletions, &service) => error,
                        error = walk_ever_again(&service) => error,
                    }
                };
                let Some(Err(error)) = until_closing(both, &closing).await else { return };
                trouble.begins(JOB, &error);
            }
            Some(Err(error)) => trouble.begins(JOB, &error),
        }
        if !pause(RETRY, &closing).await {
            return;
        }
    }
}

async fn listen(deletions: &mut impl Deletions, service: &Oauth2Proxy) -> Result<Infallible, Failure> {
    let mut settling = FuturesUnordered::new();
    loop {
        tokio::select! {
            key = deletions.next(), if settling.len() < AT_ONCE => {
                let key = key?;
                settling.push(async move { service.settle_deleted(&key).await });
            }
            Some(settled) = settling.next() => {
                if settled? {
                    tracing::debug!("a session was deleted by somebody else");
                }
            }
        }
    }
}

async fn walk_ever_again(service: &Oauth2Proxy) -> Result<Infallible, Failure> {
    loop {
        let ended = walk(service).await?;
        if ended > 0 {
            tracing::info!(sessions.ended = ended, "sessions that somebody else had deleted were ended");
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// One whole walk: how many sessions were ended.
///
/// # Errors
/// The store cannot be reached.
pub async fn walk(service: &Oauth2Proxy) -> Result<usize, Failure> {
    let (mut ended, mut cursor) = (0, None);
    loop {
        let (step, next) = service.walk(cursor).await?;
        ended += step;
        if next.is_none() {
            return Ok(ended);
        }
        cursor = next;
        tokio::time::sleep(BREATH).await;
    }
}
