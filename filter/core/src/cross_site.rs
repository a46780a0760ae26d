//! Refuses what a browser sends for a page of another site (rule E7): a browser shows the cookie of a session whoever
//! made it send the request.
//!
//! Browsers say who did: with `Sec-Fetch-Site` (Fetch Metadata), older ones with `Origin` (RFC 6454 §7). No page can set either. The sidecar judges its own API in the same way (`sidecar/src/http/app/manners/cross_site.rs`).

use crate::head::Head;
use crate::path::normal_host;

/// Whose pages may send what changes something, besides the host's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrustedOrigins {
    /// These, as browsers write them.
    Only(Vec<String>),
    /// Everybody's: no proof is asked for.
    All,
}

impl Default for TrustedOrigins {
    fn default() -> Self {
        Self::Only(Vec::new())
    }
}

/// Whether a request to `host`, if a browser sends it, changes something and may be for a page that is not trusted with
/// that. What does not say which page it is for counts as such: a session is only a browser's.
#[must_use]
pub fn may_be_forged(head: &Head<'_>, host: &str, trusted: &TrustedOrigins) -> bool {
    match trusted {
        TrustedOrigins::All => false,
        TrustedOrigins::Only(origins) => changes_something(head) && !is_proven(head, host, origins),
    }
}

