//! Bans: how long one lasts, what is recorded about it, and how the time that is left is told.

use std::fmt;

use sekisho_protocol::Subject;

use crate::domain::audit::By;
use crate::domain::error::Failure;
use crate::domain::time::UnixSeconds;

/// How long a ban lasts if nobody says otherwise: 7 days, as in the gateway that Sekisho replaces.
pub const DEFAULT_SECONDS: u64 = 604_800;
/// The longest ban with an end: 10 years. Longer ones are permanent, and should be called so.
pub const MAX_SECONDS: u64 = 315_360_000;
/// Most characters of a reason.
pub const REASON_MAX_CHARS: usize = 500;

/// How long a ban lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// So many seconds, at most [`MAX_SECONDS`].
    Seconds(u64),
    /// Until somebody lifts it.
    Permanent,
}

impl Length {
    /// The length that a request asks for: `permanent`, or a number of seconds, or neither.
    ///
    /// # Errors
    /// Both at once, none at all, or more than [`MAX_SECONDS`].
    pub fn choose(seconds: Option<u64>, permanent: bool) -> Result<Self, Failure> {
        match (seconds, permanent) {
            (Some(_), true) => {
                Err(Failure::invalid("duration_seconds", "a permanent ban has no duration; give one of the two"))
            }
            (None, true) => Ok(Self::Permanent),
            (None, false) => Ok(Self::Seconds(DEFAULT_SECONDS)),
            (Some(seconds @ 1..=MAX_SECONDS), false) => Ok(Self::Seconds(seconds)),
            (Some(_), false) => Err(Failure::invalid("duration_seconds", format!("must be 1 to {MAX_SECONDS}"))),
        }
    }

    /// The length in seconds, if it has an end.
    #[must_use]
    pub fn seconds(self) -> Option<u64> {
        match self {
            Self::Seconds(seconds) => Some(seconds),
            Self::Permanent => None,
        }
    }

    /// When a ban of this length that begins at `start` ends.
    #[must_use]
    pub fn end(self, start: UnixSeconds) -> UnixSeconds {
        match self {
            Self::Seconds(seconds) => start.plus(seconds),
            Self::Permanent => UnixSeconds::FOREVER,
        }
    }
}

/// Why somebody was banned, in an operator's words: no control characters, at most
/// [`REASON_MAX_CHARS`] characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(String);

impl Reason {
    /// The reason in `text`; none if it is blank.
    ///
    /// # Errors
    /// It is too long or holds control characters.
    pub fn parse(text: &str) -> Result<Option<Self>, Failure> {
        let text = text.trim();
        if text.chars().count() > REASON_MAX_CHARS {
            return Err(Failure::invalid("reason", format!("has more than {REASON_MAX_CHARS} characters")));
        }
        if text.chars().any(char::is_control) {
            return Err(Failure::invalid("reason", "holds control characters"));
        }
        Ok((!text.is_empty()).then(|| Self(text.to_owned())))
    }

    /// A reason as it was recorded earlier, by whomever.
    #[must_use]
    pub fn recorded(text: String) -> Option<Self> {
        (!text.is_empty()).then_some(Self(text))
    }

    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What an operator orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Who is to be kept out.
    pub subject: Subject,
    /// For how long.
    pub length: Length,
    /// Why.
    pub reason: Option<Reason>,
    /// Who orders it.
    pub by: By,
}

impl Order {
    /// The ban that begins at `now`.
    #[must_use]
    pub fn begin(self, now: UnixSeconds) -> Ban {
        Ban {
            until: self.length.end(now),
            subject: self.subject,
            reason: self.reason,
            by: Some(self.by.actor),
            at: Some(now),
        }
    }
}

/// A ban on record. One that another program wrote has no reason and nobody who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ban {
    /// Who is kept out.
    pub subject: Subject,
    /// Why.
    pub reason: Option<Reason>,
    /// Who gave it.
    pub by: Option<String>,
    /// Since when.
    pub at: Option<UnixSeconds>,
    /// When it ends; [`UnixSeconds::FOREVER`] if it has no end.
    pub until: UnixSeconds,
}

