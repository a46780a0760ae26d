//! Records, and whether the feed agrees with them (rules P8, P9). Other programs write bans and
//! revocations, too; since when somebody's tokens are valid is on record by Sekisho alone.

use sekisho_protocol::feed::{FOREVER, Kind};

use super::{Mark, revocation_end};

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// When it ends, Unix seconds; [`FOREVER`] if never.
    pub end: u64,
    /// See [`Mark::floor`].
    pub floor: u64,
}

/// A record's end is computed from what is left of its life, which is asked for some milliseconds
/// later than the clock.
const TOLERANCE_S: u64 = 2;

impl Record {
    /// A record that ends at a Unix second, and says nothing else.
    #[must_use]
    pub const fn until(end: u64) -> Self {
        Self { end, floor: 0 }
    }

    /// A record that has `left_ms` milliseconds left at `now_ms` (Unix milliseconds). Its end is rounded
    /// up: a bar may last a moment longer, never shorter.
    #[must_use]
    pub fn ending_after(now_ms: u64, left_ms: u64) -> Self {
        Self::until(now_ms.saturating_add(left_ms).div_ceil(1_000).min(FOREVER))
    }

    /// What the feed must say because of a record.
    ///
    /// Other programs keep a revocation only until the token's `exp`; the feed keeps it longer (rule P10).
    #[must_use]
    pub fn mark(self, kind: Kind, name: &str) -> Mark {
        let until = match kind {
            Kind::Token => revocation_end(self.end),
            _ => self.end,
        };
        Mark { floor: self.floor, ..Mark::new(kind, name, until) }
    }

    /// Whether an entry says what the record says: a ban until the same moment, a revocation at least as
    /// long, the end of a session, too, a not-before at least as long and of at least as many tokens.
    #[must_use]
    pub fn agrees_with(self, kind: Kind, until: u64, floor: u64) -> bool {
        let lasts = until.saturating_add(TOLERANCE_S) >= self.end;
        match kind {
            Kind::Token | Kind::Session | Kind::SignIn => lasts,
            Kind::NotBefore => lasts && floor >= self.floor,
            _ => until.abs_diff(self.end) <= TOLERANCE_S,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_ends_when_its_life_is_over_and_not_a_moment_before() {
        assert_eq!(Record::ending_after(1_000_500, 1_000), Record::until(1_002));
        assert_eq!(Record::ending_after(1_000_000, 1_000), Record::until(1_001));
        assert_eq!(Record::ending_after(1, u64::MAX), Record::until(FOREVER));
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
            (Kind::Session, 1_360, true),
            (Kind::Session, 997, false),
        ] {
            assert_eq!(Record::until(1_000).agrees_with(kind, until, 0), expected, "{kind:?} {until}");
        }
    }

    #[test]
    fn a_not_before_agrees_with_one_that_is_as_long_and_bars_as_many_tokens() {
        let record = Record { end: 1_000, floor: 500 };
        for (until, floor, expected) in
            [(1_000, 500, true), (1_200, 501, true), (998, 500, true), (997, 500, false), (1_000, 499, false)]
        {
            let agrees = record.agrees_with(Kind::NotBefore, until, floor);
            assert_eq!(agrees, expected, "{until} {floor}");
        }
    }

    #[test]
    fn p10_the_feed_keeps_a_foreign_revocation_longer_than_its_record() {
        assert_eq!(Record::until(1_000).mark(Kind::Token, "t").until(), 1_360);
        assert_eq!(Record::until(1_000).mark(Kind::Ban, "Ann@x").until(), 1_000);
    }

    #[test]
    fn the_feed_says_of_the_same_tokens_as_the_record() {
        let mark = Record { end: 1_000, floor: 500 }.mark(Kind::NotBefore, "Ann@x.org");
        assert_eq!((mark.name(), mark.until(), mark.floor()), ("ann@x.org", 1_000, 500));
    }
}
