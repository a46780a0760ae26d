//! Browsers that go somewhere, as opposed to programs that call something: only they are sent to sign in.

use std::fmt::Write as _;

use super::language::Language;
use crate::head::Head;

/// Longest target to come back to, in bytes. A longer one is left out, and the browser lands on the front page.
const RETURN_MAX_BYTES: usize = 2_048;

/// Where a browser is sent that must sign in: the sign-in page, told where to come back to. None if the request
/// is no navigation.
///
/// The way back never leaves this origin: on a page of this host it is a path, elsewhere the path on the host
/// that was asked. `target` is the request's, without the tokens in its query.
#[must_use]
pub fn sign_in(page: &str, head: &Head<'_>, host: &str, target: &[u8]) -> Option<String> {
    if !is_navigation(head) {
        return None;
    }
    if target.len() > RETURN_MAX_BYTES {
        return Some(page.to_owned());
    }
    let path = std::str::from_utf8(target).ok()?;
    let origin = if page.starts_with('/') { String::new() } else { format!("{}://{host}", head.scheme()) };
    let separator = if page.contains('?') { '&' } else { '?' };
    let back = encode(&format!("{origin}{path}"));
    Some(format!("{page}{separator}rd={back}"))
}

/// The language of whoever sees the answer; none if it is a program, or a part of a page.
#[must_use]
pub fn reader(head: &Head<'_>) -> Option<Language> {
    let accepted = head.pairs.iter().filter(|(name, _)| *name == b"accept-language").map(|(_, value)| *value);
    is_navigation(head).then(|| Language::preferred(accepted))
}

/// Browsers say what a request is for (Fetch Metadata §2.3); those that do not ask for HTML when they navigate.
fn is_navigation(head: &Head<'_>) -> bool {
    if head.method != b"GET" {
        return false;
    }
    match (head.one(b"sec-fetch-mode"), head.one(b"sec-fetch-dest")) {
        (Some(mode), dest) => mode == b"navigate" && dest.is_none_or(|dest| dest == b"document"),
        (None, _) => head.one(b"accept").is_some_and(wants_html),
    }
}

fn wants_html(accept: &[u8]) -> bool {
    const HTML: &[u8] = b"text/html";
    accept.split(|b| *b == b',').any(|part| {
        let kind = part.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        kind.eq_ignore_ascii_case(HTML)
    })
}

/// As the value of a parameter (RFC 3986 §3.4).
fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn location(page: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Option<String> {
        let pairs: Vec<(&[u8], &[u8])> = headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        let head = Head { pairs: &pairs, method: method.as_bytes(), path: path.as_bytes(), ..Head::default() };
        sign_in(page, &head, "app.example.com", head.path)
    }

    #[test]
    fn only_a_browser_that_goes_somewhere_is_sent_to_sign_in() {
        for (method, headers, expected) in [
            ("GET", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")][..], true),
            ("GET", &[("sec-fetch-mode", "navigate")], true),
            ("GET", &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], false),
            ("GET", &[("sec-fetch-mode", "cors"), ("accept", "text/html")], false),
            ("GET", &[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")], true),
            ("GET", &[("accept", "application/json, Text/HTML;q=0.1")], true),
            ("GET", &[("accept", "*/*")], false),
            ("GET", &[], false),
            ("POST", &[("sec-fetch-mode", "navigate")], false),
            ("HEAD", &[("accept", "text/html")], false),
        ] {
            assert_eq!(location("/login", method, "/a", headers).is_some(), expected, "{method} {headers:?}");
        }
    }

    #[test]
    fn the_way_back_never_leaves_this_origin() {
        let html = [("accept", "text/html"), ("x-forwarded-proto", "https")];
        for (page, path, expected) in [
            ("/oauth2/start", "/a?b=c&d=é", "/oauth2/start?rd=/a%3Fb%3Dc%26d%3D%C3%A9"),
            ("/login?x=1", "/a", "/login?x=1&rd=/a"),
            ("https://login.example.com/go", "/a", "https://login.example.com/go?rd=https%3A//app.example.com/a"),
            ("/login", "/a\"><script>", "/login?rd=/a%22%3E%3Cscript%3E"),
        ] {
            assert_eq!(location(page, "GET", path, &html).as_deref(), Some(expected), "{page} {path}");
        }
        let long = format!("/{}", "a".repeat(RETURN_MAX_BYTES));
        assert_eq!(location("/login", "GET", &long, &html).as_deref(), Some("/login"));
    }
}
