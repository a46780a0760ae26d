//! Whatever the core admits under a rule, no reading that an upstream could come to belongs to another rule: so no
//! spelling makes an allowed path of a denied one.
//!
//! The readings and the rules are written a second time here, for bytes and without regard to speed.

use std::cell::Cell;
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::TestRunner;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

/// A rule, as the model compares paths with it.
#[derive(Debug, Clone)]
struct Rule {
    kind: &'static str,
    pattern: &'static str,
    ignores_case: bool,
    unusual: Vec<&'static str>,
}

const KINDS: &[&str] = &["encoded_slash", "empty_segment", "parameters", "encoded_delimiter"];
const PATTERNS: &[(&str, &str)] = &[
    ("path", "/admin"),
    ("path", "/"),
    ("path", "/a/b"),
    ("path", "/a/b/"),
    ("path", "/caf\u{e9}"),
    ("prefix", "/admin"),
    ("prefix", "/admin/"),
    ("prefix", "/a"),
    ("prefix", "/a/b"),
    ("prefix", "/kiosk/s"),
    ("prefix", "/"),
    ("template", "/{x}"),
    ("template", "/a/{x}"),
    ("template", "/{x}/b"),
    ("template", "/a/{*rest}"),
    ("template", "/a/{x}/"),
    ("regex", "/a/.*"),
    ("regex", "/[^/]*"),
    ("regex", "/a(/[a-z]+)+"),
    ("regex", "(/admin|/a/b)(/.*)?"),
];
/// What hostile paths are made of.
const PIECES: &[&str] = &[
    "/",
    "/",
    "/",
    "//",
    "/a",
    "/b",
    "/a/b",
    "/admin",
    "a",
    "b",
    "admin",
    "ADMIN",
    "Kiosk",
    "/kiosk/s",
    ".",
    "..",
    "/..",
    "/./",
    "%2e",
    "%2E",
    "%2F",
    "%2f",
    "%5c",
    "%5C",
    "\\",
    ";",
    ";x",
    ";x=1",
    "%3b",
    "%3B",
    "?",
    "?q",
    "%3F",
    "%3f",
    "#",
    "%23",
    "%00",
    "%0a",
    "%20",
    "%25",
    "%252f",
    "%252e",
    "%61",
    "%41",
    "%7e",
    "%C3%A9",
    "%c3%a9",
    "%C3",
    "%E9",
    "%C3%89",
    "\u{e9}",
    "%C5%BF",
    "%E2%84%AA",
    "%C4%B1",
    "%",
    "%2",
    "%zz",
    "+",
    "~",
    "*",
    ":",
    "@",
    "=",
    "&",
    " ",
    "\t",
    "\u{7f}",
];

/// And paths that a rule may opt in to.
const TOLERABLE: &[&str] = &[
    "/a",
    "/a/b",
    "/b",
    "/admin",
    "/x",
    "a",
    "b",
    "//",
    "%2F",
    "%2f",
    ";x",
    ";",
    "%3F",
    "%23",
    "%C3%A9",
    "?q=//..;%2F",
];

impl Rule {
    fn written(&self) -> Value {
        let mut rule = json!({"match": {self.kind: self.pattern, "ignore_case": self.ignores_case}});
        if !self.unusual.is_empty() {
            rule["unusual_paths"] = json!(self.unusual);
        }
        rule
    }

    /// Whether an upstream that reads `path`, and compares letters by `fold` if it ignores case, takes it for one of
    /// this rule's.
    fn is_about(&self, path: &str, fold: Fold) -> bool {
        let fold = |text: &str| if self.ignores_case { text.chars().map(fold).collect() } else { text.to_owned() };
        let (path, pattern): (String, String) = (fold(path), fold(self.pattern));
        let segments: Vec<&str> = path.split('/').collect();
        match self.kind {
            "path" => path == pattern,
            "prefix" => path == pattern || path.starts_with(&format!("{}/", pattern.trim_end_matches('/'))),
            "template" => {
                let wanted: Vec<&str> = pattern.split('/').collect();
                let is_open = wanted.last().is_some_and(|last| last.starts_with("{*"));
                let fits = |(wanted, segment): (&&str, &&str)| {
                    if wanted.starts_with('{') { !segment.is_empty() } else { wanted == segment }
                };
                if is_open {
                    let fixed = wanted.len() - 1;
                    segments.len() > fixed
                        && wanted.iter().zip(&segments).take(fixed).all(fits)
                        && !segments[fixed..].join("/").is_empty()
                } else {
                    wanted.len() == segments.len() && wanted.iter().zip(&segments).all(fits)
                }
            }
            _ => regex_lite::Regex::new(&format!("^(?:{pattern})$")).unwrap().is_match(&path),
        }
    }
}

/// How an upstream compares letters without their case: those of ASCII, or all, one for one.
type Fold = fn(char) -> char;
const FOLDS: [Fold; 2] =
    [|c| c.to_ascii_lowercase(), |c| one(one(c, c.to_uppercase()), one(c, c.to_uppercase()).to_lowercase())];

fn one(c: char, folded: impl ExactSizeIterator<Item = char>) -> char {
    if folded.len() == 1 { folded.last().unwrap_or(c) } else { c }
}

/// Which rule an upstream thinks it is that reads `path`.
fn of_upstream(rules: &[Rule], path: &str, fold: Fold) -> String {
    let position = rules.iter().position(|rule| rule.is_about(path, fold));
    position.map_or("(unmatched)".to_owned(), |index| index.to_string())
}

