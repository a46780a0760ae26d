//! Webhooks: whoever is told of audit events. What is to be delivered is in the outbox, where the trail puts it together
//! with the event itself; from there it is taken by whichever sidecar comes first, and comes back until it is delivered.
//!
//! An event is delivered at least once, always with the same id: a sidecar may end between the delivery and the note of it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;

use crate::domain::audit::{Action, By, Event, Outcome, clean};
use crate::domain::error::Failure;
use crate::domain::webhook::{Webhook, message, pace};
use crate::failpoint::{FailPoint, reach};
use crate::service::audit::{Audit, Deed};
use crate::service::change::Changes;
use crate::service::clock::now_ms;
use crate::service::error::StoreError;
use crate::service::metrics::Metrics;

pub mod courier;
pub mod outbox;

use courier::{Courier, Message, Undelivered};
use outbox::{GivenUp, Lease, Letter, Outbox, Settlement, Standing};

/// Most events of a webhook that one sidecar delivers at a time.
const AT_ONCE: u32 = 8;
/// How much longer than an attempt its lease is: for the writing before and after it.
const MARGIN: Duration = Duration::from_secs(10);
/// At most so often an audit event tells that events for a webhook were given up.
const TELL_EVERY_MS: u64 = 3_600_000;

/// The use cases.
#[derive(Clone)]
pub struct Webhooks {
    webhooks: Arc<[Webhook]>,
    outbox: Arc<dyn Outbox>,
    courier: Arc<dyn Courier>,
    changes: Changes,
    audit: Audit,
    metrics: Metrics,
}

/// A webhook, and how it stands.
#[derive(Debug, Clone)]
pub struct Overview {
    /// As it is configured.
    pub webhook: Webhook,
    /// What became of its events.
    pub standing: Standing,
}

impl Webhooks {
    /// These webhooks, whose events `courier` takes out of `outbox`.
    #[must_use]
    pub fn new(
        webhooks: Arc<[Webhook]>,
        outbox: Arc<dyn Outbox>,
        courier: Arc<dyn Courier>,
        changes: Changes,
        audit: Audit,
        metrics: Metrics,
    ) -> Self {
        Self { webhooks, outbox, courier, changes, audit, metrics }
    }

    /// All of them, as configured.
    #[must_use]
    pub fn all(&self) -> &[Webhook] {
        &self.webhooks
    }

    /// All of them, and how they stand.
    ///
    /// # Errors
    /// The database can't be reached.
    pub async fn overview(&self) -> Result<Vec<Overview>, StoreError> {
        let mut standings = self.outbox.standings().await?;
        let overview = |webhook: &Webhook| {
            let standing = standings.remove(webhook.name.as_str()).unwrap_or_default();
            Overview { webhook: webhook.clone(), standing }
        };
        Ok(self.webhooks.iter().map(overview).collect())
    }

    /// One of them, how it stands, and the newest of its events that were given up, at most `limit`.
    ///
    /// # Errors
    /// [`Failure::WebhookNotFound`]; the database can't be reached.
    pub async fn show(&self, name: &str, limit: usize) -> Result<(Overview, Vec<GivenUp>), Failure> {
        let webhook = self.find(name)?.clone();
        let standing = self.outbox.standings().await?.remove(name).unwrap_or_default();
        Ok((Overview { webhook, standing }, self.outbox.given_up(name, limit).await?))
    }

    /// Sends a test to one of them, by the way of every event: it is an audit event that this one alone is told of. Its id.
    ///
    /// # Errors
    /// [`Failure::WebhookNotFound`]; those of recording.
    pub async fn test(&self, name: &str, by: By) -> Result<String, Failure> {
        let name = self.find(name)?.name.clone();
        let id = Arc::new(OnceLock::new());
        let told = Arc::clone(&id);
        let tell = move |(): &(), event: &mut Event| drop(told.set(event.id.clone()));
        self.changes.carry_out(Deed::new(Action::WebhookTested, by, &name), async { Ok(()) }, tell).await?;
        Ok(id.get().cloned().unwrap_or_default())
    }

    /// Has what was given up for one of them delivered after all; how many events.
    ///
    /// # Errors
    /// [`Failure::WebhookNotFound`]; those of recording; the database can't be reached.
    pub async fn retry(&self, name: &str, by: By) -> Result<u64, Failure> {
        let name = self.find(name)?.name.clone();
        let (outbox, of) = (Arc::clone(&self.outbox), name.clone());
        let retry = async move { Ok(outbox.retry(of.as_str(), now_ms()).await?) };
        let tell = |count: &u64, event: &mut Event| event.tell("count", *count);
        self.changes.carry_out(Deed::new(Action::WebhookRetried, by, &name), retry, tell).await
    }

