//! Paths with several readings, for rules that opt in to them (rule E2: "unless a route opts in").
//!
//! An upstream comes to a reading by any of these steps, in any order, and none of them must be: it decodes `%2F`,
//! merges slashes, cuts parameters off, ends the path at `?` or at `#`. What is refused in one reading (dot
//! segments, an empty first segment, which some take for a host) is refused.

use super::hidden;

/// Kinds of what is unusual about a path: a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u8);

impl Kinds {
    const ENCODED_SLASH: Self = Self(1);
    const EMPTY_SEGMENT: Self = Self(1 << 1);
    const PARAMETERS: Self = Self(1 << 2);
    const ENCODED_DELIMITER: Self = Self(1 << 3);

    /// How a configuration names them.
    pub const WORDS: &[(&str, Self)] = &[
        ("encoded_slash", Self::ENCODED_SLASH),
        ("empty_segment", Self::EMPTY_SEGMENT),
        ("parameters", Self::PARAMETERS),
        ("encoded_delimiter", Self::ENCODED_DELIMITER),
    ];

    /// Both sets in one.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether all of `others` are among them.
    #[must_use]
    pub fn include(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn are_none(self) -> bool {
        self.0 == 0
    }
}

/// What a path may be read as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readings {
    /// What is unusual about it, in whichever reading.
    pub kinds: Kinds,
    /// Decoded, but for slashes.
    pub first: String,
    /// All others.
    pub others: Vec<String>,
}

/// Longest path that is read in several ways, in bytes: it costs as much as many ordinary ones.
const LENGTH_MAX_BYTES: usize = 1_024;
/// Most readings of a path.
const READINGS_MAX: usize = 32;

const STEPS: [fn(&str) -> String; 5] =
    [with_slashes_decoded, with_slashes_merged, without_parameters, up_to_query, up_to_fragment];

impl Readings {
    /// The readings of the path of `:path`. None if there is something about it that is refused in any case, or of a
    /// kind that no rule `tolerates`.
    #[must_use]
    pub fn of(target: &[u8], tolerated: Kinds) -> Option<Self> {
        let mut parts = target.splitn(2, |b| *b == b'?');
        let path = parts.next().filter(|path| path.len() <= LENGTH_MAX_BYTES)?;
        if !parts.next().unwrap_or_default().iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let (first, mut kinds) = decoded(path)?;
        let mut readings = vec![first];
        let mut read = 0;
        while let Some(text) = readings.get(read).filter(|_| readings.len() <= READINGS_MAX) {
            kinds = kinds.and(segments(text)?);
            if !tolerated.include(kinds) {
                return None;
            }
            for other in STEPS.map(|step| step(text)) {
                if !readings.contains(&other) {
                    readings.push(other);
                }
            }
            read += 1;
        }
        let others = readings.split_off(1);
        let first = readings.pop().filter(|_| others.len() < READINGS_MAX)?;
        Some(Self { kinds, first, others })
    }
}

/// A path with its escapes decoded, but for those of slashes, and what is unusual about its bytes.
fn decoded(path: &[u8]) -> Option<(String, Kinds)> {
    let mut kinds = Kinds::default();
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let (high, low) = (bytes.next(), bytes.next());
                match hidden(high, low)? {
                    b'/' => {
                        kinds = kinds.and(Kinds::ENCODED_SLASH);
                        decoded.extend([b'%'].into_iter().chain(high).chain(low));
                    }
                    delimiter @ (b'?' | b'#') => {
                        kinds = kinds.and(Kinds::ENCODED_DELIMITER);
                        decoded.push(delimiter);
                    }
                    other => decoded.push(other),
                }
            }
            b'\\' | b'#' => return None,
            b';' => {
                kinds = kinds.and(Kinds::PARAMETERS);
                decoded.push(byte);
            }
            _ if byte.is_ascii_graphic() => decoded.push(byte),
            _ => return None,
        }
    }
    String::from_utf8(decoded).ok().filter(|text| text.starts_with('/')).map(|text| (text, kinds))
}

/// What is unusual about the segments of a reading; none if that is refused in any case.
fn segments(reading: &str) -> Option<Kinds> {
    let inner = reading.strip_suffix('/').unwrap_or(reading);
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    if reading.starts_with("//") || inner.split('/').any(is_dots) {
        return None;
    }
    let has_empty = inner.split('/').skip(1).any(str::is_empty);
    Some(if has_empty { Kinds::EMPTY_SEGMENT } else { Kinds::default() })
}

