//! How many calls somebody may make.

use std::num::NonZeroU32;

/// So many calls at once, and afterwards as many a minute: one more each time that a minute's part has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerMinute(pub NonZeroU32);

/// What is left to somebody after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// So many calls at once.
    pub calls: u32,
    /// Until all of them are there again, in microseconds.
    pub whole_in_us: u64,
    /// Until the call that was refused is worth making again, in microseconds; none if it was not refused.
    pub refused_for_us: Option<u64>,
}

const MINUTE_US: u64 = 60_000_000;

impl PerMinute {
    /// The calls.
    #[must_use]
    pub fn calls(self) -> u32 {
        self.0.get()
    }

    /// After so many microseconds there is one more.
    #[must_use]
    pub fn interval_us(self) -> u64 {
        MINUTE_US / u64::from(self.0.get())
    }
}

impl Left {
    /// After how many seconds a refused call is worth making again, if it was refused.
    #[must_use]
    pub fn retry_after_s(self) -> Option<u32> {
        self.refused_for_us.map(seconds)
    }

    /// After how many seconds all calls are there again.
    #[must_use]
    pub fn whole_in_s(self) -> u32 {
        seconds(self.whole_in_us)
    }
}

/// Rounded up: a client that comes at that very second must not come too early.
fn seconds(us: u64) -> u32 {
    u32::try_from(us.div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_to_seconds() {
        for (us, expected) in [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2)] {
            let left = Left { calls: 0, whole_in_us: us, refused_for_us: Some(us) };
            assert_eq!((left.retry_after_s(), left.whole_in_s()), (Some(expected), expected), "{us}");
        }
        assert_eq!(PerMinute(NonZeroU32::new(30).unwrap()).interval_us(), 2_000_000);
    }
}
