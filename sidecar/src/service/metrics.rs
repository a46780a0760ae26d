//! What is counted. Every label has a bounded number of values.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use sekisho_core::verify::algorithm::Algorithm;
use sekisho_protocol::activity::ActivityReport;
use sekisho_protocol::session::SessionStanding;

use crate::service::activity::Taken;
use crate::service::feed::mirror::Mirror;
use crate::service::mesh::Survey;

mod labels;
mod webhooks;

use labels::{
    AcknowledgementLabels, AcknowledgementResult, CheckLabels, FetchLabels, OutcomeLabels, PollLabels, ReportLabels,
    SessionLabels, SourceLabels, VerificationLabels, WorkerLabels,
};
pub use labels::{CheckOutcome, FetchOutcome, PollAnswer};

/// Most pairs of route and outcome that are counted apart; the rest is counted together.
const MAX_OUTCOMES: usize = 2_000;
/// Most bytes of a route's or an outcome's name as a label.
const LABEL_MAX_BYTES: usize = 64;
/// Bounds of the histogram of acknowledgements, in seconds: an acknowledgement takes milliseconds, and is
/// waited for for seconds.
const ACKNOWLEDGEMENT_BOUNDS_S: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.0];

/// Counts. Clones share their numbers.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    polls: Family<PollLabels, Counter>,
    checks: Family<CheckLabels, Counter>,
    session_questions: Family<SessionLabels, Counter>,
    reports: Family<ReportLabels, Counter>,
    requests: Family<OutcomeLabels, Counter>,
    dropped: Counter,
    feed_version: Gauge,
    feed_entries: Gauge,
    feed_age: Gauge<f64, AtomicU64>,
    feed_lag: Gauge<f64, AtomicU64>,
    stream_length: Gauge,
    pages_cut: Counter,
    workers: Family<WorkerLabels, Gauge>,
    acknowledgements: Family<AcknowledgementLabels, Counter>,
    acknowledgement_time: Histogram,
    verifications: Family<VerificationLabels, Counter>,
    keyset_fetches: Family<FetchLabels, Counter>,
    keyset_keys: Family<SourceLabels, Gauge>,
    keyset_age: Family<SourceLabels, Gauge<f64, AtomicU64>>,
    webhooks: webhooks::WebhookMetrics,
    outcomes: Mutex<BTreeSet<(String, String)>>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("sekisho"),
            polls: Family::default(),
            checks: Family::default(),
            session_questions: Family::default(),
            reports: Family::default(),
            requests: Family::default(),
            dropped: Counter::default(),
            feed_version: Gauge::default(),
            feed_entries: Gauge::default(),
            feed_age: Gauge::default(),
            feed_lag: Gauge::default(),
            stream_length: Gauge::default(),
            pages_cut: Counter::default(),
            workers: Family::default(),
            acknowledgements: Family::default(),
            acknowledgement_time: Histogram::new(ACKNOWLEDGEMENT_BOUNDS_S),
            verifications: Family::default(),
            keyset_fetches: Family::default(),
            keyset_keys: Family::default(),
            keyset_age: Family::default(),
            webhooks: webhooks::WebhookMetrics::default(),
            outcomes: Mutex::default(),
        };
        inner.register();
        // Nobody has looked yet.
        inner.feed_lag.set(-1.0);
        Self(Arc::new(inner))
    }
}

impl Inner {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("feed_polls", "Polls of filters, by answer", self.polls.clone());
        registry.register("checks", "Checks of filters, by outcome", self.checks.clone());
        let help = "Questions of filters about sessions, by what the session is worth";
        registry.register("session_questions", help, self.session_questions.clone());
        registry.register("activity_reports", "Activity reports of filters", self.reports.clone());
        registry.register("requests", "Requests that filters decided, as they reported them", self.requests.clone());
        registry.register(
            "filter_verifications",
            "Signatures of tokens that filters looked at, valid or not, by algorithm and by whom: the proxy or the filter",
            self.verifications.clone(),
        );
        registry.register("activity_dropped", "Requests that filters had no room to report", self.dropped.clone());
        registry.register("feed_version", "Version of this sidecar's copy of the feed", self.feed_version.clone());
        registry.register("feed_entries", "Names in this sidecar's copy of the feed", self.feed_entries.clone());
        registry.register(
            "feed_age_seconds",
            "Time since Redis was last read with success; -1 before the first time",
            self.feed_age.clone(),
        );
        registry.register(
            "feed_pages_cut",
            "Pages of snapshots that were cut; polls that got one that was cut before are not counted",
            self.pages_cut.clone(),
        );
        self.register_mesh();
        self.register_keysets();
        self.webhooks.register(&mut self.registry);
    }

    fn register_mesh(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "feed_lag_seconds",
            "For how long the feed has been ahead of the slowest live worker; -1 while the registry is not read",
            self.feed_lag.clone(),
        );
        registry.register("feed_stream_length", "Writes that the feed's stream holds", self.stream_length.clone());
        registry.register("workers", "Workers on record, by state", self.workers.clone());
        registry.register("acknowledgements", "Changes that were waited for", self.acknowledgements.clone());
        registry.register(
            "acknowledgement_seconds",
            "Time from a change's entry in the feed until every worker had acknowledged it",
            self.acknowledgement_time.clone(),
        );
    }
}

