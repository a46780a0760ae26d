//! Refuses what a browser sends for a page of another site (rule E7). The credential of a browser is a cookie, which it
//! sends along whoever made it send the call.
//!
//! Browsers say who did: with `Sec-Fetch-Site` (Fetch Metadata), older ones with `Origin` (RFC 6454). Programs send
//! neither, nor a cookie. Besides, every write with a body must be JSON, which no form can send.

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::domain::error::Failure;
use crate::http::app::answer::Refused;
use crate::http::app::request::host;

const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// Lets a call pass unless a browser sends it from another site.
pub async fn refuse(request: Request, next: Next) -> Response {
    let host = host(request.uri(), request.headers());
    match judge(request.method(), request.headers(), host.as_ref()) {
        Ok(()) => next.run(request).await,
        Err(why) => {
            tracing::info!(reason = why, path = request.uri().path(), "a call from another site was refused");
            Refused(Failure::CrossSite { why }).into_response()
        }
    }
}

/// Why a call is refused, if it is. Each of repeated headers must be in order: one of them may be a forgery.
fn judge(method: &Method, headers: &HeaderMap, host: Option<&Authority>) -> Result<(), &'static str> {
    if method.is_safe() {
        return Ok(());
    }
    let all = |name: &str, is_good: &dyn Fn(&HeaderValue) -> bool| {
        headers.contains_key(name).then(|| headers.get_all(name).iter().all(is_good))
    };
    if let Some(is_ours) = all(SEC_FETCH_SITE, &|site| site == "same-origin" || site == "none") {
        return if is_ours { Ok(()) } else { Err("Sec-Fetch-Site is neither same-origin nor none") };
    }
    if let Some(is_ours) = all("origin", &|origin| is_same_origin(origin, host)) {
        return if is_ours { Ok(()) } else { Err("Origin is not this host") };
    }
    if headers.contains_key(header::COOKIE) {
        return Err("a cookie came with neither Sec-Fetch-Site nor Origin");
    }
    Ok(())
}

/// Whether a page of `origin` is one of `host`.
///
/// The scheme does not count: TLS may end before Envoy. A host without a port matches every port, since the proxy in
/// front may have removed it; another port of one host gets the same cookies anyway (RFC 6265 §8.5).
fn is_same_origin(origin: &HeaderValue, host: Option<&Authority>) -> bool {
    let (Ok(origin), Some(host)) = (origin.to_str(), host) else { return false };
    let Some((scheme, rest)) = origin.split_once("://") else { return false };
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let Ok(page) = Authority::try_from(rest) else { return false };
    let is_plain = |authority: &Authority| !authority.as_str().contains('@') && !authority.host().is_empty();
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default_port);
    let same_port = host.port().is_none() || port(&page) == port(host);
    is_plain(&page) && is_plain(host) && page.host().eq_ignore_ascii_case(host.host()) && same_port
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "app.example:8443";

    fn judge_with(method: &Method, pairs: &[(&str, &str)], named: &str) -> bool {
        let mut request = Request::builder().method(method).uri("/api/x").header("host", named);
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        judge(method, request.headers(), host(request.uri(), request.headers()).as_ref()).is_ok()
    }

    #[test]
    fn e7_a_write_from_another_site_is_refused() {
        let cookie = ("cookie", "session=1");
        for (pairs, expected) in [
            // Programs.
            (&[][..], true),
            (&[("authorization", "Bearer x")], true),
            // What the browser says of the site.
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "")], false),
            (&[("sec-fetch-site", "Same-Origin")], false), // a token of RFC 8941 is case-sensitive
            (&[("Sec-Fetch-Site", "same-origin")], true),  // a header's name is not
            (&[("sec-fetch-site", "same-origin, cross-site")], false),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], false),
            (&[("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")], true),
            // The browser knows better than a header that some proxies rewrite.
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://app.example:8443")], false),
            (&[("sec-fetch-site", "same-origin"), cookie], true),
            // Older browsers.
            (&[("origin", "https://app.example:8443")], true),
            (&[("origin", "http://app.example:8443")], true),
            (&[("origin", "HTTPS://APP.example:8443")], true),
            (&[("origin", "https://app.example")], false),
            (&[("origin", "https://app.example:8444")], false),
            (&[("origin", "https://app.example.evil.example:8443")], false),
            (&[("origin", "https://app.example:8443@evil.example")], false),
            (&[("origin", "https://evil.example@app.example:8443")], false),
            (&[("origin", "https://app.example:8443/")], false),
            (&[("origin", "null")], false),
            (&[("origin", "")], false),
            (&[("origin", "app.example:8443")], false),
            (&[("origin", "file://app.example:8443")], false),
            (&[("origin", "chrome-extension://app.example:8443")], false),
            (&[("origin", "https://app.example:8443"), ("origin", "https://evil.example")], false),
            (&[("origin", "https://app.example:8443"), cookie], true),
            (&[("origin", "null"), cookie], false),
            // A browser that says nothing.
            (&[cookie], false),
            (&[("cookie", "")], false),
            (&[cookie, ("authorization", "Bearer x")], false),
            // What a page may set has no meaning.
            (&[cookie, ("referer", "https://app.example:8443/")], false),
            (&[cookie, ("x-requested-with", "XMLHttpRequest")], false),
        ] {
            for method in [Method::POST, Method::DELETE, Method::PUT, Method::PATCH] {
                assert_eq!(judge_with(&method, pairs, HOST), expected, "{method} {pairs:?}");
            }
            for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                assert!(judge_with(&method, pairs, HOST), "{method} {pairs:?}: changes nothing");
            }
        }
    }

    #[test]
    fn e7_ports_count_where_the_request_names_one() {
        for (host, origin, expected) in [
            ("app.example", "https://app.example", true),
            ("app.example", "https://app.example:8443", true), // Envoy's strip_any_host_port
            ("app.example", "https://other.example:8443", false),
            ("app.example:443", "https://app.example", true),
            ("app.example:80", "https://app.example", false),
            ("app.example:80", "http://app.example", true),
            ("app.example:80", "http://app.example:80", true),
            ("app.example:8080", "http://app.example", false),
            ("APP.example:8080", "http://app.example:8080", true),
            ("[::1]:8080", "http://[::1]:8080", true),
            ("[::1]:8080", "http://[::2]:8080", false),
            ("[::1]", "http://[::1]:8080", true),
            ("127.0.0.1:8080", "http://127.0.0.1:8080", true),
            ("", "http://", false),
            ("user@app.example", "http://app.example", false),
        ] {
            assert_eq!(judge_with(&Method::POST, &[("origin", origin)], host), expected, "{host} {origin}");
        }
    }

    #[test]
    fn e7_a_request_that_names_two_hosts_or_none_is_no_pages_own() {
        let request = |hosts: &[&str], target: &str| {
            let mut request = Request::post(target);
            for host in hosts {
                request = request.header("host", *host);
            }
            let request = request.body(axum::body::Body::empty()).unwrap();
            host(request.uri(), request.headers()).map(|host| host.to_string())
        };
        assert_eq!(request(&["a.example", "b.example"], "/"), None);
        assert_eq!(request(&[], "/"), None);
        assert_eq!(request(&["a b"], "/"), None);
        assert_eq!(request(&["a.example"], "/"), Some("a.example".into()));
        assert_eq!(request(&["a.example"], "http://b.example/"), Some("b.example".into()));
    }
}
