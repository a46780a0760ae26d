//! `times`: windows of time.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::field::{Field, Problems};
use super::raw_route::RawWindow;
use crate::authorize::window::{DAY_MIN, Window};

pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Reads a window.
pub(super) fn window(problems: &mut Problems, at: &str, raw: RawWindow) -> Window {
    problems.unknown(at, &raw.unknown);
    let mut window = Window::default();
    if let Some(days) = days(problems, &format!("{at}.days"), raw.days) {
        window.days = days;
    }
    if let Some(minute) = parsed(problems, format!("{at}.from"), raw.from, minute, "a time like 09:00") {
        window.from_min = minute;
    }
    if let Some(minute) = parsed(problems, format!("{at}.to"), raw.to, minute, "a time like 17:30 or 24:00") {
        window.to_min = minute;
    }
    if let Some(offset_s) =
        parsed(problems, format!("{at}.utc_offset"), raw.utc_offset, offset, "an offset like +09:00")
    {
        window.offset_s = offset_s;
    }
    let wanted = "a moment like 2026-01-31T09:00:00Z (RFC 3339)";
    window.after_s = parsed(problems, format!("{at}.after"), raw.after, moment, wanted);
    window.before_s = parsed(problems, format!("{at}.before"), raw.before, moment, wanted);
    if window.after_s.zip(window.before_s).is_some_and(|(after, before)| after >= before) {
        problems.push(at, "ends before it begins");
    }
    if window == Window::default() {
        problems.push(at, "says nothing");
    }
    window
}

fn days(problems: &mut Problems, at: &str, field: Field<Vec<String>>) -> Option<[bool; 7]> {
    let names = problems.optional(at, field)?;
    let mut days = [false; 7];
    for name in &names {
        match DAYS.iter().zip(&mut days).find(|(known, _)| *known == name) {
            Some((_, day)) => *day = true,
            None => problems.push(at, format_args!("`{name}` is not one of {}", DAYS.join(", "))),
        }
    }
    if names.is_empty() {
        problems.push(at, "names no day");
    }
    Some(days)
}

fn parsed<T>(
    problems: &mut Problems,
    at: String,
    field: Field<String>,
    parse: impl Fn(&str) -> Option<T>,
    wanted: &str,
) -> Option<T> {
    let text = problems.optional(&at, field)?;
    let value = parse(&text);
    if value.is_none() {
        problems.push(at, format_args!("`{text}` is not {wanted}"));
    }
    value
}

/// Minutes after midnight, up to 24:00.
fn minute(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let minute = number(hours)? * 60 + number(minutes).filter(|minutes| *minutes < 60)?;
    (minute <= DAY_MIN).then_some(minute)
}

fn offset(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+')?),
    };
    let minutes = minute(rest).filter(|minutes| *minutes <= 14 * 60)?;
    Some(sign * i64::from(minutes) * 60)
}

fn number(digits: &str) -> Option<u32> {
    (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}

fn moment(text: &str) -> Option<u64> {
    u64::try_from(OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp()).ok()
}