/// One step of an upstream; the target is bytes until it is used.
type Step = fn(Vec<u8>) -> Vec<u8>;
const STEPS: &[Step] = &[
    |t| cut(t, b'?'),
    |t| cut(t, b'#'),
    |t| t.split(|b| *b == b'/').map(|segment| cut(segment.to_vec(), b';')).collect::<Vec<_>>().join(&b'/'),
    |t| t.into_iter().map(|b| if b == b'\\' { b'/' } else { b }).collect(),
    merge,
    without_dots,
];

fn cut(text: Vec<u8>, at: u8) -> Vec<u8> {
    text.split(|b| *b == at).next().unwrap_or_default().to_vec()
}

fn merge(target: Vec<u8>) -> Vec<u8> {
    let mut merged: Vec<u8> = Vec::new();
    for byte in target {
        if byte != b'/' || merged.last() != Some(&b'/') {
            merged.push(byte);
        }
    }
    merged
}

/// RFC 3986 §5.2.4.
fn without_dots(target: Vec<u8>) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    let segments: Vec<&[u8]> = target.split(|b| *b == b'/').collect();
    for (index, segment) in segments.iter().enumerate() {
        let is_last = index + 1 == segments.len();
        match *segment {
            b"." | b".." => {
                if *segment == b".." && kept.len() > 1 {
                    kept.pop();
                }
                if is_last {
                    kept.push(b"");
                }
            }
            other => kept.push(other),
        }
    }
    kept.join(&b'/')
}

/// Percent-decoding, once. What is no escape stays. `keeps` says of which bytes the escape stays.
fn decoded(target: &[u8], keeps: fn(u8) -> bool) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut left = target;
    while let Some((byte, rest)) = left.split_first() {
        let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let hidden = hex.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match hidden.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|hidden| *byte == b'%' && !keeps(*hidden))
        {
            Some(hidden) => {
                decoded.push(hidden);
                left = &rest[2..];
            }
            None => {
                decoded.push(*byte);
                left = rest;
            }
        }
    }
    decoded
}

/// Every path that an upstream could come to: steps before decoding, decoding once but perhaps not of slashes, and
/// steps after it, each or not and in any order. The query is cut off before or after decoding.
fn readings(target: &[u8]) -> BTreeSet<Vec<u8>> {
    let is_slash: fn(u8) -> bool = |byte| byte == b'/';
    let decodings = |raw: &[u8]| [decoded(raw, |_| false), decoded(raw, is_slash)];
    let mut read: BTreeSet<Vec<u8>> = decodings(target).map(|late| cut(late, b'?')).into();
    for raw in closure([cut(target.to_vec(), b'?')].into()) {
        read.extend(decodings(&raw));
    }
    closure(read)
}

fn closure(mut known: BTreeSet<Vec<u8>>) -> BTreeSet<Vec<u8>> {
    let mut new: Vec<_> = known.iter().cloned().collect();
    while let Some(text) = new.pop() {
        for step in STEPS {
            let read = step(text.clone());
            if known.insert(read.clone()) {
                new.push(read);
            }
        }
    }
    known
}

fn rules() -> impl Strategy<Value = Vec<Rule>> {
    let rule =
        (select(PATTERNS), prop::bool::weighted(0.3), prop_oneof![subsequence(KINDS, 0..=4), Just(KINDS.to_vec())]);
    let rule = rule.prop_map(|((kind, pattern), ignores_case, unusual)| Rule { kind, pattern, ignores_case, unusual });
    prop::collection::vec(rule, 1..6)
}

fn target() -> impl Strategy<Value = Vec<u8>> {
    let hostile =
        prop::collection::vec(select(PIECES), 0..7).prop_map(|pieces| format!("/{}", pieces.concat()).into_bytes());
    let near = (hostile.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut target, at, byte)| {
        let at = at.index(target.len());
        target[at] = byte;
        target
    });
    let tolerable = (select(&["/a", "/a/b", "/admin", "/x"][..]), prop::collection::vec(select(TOLERABLE), 0..5));
    let tolerable = tolerable.prop_map(|(first, pieces)| format!("{first}{}", pieces.concat()).into_bytes());
    prop_oneof![6 => hostile, 4 => tolerable, 1 => near, 1 => prop::collection::vec(any::<u8>(), 0..12)]
}

/// How many there were of each kind, so that the property is not empty.
#[derive(Default)]
struct Count {
    plain: Cell<u32>,
    unusual: Cell<u32>,
    refused: Cell<u32>,
}

#[test]
fn e2_no_reading_of_an_admitted_path_belongs_to_another_rule() {
    let count = Count::default();
    let cases = if cfg!(target_arch = "wasm32") { 150 } else { 600 };
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let result = TestRunner::new(config).run(&(rules(), prop::collection::vec(target(), 24)), |(rules, targets)| {
        let policy = policy_of(&rules.iter().map(Rule::written).collect::<Vec<_>>());
        for target in targets {
            let head = Head { method: b"GET", path: &target, authority: b"h", ..Head::default() };
            let found = Target::of(&head, policy.routes.tolerated()).and_then(|t| Ok((policy.routes.find(&t)?, t)));
            let Ok((id, read)) = found else {
                count.refused.set(count.refused.get() + 1);
                continue;
            };
            let which = if read.ambiguity.is_some() { &count.unusual } else { &count.plain };
            which.set(which.get() + 1);
            let name = &*policy.routes.get(id).name;
            for reading in readings(&target) {
                let text = String::from_utf8_lossy(&reading);
                for fold in FOLDS {
                    prop_assert_eq!(name, of_upstream(&rules, &text, fold), "{} as {}", target.escape_ascii(), text);
                }
            }
        }
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    let all = [&count.plain, &count.unusual, &count.refused].map(Cell::get);
    assert!(all.iter().all(|number| *number > cases / 4), "hardly a test: {all:?}");
}
