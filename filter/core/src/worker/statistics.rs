//! What a worker tells about itself: samples for the proxy's statistics, reports for the sidecars.

use sekisho_protocol::activity::ActivityReport;

use super::Worker;
use crate::decision::Decision;
use crate::denial::Inability;
use crate::feed::Promise;
use crate::metrics::{Condition, Question, Sample};
use crate::shared::Shared;
use crate::time::Now;

/// Between two samples of a worker's state.
const OBSERVE_EVERY_MS: u64 = 1_000;

impl Worker {
    /// A question was answered with this status, or failed (0).
    pub fn called(&mut self, question: Question, status: u32, sent_at_ms: u64, now: Now) {
        self.shared.metrics.called(question, status, now.mono_ms.saturating_sub(sent_at_ms));
    }

    /// What is to be written to the proxy's statistics now. To be asked at each tick, before [`Self::report`].
    /// `promise` is what [`Self::poll`] is told.
    pub fn samples(&mut self, promise: Promise, memory_bytes: u64, now: Now) -> Vec<Sample> {
        let Shared { activity, metrics, verifications, .. } = &mut self.shared;
        for (row, count) in metrics.rows() {
            let outcome = if row.decision == Decision::Allow { "allow" } else { row.reason };
            activity.ended(&row.route, outcome, count);
        }
        // Besides the *allow* that it was counted as before.
        for (route, count) in metrics.cut_streams() {
            activity.ended(route, Inability::Cut.code(), count);
        }
        let verifications = verifications.take();
        activity.verified(&verifications);
        let mut samples = metrics.take(&verifications);
        let seconds = self.observed_at_ms.map_or(1, |at| now.mono_ms.saturating_sub(at) / OBSERVE_EVERY_MS);
        if seconds > 0 {
            self.observed_at_ms = Some(self.observed_at_ms.map_or(now.mono_ms, |at| at + seconds * OBSERVE_EVERY_MS));
            samples.extend(self.condition(promise, memory_bytes, now).samples(seconds));
        }
        samples
    }

    fn condition(&self, promise: Promise, memory_bytes: u64, now: Now) -> Condition {
        let Shared { replica, tokens, .. } = &self.shared;
        Condition {
            freshness: self.shared.freshness(promise.staleness_ms, now),
            feed: replica.position().map(|position| position.version).zip(replica.age_ms(now)),
            memory_bytes,
            cached_tokens: tokens.len(),
            denylist_entries: replica.denylist().len(),
            open_streams: self.live.len(),
        }
    }

    /// The report to send now, if one is due.
    pub fn report(&mut self, now: Now) -> Option<&ActivityReport> {
        let Shared { activity, replica, .. } = &mut self.shared;
        activity.report(replica.id(), now)
    }

    /// A report was answered, or failed.
    pub fn on_report_reply(&mut self, status: u32) {
        self.shared.activity.on_reply(status);
    }
}
