//! What is counted, collected in memory: a request costs no host call for it. The shell writes the samples to the
//! proxy's statistics at each tick.
//!
//! The proxy's statistics have names and no labels, so each label is a pair of parts of the name, in a fixed order,
//! which rules of the proxy's configuration take apart again (`stats_tags`, see docs/observability.md).

use std::rc::Rc;

use crate::decision::Decision;
use crate::flow::Cache;
use crate::id_map::IdMap;

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
}

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It was answered.
    Answered,
    /// Whoever was asked could not answer.
    Refused,
    /// Nobody answered in time, or nobody could be asked.
    Lost,
}

/// Counts since the last tick.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: IdMap<Row, u64>,
    callouts: IdMap<(Question, Ending), u64>,
    callout_ms: Vec<(Question, u64)>,
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
            0 => Ending::Lost,
            _ => Ending::Refused,
        };
        *self.callouts.entry((question, ending)).or_default() += 1;
        // How long a poll is held says nothing.
        if question != Question::Feed && self.callout_ms.len() < OBSERVATIONS_MAX {
            self.callout_ms.push((question, elapsed_ms));
        }
    }

    /// The requests that were decided, for whoever counts them elsewhere.
    pub fn rows(&self) -> impl Iterator<Item = (&Row, u64)> {
        self.requests.iter().map(|(row, count)| (row, *count))
    }

    /// Everything since the last tick.
    #[must_use]
    pub fn take(&mut self) -> Vec<Sample> {
        let count = |name: String, count: u64| Sample { name, value: Value::Count(count) };
        let mut samples: Vec<_> = self.requests.drain().map(|(row, n)| count(row.name(), n)).collect();
        samples.extend(self.callouts.drain().map(|((question, ending), n)| {
            count(format!("sekisho.callouts.to.{}.ending.{}", question.as_str(), ending.as_str()), n)
        }));
        samples.extend(self.callout_ms.drain(..).map(|(question, ms)| Sample {
            name: format!("sekisho.callout_ms.to.{}", question.as_str()),
            value: Value::Observe(ms),
        }));
        if self.dropped > 0 {
            samples.push(count("sekisho.uncounted".into(), std::mem::take(&mut self.dropped)));
        }
        samples
    }
}

impl Row {
    /// The name of its counter.
    fn name(&self) -> String {
        let cache = match self.cache {
            Cache::None => "none",
            Cache::Hit => "hit",
            Cache::Miss => "miss",
        };
        format!(
            "sekisho.requests.route.{}.decision.{}.reason.{}.provider.{}.cache.{cache}",
            part(&self.route),
            self.decision.as_str(),
            self.reason,
            self.provider.as_ref().map_or_else(|| "none".into(), |name| part(name)),
        )
    }
}

/// A name of a configuration as a part of a statistic's: whatever could be taken for a separator becomes `_`.
fn part(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    name.chars().take(PART_MAX_BYTES).map(plain).collect()
}

impl Question {
    fn as_str(self) -> &'static str {
        match self {
            Self::Feed => "feed",
            Self::Check => "check",
            Self::Keys => "keys",
            Self::Activity => "activity",
        }
    }
}

impl Ending {
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
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn row(route: &str) -> Row {
        Row {
            route: route.into(),
            decision: Decision::Allow,
            reason: "none",
            provider: Some("corp.example".into()),
            cache: Cache::Hit,
        }
    }

    #[test]
    fn requests_that_are_alike_are_one_sample_whose_name_has_a_part_for_each_label() {
        let mut metrics = Metrics::default();
        for _ in 0..3 {
            metrics.decided(row("llm v1/é"));
        }
        let name =
            "sekisho.requests.route.llm_v1__.decision.allow.reason.none.provider.corp_example.cache.hit".to_owned();
        assert_eq!(metrics.take(), [Sample { name, value: Value::Count(3) }]);
        assert_eq!(metrics.take(), [], "each is told once");
    }

    #[test]
    fn a_question_is_counted_by_its_end_and_its_time_recorded() {
        let mut metrics = Metrics::default();
        for (question, status) in
            [(Question::Check, 200), (Question::Check, 0), (Question::Keys, 503), (Question::Feed, 200)]
        {
            metrics.called(question, status, 7);
        }
        let mut names: Vec<_> = metrics.take().into_iter().map(|sample| sample.name).collect();
        names.sort();
        assert_eq!(
            names,
            [
                "sekisho.callout_ms.to.check",
                "sekisho.callout_ms.to.check",
                "sekisho.callout_ms.to.keys",
                "sekisho.callouts.to.check.ending.answered",
                "sekisho.callouts.to.check.ending.lost",
                "sekisho.callouts.to.feed.ending.answered",
                "sekisho.callouts.to.keys.ending.refused",
            ]
        );
    }

    #[test]
    fn a_full_table_counts_what_it_drops() {
        let mut metrics = Metrics::default();
        for n in 0..ROWS_MAX + 5 {
            metrics.decided(row(&n.to_string()));
        }
        let samples = metrics.take();
        assert_eq!(samples.len(), ROWS_MAX + 1);
        assert!(samples.contains(&Sample { name: "sekisho.uncounted".into(), value: Value::Count(5) }));
    }
}
