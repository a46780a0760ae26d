//! Sees who has tokens and has not signed in for a while, every half minute, where that matters.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::recent_sign_in::RecentSignIn;

const JOB: &str = "recent_sign_in";
/// By so much tokens may be good for longer than the window.
const EVERY: Duration = Duration::from_secs(30);
/// Before the first walk, and after a failure.
const SOON: Duration = Duration::from_secs(1);
/// Between two steps of a walk: Redis does other things, too.
const BREATH: Duration = Duration::from_millis(5);

/// Walks until the sidecar closes; not at all if nobody must sign in.
pub async fn run(sign_ins: RecentSignIn, closing: CancellationToken) {
    if !sign_ins.is_on() {
        return;
    }
    let (mut trouble, mut wait) = (Trouble::default(), SOON);
    while pause(wait, &closing).await {
        match until_closing(walk(&sign_ins), &closing).await {
            None => return,
            Some(Ok(changed)) => {
                trouble.ends(JOB);
                if changed > 0 {
                    tracing::info!(users.changed = changed, "it changed whose tokens wait for a sign-in");
                }
                wait = EVERY;
            }
            Some(Err(error)) => {
                trouble.begins(JOB, &error);
                wait = SOON;
            }
        }
    }
}

/// One whole walk: about how many people something was done.
///
/// # Errors
/// The store cannot be reached.
pub async fn walk(sign_ins: &RecentSignIn) -> Result<usize, StoreError> {
    let (mut changed, mut cursor) = (0, None);
    loop {
        let (step, next) = sign_ins.walk(cursor, UnixSeconds::now()).await?;
        changed += step;
        if next.is_none() {
            return Ok(changed);
        }
        cursor = next;
        pause(BREATH, &CancellationToken::new()).await;
    }
}
