//! `answers`: what those get that may not pass.

use super::field::{Field, Members, Problems};
use super::raw_route::{RawAnswers, RawCustom};
use super::{limits, places};
use crate::answer::{Answers, Custom, Shape, When};
use crate::denial::CODES;

/// Most answers of an operator's own.
pub(super) const CUSTOM_MAX: usize = 64;
/// Most bytes of a body.
pub(super) const BODY_MAX_BYTES: usize = 64 * 1024;
/// Most bytes of a header's value or of an address.
pub(super) const TEXT_MAX_BYTES: usize = 2_048;

/// Reads `answers`.
pub(super) fn answers(problems: &mut Problems, at: &str, raw: RawAnswers) -> Answers {
    problems.unknown(at, &raw.unknown);
    Answers {
        shape: problems.choice(format_args!("{at}.shape"), raw.shape, Shape::Problem, Shape::WORDS),
        sign_in: sign_in(problems, &format!("{at}.sign_in"), raw.sign_in),
        custom: custom(problems, &format!("{at}.custom"), raw.custom),
    }
}

fn sign_in(problems: &mut Problems, at: &str, field: Field<String>) -> Option<String> {
    let page = problems.optional(at, field)?;
    let is_here = page.starts_with('/') && !page.starts_with("//");
    let is_url = page.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'<' | b'>' | b'#');
    if !(is_here || is_url) || page.len() > TEXT_MAX_BYTES || !page.bytes().all(plain) {
        problems.push(at, format_args!("`{page}` is neither a path on this host nor an https URL"));
    }
    Some(page)
}

fn custom(problems: &mut Problems, at: &str, field: Field<Members<Field<RawCustom>>>) -> Vec<Custom> {
    let Members(raw) = problems.optional(at, field).unwrap_or_default();
    if raw.len() > CUSTOM_MAX {
        problems.push(at, format_args!("has more than {CUSTOM_MAX} answers"));
    }
    // What names one refusal goes before what names many.
    let (mut customs, mut of_statuses) = (Vec::new(), Vec::new());
    for (name, raw) in raw.into_iter().take(CUSTOM_MAX) {
        let at = format!("{at}.{name}");
        let Some(raw) = problems.required(&at, raw) else { continue };
        let when = match name.parse::<u16>() {
            Ok(status) => When::Status(status),
            Err(_) => When::Code(name.clone()),
        };
        // One that is misspelt would never be given.
        let is_meant = match &when {
            When::Status(status) => (400..600).contains(status),
            When::Code(code) => CODES.contains(&code.as_str()),
        };
        if !is_meant {
            let wanted = "the code of one, as the table of docs/filter.md has them (`user_banned`)";
            problems.push(&at, format_args!("is neither a status of a refusal (401) nor {wanted}"));
        }
        let list = if matches!(when, When::Status(_)) { &mut of_statuses } else { &mut customs };
        list.push(one(problems, &at, when, raw));
    }
    customs.append(&mut of_statuses);
    customs
}

fn one(problems: &mut Problems, at: &str, when: When, raw: RawCustom) -> Custom {
    problems.unknown(at, &raw.unknown);
    let status = problems.bounded(format_args!("{at}.status"), raw.status, limits::CUSTOM_STATUS);
    let status = status.and_then(|status| u16::try_from(status).ok());
    let mut headers: Vec<(String, String)> = Vec::new();
    for (name, value) in problems.optional(format_args!("{at}.headers"), raw.headers).unwrap_or_default().0 {
        let is_value = value.len() <= TEXT_MAX_BYTES && value.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        let is_ours = matches!(name.as_str(), "content-length" | "transfer-encoding" | "connection");
        if !places::is_header_name(&name) || is_ours || !is_value {
            problems.push(
                format_args!("{at}.headers.{name}"),
                "is not a header in lower case with a value of visible ASCII",
            );
        }
        headers.push((name, value));
    }
    let body = problems.optional(format_args!("{at}.body"), raw.body);
    if body.as_ref().is_some_and(|body| body.len() > BODY_MAX_BYTES) {
        problems.push(format_args!("{at}.body"), format_args!("has more than {BODY_MAX_BYTES} bytes"));
    }
    Custom { when, status, headers, body }
}
