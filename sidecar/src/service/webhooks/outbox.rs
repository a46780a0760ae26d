//! Where events wait for their webhooks. The trail fills it, in the step that appends the event.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::service::error::StoreError;

/// Most events that wait for one webhook, and most given-up ones that are kept. What is beyond is left out; what comes last
/// ([`crate::domain::webhook::turn`]) nine tenths before.
pub const WAITING_MAX: u64 = 10_000;
/// How long given-up events are kept, in milliseconds.
pub const KEPT_MS: u64 = 7 * 86_400_000;
/// What is for a webhook that no sidecar has had in its settings for so long goes.
pub const FORGOTTEN_MS: u64 = 86_400_000;

/// Keeps events until they are delivered.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Takes events that are due, for whoever holds the lease alone, as many as it and the pace of the webhook allow.
    async fn lease(&self, webhook: &str, lease: &Lease) -> Result<Vec<Letter>, StoreError>;

    /// Notes what became of an event that was taken; false if somebody else has taken it since, unless it is delivered.
    async fn settle(
        &self,
        webhook: &str,
        letter: &Letter,
        settlement: &Settlement,
        now_ms: u64,
    ) -> Result<bool, StoreError>;

    /// Whether it is the caller who tells that events were given up: nobody has since `last_before_ms`.
    async fn take_turn_to_tell(&self, webhook: &str, now_ms: u64, last_before_ms: u64) -> Result<bool, StoreError>;

    /// How each webhook stands, by its name.
    async fn standings(&self) -> Result<BTreeMap<String, Standing>, StoreError>;

    /// The newest of the events that were given up, at most `limit`.
    async fn given_up(&self, webhook: &str, limit: usize) -> Result<Vec<GivenUp>, StoreError>;

    /// Lets what was given up wait again; how many events.
    async fn retry(&self, webhook: &str, now_ms: u64) -> Result<u64, StoreError>;

    /// Notes which webhooks there are, and drops what is for none, or was given up too long ago; how many events.
    async fn tidy(&self, webhooks: &[&str], now_ms: u64) -> Result<u64, StoreError>;
}

/// Who takes events, and for how long.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Different for each lease.
    pub holder: String,
    /// When it begins.
    pub now_ms: u64,
    /// When it ends, and somebody else may take them.
    pub until_ms: u64,
    /// At most so many events.
    pub at_most: u32,
    /// At most so many attempts in any minute, those of others included.
    pub per_minute: u32,
}

/// An event that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its id.
    pub event_id: String,
    /// The event, as JSON.
    pub body: String,
    /// How many attempts there were, this one included.
    pub attempts: u64,
    /// When the first one was.
    pub first_at_ms: u64,
    /// Who took it.
    pub holder: String,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// It was delivered.
    Delivered,
    /// It was not.
    PutOff {
        /// When it is tried again.
        until_ms: u64,
        /// Until when nothing is sent to this webhook, if its receiver asked for that.
        pause_until_ms: Option<u64>,
        /// Why.
        failure: String,
    },
    /// It is not tried again, unless somebody asks for it.
    GivenUp {
        /// Why.
        failure: String,
    },
}

/// How a webhook stands. Times are Unix milliseconds; none stands for never.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Events that wait.
    pub waiting: u64,
    /// Since when the oldest of them does.
    pub waiting_since_ms: Option<u64>,
    /// Events that were given up.
    pub given_up: u64,
    /// Events for which there was no room.
    pub left_out: u64,
    /// When an event was delivered last.
    pub last_success_at_ms: Option<u64>,
    /// When an attempt failed last.
    pub last_failure_at_ms: Option<u64>,
    /// Why it did.
    pub last_failure: Option<String>,
    /// The receiver asked for patience until then.
    pub paused_until_ms: Option<u64>,
}

/// An event that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// Its id.
    pub event_id: String,
    /// How many attempts there were.
    pub attempts: u64,
    /// When it was given up.
    pub given_up_at_ms: u64,
    /// Why the last attempt failed.
    pub failure: String,
}