/// No other `%2F` is in a reading: `%25` is refused.
fn with_slashes_decoded(path: &str) -> String {
    path.replace("%2F", "/").replace("%2f", "/")
}

fn with_slashes_merged(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !merged.ends_with('/') {
            merged.push(c);
        }
    }
    merged
}

/// Parameters end with their segment (RFC 3986 §3.3).
fn without_parameters(path: &str) -> String {
    let bare = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
    path.split('/').map(bare).collect::<Vec<_>>().join("/")
}

fn up_to_query(path: &str) -> String {
    path.split('?').next().unwrap_or_default().to_owned()
}

fn up_to_fragment(path: &str) -> String {
    path.split('#').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const ALL: Kinds = Kinds(0b1111);

    fn read(target: &str) -> Option<Vec<String>> {
        let Readings { first, mut others, .. } = Readings::of(target.as_bytes(), ALL)?;
        others.sort();
        others.insert(0, first);
        Some(others)
    }

    #[test]
    fn e2_a_path_is_read_by_every_step_in_every_order() {
        for (target, expected) in [
            ("/a%2Fb", &["/a%2Fb", "/a/b"][..]),
            ("/a%2fb?q=//;", &["/a%2fb", "/a/b"]),
            ("/a//b", &["/a//b", "/a/b"]),
            ("/a//", &["/a//", "/a/"]),
            ("/a/%2Fb", &["/a/%2Fb", "/a//b", "/a/b"]),
            ("/a;x=1/b", &["/a;x=1/b", "/a/b"]),
            ("/a/;x", &["/a/;x", "/a/"]),
            ("/a%3Fb", &["/a?b", "/a"]),
            ("/a%23b%3Fc", &["/a#b?c", "/a", "/a#b"]),
            ("/a;x%2Fb", &["/a;x%2Fb", "/a", "/a/b", "/a;x/b"]),
            ("/a;x%3Fb/c", &["/a;x?b/c", "/a", "/a/c", "/a;x"]),
            ("/caf%C3%A9//", &["/caf\u{e9}//", "/caf\u{e9}/"]),
        ] {
            assert_eq!(
                read(target).as_deref(),
                Some(expected.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()).as_deref(),
                "{target}"
            );
        }
    }

    #[test]
    fn e2_what_is_refused_in_one_reading_is_refused() {
        let long = format!("/{}//", "a".repeat(LENGTH_MAX_BYTES));
        let tangled: String = (0..9).map(|n| format!("/%2F{n};%2F{n}%3F{n}%23")).collect();
        for target in [
            "//a",
            "/%2Fa",
            "/;x/a",
            "/%2F",
            "/a/../b//",
            "/a%2F..%2Fb",
            "/a%2F..",
            "/..%2Fa",
            "/..;/a",
            "/.;x",
            "/a;x%2F../b",
            "/a/..%3Fb",
            "/a/.%23",
            "/a\\b//",
            "/a%5Cb//",
            "/a%5c%2Fb",
            "/a%2E%2E%2Fb",
            "/a%252Fb",
            "/a%3B",
            "/a%00//",
            "/a%0A//",
            "/a%2F%ff",
            "/a%C3//",
            "/a%2",
            "/a#b//",
            "/a b//",
            "/a//b?q=\u{e9}",
            "a//b",
            "*",
            "",
            &long,
            &tangled,
        ] {
            assert_eq!(read(target), None, "{target}");
        }
    }

    #[test]
    fn e2_all_that_is_unusual_must_be_tolerated_in_whichever_reading_it_shows() {
        let [slash, empty, parameters, delimiter] = [1, 2, 4, 8].map(Kinds);
        for (target, kinds) in [
            ("/a%2Fb", slash),
            ("/a/%2Fb", slash.and(empty)),
            ("/a%2F%2Fb", slash.and(empty)),
            ("/a%2F/", slash.and(empty)),
            ("/a//", empty),
            ("/a;x", parameters),
            ("/a/;x/b", parameters.and(empty)),
            ("/a%3f%23", delimiter),
            ("/a;%2F%3F//", ALL),
        ] {
            for tolerated in (0..16).map(Kinds) {
                let found = Readings::of(target.as_bytes(), tolerated).map(|readings| readings.kinds);
                assert_eq!(found, tolerated.include(kinds).then_some(kinds), "{target} {tolerated:?}");
            }
        }
    }
}
