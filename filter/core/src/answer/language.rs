//! Which language a browser's user reads: English, or Japanese if that is liked better (RFC 9110 §12.5.4).

/// The languages of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// Also for whoever reads neither.
    #[default]
    English,
    /// 日本語
    Japanese,
}

/// The weight of what has none: in thousandths, as finely as there are any (RFC 9110 §12.4.2).
const FULL: u16 = 1_000;

impl Language {
    const ALL: [Self; 2] = [Self::English, Self::Japanese];

    /// As a page names it (RFC 5646).
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Japanese => "ja",
        }
    }

    /// The one that is liked best, of all values of `accept-language`. Of two that are liked alike it is the one that comes
    /// first.
    pub fn preferred<'a>(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let (mut best, mut of_others, mut named) = ((0, Self::default()), 0, [false; 2]);
        for range in values.flat_map(|value| value.split(|byte| *byte == b',')) {
            let mut parts = range.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let weight = parts.find_map(weight).unwrap_or(FULL);
            if name == b"*" {
                of_others = weight;
            }
            for (language, named) in Self::ALL.into_iter().zip(&mut named).filter(|(language, _)| language.is(name)) {
                *named = true;
                if weight > best.0 {
                    best = (weight, language);
                }
            }
        }
        let other = Self::ALL.into_iter().zip(named).find(|(_, named)| !named);
        other.filter(|_| of_others > best.0).map_or(best.1, |(other, _)| other)
    }

    /// Whether a range is about it: `ja`, `ja-JP`.
    fn is(self, range: &[u8]) -> bool {
        let primary = range.split(|byte| *byte == b'-').next().unwrap_or_default();
        primary.eq_ignore_ascii_case(self.tag().as_bytes())
    }
}

/// `q=0.8` as 800; none of another parameter. What is no weight is not wanted.
fn weight(parameter: &[u8]) -> Option<u16> {
    let (b'q' | b'Q', rest) = parameter.split_first()? else { return None };
    let value = rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    let (whole, fraction) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] => (whole, fraction),
        _ => return Some(0),
    };
    if !matches!(whole, b'0' | b'1') || fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return Some(0);
    }
    let digits = std::iter::once(whole).chain(fraction).chain(std::iter::repeat(&b'0')).take(4);
    Some(digits.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')).min(FULL))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn the_language_is_the_one_that_is_liked_best() {
        const EN: Language = Language::English;
        const JA: Language = Language::Japanese;
        for (headers, expected) in [
            (&[][..], EN),
            (&[""], EN),
            (&["ja"], JA),
            (&["ja-JP"], JA),
            (&["JA-jp"], JA),
            (&["jav"], EN),
            (&["fr, de;q=0.5"], EN),
            (&["ja,en;q=0.9"], JA),
            (&["en,ja;q=0.9"], EN),
            (&["en;q=0.8,ja;q=0.9"], JA),
            (&["en;q=0.9,ja;q=0.899"], EN),
            (&["en-US,en;q=0.5,ja;q=0.7"], EN),
            (&["ja, en"], JA),
            (&["en, ja"], EN),
            (&["fr, ja;q=0.1"], JA),
            (&["ja;q=0"], EN),
            (&["ja;q=0.0, en;q=0.000"], EN),
            (&["*"], EN),
            (&["en;q=0, *"], JA),
            (&["ja;q=0.5, *;q=0.8"], EN),
            (&["ja;q=0.5, *;q=0.2"], JA),
            (&["en;q=0.2, ja;q=0.3, *;q=0.9"], JA),
            (&["en;q=0.5", "ja;q=0.6"], JA),
            (&[" ja ; Q = 0.5 , en ; q=0.4 "], JA),
            (&["ja;level=1;q=0.1, en;q=0.2"], EN),
            // What is no weight is not wanted.
            (&["ja;q=2, en;q=0.1"], EN),
            (&["ja;q=0.1234, en;q=0.1"], EN),
            (&["ja;q=, en;q=0.1"], EN),
            (&["ja;q=x, en;q=0.1"], EN),
            (&["ja;q=1.5, en;q=0.999"], JA),
            (&[";;;,,q=1"], EN),
        ] {
            let found = Language::preferred(headers.iter().map(|value| value.as_bytes()));
            assert_eq!(found, expected, "{headers:?}");
        }
    }
}
