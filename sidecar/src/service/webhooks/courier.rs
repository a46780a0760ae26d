//! What sends a message to a webhook's receiver.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::webhook::Webhook;

/// A message on its way.
#[derive(Debug)]
pub struct Message<'a> {
    /// The event's id: the same in each attempt.
    pub id: &'a str,
    /// When it is sent, in Unix seconds.
    pub at_s: u64,
    /// What it says.
    pub body: String,
}

/// Why a message did not arrive, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// For people. Holds nothing of the URL.
    pub why: String,
    /// Whether the receiver never wants it.
    pub is_final: bool,
    /// For how long the receiver asks not to be asked.
    pub retry_after: Option<Duration>,
}

impl Undelivered {
    /// It may work later.
    pub fn later(why: impl ToString) -> Self {
        Self { why: why.to_string(), is_final: false, retry_after: None }
    }
}

/// Sends messages.
#[async_trait]
pub trait Courier: Send + Sync {
    /// Sends `message` to `webhook`, within its time-out.
    ///
    /// # Errors
    /// It was not taken. It may have arrived all the same.
    async fn deliver(&self, webhook: &Webhook, message: Message<'_>) -> Result<(), Undelivered>;
}
