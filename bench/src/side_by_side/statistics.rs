//! What is made of many measurements of one thing.

use std::time::Duration;

/// The numbers that say how long one request of a variant takes, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Times {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// The standard deviation.
    pub(crate) sigma: f64,
}

impl Times {
    /// Of these durations.
    pub(crate) fn of(times: &[Duration]) -> Self {
        let mut times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1_000_000.0).collect();
        times.sort_by(f64::total_cmp);
        let (p50, p99) = (ranked(&times, 0.5), ranked(&times, 0.99));
        Self { mean: mean(&times), p50, p99, sigma: sigma(&times) }
    }
}

/// The median of measurements that belong to each other two by two, less each other: what one takes more than the
/// other, whatever disturbed both.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Difference {
    pub(crate) median: f64,
    /// The standard error of that median, for measurements that scatter as these do.
    pub(crate) error: f64,
}

impl Difference {
    /// Of `these` and `those`, in their order.
    pub(crate) fn between(these: impl IntoIterator<Item = f64>, those: impl IntoIterator<Item = f64>) -> Self {
        let mut differences: Vec<f64> = these.into_iter().zip(those).map(|(this, that)| this - that).collect();
        differences.sort_by(f64::total_cmp);
        // A quarter of a normal distribution lies beyond 0.674 standard deviations on either side, and the median's
        // error is 1.253 times the mean's.
        let spread = (ranked(&differences, 0.75) - ranked(&differences, 0.25)) / 1.349;
        let error = 1.253 * spread / (differences.len().max(1) as f64).sqrt();
        Self { median: median(&differences), error }
    }
}

/// The value in the middle, or between the two that are there; 0 without any.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
    if sorted.len() % 2 == 1 { at(half) } else { f64::midpoint(at(half.saturating_sub(1)), at(half)) }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn sigma(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// The value that so large a part of all does not exceed (nearest rank); 0 without any.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank is a small positive number")]
fn ranked(sorted: &[f64], part: f64) -> f64 {
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(value: f64, expected: f64) {
        assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
    }

    #[test]
    fn times_are_told_in_microseconds() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_micros).collect();
        let told = Times::of(&times);
        near(told.mean, 50.5);
        near(told.p50, 50.0);
        near(told.p99, 99.0);
        near(told.sigma, (f64::from(100 * 100 - 1) / 12.0).sqrt());
        assert_eq!(Times::of(&[]), Times::default());
    }

    #[test]
    fn a_disturbance_that_meets_both_sides_changes_no_difference() {
        let quiet = Difference::between([12.0, 13.0, 12.0], [10.0, 11.0, 10.0]);
        near(quiet.median, 2.0);
        near(quiet.error, 0.0);
        near(Difference::between([112.0, 13.0, 12.0], [110.0, 11.0, 10.0]).median, 2.0);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        for (values, expected) in [(&[][..], 0.0), (&[3.0], 3.0), (&[4.0, 1.0], 2.5), (&[9.0, 1.0, 2.0], 2.0)] {
            near(median(values), expected);
        }
    }
}
