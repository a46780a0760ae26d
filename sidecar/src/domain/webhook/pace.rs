//! How often a webhook is tried: at most so many attempts in any minute, and ever more rarely what fails.

use std::time::Duration;

/// The span for which attempts are counted.
const MINUTE_MS: u64 = 60_000;
/// Before the second attempt.
const FIRST_MS: u64 = 5_000;
/// The longest time between two attempts.
const LONGEST_MS: u64 = 2 * 3_600_000;
/// Nothing is tried for longer than this after the first attempt.
pub const TRIED_FOR: Duration = Duration::from_secs(86_400);
/// The longest time for which a receiver may ask for patience.
pub const PATIENCE_MAX: Duration = Duration::from_secs(3_600);

/// The attempts of the last minute: when, and how many at that moment. Its text is kept beside the webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recent(Vec<(u64, u32)>);

impl Recent {
    /// The attempts in this text. What can't be read is left out: at worst a minute has more of them.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pair = |pair: &str| {
            let (at_ms, count) = pair.split_once(':')?;
            Some((at_ms.parse().ok()?, count.parse().ok()?))
        };
        Self(text.split(' ').filter_map(pair).collect())
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.iter().map(|(at_ms, count)| format!("{at_ms}:{count}")).collect::<Vec<_>>().join(" ")
    }

    /// How many attempts may be made now, if there are `per_minute` in any minute.
    #[must_use]
    pub fn room(&mut self, now_ms: u64, per_minute: u32) -> u32 {
        // Those of a clock that runs ahead count until ours has come there, but not for ever.
        self.0.retain(|(at_ms, _)| now_ms.abs_diff(*at_ms) < MINUTE_MS);
        let made = self.0.iter().fold(0_u32, |sum, (_, count)| sum.saturating_add(*count));
        per_minute.saturating_sub(made)
    }

    /// Counts attempts that are made now.
    pub fn add(&mut self, now_ms: u64, count: u32) {
        if count > 0 {
            self.0.push((now_ms, count));
        }
    }
}

/// How long to wait after this many failed attempts; `chance` spreads it by up to a fifth, so that what failed together is not
/// tried together.
#[must_use]
pub fn backoff_ms(attempts: u64, chance: u8) -> u64 {
    let doublings = u32::try_from(attempts.saturating_sub(1)).unwrap_or(u32::MAX).min(32);
    let whole = FIRST_MS.saturating_mul(1_u64 << doublings).min(LONGEST_MS);
    whole + whole / 5 * u64::from(chance) / 255
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_has_more_attempts_than_it_may() {
        let mut recent = Recent::default();
        let mut made = Vec::new();
        for now_ms in (1_000_000..1_300_000).step_by(700) {
            let count = recent.room(now_ms, 10).min(3);
            recent.add(now_ms, count);
            made.push((now_ms, count));
            recent = Recent::parse(&recent.text());
        }
        for (start, _) in &made {
            let within = made.iter().filter(|(at, _)| (*start..start + MINUTE_MS).contains(at));
            assert!(within.map(|(_, count)| count).sum::<u32>() <= 10);
        }
        assert_eq!(made.iter().map(|(_, count)| count).sum::<u32>(), 50, "and each minute has as many as it may");
    }

    #[test]
    fn a_clock_that_ran_ahead_stops_nothing_for_longer_than_a_minute() {
        let mut recent = Recent::parse("99000000:10 nonsense 7");
        assert_eq!(recent.room(1_000_000, 10), 10);
        assert_eq!(recent.text(), "");
    }

    #[test]
    fn what_fails_is_tried_ever_more_rarely() {
        for (attempts, expected_s) in
            [(1, 5), (2, 10), (3, 20), (10, 2_560), (11, 5_120), (12, 7_200), (u64::MAX, 7_200)]
        {
            assert_eq!(backoff_ms(attempts, 0), expected_s * 1_000, "{attempts}");
            assert_eq!(backoff_ms(attempts, 255), expected_s * 1_200, "{attempts}");
        }
    }
}
