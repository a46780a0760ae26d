//! What oauth2-proxy deletes, when somebody signs out, is ended here, too (rule P9): by a notice within milliseconds, and
//! by a walk over all sessions that were shown, for notices that got lost.
//!
//! What expires needs neither: nothing that is kept of a session outlives it. So a hundred thousand sessions that
//! expire together cost the feed nothing. One that was never shown is nowhere but in Redis.

use async_trait::async_trait;

use super::Oauth2Proxy;
use crate::domain::error::Failure;
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;

/// Hears of deletions of sessions.
#[async_trait]
pub trait Deletions: Send {
    /// Listens from now on, to nothing that was before; whether the store tells of deletions at all.
    async fn subscribe(&mut self) -> Result<bool, StoreError>;

    /// The next key of a session that was deleted.
    async fn next(&mut self) -> Result<String, StoreError>;
}

impl Oauth2Proxy {
    /// Ends the session whose key was deleted, if filters may know it; whether it was ended now. Every sidecar hears of a
    /// deletion, and most find it ended.
    ///
    /// # Errors
    /// The store cannot be reached; the next walk finds what is left.
    pub async fn settle_deleted(&self, key: &str) -> Result<bool, Failure> {
        if !self.rules.is_key(key) {
            return Ok(false);
        }
        match self.end_deleted(key).await {
            // One record that can't be read must not keep other sessions from being ended. It lets nobody in, either.
            Err(Failure::Internal { cause }) => {
                tracing::warn!(session.key = key, cause, "a deleted session can't be ended: its record can't be read");
                Ok(false)
            }
            settled => settled,
        }
    }

    async fn end_deleted(&self, key: &str) -> Result<bool, Failure> {
        let Some(seen) = self.store.seen(key).await? else { return Ok(false) };
        // A notice says that something happened, not what is true now.
        if self.store.is_there(key).await? {
            return Ok(false);
        }
        let (found, _) = self.kept.look_up(&seen.id).await?;
        match found.session.filter(|session| !found.is_ended && !session.is_over(UnixSeconds::now())) {
            Some(session) => {
                self.sessions.end(&session).await?;
                Ok(true)
            }
            None => {
                self.store.forget(key).await?;
                Ok(false)
            }
        }
    }

    /// Walks over one step of the sessions that were shown, from `cursor` on: how many were ended, and where to go on.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn walk(&self, cursor: Option<u64>) -> Result<(usize, Option<u64>), Failure> {
        let (keys, next) = self.store.noted(cursor).await?;
        let mut ended = 0;
        for key in keys {
            if !self.store.is_there(&key).await? && self.settle_deleted(&key).await? {
                ended += 1;
            }
        }
        Ok((ended, next))
    }
}
