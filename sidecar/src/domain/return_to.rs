//! Where a browser goes after it signed in or out: a place on the host that it came from, and nowhere else.

use url::{Position, Url};

/// Longest place, in bytes, as it is asked for.
const MAX_BYTES: usize = 2_048;
/// What is below this signs in and out; nobody is to land there.
const SIGN_IN: &str = "/oauth2";

/// A path on the browser's own host, with its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTo(String);

impl ReturnTo {
    /// The place that `wanted` (`rd`) names, a path or a URL on `origin`; the front page if it names none on that.
    ///
    /// It is read as browsers read it (WHATWG URL), who take a backslash for a slash and leave line breaks out; what only makes
    /// sense to somebody who hopes for that is no place either.
    #[must_use]
    pub fn choose(wanted: Option<&str>, origin: &Url) -> Self {
        wanted.and_then(|wanted| Self::read(wanted, origin)).unwrap_or_else(|| Self("/".to_owned()))
    }

    fn read(wanted: &str, origin: &Url) -> Option<Self> {
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
        if wanted.len() > MAX_BYTES || wanted.contains(is_odd) || !(wanted.starts_with('/') || wanted.contains("://")) {
            return None;
        }
        let place = origin.join(wanted).ok()?;
        let is_ours = place.origin() == origin.origin() && place.username().is_empty() && place.password().is_none();
        // Without the fragment, which is the browser's affair.
        let path = &place[Position::BeforePath..Position::AfterQuery];
        let signs_in = place.path().strip_prefix(SIGN_IN).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        (is_ours && !path.starts_with("//") && !signs_in).then(|| Self(path.to_owned()))
    }

    /// As the value of `Location` (RFC 9110 §10.2.2): visible ASCII that begins with one slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(wanted: &str) -> String {
        let origin = Url::parse("https://app.example.com/").unwrap();
        ReturnTo::choose(Some(wanted), &origin).as_str().to_owned()
    }

    #[test]
    fn a_place_on_the_same_host_is_returned_to() {
        for (wanted, expected) in [
            ("/", "/"),
            ("/a/b?c=d&e=f%20g", "/a/b?c=d&e=f%20g"),
            ("/a#part", "/a"),
            ("/é?ü=ß", "/%C3%A9?%C3%BC=%C3%9F"),
            ("/a//b", "/a//b"),
            ("/a/../b", "/b"),
            ("/go?to=https://evil.example", "/go?to=https://evil.example"),
            ("/oauth2-proxy", "/oauth2-proxy"),
            ("https://app.example.com/a?b", "/a?b"),
            ("https://APP.example.com:443/a", "/a"),
            ("https://app.example.com", "/"),
        ] {
            assert_eq!(choose(wanted), expected, "{wanted}");
        }
        assert_eq!(ReturnTo::choose(None, &Url::parse("https://h/").unwrap()).as_str(), "/");
    }

    #[test]
    fn no_other_place_is() {
        for wanted in [
            "//evil.example",
            "///evil.example",
            "////evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "/\\/evil.example",
            "//\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/\r\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            "//evil.example/%2f..",
            "/./\\evil.example",
            "/.//evil.example",
            "/..//evil.example",
            "/a/..//evil.example",
            "/%2e//evil.example",
            "https://evil.example",
            "https://evil.example/app.example.com",
            "https:evil.example",
            "https:/evil.example",
            "https:///evil.example",
            "http://app.example.com/",
            "https://app.example.com:8443/",
            "https://app.example.com.evil.example/",
            "https://app.example.com@evil.example/",
            "https://ann:secret@app.example.com/",
            "https://evil.example#@app.example.com/",
            "https://evil.example?@app.example.com/",
            "https://evil.example\\@app.example.com/",
            "https://app.example.com\\.evil.example/",
            "https://аpp.example.com/",
            "javascript:alert(1)",
            "javascript://app.example.com/%0aalert(1)",
            "data:text/html,<script>alert(1)</script>",
            "vbscript:msgbox(1)",
            "file:///etc/passwd",
            "evil.example",
            "@evil.example",
            "?rd=/",
            "#",
            "",
            "/a\r\nSet-Cookie: a=b",
            "/a\u{0}",
            "/a\u{2028}b",
            "/oauth2",
            "/oauth2/sign_out",
            "/x/../oauth2/start?rd=/",
        ] {
            assert_eq!(choose(wanted), "/", "{wanted:?}");
        }
        assert_eq!(choose(&format!("/{}", "a".repeat(MAX_BYTES))), "/");
    }
}
