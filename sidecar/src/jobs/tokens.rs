//! Looks after tokens: revokes those whose grace time after an exchange is over, and the families of those that were
//! shown after that; takes in tokens of other programs, and forgets what ended.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::domain::error::Failure;
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::tokens::Tokens;
use crate::service::tokens::family::Shown;

/// By so much a token may outlive its grace time.
const EVERY: Duration = Duration::from_secs(1);
/// Between two looks at what ended, and at what other programs recorded.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// Steps through the texts of tokens in one of them.
const TEXT_STEPS: usize = 20;

/// Revokes what is to be revoked, until the sidecar closes.
pub async fn run(tokens: Tokens, closing: CancellationToken) {
    let (job, mut trouble) = ("tokens", Trouble::default());
    while pause(EVERY, &closing).await {
        match until_closing(round(&tokens), &closing).await {
            None => return,
            Some(Ok(())) => trouble.ends(job),
            Some(Err(error)) => trouble.begins(job, &error),
        }
    }
}

async fn round(tokens: &Tokens) -> Result<(), Failure> {
    while tokens.retire_exchanged().await? > 0 {}
    while tokens.close_cases().await? > 0 {}
    while tokens.finish_revocations().await? > 0 {}
    Ok(())
}

/// Takes in and forgets, until the sidecar closes. It takes its time: no revocation waits for it.
pub async fn tidy(tokens: Tokens, closing: CancellationToken) {
    let (job, mut trouble, mut cursor, mut wait) = ("token_lists", Trouble::default(), 0, EVERY);
    while pause(wait, &closing).await {
        match until_closing(tidy_once(&tokens, &mut cursor), &closing).await {
            None => return,
            Some(Ok(())) => {
                trouble.ends(job);
                wait = TIDY_EVERY;
            }
            Some(Err(error)) => {
                trouble.begins(job, &error);
                wait = EVERY;
            }
        }
    }
}

async fn tidy_once(tokens: &Tokens, cursor: &mut u64) -> Result<(), StoreError> {
    tokens.tidy(UnixSeconds::now()).await?;
    for _ in 0..TEXT_STEPS {
        *cursor = tokens.tidy_texts(*cursor).await?;
        if *cursor == 0 {
            break;
        }
    }
    Ok(())
}

/// Sees to revoked tokens that were shown, until the sidecar closes. Filters ask once about each, so none may get lost.
pub async fn watch(tokens: Tokens, shown: Shown, closing: CancellationToken) {
    let (job, mut trouble) = ("shown_tokens", Trouble::default());
    while let Some(ids) = until_closing(shown.next(), &closing).await {
        loop {
            match until_closing(tokens.shown(&ids), &closing).await {
                None => return,
                Some(Ok(())) => break,
                Some(Err(error)) => trouble.begins(job, &error),
            }
            if !pause(EVERY, &closing).await {
                return;
            }
        }
        trouble.ends(job);
    }
}
