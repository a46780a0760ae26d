//! `match`: which requests a rule is about.

use std::rc::Rc;

use super::field::{Field, Problems};
use super::places;
use super::raw_route::{RawHeaderTest, RawMatch};
use crate::path;
use crate::path::readings::Kinds;
use crate::route::matcher::{self, HeaderTest, HostPattern, Matcher, PathPattern, PathRegex, ValueTest};
use crate::route::template::Template;

/// Most methods, and most headers, of a rule.
pub(super) const TESTS_MAX: usize = 32;
/// Most bytes of a pattern.
pub(super) const PATTERN_MAX_BYTES: usize = 1_024;

/// Reads `match`; without it a rule is about every request.
pub(super) fn matcher(problems: &mut Problems, at: &str, raw: RawMatch) -> Matcher {
    problems.unknown(at, &raw.unknown);
    let ignores_case = problems.optional(format_args!("{at}.ignore_case"), raw.ignore_case).unwrap_or_default();
    let patterns = [("path", raw.path), ("prefix", raw.prefix), ("template", raw.template), ("regex", raw.regex)];
    Matcher {
        host: host(problems, format!("{at}.host"), raw.host),
        path: path_pattern(problems, at, patterns, ignores_case),
        ignores_case,
        methods: methods(problems, &format!("{at}.methods"), raw.methods),
        headers: headers(problems, &format!("{at}.headers"), raw.headers),
    }
}

fn host(problems: &mut Problems, at: String, field: Field<String>) -> HostPattern {
    let Some(text) = problems.optional(&at, field) else { return HostPattern::Any };
    let (name, is_suffix) = text.strip_prefix("*.").map_or((text.as_str(), false), |domain| (domain, true));
    if path::normal_host(name.as_bytes()).as_deref() != Some(name) {
        problems.push(at, "is not a host name in lower case without a port, nor `*.` and a domain");
    }
    if is_suffix { HostPattern::Suffix(format!(".{name}")) } else { HostPattern::Exact(text) }
}

