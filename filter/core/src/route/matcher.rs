//! Whether a rule is about a request: host, path, method, headers. Compiled once, with the configuration.

mod header;

use std::rc::Rc;

use super::target::Target;
use super::template::Template;
use crate::denial::Malformed;
use crate::head::Pairs;
use crate::path::Unusual;
pub use header::{HeaderTest, ValueTest};

/// What a request must look like for a rule to apply.
#[derive(Debug, Default)]
pub struct Matcher {
    /// Which hosts.
    pub host: HostPattern,
    /// Which paths.
    pub path: PathPattern,
    /// Whether letters of the path are compared without their case, for upstreams that do so. Beyond ASCII the
    /// pattern is then in lower case.
    pub ignores_case: bool,
    /// Which methods; none: all.
    pub methods: Vec<String>,
    /// Which headers; all of these must fit.
    pub headers: Vec<HeaderTest>,
}

/// A set of hosts.
#[derive(Debug, Default)]
pub enum HostPattern {
    /// Every host.
    #[default]
    Any,
    /// One, in lower case.
    Exact(String),
    /// Those that end like this, a dot and a domain, but not the domain itself.
    Suffix(String),
}

/// A set of paths, in the form of [`Target::path`].
#[derive(Debug, Default)]
pub enum PathPattern {
    /// Every path.
    #[default]
    Any,
    /// One.
    Exact(String),
    /// Itself and what follows it behind a `/`.
    Prefix(String),
    /// Segment by segment.
    Template(Rc<Template>),
    /// The whole path.
    Regex(Box<PathRegex>),
}

/// A regular expression for whole paths. It takes time in proportion to the path, whatever it is.
#[derive(Debug)]
pub struct PathRegex {
    /// What every match starts with, so that most paths are told at a glance.
    prefix: String,
    compiled: regex_lite::Regex,
}

/// Longest path that a regular expression is tried on, in bytes. A longer one is refused where it matters.
pub const REGEX_PATH_MAX_BYTES: usize = 1024;
/// Most bytes of a compiled expression, which bounds the steps that each byte of a path costs.
const REGEX_MAX_BYTES: usize = 8 * 1024;
const REGEX_NESTING_MAX: u32 = 16;

/// Whether a rule is about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// It is.
    Yes,
    /// It is not.
    No,
    /// That depends on who reads the request, or would take too long to tell: what comes after this rule must
    /// not apply instead.
    Refused(Malformed),
}

impl From<bool> for Match {
    fn from(is: bool) -> Self {
        if is { Self::Yes } else { Self::No }
    }
}

impl Matcher {
    /// Whether it takes a regular expression to tell.
    #[must_use]
    pub fn is_dear(&self) -> bool {
        matches!(self.path, PathPattern::Regex(_))
    }

    /// Whether the rule is about `target`.
    #[must_use]
    pub fn matches(&self, target: &Target<'_>) -> Match {
        if !self.host.matches(&target.host) || !self.method(target.method) {
            return Match::No;
        }
        // A regular expression is dearer than all the rest together.
        if self.is_dear() && self.headers(target.pairs, Match::Yes) == Match::No {
            return Match::No;
        }
        match self.path.matches(&target.path, self.ignores_case) {
            Match::No => Match::No,
            path => self.headers(target.pairs, path),
        }
    }

    /// Whether all headers fit, too, if the rest is `so_far`. One that surely does not decides.
    fn headers(&self, pairs: &Pairs<'_>, so_far: Match) -> Match {
        let mut all = so_far;
        for test in &self.headers {
            match test.holds(pairs) {
                Some(true) => {}
                Some(false) => return Match::No,
                None => all = Match::Refused(Malformed::Header),
            }
        }
        all
    }

    /// A rule about `GET` is about `HEAD`, too: it tells the same but for the content (RFC 9110 §9.3.2).
    fn method(&self, method: &[u8]) -> bool {
        let is = |known: &String| known.as_bytes() == method || (known == "GET" && method == b"HEAD");
        self.methods.is_empty() || self.methods.iter().any(is)
    }
}

