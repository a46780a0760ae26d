//! Carries audit events from the journal to the trail, closes those that somebody left open, and drops the oldest.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::service::audit::ABANDONED_AFTER;
use crate::service::audit::trail::AuditTrail;
use crate::service::clock::now_ms;
use crate::service::error::StoreError;
use crate::service::installation::Database;

const JOB: &str = "audit";
/// So long an event may wait for the next round.
const EVERY: Duration = Duration::from_millis(250);
/// After a failure.
const RETRY: Duration = Duration::from_secs(2);
/// Between two looks at what was left open, and at what is too old.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// Carries to `database` until the sidecar closes. Events are kept for `retention`.
pub async fn run(database: Database, trail: AuditTrail, retention: Duration, closing: CancellationToken) {
    let (mut trouble, mut tidied) = (Trouble::default(), None::<Instant>);
    // A database that was away when the sidecar started may turn out to be none of ours.
    while let Some(Err(error)) = until_closing(database.open(), &closing).await {
        trouble.begins(JOB, &error);
        pause(RETRY, &closing).await;
    }
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

#[cfg(test)]
mod tests {
    use redis::AsyncCommands;
    use tokio::time::timeout;

    use super::*;
    use crate::app::App;
    use crate::domain::audit::{Action, By, Question};
    use crate::domain::ban::{Length, Order};
    use crate::domain::page::Window;
    use crate::domain::time::UnixSeconds;
    use crate::service::Services;
    use crate::testing::RedisServer;

    /// A few rounds of the job.
    async fn rounds(services: &Services) {
        let (database, trail) = (services.database.clone(), services.trail.clone());
        let job = run(database, trail, Duration::from_secs(86_400), CancellationToken::new());
        assert!(timeout(EVERY * 2, job).await.is_err(), "a job never ends by itself");
    }

    #[tokio::test]
    async fn nothing_is_carried_to_a_database_that_turns_out_to_be_none_of_ours() {
        let redis = RedisServer::start().await;
        let services = App::new(&redis.settings(&[]), CancellationToken::new()).unwrap().services;
        let subject = "ann@x.org".to_owned().try_into().unwrap();
        let order = Order { subject, length: Length::Seconds(600), reason: None, by: By::operator("root") };
        services.bans.ban(order, UnixSeconds::now()).await.unwrap();
        let mut others = redis.client().shared();
        let _: () = others.set("sekisho:database", "another").await.unwrap();
        let window = Window::choose(None, None).unwrap();
        rounds(&services).await;
        assert_eq!(services.trail.list(&Question::default(), &window).await.unwrap().rows, []);
        let _: () = others.del("sekisho:database").await.unwrap();
        let mut carried = Vec::new();
        for _ in 0..40 {
            rounds(&services).await;
            carried = services.trail.list(&Question::default(), &window).await.unwrap().rows;
            if !carried.is_empty() {
                break;
            }
        }
        assert_eq!(carried.iter().map(|row| row.event.action.clone()).collect::<Vec<_>>(), [Action::BanGiven]);
    }
}
