//! How often somebody may call, over all sidecars together.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::caller::Caller;
use crate::domain::error::Failure;
use crate::domain::idempotency::digest_of;
use crate::domain::rate::{Left, PerMinute};
use crate::service::error::StoreError;

/// What calls of one kind are counted as.
const TOKEN_REQUESTS: &str = "token_requests";

/// Counts calls.
#[async_trait]
pub trait RateStore: Send + Sync {
    /// Counts a call of `caller` (a digest) that is counted as `what`, if `limit` lets it pass.
    async fn count(&self, what: &str, caller: &str, limit: PerMinute) -> Result<Left, StoreError>;
}

/// The use cases.
#[derive(Clone)]
pub struct Throttle {
    store: Arc<dyn RateStore>,
    token_requests: PerMinute,
}

impl Throttle {
    /// Calls counted by this store. Each caller may ask for so many tokens.
    #[must_use]
    pub fn new(store: Arc<dyn RateStore>, token_requests: PerMinute) -> Self {
        Self { store, token_requests }
    }

    /// How many tokens a caller may ask for.
    #[must_use]
    pub fn token_requests(&self) -> PerMinute {
        self.token_requests
    }

    /// Counts a request for a token. What is left says whether it is refused.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn token_request(&self, caller: &Caller) -> Result<Left, Failure> {
        let caller = digest_of(caller.name());
        Ok(self.store.count(TOKEN_REQUESTS, &caller, self.token_requests).await?)
    }
}