impl HostPattern {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(wanted) => wanted == host,
            Self::Suffix(domain) => host.len() > domain.len() && host.ends_with(domain.as_str()),
        }
    }
}

impl PathPattern {
    fn matches(&self, path: &str, ignores_case: bool) -> Match {
        let of_ascii = self.is_about(path, ignores_case);
        if !ignores_case || path.is_ascii() {
            return of_ascii;
        }
        // What some upstreams take for a small letter is another one to those that know ASCII letters alone.
        let folded: String = path.chars().map(without_case).collect();
        if self.is_about(&folded, ignores_case) == of_ascii {
            return of_ascii;
        }
        Match::Refused(Malformed::Path(Unusual::Case))
    }

    /// Compared without the case of ASCII letters, if any.
    fn is_about(&self, path: &str, ignores_case: bool) -> Match {
        let same = |one: &[u8], other: &[u8]| one == other || (ignores_case && one.eq_ignore_ascii_case(other));
        let is = match self {
            Self::Any => true,
            Self::Exact(wanted) => same(wanted.as_bytes(), path.as_bytes()),
            Self::Prefix(prefix) => path.as_bytes().split_at_checked(prefix.len()).is_some_and(|(start, rest)| {
                // `/admin` is the prefix of `/admin/x`, not of `/administrator`.
                same(prefix.as_bytes(), start) && (rest.is_empty() || rest.starts_with(b"/") || prefix.ends_with('/'))
            }),
            Self::Template(template) => template.matches(path),
            Self::Regex(regex) => return regex.matches(path),
        };
        is.into()
    }
}

/// A character as upstreams compare it that ignore the case of all letters: one for one, by way of the capital one.
fn without_case(c: char) -> char {
    let mut capitals = c.to_uppercase();
    let capital = capitals.next().filter(|_| capitals.next().is_none()).unwrap_or(c);
    capital.to_lowercase().next().unwrap_or(capital)
}

/// Whether a pattern is written as rules that ignore case need it.
#[must_use]
pub fn is_without_case(pattern: &str) -> bool {
    pattern.chars().all(|c| c.is_ascii() || without_case(c) == c)
}

impl PathRegex {
    /// Compiles an expression for whole paths.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn new(pattern: &str, ignores_case: bool) -> Result<Self, String> {
        let compile = |text: &str| {
            let mut builder = regex_lite::RegexBuilder::new(text);
            let builder = builder.size_limit(REGEX_MAX_BYTES).nest_limit(REGEX_NESTING_MAX);
            builder.case_insensitive(ignores_case).build().map_err(|error| error.to_string())
        };
        // By itself first: `/a)|(/b` would close the group that makes it an expression for whole paths.
        compile(pattern)?;
        let prefix = if ignores_case { String::new() } else { literal_prefix(pattern) };
        Ok(Self { prefix, compiled: compile(&format!("^(?:{pattern})$"))? })
    }

    /// What every path starts with that it could be about.
    pub(super) fn literal_start(&self) -> &str {
        &self.prefix
    }

    fn matches(&self, path: &str) -> Match {
        match path {
            path if !path.starts_with(&self.prefix) => Match::No,
            path if path.len() > REGEX_PATH_MAX_BYTES => Match::Refused(Malformed::Path(Unusual::TooLong)),
            path => self.compiled.is_match(path).into(),
        }
    }
}

/// What every match of the pattern starts with. Rather too little than too much: of an expression with
/// alternatives or flags, nothing.
fn literal_prefix(pattern: &str) -> String {
    if pattern.contains('|') || pattern.contains("(?") {
        return String::new();
    }
    let pattern = pattern.trim_start_matches('^');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '~' | '@' | ':');
    let mut prefix: String = pattern.chars().take_while(|c| plain(*c)).collect();
    // The last one may be meant any number of times, or none.
    if pattern.get(prefix.len()..).is_some_and(|rest| rest.starts_with(['*', '?', '+', '{'])) {
        prefix.pop();
    }
    prefix
}

#[cfg(test)]
mod tests;
