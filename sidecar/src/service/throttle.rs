//! How often somebody may call, over all sidecars together.

use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::caller::Caller;
use crate::domain::error::Failure;
use crate::domain::idempotency::digest_of;
use crate::domain::rate::{Left, PerMinute};
use crate::service::error::StoreError;

/// A kind of calls that are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Requests for tokens.
    Requests,
    /// Revocations of tokens.
    Revocations,
}

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

    /// How many calls of a kind a caller may make.
    #[must_use]
    pub fn limit(&self) -> PerMinute {
        self.token_requests
    }

    /// Counts a call. What is left says whether it is refused.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn count(&self, what: Counted, caller: &Caller) -> Result<Left, Failure> {
        let (what, caller) = match what {
            Counted::Requests => ("token_requests", digest_of(caller.name())),
            // A thief must not use up what the owner needs to be rid of them: each credential has calls of its own.
            Counted::Revocations => {
                let credential = caller.token_id().unwrap_or_default();
                ("token_revocations", digest_of(&format!("{} {credential}", caller.name())))
            }
        };
        Ok(self.store.count(what, &caller, self.token_requests).await?)
    }
}
