//! What is counted, collected in memory: a request costs no host call for it. The shell writes the samples to the
//! proxy's statistics at each tick.
//!
//! The proxy's statistics have names and no labels, so each label is a part `.LABEL=VALUE` of the name, which rules of the
//! proxy's configuration make labels of again (`stats_tags`, see docs/observability.md). A value never holds a `.` or `=`,
//! so a rule that looks for a label finds that label and nothing else, whatever a configuration calls its rules.

use std::rc::Rc;

use crate::decision::Decision;
use crate::flow::Cache;
use crate::id_map::IdMap;
use crate::verify::crypto::Verifications;

/// What every name begins with. The sidecar's metrics begin with `sekisho_`, too.
const PREFIX: &str = "sekisho.filter";
/// Most different rows between two ticks, and most names that one VM ever makes.
pub const ROWS_MAX: usize = 4_000;
/// Most observations of one kind between two ticks.
const OBSERVATIONS_MAX: usize = 1_000;
/// Longest part of a name that comes from a configuration, in bytes.
const PART_MAX_BYTES: usize = 64;

/// How a request was decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    /// The name of its rule.
    pub route: Rc<str>,
    /// What became of it.
    pub decision: Decision,
    /// The code of its refusal; `none` if it passed.
    pub reason: &'static str,
    /// The provider of its credential, once that was verified.
    pub provider: Option<Rc<str>>,
    /// Whether the credential had been verified before.
    pub cache: Cache,
    /// What the worker knew when it decided.
    pub freshness: Freshness,
}

/// What a worker knows of what is barred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Freshness {
    /// Enough to decide alone.
    Fresh,
    /// Not enough: nothing at all, or nothing new for too long. It checks every credential.
    Stale,
}

/// What a worker is like at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Condition {
    /// What it knows.
    pub freshness: Freshness,
    /// The version of the feed that it holds, and how old that is; none without a snapshot.
    pub feed: Option<(u64, u64)>,
    /// The size of its VM's memory.
    pub memory_bytes: u64,
    /// How many credentials, that were verified before, it remembers.
    pub cached_tokens: usize,
    /// How many entries its denylist has.
    pub denylist_entries: usize,
    /// How many streams it would cut.
    pub open_streams: usize,
}

/// Something to write down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// The name of the statistic.
    pub name: String,
    /// What to do with it.
    pub value: Value,
}

/// What to do with a statistic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Add to a counter.
    Count(u64),
    /// Set a gauge.
    Set(u64),
    /// Record in a histogram.
    Observe(u64),
}

/// What sidecars are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Question {
    /// News.
    Feed,
    /// A decision.
    Check,
    /// Keys.
    Keys,
    /// To take a report.
    Activity,
    /// What a session is worth.
    Session,
}

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It was answered.
    Answered,
    /// Whoever was asked could not answer, or could not be reached: the proxy says 503 for both.
    Refused,
    /// Nobody answered in time, or the proxy asked nobody.
    Lost,
}

/// Counts since the last tick.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: IdMap<Row, u64>,
    callouts: [[u64; Ending::ALL.len()]; Question::ALL.len()],
    callout_ms: Vec<(Question, u64)>,
    held_ms: Vec<u64>,
    /// By rule and reason, of which there are few.
    cuts: Vec<(Rc<str>, &'static str, u64)>,
    dropped: u64,
}

impl Metrics {
    /// A request was decided.
    pub fn decided(&mut self, row: Row) {
        if let Some(count) = self.requests.get_mut(&row) {
            *count += 1;
        } else if self.requests.len() < ROWS_MAX {
            self.requests.insert(row, 1);
        } else {
            self.dropped += 1;
        }
    }

    /// A question was answered with this status, or failed (0), so many milliseconds after it was asked.
    pub fn called(&mut self, question: Question, status: u32, elapsed_ms: u64) {
        let ending = match status {
            200..300 => Ending::Answered,
            // The proxy itself says 504 when the time is over.
            0 | 504 => Ending::Lost,
            _ => Ending::Refused,
        };
        let count = self.callouts.get_mut(question as usize).and_then(|endings| endings.get_mut(ending as usize));
        count.into_iter().for_each(|count| *count += 1);
        // How long a poll is held says nothing.
        if question != Question::Feed && self.callout_ms.len() < OBSERVATIONS_MAX {
            self.callout_ms.push((question, elapsed_ms));
        }
    }

