//! When a set of keys is fetched again. `chance`, from 0 to 1, keeps sidecars and meshes from asking in step.

use std::time::Duration;

/// However short a provider says that its answer lives, it is not asked more often; however long, not less often.
const LIFE_MIN: Duration = Duration::from_secs(60);
const LIFE_MAX: Duration = Duration::from_secs(86_400);
/// The first and the longest wait after a failure.
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);

/// How long after a success the next attempt is made: after 75 to 85 % of the set's life, so that it is over
/// neither before that nor while that fails for the first time. `max_age` is what came with the set, `refresh` what
/// counts without it.
#[must_use]
pub fn after_success(max_age: Option<Duration>, refresh: Duration, chance: f64) -> Duration {
    let life = max_age.map_or(refresh, |max_age| max_age.clamp(LIFE_MIN, LIFE_MAX));
    life.mul_f64(0.75 + 0.1 * chance.clamp(0.0, 1.0))
}

/// How long after the last of so many failures in a row the next attempt is made.
#[must_use]
pub fn after_failures(failures: u32, chance: f64) -> Duration {
    let doubled = RETRY_FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)));
    doubled.min(RETRY_MAX).mul_f64(1.0 - 0.5 * chance.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_set_is_fetched_again_before_its_life_is_over() {
        for (max_age_s, chance, expected_s) in [
            (None, 0.0, 2_700),
            (None, 1.0, 3_060),
            (Some(1_000), 0.5, 800),
            (Some(0), 0.5, 48),
            (Some(u64::MAX), 0.5, 69_120),
        ] {
            let after = after_success(max_age_s.map(Duration::from_secs), HOUR, chance);
            assert_eq!(after.as_secs(), expected_s, "{max_age_s:?} {chance}");
        }
    }

    #[test]
    fn failures_are_retried_ever_more_slowly_up_to_a_minute() {
        for (failures, chance, expected_ms) in [
            (1, 0.0, 1_000),
            (1, 1.0, 500),
            (2, 0.0, 2_000),
            (6, 0.0, 32_000),
            (7, 0.0, 60_000),
            (u32::MAX, 0.0, 60_000),
            (u32::MAX, 1.0, 30_000),
            (0, 0.0, 1_000),
        ] {
            assert_eq!(after_failures(failures, chance).as_millis(), expected_ms, "{failures} {chance}");
        }
    }
}
