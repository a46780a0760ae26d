//! A glance at each rule: whether it could be about a request at all. A hundred rules lie far apart in memory and are
//! dear to ask; their guards lie together, and tell all but a few apart by some comparisons of numbers.
//!
//! A guard may let through a rule that is not about a request, which its matcher then says. It never keeps one back that
//! is: a rule that refuses would be skipped.

use super::matcher::{HostPattern, Matcher, PathPattern, ValueTest};
use super::target::Target;

/// What every request of a rule has in common.
#[derive(Debug)]
pub(super) struct Guard {
    path: Start<u128>,
    host: Start<u64>,
    /// A bit for each length of a header that must be there.
    headers: u64,
    /// How many slashes a path has at least.
    slashes: usize,
}

/// The same of a request.
#[derive(Debug)]
pub(super) struct Glance {
    path: u128,
    host: u64,
    headers: u64,
    slashes: usize,
}

/// The first bytes of a text, as far as they are known. Bytes behind its end count as 0.
#[derive(Debug)]
struct Start<N> {
    mask: N,
    value: N,
}

impl Guard {
    /// That of a rule.
    pub(super) fn of(matcher: &Matcher) -> Self {
        let path = match &matcher.path {
            // Another spelling of the same letters would start with other bytes.
            _ if matcher.ignores_case => "",
            PathPattern::Any => "",
            PathPattern::Exact(path) | PathPattern::Prefix(path) => path,
            PathPattern::Template(template) => &template.literal_start(),
            PathPattern::Regex(regex) => regex.literal_start(),
        };
        let host = match &matcher.host {
            HostPattern::Exact(host) => host.as_str(),
            HostPattern::Any | HostPattern::Suffix(_) => "",
        };
        let slashes = match &matcher.path {
            PathPattern::Template(template) => template.slashes_min(),
            PathPattern::Any | PathPattern::Exact(_) | PathPattern::Prefix(_) | PathPattern::Regex(_) => 0,
        };
        let required = matcher.headers.iter().filter(|test| !matches!(test.value, ValueTest::Absent));
        Self {
            path: Start { mask: u128::from_le_bytes(mask(path)), value: u128::from_le_bytes(first(path)) },
            host: Start { mask: u64::from_le_bytes(mask(host)), value: u64::from_le_bytes(first(host)) },
            headers: required.fold(0, |bits, test| bits | length_bit(&test.name)),
            slashes,
        }
    }

    /// Whether its rule could be about a request.
    pub(super) fn lets_through(&self, glance: &Glance) -> bool {
        glance.path & self.path.mask == self.path.value
            && glance.host & self.host.mask == self.host.value
            && glance.headers & self.headers == self.headers
            && glance.slashes >= self.slashes
    }
}

impl Glance {
    /// At a request.
    pub(super) fn at(target: &Target<'_>) -> Self {
        Self {
            path: u128::from_le_bytes(first(&target.path)),
            host: u64::from_le_bytes(first(&target.host)),
            headers: target.pairs.iter().fold(0, |bits, (name, _)| bits | length_bit(name)),
            slashes: target.path.bytes().filter(|byte| *byte == b'/').count(),
        }
    }
}

/// Names that are one to an upstream (rule E1) are of the same length.
fn length_bit(name: &[u8]) -> u64 {
    1 << (name.len() % 64)
}

fn first<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.iter_mut().zip(text.bytes()).for_each(|(byte, known)| *byte = known);
    bytes
}

fn mask<const N: usize>(text: &str) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.iter_mut().take(text.len()).for_each(|byte| *byte = 0xff);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Head;
    use crate::path::readings::Kinds;
    use crate::route::matcher::{HeaderTest, Match, PathRegex};
    use crate::route::template::Template;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    /// Each kind of path, alone and without regard to case.
    fn paths() -> Vec<Matcher> {
        let template = |text: &str| Template::parse(text).unwrap();
        let regex = |text: &str| PathPattern::Regex(Box::new(PathRegex::new(text, false).unwrap()));
        let exact = |path: &str| PathPattern::Exact(path.into());
        let prefix = |path: &str| PathPattern::Prefix(path.into());
        let long = "/a/path/that/is/longer/than/that";
        let mut patterns = vec![PathPattern::Any, exact("/a"), exact("/"), exact(long), exact("/caf\u{e9}")];
        patterns.extend([prefix("/a"), prefix("/"), prefix("/a/"), prefix("/a/path/that/is/longer")]);
        let templates = ["/a/{id}", "/{id}/b", "/a/b/{*rest}", "/{*rest}", "/a/b", "/a"];
        patterns.extend(templates.map(|text| PathPattern::Template(template(text).into())));
        patterns.extend(["/a[0-9]+", "/ab?", "/a|/b", "(?i)/a", "/a/.*", ".*"].map(regex));
        let mut matchers: Vec<_> = patterns.into_iter().map(|path| Matcher { path, ..Matcher::default() }).collect();
        let ignoring = [exact("/a"), prefix("/a"), PathPattern::Template(template("/A/{id}").ignoring_case().into())];
        matchers.extend(ignoring.into_iter().map(|path| Matcher { path, ignores_case: true, ..Matcher::default() }));
        matchers
    }

    fn hosts() -> [HostPattern; 4] {
        let exact = |host: &str| HostPattern::Exact(host.into());
        [HostPattern::Any, exact("a.example"), exact("a"), HostPattern::Suffix(".example".into())]
    }

    fn headers() -> [Vec<HeaderTest>; 4] {
        let test = |value| vec![HeaderTest { name: b"x-a".as_slice().into(), value }];
        [vec![], test(ValueTest::Present), test(ValueTest::Absent), test(ValueTest::Equals("1".into()))]
    }

    #[test]
    fn no_guard_keeps_back_a_rule_that_is_about_the_request_and_most_keep_back_others() {
        const PATHS: [&str; 16] = [
            "/",
            "/a",
            "/A",
            "/ab",
            "/a/",
            "/a/b",
            "/A/b",
            "/a/b/c",
            "/b",
            "/a1",
            "/x/b",
            "/%40a",
            "/a%20b",
            "/caf%C3%A9",
            "/a/path/that/is/longer/than/that",
            "/a/path/that/is/longer/x",
        ];
        let requests = || {
            let hosts = ["a.example", "b.example", "a", "A.example:80", "example"];
            let lists: [&[(&[u8], &[u8])]; 3] = [&[], &[(b"x-a", b"1")], &[(b"X_A", b"2"), (b"other", b"1")]];
            PATHS.into_iter().flat_map(move |path| {
                hosts.into_iter().flat_map(move |host| lists.into_iter().map(move |list| (path, host, list)))
            })
        };
        let (mut about, mut kept_back) = (0, 0);
        for index in 0..4 * 4 {
            for mut matcher in paths() {
                matcher.host = hosts().into_iter().nth(index / 4).unwrap();
                matcher.headers = headers().into_iter().nth(index % 4).unwrap();
                let guard = Guard::of(&matcher);
                for (path, host, pairs) in requests() {
                    let (path, authority) = (path.as_bytes(), host.as_bytes());
                    let head = Head { pairs, path, authority, method: b"GET", ..Head::default() };
                    let target = Target::of(&head, Kinds::default()).unwrap();
                    let is_about = matcher.matches(&target) != Match::No;
                    let lets_through = guard.lets_through(&Glance::at(&target));
                    assert!(lets_through || !is_about, "{matcher:?}: {target:?}");
                    about += u32::from(is_about);
                    kept_back += u32::from(!lets_through);
                }
            }
        }
        assert!(about > 1_000 && kept_back > 10_000, "{about} {kept_back}");
    }
}
