//! What is counted of webhooks. Their names come from the settings.

use std::fmt::{self, Write};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Metrics, signed};
use crate::service::webhooks::outbox::Settlement;

/// The rows of the registry.
#[derive(Default)]
pub(super) struct WebhookMetrics {
    attempts: Family<AttemptLabels, Counter>,
    waiting: Family<WebhookLabels, Gauge>,
    given_up: Family<WebhookLabels, Gauge>,
    left_out: Family<WebhookLabels, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WebhookLabels {
    webhook: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    webhook: String,
    outcome: AttemptOutcome,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum AttemptOutcome {
    Delivered,
    Failed,
    GivenUp,
}

impl EncodeLabelValue for AttemptOutcome {
    fn encode(&self, encoder: &mut LabelValueEncoder) -> fmt::Result {
        encoder.write_str(match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
        })
    }
}

impl WebhookMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "webhook_attempts",
            "Attempts of this sidecar to deliver an event, by outcome; the last of those that are given up is given_up",
            self.attempts.clone(),
        );
        registry.register("webhook_waiting", "Events that wait for a webhook, on all sidecars", self.waiting.clone());
        registry.register("webhook_given_up", "Events that were given up, and are kept", self.given_up.clone());
        registry.register("webhook_left_out", "Events for which there was no room, ever", self.left_out.clone());
    }
}

impl Metrics {
    /// Counts an attempt to deliver an event.
    pub fn webhook_attempt(&self, webhook: &str, settlement: &Settlement) {
        let outcome = match settlement {
            Settlement::Delivered => AttemptOutcome::Delivered,
            Settlement::PutOff { .. } => AttemptOutcome::Failed,
            Settlement::GivenUp { .. } => AttemptOutcome::GivenUp,
        };
        let labels = AttemptLabels { webhook: webhook.to_owned(), outcome };
        self.0.webhooks.attempts.get_or_create(&labels).inc();
    }

    /// Takes over how many events of a webhook wait, were given up, and found no room.
    pub fn webhook(&self, webhook: &str, waiting: u64, given_up: u64, left_out: u64) {
        let labels = WebhookLabels { webhook: webhook.to_owned() };
        self.0.webhooks.waiting.get_or_create(&labels).set(signed(waiting));
        self.0.webhooks.given_up.get_or_create(&labels).set(signed(given_up));
        self.0.webhooks.left_out.get_or_create(&labels).set(signed(left_out));
    }
}
