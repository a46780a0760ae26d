//! Figures and how they are printed: one line each, `name: value unit`, and
//! `target NAME: VALUE ≤ LIMIT ok|MISSED` for what they are held against.

use std::fmt;
use std::io::Write;
use std::time::Duration;

/// Durations of one thing that was done many times.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Adds one.
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// Adds those of another run.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The duration that so many percent of all do not exceed (nearest rank), in milliseconds; 0 without any.
    pub fn percentile_ms(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).map_or(0.0, |sample| ms(*sample))
    }

    /// The longest, in milliseconds.
    pub fn max_ms(&self) -> f64 {
        self.percentile_ms(100)
    }

    /// Prints how many there are, the median, the 99th percentile and the longest.
    pub fn print(&self, name: &str) {
        count(&format!("{name}_samples"), self.0.len());
        figure(&format!("{name}_p50"), self.percentile_ms(50), "ms");
        figure(&format!("{name}_p99"), self.percentile_ms(99), "ms");
        figure(&format!("{name}_max"), self.max_ms(), "ms");
    }
}

/// Milliseconds, with fractions.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// Prints a measured figure.
pub fn figure(name: &str, value: f64, unit: &str) {
    line(&format!("{name}: {value:.2} {unit}"));
}

/// Prints a number of things.
pub fn count(name: &str, value: impl std::fmt::Display) {
    line(&format!("{name}: {value} count"));
}

/// Something that a figure is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// What was measured, with its unit.
    pub value: String,
    /// What it may be at most, with its unit.
    pub limit: String,
    /// Whether it is not more.
    pub is_kept: bool,
}

impl Target {
    /// A target for a figure with fractions.
    #[must_use]
    pub fn new(name: &str, value: f64, limit: f64, unit: &str) -> Self {
        let text = |number: f64| format!("{number:.2} {unit}");
        Self { name: name.to_owned(), value: text(value), limit: text(limit), is_kept: value <= limit }
    }

    /// Prints it.
    pub fn print(&self) {
        line(&format!("target {self}"));
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, limit, is_kept } = self;
        write!(f, "{name}: {value} ≤ {limit} {}", if *is_kept { "ok" } else { "MISSED" })
    }
}

/// Prints whether a duration in milliseconds keeps its limit.
pub fn target_ms(name: &str, value: f64, limit: f64) {
    let (value, limit, is_kept) = (format!("{value:.2} ms"), format!("{limit:.0} ms"), value <= limit);
    Target { name: name.to_owned(), value, limit, is_kept }.print();
}

/// Prints whether a number keeps its limit.
pub fn target(name: &str, value: u64, limit: u64) {
    Target { name: name.to_owned(), value: value.to_string(), limit: limit.to_string(), is_kept: value <= limit }
        .print();
}

/// Nobody who reads the figures is told twice that nobody reads them.
fn line(text: &str) {
    let _reader_left = writeln!(std::io::stdout(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut samples = Samples::default();
        assert!(samples.percentile_ms(50).abs() < f64::EPSILON);
        (1..=200).rev().for_each(|number| samples.push(Duration::from_millis(number)));
        for (percent, expected) in [(50, 100.0), (99, 198.0), (100, 200.0)] {
            assert!((samples.percentile_ms(percent) - expected).abs() < 1e-9, "{percent}");
        }
    }
}
