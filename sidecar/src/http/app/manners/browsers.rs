//! Headers by which browsers let nobody else use an answer: each is for the case that somebody opens an address of the
//! API in a browser, or that a page elsewhere tries to.

use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

/// What every answer bears unless its handler says otherwise.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    // Answers hold tokens and addresses; none is of use to a cache, unless it says so.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    // An answer is data: should it ever hold what looks like a page, nothing in it loads, runs or is framed.
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // For browsers that do not know `frame-ancestors`.
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Puts the headers on an answer.
pub async fn protect(mut answer: Response) -> Response {
    put(answer.headers_mut());
    answer
}

fn put(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(value);
    }
}
