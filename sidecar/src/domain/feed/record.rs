//! Records that other programs write, and whether the feed agrees with them (rules P8, P9).

use sekisho_protocol::feed::{FOREVER, Kind};

use super::{Mark, revocation_end};

/// When a record ends, Unix seconds; [`FOREVER`] if never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordEnd(pub u64);

/// A record's end is computed from what is left of its life, which is asked for some milliseconds
/// later than the clock.
const TOLERANCE_S: u64 = 2;

impl RecordEnd {
    /// The end of a record that has `left_ms` milliseconds left at `now_ms` (Unix milliseconds). It is
    /// rounded up: a bar may last a moment longer, never shorter.
    #[must_use]
    pub fn after(now_ms: u64, left_ms: u64) -> Self {
        Self(now_ms.saturating_add(left_ms).div_ceil(1_000).min(FOREVER))
    }

    /// What the feed must say because of a record.
    ///
    /// Other programs keep a revocation only until the token's `exp`; the feed keeps it longer (rule P10).
    #[must_use]
    pub fn mark(self, kind: Kind, name: &str) -> Mark {
        let until = match kind {
            Kind::Token => revocation_end(self.0),
            _ => self.0,
        };
        Mark::new(kind, name, until)
    }

    /// Whether an entry that lasts until `until` says what the record says: a ban until the same moment,
    /// a revocation at least as long.
    #[must_use]
    pub fn agrees_with(self, kind: Kind, until: u64) -> bool {
        match kind {
            Kind::Token => until.saturating_add(TOLERANCE_S) >= self.0,
            _ => until.abs_diff(self.0) <= TOLERANCE_S,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_ends_when_its_life_is_over_and_not_a_moment_before() {
        assert_eq!(RecordEnd::after(1_000_500, 1_000), RecordEnd(1_002));
        assert_eq!(RecordEnd::after(1_000_000, 1_000), RecordEnd(1_001));
        assert_eq!(RecordEnd::after(1, u64::MAX), RecordEnd(FOREVER));
    }

    #[test]
    fn a_ban_agrees_within_the_tolerance_and_a_longer_revocation_always() {
        for (kind, until, expected) in [
            (Kind::Ban, 1_000, true),
            (Kind::Ban, 1_002, true),
            (Kind::Ban, 1_003, false),
            (Kind::Ban, 997, false),
            (Kind::Token, 1_360, true),
            (Kind::Token, 998, true),
            (Kind::Token, 997, false),
        ] {
            assert_eq!(RecordEnd(1_000).agrees_with(kind, until), expected, "{kind:?} {until}");
        }
    }

    #[test]
    fn p10_the_feed_keeps_a_foreign_revocation_longer_than_its_record() {
        assert_eq!(RecordEnd(1_000).mark(Kind::Token, "t").until(), 1_360);
        assert_eq!(RecordEnd(1_000).mark(Kind::Ban, "Ann@x").until(), 1_000);
    }
}
