//! What time it is. Only services and the edges above them ask; the domain gets it as a parameter.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::timeout;

use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;

impl UnixSeconds {
    /// What this machine's clock says.
    #[must_use]
    pub fn now() -> Self {
        Self(since_epoch().as_secs())
    }
}

/// What this machine's clock says, in Unix milliseconds.
#[must_use]
pub fn now_ms() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

/// A clock before 1970 is broken; nothing counts as over then, which is the safe side for a ban.
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Does `work` on a store, unless that takes longer than `limit`: a network that swallows everything never says so itself.
///
/// # Errors
/// Those of `work`; [`StoreError::Unavailable`] if it takes longer.
pub async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = || Err(StoreError::unavailable(format_args!("there was no answer within {} s", limit.as_secs())));
    timeout(limit, work).await.unwrap_or_else(|_| late())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_never_answers_is_given_up() {
        let never = std::future::pending::<Result<(), StoreError>>();
        let late = in_time(Duration::from_secs(30), never).await;
        assert_eq!(late, Err(StoreError::unavailable("there was no answer within 30 s")));
    }
}