    /// Takes a few events for `webhook` out of the outbox, if some are due, and tries to deliver them; how many it took.
    ///
    /// # Errors
    /// The database can't be reached. What is delivered already may then be delivered again.
    pub async fn deliver(&self, webhook: &Webhook) -> Result<usize, StoreError> {
        let now_ms = now_ms();
        let lease = Lease {
            holder: uuid::Uuid::new_v4().to_string(),
            now_ms,
            until_ms: now_ms.saturating_add(millis(webhook.timeout + MARGIN)),
            at_most: AT_ONCE,
            per_minute: webhook.per_minute,
        };
        let letters = self.outbox.lease(webhook.name.as_str(), &lease).await?;
        if !letters.is_empty() {
            reach(FailPoint::OutboxLeased);
        }
        let attempts = join_all(letters.iter().map(|letter| self.attempt(webhook, letter))).await;
        attempts.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(letters.len())
    }

    /// Drops what nobody waits for any more, and counts what waits.
    ///
    /// # Errors
    /// The database can't be reached.
    pub async fn tidy(&self) -> Result<(), StoreError> {
        let names: Vec<&str> = self.webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
        let dropped = self.outbox.tidy(&names, now_ms()).await?;
        if dropped > 0 {
            tracing::info!(events.count = dropped, "what was given up for webhooks, or had none any more, is dropped");
        }
        for Overview { webhook, standing } in self.overview().await? {
            self.metrics.webhook(webhook.name.as_str(), standing.waiting, standing.given_up, standing.left_out);
        }
        Ok(())
    }

    async fn attempt(&self, webhook: &Webhook, letter: &Letter) -> Result<(), StoreError> {
        let event = serde_json::from_str::<Event>(&letter.body);
        let sent = match &event {
            Ok(event) => {
                let body = message::body(&webhook.format, event);
                self.courier.deliver(webhook, Message { id: &letter.event_id, at_s: now_ms() / 1_000, body }).await
            }
            // Nothing is sent of which nobody knows what it is. It is kept among what is given up, for people.
            Err(error) => Err(Undelivered::later(format_args!("what waits is no event: {error}"))),
        };
        if sent.is_ok() {
            reach(FailPoint::OutboxDelivered);
        }
        let name = webhook.name.as_str();
        let settlement = settle(letter, sent, now_ms(), chance());
        let is_settled = self.outbox.settle(name, letter, &settlement, now_ms()).await?;
        self.metrics.webhook_attempt(name, &settlement);
        if let Settlement::GivenUp { failure } = &settlement {
            tracing::warn!(webhook = name, event.id = letter.event_id, %failure, "an event for a webhook is given up");
            // Two webhooks that both fail would tell each other of it for ever.
            if is_settled && event.is_ok_and(|event| event.action != Action::WebhookGivenUp) {
                self.tell_given_up(webhook, failure).await?;
            }
        }
        Ok(())
    }

    async fn tell_given_up(&self, webhook: &Webhook, failure: &str) -> Result<(), StoreError> {
        let name = webhook.name.as_str();
        let now_ms = now_ms();
        if !self.outbox.take_turn_to_tell(name, now_ms, now_ms.saturating_sub(TELL_EVERY_MS)).await? {
            return Ok(());
        }
        let deed = Deed::new(Action::WebhookGivenUp, By::system("webhooks"), name);
        let tell = |event: &mut Event| {
            event.tell("host", webhook.target.host());
            event.tell("last_failure", failure);
        };
        self.audit.note(deed, Outcome::Failed, tell).await;
        Ok(())
    }

    fn find(&self, name: &str) -> Result<&Webhook, Failure> {
        self.webhooks.iter().find(|webhook| webhook.name.as_str() == name).ok_or(Failure::WebhookNotFound)
    }
}

/// What becomes of an event after an attempt.
fn settle(letter: &Letter, sent: Result<(), Undelivered>, now_ms: u64, chance: u8) -> Settlement {
    let Err(Undelivered { why, is_final, retry_after }) = sent else { return Settlement::Delivered };
    let failure = clean(&why).unwrap_or_default();
    let asked_ms = retry_after.map(|asked| millis(asked.min(pace::PATIENCE_MAX)));
    let wait_ms = pace::backoff_ms(letter.attempts, chance).max(asked_ms.unwrap_or(0));
    let until_ms = now_ms.saturating_add(wait_ms);
    if is_final || until_ms > letter.first_at_ms.saturating_add(millis(pace::TRIED_FOR)) {
        return Settlement::GivenUp { failure };
    }
    Settlement::PutOff { until_ms, pause_until_ms: asked_ms.map(|asked| now_ms.saturating_add(asked)), failure }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Anything from 0 to 255.
fn chance() -> u8 {
    uuid::Uuid::new_v4().as_bytes().first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
