//! Looks after tokens: revokes those whose grace time after an exchange is over, revokes the families of those that were
//! shown after that, takes in tokens of other programs, and forgets what ended.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::domain::error::Failure;
use crate::domain::time::UnixSeconds;
use crate::service::tokens::Tokens;
use crate::service::tokens::refresh::Shown;

const JOB: &str = "tokens";
/// By so much a token may outlive its grace time.
const EVERY: Duration = Duration::from_secs(1);
/// Between two looks at what ended, and at what other programs recorded.
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// Steps through the texts of tokens in one of them.
const TEXT_STEPS: usize = 20;

/// Looks after tokens until the sidecar closes.
pub async fn run(tokens: Tokens, closing: CancellationToken) {
    let (mut trouble, mut tidied, mut cursor) = (Trouble::default(), None::<Instant>, 0);
    while pause(EVERY, &closing).await {
        let is_due = tidied.is_none_or(|at| at.elapsed() >= TIDY_EVERY);
        match until_closing(round(&tokens, is_due.then_some(&mut cursor)), &closing).await {
            None => return,
            Some(Ok(())) => {
                trouble.ends(JOB);
                tidied = if is_due { Some(Instant::now()) } else { tidied };
            }
            Some(Err(error)) => trouble.begins(JOB, &error),
        }
    }
}

async fn round(tokens: &Tokens, tidy: Option<&mut u64>) -> Result<(), Failure> {
    let now = UnixSeconds::now();
    while tokens.retire_exchanged(now).await? > 0 {}
    while tokens.close_cases(now).await? > 0 {}
    let Some(cursor) = tidy else { return Ok(()) };
    tokens.tidy(now).await?;
    for _ in 0..TEXT_STEPS {
        *cursor = tokens.tidy_texts(*cursor).await?;
        if *cursor == 0 {
            break;
        }
    }
    Ok(())
}

/// Sees to revoked tokens that were shown, until the sidecar closes.
pub async fn watch(tokens: Tokens, shown: Shown, closing: CancellationToken) {
    let mut trouble = Trouble::default();
    while let Some(Some(id)) = until_closing(shown.next(), &closing).await {
        match until_closing(tokens.shown(&id, UnixSeconds::now()), &closing).await {
            None => return,
            Some(Ok(())) => trouble.ends("shown_tokens"),
            Some(Err(error)) => trouble.begins("shown_tokens", &error),
        }
    }
}