    /// A request was decided after it waited for somebody's answer.
    pub fn held(&mut self, ms: u64) {
        if self.held_ms.len() < OBSERVATIONS_MAX {
            self.held_ms.push(ms);
        }
    }

    /// A stream that a rule had let in was cut.
    pub fn cut(&mut self, route: &Rc<str>, reason: &'static str) {
        match self.cuts.iter_mut().find(|(known, why, _)| known == route && *why == reason) {
            Some((_, _, count)) => *count += 1,
            None => self.cuts.push((Rc::clone(route), reason, 1)),
        }
    }

    /// The requests that were decided, for whoever counts them elsewhere.
    pub fn rows(&self) -> impl Iterator<Item = (&Row, u64)> {
        self.requests.iter().map(|(row, count)| (row, *count))
    }

    /// The streams that were cut, for the same, by rule.
    pub fn cut_streams(&self) -> impl Iterator<Item = (&str, u64)> {
        self.cuts.iter().map(|(route, _, count)| (&**route, *count))
    }

    /// Everything since the last tick.
    #[must_use]
    pub fn take(&mut self, verifications: &Verifications) -> Vec<Sample> {
        let mut samples: Vec<_> = self.requests.drain().map(|(row, n)| row.sample(n)).collect();
        for (question, endings) in Question::ALL.into_iter().zip(std::mem::take(&mut self.callouts)) {
            for (ending, n) in Ending::ALL.into_iter().zip(endings).filter(|(_, n)| *n > 0) {
                let labels = [("to", question.as_str()), ("ending", ending.as_str())];
                samples.push(Sample::new("callouts", &labels, Value::Count(n)));
            }
        }
        for (question, ms) in self.callout_ms.drain(..) {
            samples.push(Sample::new("callout_ms", &[("to", question.as_str())], Value::Observe(ms)));
        }
        samples.extend(self.held_ms.drain(..).map(|ms| Sample::new("held_ms", &[], Value::Observe(ms))));
        for (route, reason, n) in self.cuts.drain(..) {
            samples.push(Sample::new("cuts", &[("route", &route), ("reason", reason)], Value::Count(n)));
        }
        for (algorithm, by, n) in verifications.iter() {
            let labels = [("algorithm", algorithm.as_str()), ("by", by.as_str())];
            samples.push(Sample::new("verifications", &labels, Value::Count(n)));
        }
        if self.dropped > 0 {
            samples.push(Sample::new("uncounted", &[], Value::Count(std::mem::take(&mut self.dropped))));
        }
        samples
    }
}

impl Row {
    /// So many of them.
    fn sample(&self, count: u64) -> Sample {
        let cache = match self.cache {
            Cache::None => "none",
            Cache::Hit => "hit",
            Cache::Miss => "miss",
        };
        let labels = [
            ("route", &*self.route),
            ("decision", self.decision.as_str()),
            ("reason", self.reason),
            ("provider", self.provider.as_deref().unwrap_or("none")),
            ("cache", cache),
            ("freshness", self.freshness.as_str()),
        ];
        Sample::new("requests", &labels, Value::Count(count))
    }
}

impl Condition {
    /// What is to be written down about it, once in so many seconds.
    #[must_use]
    pub fn samples(&self, seconds: u64) -> Vec<Sample> {
        let size = |size: usize| Value::Observe(u64::try_from(size).unwrap_or(u64::MAX));
        let freshness = [("freshness", self.freshness.as_str())];
        let mut samples = vec![
            Sample::new("vm_seconds", &freshness, Value::Count(seconds)),
            Sample::new("memory_bytes", &[], Value::Observe(self.memory_bytes)),
            Sample::new("cached_tokens", &[], size(self.cached_tokens)),
            Sample::new("denylist_entries", &[], size(self.denylist_entries)),
            Sample::new("open_streams", &[], size(self.open_streams)),
        ];
        if let Some((version, age_ms)) = self.feed {
            samples.push(Sample::new("feed_version", &[], Value::Set(version)));
            samples.push(Sample::new("feed_age_ms", &[], Value::Observe(age_ms)));
        }
        samples
    }
}