impl Ban {
    /// Whether it has no end.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.until >= UnixSeconds::FOREVER
    }

    /// When it ends, if it does.
    #[must_use]
    pub fn end(&self) -> Option<UnixSeconds> {
        (!self.is_permanent()).then_some(self.until)
    }

    /// Whether it holds at `now`.
    #[must_use]
    pub fn holds(&self, now: UnixSeconds) -> bool {
        now < self.until
    }

    /// What is left of it at `now`.
    #[must_use]
    pub fn left(&self, now: UnixSeconds) -> TimeLeft {
        if self.is_permanent() { TimeLeft::Permanent } else { TimeLeft::Seconds(self.until.since(now)) }
    }
}

/// What is left of a ban. It prints in the words that clients of the old gateway know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeLeft {
    /// So many seconds.
    Seconds(u64),
    /// It has no end.
    Permanent,
}

impl TimeLeft {
    /// The seconds, if it has an end.
    #[must_use]
    pub fn seconds(self) -> Option<u64> {
        match self {
            Self::Seconds(seconds) => Some(seconds),
            Self::Permanent => None,
        }
    }
}

impl fmt::Display for TimeLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => {
                write!(f, "User is banned for {} days {} hours", seconds / 86_400, seconds % 86_400 / 3_600)
            }
            Self::Permanent => f.write_str("User is banned permanently"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_lasts_seven_days_unless_somebody_says_otherwise() {
        assert_eq!(Length::choose(None, false), Ok(Length::Seconds(604_800)));
        assert_eq!(Length::choose(Some(60), false), Ok(Length::Seconds(60)));
        assert_eq!(Length::choose(None, true), Ok(Length::Permanent));
        assert!(Length::choose(Some(60), true).is_err(), "both at once");
        assert!(Length::choose(Some(0), false).is_err());
        assert!(Length::choose(Some(MAX_SECONDS + 1), false).is_err());
    }

    #[test]
    fn the_time_left_is_told_in_the_old_words() {
        for (left, words) in [
            (TimeLeft::Seconds(604_799), "User is banned for 6 days 23 hours"),
            (TimeLeft::Seconds(86_400), "User is banned for 1 days 0 hours"),
            (TimeLeft::Seconds(59), "User is banned for 0 days 0 hours"),
            (TimeLeft::Permanent, "User is banned permanently"),
        ] {
            assert_eq!(left.to_string(), words);
        }
    }

    #[test]
    fn a_ban_holds_until_its_end_and_a_permanent_one_always() {
        let subject = Subject::try_from("ann@example.com".to_owned()).unwrap();
        let order = |length| Order { subject: subject.clone(), length, reason: None, by: By::operator("ops") };
        let ban = order(Length::Seconds(20)).begin(UnixSeconds(100));
        assert!(ban.holds(UnixSeconds(119)));
        assert!(!ban.holds(UnixSeconds(120)));
        assert_eq!(ban.left(UnixSeconds(119)), TimeLeft::Seconds(1));
        let permanent = order(Length::Permanent).begin(UnixSeconds(100));
        assert!(permanent.is_permanent() && permanent.holds(UnixSeconds(u64::from(u32::MAX) - 1)));
        assert_eq!(permanent.left(UnixSeconds(100)), TimeLeft::Permanent);
    }

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        assert_eq!(Reason::parse("  spam ").unwrap().unwrap().as_str(), "spam");
        assert_eq!(Reason::parse("  ").unwrap(), None);
        assert!(Reason::parse("a\nb").is_err());
        assert!(Reason::parse(&"é".repeat(REASON_MAX_CHARS)).is_ok());
        assert!(Reason::parse(&"é".repeat(REASON_MAX_CHARS + 1)).is_err());
    }
}