fn path_pattern(
    problems: &mut Problems,
    at: &str,
    patterns: [(&'static str, Field<String>); 4],
    ignores_case: bool,
) -> PathPattern {
    let mut given = patterns.into_iter().filter(|(_, field)| !matches!(field, Field::Absent));
    let Some((kind, field)) = given.next() else { return PathPattern::Any };
    if given.next().is_some() {
        problems.push(at, "has more than one of `path`, `prefix`, `template` and `regex`");
    }
    let at = format!("{at}.{kind}");
    let Some(text) = problems.optional(&at, field) else { return PathPattern::Any };
    match pattern(kind, &text, ignores_case) {
        Ok(pattern) => pattern,
        Err(message) => {
            problems.push(at, message);
            PathPattern::Any
        }
    }
}

fn pattern(kind: &str, text: &str, ignores_case: bool) -> Result<PathPattern, String> {
    if text.len() > PATTERN_MAX_BYTES {
        return Err(format!("has more than {PATTERN_MAX_BYTES} bytes"));
    }
    if ignores_case && !matcher::is_without_case(text) {
        return Err(format!("`{text}` has letters beyond ASCII that are no small ones, and `ignore_case` is set"));
    }
    if kind == "regex" {
        return PathRegex::new(text, ignores_case).map(Box::new).map(PathPattern::Regex);
    }
    // As an upstream reads it: an escape would match nothing.
    if !is_plain_path(text) {
        return Err(format!(
            "`{text}` is not a path that a request could have: decoded, without `//`, dot segments and `; \\ % ? #`"
        ));
    }
    match kind {
        "path" => Ok(PathPattern::Exact(text.to_owned())),
        "prefix" => Ok(PathPattern::Prefix(text.to_owned())),
        _ => {
            let template = Template::parse(text)?;
            let template = if ignores_case { template.ignoring_case() } else { template };
            Ok(PathPattern::Template(Rc::new(template)))
        }
    }
}

/// What [`path::normal_path`] could give.
fn is_plain_path(text: &str) -> bool {
    let odd = |c: char| c.is_control() || matches!(c, ';' | '\\' | '%' | '?' | '#');
    let inner = text.strip_suffix('/').unwrap_or(text);
    text.starts_with('/')
        && !text.chars().any(odd)
        && !inner.split('/').skip(1).any(|segment| matches!(segment, "" | "." | ".."))
}

/// Reads `unusual_paths`: which paths of several readings a rule does not mind.
pub(super) fn unusual_paths(problems: &mut Problems, at: String, field: Field<Vec<String>>) -> Kinds {
    let Some(words) = problems.optional(&at, field) else { return Kinds::default() };
    if words.is_empty() {
        problems.push(&at, "names nothing");
    }
    let mut kinds = Kinds::default();
    for word in &words {
        match Kinds::WORDS.iter().find(|(known, _)| known == word) {
            Some((_, kind)) => kinds = kinds.and(*kind),
            None => {
                let known: Vec<_> = Kinds::WORDS.iter().map(|(known, _)| format!("`{known}`")).collect();
                problems.push(&at, format!("`{word}` is not one of {}", known.join(", ")));
            }
        }
    }
    kinds
}

fn methods(problems: &mut Problems, at: &str, field: Field<Vec<String>>) -> Vec<String> {
    let Some(methods) = problems.optional(at, field) else { return Vec::new() };
    if methods.is_empty() || methods.len() > TESTS_MAX {
        problems.push(at, format_args!("is a list of one to {TESTS_MAX} methods"));
    }
    for method in &methods {
        let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if method.is_empty() || method == "CONNECT" || !method.bytes().all(plain) {
            problems.push(
                at,
                format_args!("`{method}` is no method in capital letters, or `CONNECT`, which is always refused"),
            );
        }
    }
    methods
}

fn headers(problems: &mut Problems, at: &str, field: Field<Vec<Field<RawHeaderTest>>>) -> Vec<HeaderTest> {
    let Some(raw) = problems.optional(at, field) else { return Vec::new() };
    if raw.is_empty() || raw.len() > TESTS_MAX {
        problems.push(at, format_args!("is a list of one to {TESTS_MAX} headers"));
    }
    let mut tests = Vec::new();
    for (index, element) in raw.into_iter().take(TESTS_MAX).enumerate() {
        let at = format!("{at}[{index}]");
        let element = problems.required(&at, element);
        tests.extend(element.and_then(|element| header(problems, &at, element)));
    }
    tests
}

fn header(problems: &mut Problems, at: &str, raw: RawHeaderTest) -> Option<HeaderTest> {
    problems.unknown(at, &raw.unknown);
    let name = problems.text(format_args!("{at}.name"), raw.name);
    // Envoy has another name for the one, and joins the values of the other in another way.
    let is_wrong = |name: &String| !places::is_header_name(name) || matches!(name.as_str(), "host" | "cookie");
    if name.as_ref().is_some_and(is_wrong) {
        problems.push(format_args!("{at}.name"), "is not the name of a header in lower case, or is `host` or `cookie`");
    }
    let present = problems.optional(format_args!("{at}.present"), raw.present);
    let mut tests = Vec::new();
    tests.extend(present.map(|present| if present { ValueTest::Present } else { ValueTest::Absent }));
    tests.extend(problems.optional(format_args!("{at}.equals"), raw.equals).map(ValueTest::Equals));
    for (kind, field, make) in [
        ("prefix", raw.prefix, ValueTest::Prefix as fn(String) -> ValueTest),
        ("suffix", raw.suffix, ValueTest::Suffix),
        ("contains", raw.contains, ValueTest::Contains),
    ] {
        if !matches!(field, Field::Absent) {
            tests.extend(problems.text(format_args!("{at}.{kind}"), field).map(make));
        }
    }
    match (name, tests.pop()) {
        (Some(name), Some(value)) if tests.is_empty() => Some(HeaderTest { name: name.as_bytes().into(), value }),
        (Some(_), _) => {
            problems.push(at, "has not just one of `present`, `equals`, `prefix`, `suffix` and `contains`");
            None
        }
        (None, _) => None,
    }
}
