//! Takes in who is active by the word of other programs, and forgets who is active no more.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::domain::time::UnixSeconds;
use crate::service::active_users::ActiveUsers;

const JOB: &str = "active_users";
const EVERY: Duration = Duration::from_secs(30);

/// Does so until the sidecar closes.
pub async fn run(users: ActiveUsers, closing: CancellationToken) {
    let mut trouble = Trouble::default();
    while pause(EVERY, &closing).await {
        match until_closing(users.tidy(UnixSeconds::now()), &closing).await {
            None => return,
            Some(Ok(())) => trouble.ends(JOB),
            Some(Err(error)) => trouble.begins(JOB, &error),
        }
    }
}