/// Methods that are not safe (RFC 9110 §9.2.1), and handshakes of other protocols: a websocket is a `GET`, and its messages
/// may do anything.
fn changes_something(head: &Head<'_>) -> bool {
    head.upgrades || !matches!(head.method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE")
}

fn is_proven(head: &Head<'_>, host: &str, origins: &[String]) -> bool {
    let is_trusted = |origin: &[u8]| origins.iter().any(|known| known.as_bytes() == origin);
    let values = |wanted: &'static [u8]| head.pairs.iter().filter(move |(name, _)| *name == wanted);
    let origin = head.one(b"origin");
    // Each of repeated headers must be in order: one of them may be a forgery. `none` is what the user began, by typing an
    // address for instance. `same-site` is another host's page: not this host's word.
    if values(b"sec-fetch-site").next().is_some() {
        return values(b"sec-fetch-site").all(|(_, site)| matches!(*site, b"same-origin" | b"none"))
            || origin.is_some_and(is_trusted);
    }
    origin.is_some_and(|origin| is_same_origin(origin, head, host) || is_trusted(origin))
}

/// Whether a page of `origin` is one of `host`.
///
/// A page over TLS is one of a request without, since TLS may end before the proxy; not the other way round: anybody on the
/// way could have written what came in plain text. A host without a port matches every port, since the proxy may have
/// removed it; another port of one host gets the same cookies anyway (RFC 6265 §8.5).
fn is_same_origin(origin: &[u8], head: &Head<'_>, host: &str) -> bool {
    let Some((scheme, page)) = std::str::from_utf8(origin).ok().and_then(|origin| origin.split_once("://")) else {
        return false;
    };
    let default_port = match scheme {
        scheme if scheme.eq_ignore_ascii_case("https") => 443,
        scheme if scheme.eq_ignore_ascii_case("http") && head.scheme() == "http" => 80,
        _ => return false,
    };
    let asked = port(head.authority);
    let is_port = asked.is_none_or(|asked| port(page.as_bytes()).unwrap_or(default_port) == asked);
    is_port && normal_host(page.as_bytes()).is_some_and(|page| *page == *host)
}

/// The port of an authority, if it names one.
fn port(authority: &[u8]) -> Option<u16> {
    let digits = authority.rsplit(|byte| *byte == b':').next()?;
    std::str::from_utf8(digits).ok().filter(|_| digits.len() < authority.len())?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::Forgeable;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    type Headers<'a> = &'a [(&'a str, &'a str)];

    fn is_let_through(method: &str, authority: &str, more: Headers<'_>, trusted: &[&str]) -> bool {
        let target = [(":method", method), (":authority", authority), (":path", "/")];
        let all: Vec<(&[u8], &[u8])> =
            target.iter().chain(more).map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let head = Head::read(&all, &Forgeable::default());
        let trusted = TrustedOrigins::Only(trusted.iter().map(|origin| (*origin).to_owned()).collect());
        !may_be_forged(&head, &normal_host(authority.as_bytes()).unwrap(), &trusted)
    }

    #[test]
    fn e7_what_changes_something_needs_the_proof_that_a_page_of_this_host_sends_it() {
        for (headers, expected) in [
            // A session is only a browser's, and browsers say one or the other.
            (&[][..], false),
            (&[("referer", "https://app.example:8443/"), ("x-requested-with", "XMLHttpRequest")], false),
            // What the browser says of the site.
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "")], false),
            (&[("sec-fetch-site", "Same-Origin")], false),
            (&[("sec-fetch-site", "same-origin, cross-site")], false),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")], true),
            // The browser knows better than a header that some proxies rewrite, and that pages may have it leave empty.
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "null")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://app.example:8443")], false),
            (&[("sec-fetch-site", "same-site"), ("origin", "https://app.example:8443")], false),
            // Older browsers.
            (&[("origin", "https://app.example:8443")], true),
            (&[("origin", "HTTPS://APP.example:8443")], true),
            (&[("origin", "https://app.example")], false),
            (&[("origin", "https://app.example:8444")], false),
            (&[("origin", "https://app.example.evil.example:8443")], false),
            (&[("origin", "https://evil.app.example:8443")], false),
            (&[("origin", "https://app.example:8443@evil.example")], false),
            (&[("origin", "https://evil.example@app.example:8443")], false),
            (&[("origin", "https://app.example:8443/")], false),
            (&[("origin", "https://app.example:8443 https://evil.example")], false),
            (&[("origin", "https://app.example:8443,https://app.example:8443")], false),
            (&[("origin", "null")], false),
            (&[("origin", "")], false),
            (&[("origin", "https://")], false),
            (&[("origin", "app.example:8443")], false),
            (&[("origin", "//app.example:8443")], false),
            (&[("origin", "file://app.example:8443")], false),
            (&[("origin", "chrome-extension://app.example:8443")], false),
            (&[("origin", "https://app.example:8443"), ("origin", "https://evil.example")], false),
            (&[("origin", "https://app.example:8443"), ("origin", "https://app.example:8443")], false),
        ] {
            for method in ["POST", "PUT", "PATCH", "DELETE", "PROPFIND", "X"] {
                assert_eq!(is_let_through(method, "app.example:8443", headers, &[]), expected, "{method} {headers:?}");
            }
            for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
                assert!(is_let_through(method, "app.example:8443", headers, &[]), "{method} {headers:?}");
            }
            let upgrade: Vec<_> = [("upgrade", "websocket")].iter().chain(headers).copied().collect();
            assert_eq!(is_let_through("GET", "app.example:8443", &upgrade, &[]), expected, "a handshake: {headers:?}");
        }
    }

    #[test]
    fn e7_ports_count_where_the_request_names_one_and_plain_text_is_no_word_for_tls() {
        for (authority, proto, origin, expected) in [
            ("app.example", "https", "https://app.example", true),
            ("app.example", "https", "https://app.example:8443", true), // Envoy's strip_any_host_port
            ("app.example", "https", "http://app.example", false),
            ("app.example", "http", "http://app.example", true),
            ("app.example", "http", "https://app.example", true), // TLS ends before the proxy
            ("app.example", "https", "https://other.example:8443", false),
            ("app.example:443", "https", "https://app.example", true),
            ("app.example:80", "http", "https://app.example", false),
            ("app.example:80", "http", "http://app.example", true),
            ("app.example:80", "http", "http://app.example:80", true),
            ("app.example:8080", "http", "http://app.example", false),
            ("APP.example:8080", "http", "http://app.example:8080", true),
            ("[::1]:8080", "http", "http://[::1]:8080", true),
            ("[::1]:8080", "http", "http://[::2]:8080", false),
            ("[::1]", "http", "http://[::1]:8080", true),
            ("127.0.0.1:8080", "http", "http://127.0.0.1:8080", true),
            ("127.0.0.1:8080", "http", "http://127.0.0.1:80800", false),
        ] {
            let headers = [("x-forwarded-proto", proto), ("origin", origin)];
            let found = is_let_through("POST", authority, &headers, &[]);
            assert_eq!(found, expected, "{proto} {authority} {origin}");
        }
    }

    #[test]
    fn e7_a_trusted_page_is_known_by_its_whole_origin() {
        const TRUSTED: &[&str] = &["https://console.example", "http://localhost:3000"];
        for (headers, expected) in [
            (&[("origin", "https://console.example")][..], true),
            (&[("origin", "http://localhost:3000")], true),
            (&[("origin", "https://console.example"), ("sec-fetch-site", "same-site")], true),
            (&[("origin", "https://console.example"), ("sec-fetch-site", "cross-site")], true),
            (&[("origin", "http://console.example")], false),
            (&[("origin", "https://console.example:8443")], false),
            (&[("origin", "https://a.console.example")], false),
            (&[("origin", "https://console.example.evil.example")], false),
            (&[("origin", "http://localhost")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("origin", "null"), ("sec-fetch-site", "same-site")], false),
            (&[("origin", "https://console.example"), ("origin", "https://evil.example")], false),
        ] {
            assert_eq!(is_let_through("POST", "app.example", headers, TRUSTED), expected, "{headers:?}");
        }
        let head = Head { method: b"POST", ..Head::default() };
        assert!(!may_be_forged(&head, "app.example", &TrustedOrigins::All), "no proof is asked for");
    }
}