impl Inner {
    fn register_keysets(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "keyset_fetches",
            "Attempts of this sidecar to fetch the keys of a source, by outcome",
            self.keyset_fetches.clone(),
        );
        registry.register("keyset_keys", "Keys of a source that are in force", self.keyset_keys.clone());
        registry.register(
            "keyset_age_seconds",
            "Time since the keys of a source were fetched, or found unchanged, by any sidecar; -1 if never",
            self.keyset_age.clone(),
        );
    }
}

impl Metrics {
    /// Counts an attempt to fetch the keys of a source.
    pub fn keyset_fetch(&self, source: &str, outcome: FetchOutcome) {
        self.0.keyset_fetches.get_or_create(&FetchLabels { source: source.to_owned(), outcome }).inc();
    }

    /// Takes over how many keys a source has, and when they were fetched.
    pub fn keyset(&self, source: &str, keys: usize, age: Option<Duration>) {
        let labels = SourceLabels { source: source.to_owned() };
        self.0.keyset_keys.get_or_create(&labels).set(i64::try_from(keys).unwrap_or(i64::MAX));
        self.0.keyset_age.get_or_create(&labels).set(age.map_or(-1.0, |age| age.as_secs_f64()));
    }

    /// Counts a poll.
    pub fn poll(&self, answer: PollAnswer) {
        self.0.polls.get_or_create(&PollLabels { answer }).inc();
    }

    /// Counts a check.
    pub fn check(&self, outcome: CheckOutcome) {
        self.0.checks.get_or_create(&CheckLabels { outcome }).inc();
    }

    /// Counts a question about a session; none if nothing could be said.
    pub fn session_question(&self, standing: Option<&SessionStanding>) {
        let standing = match standing {
            Some(SessionStanding::Live(_)) => "live",
            Some(SessionStanding::Unknown) => "unknown",
            Some(SessionStanding::Ended) => "ended",
            Some(SessionStanding::Banned { .. }) => "banned",
            None => "cannot_tell",
        };
        self.0.session_questions.get_or_create(&SessionLabels { standing }).inc();
    }

    /// Counts a page of a snapshot that was cut.
    pub fn page_cut(&self) {
        self.0.pages_cut.inc();
    }

    /// Counts a change that was waited for, and for how long if it was acknowledged.
    pub fn acknowledgement(&self, is_complete: bool, elapsed: Duration) {
        let result = if is_complete { AcknowledgementResult::Complete } else { AcknowledgementResult::Incomplete };
        self.0.acknowledgements.get_or_create(&AcknowledgementLabels { result }).inc();
        if is_complete {
            self.0.acknowledgement_time.observe(elapsed.as_secs_f64());
        }
    }

    /// Takes over what was found out about the whole mesh; none if the registry cannot be read.
    pub fn survey(&self, survey: Option<&Survey>) {
        if let Some(survey) = survey {
            self.0.stream_length.set(signed(survey.stream_length));
            for (state, count) in &survey.counts {
                let count = i64::try_from(*count).unwrap_or(i64::MAX);
                self.0.workers.get_or_create(&WorkerLabels { state: *state }).set(count);
            }
        }
        self.0.feed_lag.set(survey.map_or(-1.0, |survey| survey.lag.as_secs_f64()));
    }

    /// Counts a report and, if it is new, what is in it.
    pub fn report(&self, report: &ActivityReport, taken: Taken) {
        let new = taken == Taken::Applied;
        self.0.reports.get_or_create(&ReportLabels { new }).inc();
        if new {
            self.0.dropped.inc_by(report.dropped);
            for count in &report.outcomes {
                let labels = self.outcome(&count.route, &count.outcome);
                self.0.requests.get_or_create(&labels).inc_by(count.requests);
            }
            for row in &report.verifications {
                let algorithm = Algorithm::from_name(&row.algorithm).map_or("(others)", Algorithm::as_str);
                let labels = VerificationLabels { algorithm, by: row.by.as_str() };
                self.0.verifications.get_or_create(&labels).inc_by(row.count);
            }
        }
    }

    /// Everything as OpenMetrics text, with the state of `mirror` as it is now.
    #[must_use]
    pub fn text(&self, mirror: &Mirror) -> String {
        let now = mirror.look(|state, age| {
            (signed(state.stamp().version.get()), i64::try_from(state.filed()).unwrap_or(i64::MAX), age.as_secs_f64())
        });
        let (version, entries, age_s) = now.unwrap_or((0, 0, -1.0));
        self.0.feed_version.set(version);
        self.0.feed_entries.set(entries);
        self.0.feed_age.set(age_s);
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.0.registry) {
            tracing::error!(%error, "metrics cannot be written");
        }
        text
    }

    /// The labels under which an outcome is counted: its own while there is room.
    fn outcome(&self, route: &str, outcome: &str) -> OutcomeLabels {
        let pair = (bounded(route), bounded(outcome));
        let mut outcomes = self.0.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        if !outcomes.contains(&pair) && outcomes.len() >= MAX_OUTCOMES {
            return OutcomeLabels { route: "(others)".to_owned(), outcome: "(others)".to_owned() };
        }
        outcomes.insert(pair.clone());
        OutcomeLabels { route: pair.0, outcome: pair.1 }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn bounded(label: &str) -> String {
    label.chars().filter(|c| !c.is_control()).take(LABEL_MAX_BYTES).collect()
}
