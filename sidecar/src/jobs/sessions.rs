//! Tidies the lists of sessions up: takes out what expired or was ended, and brings ends to the feed that were cut short.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::sessions::Sessions;

const JOB: &str = "sessions";
const EVERY: Duration = Duration::from_secs(30);
/// Steps of the walk over all sessions in one round: 10,000 sessions. What expired does not wait for it.
const STEPS: usize = 20;

/// Does so until the sidecar closes.
pub async fn run(sessions: Sessions, closing: CancellationToken) {
    let (mut trouble, mut cursor) = (Trouble::default(), 0);
    while pause(EVERY, &closing).await {
        match until_closing(round(&sessions, &mut cursor), &closing).await {
            None => return,
            Some(Ok(())) => trouble.ends(JOB),
            Some(Err(error)) => trouble.begins(JOB, &error),
        }
    }
}

async fn round(sessions: &Sessions, cursor: &mut u64) -> Result<(), StoreError> {
    sessions.prune(UnixSeconds::now()).await?;
    for _ in 0..STEPS {
        *cursor = sessions.tidy(*cursor).await?;
        if *cursor == 0 {
            break;
        }
    }
    Ok(())
}
