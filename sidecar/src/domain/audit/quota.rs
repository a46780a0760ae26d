//! How many events strangers may cause: so many of each of them, so many of all together, in each minute. What is left out
//! is counted, and the next event says so. Nothing here grows with the number of strangers.

use std::collections::BTreeMap;

/// Length of a window, in seconds.
const WINDOW_S: u64 = 60;

/// Bounds, and how much of them is used up.
#[derive(Debug, Clone)]
pub struct Quota {
    of_each: u32,
    of_all: u32,
    window: u64,
    used: u32,
    used_by: BTreeMap<String, u32>,
    left_out: u64,
}

impl Quota {
    /// At most `of_each` events of one, and `of_all` altogether, in a minute.
    #[must_use]
    pub fn new(of_each: u32, of_all: u32) -> Self {
        Self { of_each, of_all, window: 0, used: 0, used_by: BTreeMap::new(), left_out: 0 }
    }

    /// Whether an event that `who` causes at `now_s` (Unix seconds) is recorded: then, how many were left out since the last
    /// one that was.
    pub fn admit(&mut self, who: &str, now_s: u64) -> Option<u64> {
        let window = now_s / WINDOW_S;
        if window != self.window {
            (self.window, self.used) = (window, 0);
            self.used_by.clear();
        }
        let by_them = self.used_by.get(who).copied().unwrap_or_default();
        if self.used >= self.of_all || by_them >= self.of_each {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.used += 1;
        // At most `of_all` names.
        self.used_by.insert(who.to_owned(), by_them + 1);
        Some(self.take_left_out())
    }

    /// How many were left out since the last event that was recorded, if another one tells of them now.
    pub fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_so_many_in_a_minute_and_the_next_event_tells_what_was_left_out() {
        let mut quota = Quota::new(2, 3);
        for (who, now_s, expected) in [
            ("ann", 0, Some(0)),
            ("ann", 1, Some(0)),
            ("ann", 59, None),
            ("bob", 59, Some(1)),
            ("bob", 59, None),
            ("eve", 59, None),
            ("eve", 60, Some(2)),
            ("ann", 119, Some(0)),
            ("ann", 180, Some(0)),
            // A clock that goes back begins a new window, too.
            ("ann", 10, Some(0)),
        ] {
            assert_eq!(quota.admit(who, now_s), expected, "{who} at {now_s}");
        }
        assert_eq!(quota.take_left_out(), 0);
    }

    #[test]
    fn a_million_strangers_are_remembered_by_as_many_as_are_recorded() {
        let mut quota = Quota::new(5, 60);
        let recorded = (0..1_000_000).filter(|number| quota.admit(&number.to_string(), 7).is_some()).count();
        assert_eq!((recorded, quota.used_by.len()), (60, 60));
        assert_eq!(quota.take_left_out(), 999_940);
    }
}
