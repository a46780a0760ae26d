//! Windows of time: days of the week and hours at an offset from UTC, between two moments.

/// A span of time that may recur.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Monday first; the days on which it begins.
    pub days: [bool; 7],
    /// Minutes after midnight at which it begins.
    pub from_min: u32,
    /// Minutes after midnight before which it ends; up to `from_min`, on the day after.
    pub to_min: u32,
    /// Seconds by which clocks there are ahead of UTC.
    pub offset_s: i64,
    /// Unix seconds from which on it counts.
    pub after_s: Option<u64>,
    /// Unix seconds before which it counts.
    pub before_s: Option<u64>,
}

const DAY_S: i64 = 86_400;
/// 1 January 1970 was a Thursday.
const WEEKDAY_OF_DAY_0: i64 = 3;
/// Minutes of a day.
pub const DAY_MIN: u32 = 1_440;

impl Default for Window {
    /// Always.
    fn default() -> Self {
        Self { days: [true; 7], from_min: 0, to_min: DAY_MIN, offset_s: 0, after_s: None, before_s: None }
    }
}

impl Window {
    /// Whether a moment lies in it.
    #[must_use]
    pub fn holds(&self, now_s: u64) -> bool {
        if self.after_s.is_some_and(|after| now_s < after) || self.before_s.is_some_and(|before| now_s >= before) {
            return false;
        }
        let Some(local_s) = i64::try_from(now_s).ok().and_then(|now| now.checked_add(self.offset_s)) else {
            return false;
        };
        let (day, second) = (local_s.div_euclid(DAY_S), local_s.rem_euclid(DAY_S));
        let minute = u32::try_from(second / 60).unwrap_or_default();
        if self.from_min < self.to_min {
            return self.is_on(day) && (self.from_min..self.to_min).contains(&minute);
        }
        // Over midnight: what began yesterday may go on.
        (self.is_on(day) && minute >= self.from_min) || (self.is_on(day - 1) && minute < self.to_min)
    }

    fn is_on(&self, day: i64) -> bool {
        let weekday = usize::try_from((day + WEEKDAY_OF_DAY_0).rem_euclid(7)).unwrap_or_default();
        self.days.get(weekday).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Monday, 5 January 2026, midnight UTC.
    const MONDAY: u64 = 1_767_571_200;
    const HOUR: u64 = 3_600;

    fn office() -> Window {
        let days = [true, true, true, true, true, false, false];
        Window { days, from_min: 9 * 60, to_min: 17 * 60 + 30, ..Window::default() }
    }

    #[test]
    fn office_hours_begin_and_end_to_the_minute() {
        for (moment, expected) in [
            (MONDAY + 9 * HOUR - 1, false),
            (MONDAY + 9 * HOUR, true),
            (MONDAY + 17 * HOUR + 1_799, true),
            (MONDAY + 17 * HOUR + 1_800, false),
            (MONDAY + 5 * 24 * HOUR + 10 * HOUR, false),
            (MONDAY - 24 * HOUR + 10 * HOUR, false),
        ] {
            assert_eq!(office().holds(moment), expected, "{moment}");
        }
    }

    #[test]
    fn an_offset_moves_the_hours_and_the_days() {
        let tokyo = Window { offset_s: 9 * 3_600, ..office() };
        assert!(tokyo.holds(MONDAY), "Monday, nine o'clock there");
        assert!(!tokyo.holds(MONDAY - 1));
        let chicago = Window { offset_s: -6 * 3_600, ..office() };
        assert!(!chicago.holds(MONDAY + 5 * HOUR), "still Sunday there");
        assert!(chicago.holds(MONDAY + 15 * HOUR));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_begins() {
        let days = [false, false, false, false, true, false, false];
        let night = Window { days, from_min: 22 * 60, to_min: 6 * 60, ..Window::default() };
        let friday = MONDAY + 4 * 24 * HOUR;
        for (moment, expected) in [
            (friday + 21 * HOUR, false),
            (friday + 22 * HOUR, true),
            (friday + 29 * HOUR, true),
            (friday + 30 * HOUR, false),
            (friday + 5 * HOUR, false),
        ] {
            assert_eq!(night.holds(moment), expected, "{moment}");
        }
    }

    #[test]
    fn a_window_may_have_a_first_and_a_last_moment() {
        let once = Window { after_s: Some(MONDAY), before_s: Some(MONDAY + HOUR), ..Window::default() };
        for (moment, expected) in
            [(MONDAY - 1, false), (MONDAY, true), (MONDAY + HOUR - 1, true), (MONDAY + HOUR, false), (u64::MAX, false)]
        {
            assert_eq!(once.holds(moment), expected, "{moment}");
        }
        assert!(Window::default().holds(0));
    }
}
