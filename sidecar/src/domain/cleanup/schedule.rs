//! When a clean-up runs by itself: a cron expression of five fields, in UTC.

use chrono::{DateTime, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::domain::time::UnixSeconds;

/// A schedule.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: Cron,
    text: String,
}

impl Schedule {
    /// The schedule that this expression means.
    ///
    /// # Errors
    /// It is none, with words for people; or it never comes.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| error.to_string())?;
        let schedule = Self { cron, text: text.to_owned() };
        // Such as the 31st of February.
        if schedule.next_after(UnixSeconds(0)).is_none() {
            return Err("no day ever fits".to_owned());
        }
        Ok(schedule)
    }

    /// The expression.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// When it came last, at `now` or before.
    #[must_use]
    pub fn last_until(&self, now: UnixSeconds) -> Option<UnixSeconds> {
        let found = self.cron.find_previous_occurrence(&moment(now)?, true).ok()?;
        u64::try_from(found.timestamp()).ok().map(UnixSeconds)
    }

    /// When it comes next, after `now`.
    #[must_use]
    pub fn next_after(&self, now: UnixSeconds) -> Option<UnixSeconds> {
        let found = self.cron.find_next_occurrence(&moment(now)?, false).ok()?;
        u64::try_from(found.timestamp()).ok().map(UnixSeconds)
    }
}

fn moment(at: UnixSeconds) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(i64::try_from(at.get()).ok()?, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-21 19:32:19 UTC, a Saturday.
    const NOW: UnixSeconds = UnixSeconds(1_795_289_539);

    #[test]
    fn a_schedule_tells_when_it_came_and_when_it_comes() {
        for (text, ago_s, ahead_s) in [
            ("0 3 * * *", 59_539, 26_861),
            ("*/15 * * * *", 139, 761),
            ("32 19 * * *", 19, 86_381),
            ("0 0 * * SUN", 588_739, 16_061),
            ("@daily", 70_339, 16_061),
        ] {
            let schedule = Schedule::parse(text).unwrap();
            let (last, next) = (schedule.last_until(NOW).unwrap(), schedule.next_after(NOW).unwrap());
            assert_eq!((NOW.since(last), next.since(NOW)), (ago_s, ahead_s), "{text}");
            assert_eq!((schedule.last_until(last), schedule.as_str()), (Some(last), text));
        }
    }

    #[test]
    fn what_is_no_schedule_or_never_comes_is_refused() {
        for text in ["", "soon", "0 3 * *", "0 3 * * * *", "0 3 * * * 2027", "60 * * * *", "0 0 31 2 *", "* * * * 8"] {
            assert!(Schedule::parse(text).is_err(), "{text}");
        }
    }
}
