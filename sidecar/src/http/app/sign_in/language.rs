//! The language of a page, as the browser would like it (RFC 9110 §12.5.4).

use axum::http::{HeaderMap, header};

/// The languages that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Japanese,
}

impl Language {
    /// The best that the browser takes; English if it takes none of them.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|line| line.to_str().ok());
        let (mut best, mut weight) = (Self::English, 0.0);
        for range in lines.flat_map(|line| line.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok());
            let language = match tag.split('-').next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "ja" => Self::Japanese,
                "en" | "*" => Self::English,
                _ => continue,
            };
            // The first of equals.
            if let Some(quality) = quality.filter(|quality| (0.0..=1.0).contains(quality) && *quality > weight) {
                (best, weight) = (language, quality);
            }
        }
        best
    }

    /// Its tag (RFC 5646).
    pub(super) fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Japanese => "ja",
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_browsers_best_language_that_there_is_wins() {
        for (header, expected) in [
            ("ja", Language::Japanese),
            ("ja-JP,ja;q=0.9,en-US;q=0.8,en;q=0.7", Language::Japanese),
            ("en-US,en;q=0.9,ja;q=0.8", Language::English),
            ("en;q=0.5, JA;q=0.6", Language::Japanese),
            ("de, ja;q=0.1", Language::Japanese),
            ("de, fr", Language::English),
            ("*", Language::English),
            ("ja;q=0", Language::English),
            ("ja;q=2", Language::English),
            ("ja;q=x", Language::English),
            ("jazz", Language::English),
            ("", Language::English),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, HeaderValue::from_str(header).unwrap())]);
            assert_eq!(Language::of(&headers), expected, "{header}");
        }
        assert_eq!(Language::of(&HeaderMap::new()), Language::English);
    }
}