impl Sample {
    fn new(what: &str, labels: &[(&str, &str)], value: Value) -> Self {
        let mut name = format!("{PREFIX}.{what}");
        for (label, value) in labels {
            name.extend([".", label, "="]);
            name.extend(part(value));
        }
        Self { name, value }
    }
}

/// A name of a configuration as a part of a statistic's: whatever could be taken for a separator becomes `_`, and so
/// does what some systems of statistics would not take.
fn part(name: &str) -> impl Iterator<Item = char> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name = if name.is_empty() { "_" } else { name };
    name.chars().take(PART_MAX_BYTES).map(plain)
}

impl Freshness {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Stale => "stale",
        }
    }
}

impl Question {
    const ALL: [Self; 5] = [Self::Feed, Self::Check, Self::Keys, Self::Activity, Self::Session];

    fn as_str(self) -> &'static str {
        match self {
            Self::Feed => "feed",
            Self::Check => "check",
            Self::Keys => "keys",
            Self::Activity => "activity",
            Self::Session => "session",
        }
    }
}

impl Ending {
    const ALL: [Self; 3] = [Self::Answered, Self::Refused, Self::Lost];

    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Lost => "lost",
        }
    }
}

#[cfg(test)]
mod tests {
    use sekisho_protocol::activity::Verifier;

    use super::*;
    use crate::verify::algorithm::Algorithm;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn row(route: &str) -> Row {
        Row {
            route: route.into(),
            decision: Decision::Allow,
            reason: "none",
            provider: Some("corp.example".into()),
            cache: Cache::Hit,
            freshness: Freshness::Fresh,
        }
    }

    fn take(metrics: &mut Metrics) -> Vec<Sample> {
        metrics.take(&Verifications::default())
    }

    fn names(samples: Vec<Sample>) -> Vec<String> {
        let mut names: Vec<_> = samples.into_iter().map(|sample| sample.name).collect();
        names.sort();
        names
    }

    #[test]
    fn requests_that_are_alike_are_one_sample_whose_name_has_a_part_for_each_label() {
        let mut metrics = Metrics::default();
        for _ in 0..3 {
            metrics.decided(row("llm.reason=x/é"));
        }
        let name = "sekisho.filter.requests.route=llm_reason_x__.decision=allow.reason=none.provider=corp_example\
                    .cache=hit.freshness=fresh"
            .to_owned();
        assert_eq!(take(&mut metrics), [Sample { name, value: Value::Count(3) }]);
        assert_eq!(take(&mut metrics), [], "each is told once");
    }

    #[test]
    fn a_question_is_counted_by_its_end_and_its_time_recorded() {
        let mut metrics = Metrics::default();
        for (question, status) in
            [(Question::Check, 200), (Question::Check, 504), (Question::Keys, 503), (Question::Feed, 200)]
        {
            metrics.called(question, status, 7);
        }
        assert_eq!(
            names(take(&mut metrics)),
            [
                "sekisho.filter.callout_ms.to=check",
                "sekisho.filter.callout_ms.to=check",
                "sekisho.filter.callout_ms.to=keys",
                "sekisho.filter.callouts.to=check.ending=answered",
                "sekisho.filter.callouts.to=check.ending=lost",
                "sekisho.filter.callouts.to=feed.ending=answered",
                "sekisho.filter.callouts.to=keys.ending=refused",
            ]
        );
    }

    #[test]
    fn waits_cuts_and_verifications_are_told_once() {
        let mut metrics = Metrics::default();
        let mut verifications = Verifications::default();
        verifications.count(Algorithm::Rs256, Verifier::Host);
        metrics.held(12);
        metrics.cut(&"llm".into(), "stream_cut");
        let samples = names(metrics.take(&verifications));
        let expected = [
            "sekisho.filter.cuts.route=llm.reason=stream_cut",
            "sekisho.filter.held_ms",
            "sekisho.filter.verifications.algorithm=RS256.by=host",
        ];
        assert_eq!(samples, expected);
        assert_eq!(take(&mut metrics), []);
    }

    #[test]
    fn a_full_table_counts_what_it_drops() {
        let mut metrics = Metrics::default();
        for n in 0..ROWS_MAX + 5 {
            metrics.decided(row(&n.to_string()));
        }
        let samples = take(&mut metrics);
        assert_eq!(samples.len(), ROWS_MAX + 1);
        assert!(samples.contains(&Sample::new("uncounted", &[], Value::Count(5))));
    }
}
