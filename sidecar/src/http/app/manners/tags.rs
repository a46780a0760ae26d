//! Tags (`ETag`, RFC 9110 §8.8.3) of answers that programs poll: whoever has the answer already is told so in a few bytes.
//!
//! A tag is a digest of the body, so it is the same on every sidecar. It is opted in to answer by answer: where the body
//! holds the present time, a time left or an age (bans, workers, key sources), it changes by the second, and a tag would
//! be of no use to anybody. Answers stay `no-store`: they hold addresses of people, which no browser should write to its
//! disk; a program that polls remembers the tag by itself.

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::domain::error::Failure;
use crate::http::app::answer::Refused;
use crate::http::app::{docs, document};

/// The answers that have tags.
pub const TAGGED: &[&str] = &[
    "/api/token/list",
    "/api/token/info",
    "/api/admin/tokens",
    "/api/admin/tokens/{email_or_id}",
    "/api/admin/audit",
    "/api/admin/manage",
    "/api/admin/redis/cleanup/logs",
    document::PATH,
    docs::PATH,
];

/// Of a digest so many bytes make the tag: enough that no two bodies have one.
const DIGEST_BYTES: usize = 18;

/// Gives an answer its tag, and leaves out a body that the caller has.
pub async fn tag(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let is_tagged = path.is_some_and(|path| TAGGED.contains(&path.as_str()));
    if !is_tagged || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let known: Vec<HeaderValue> = request.headers().get_all(header::IF_NONE_MATCH).iter().cloned().collect();
    let answer = next.run(request).await;
    if answer.status() != StatusCode::OK {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    // Our own handler made it, whole and in memory.
    let body: Bytes = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(body) => body,
        Err(error) => return Refused(Failure::Internal { cause: error.to_string() }).into_response(),
    };
    let etag = etag(&body);
    let is_known = names(known.iter(), etag.to_str().unwrap_or_default());
    parts.headers.insert(header::ETAG, etag);
    if is_known {
        parts.status = StatusCode::NOT_MODIFIED;
        // They would describe the body that is not there (RFC 9110 §15.4.5).
        parts.headers.remove(header::CONTENT_TYPE);
        parts.headers.remove(header::CONTENT_LENGTH);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(body))
}

fn etag(body: &[u8]) -> HeaderValue {
    let digest = Sha256::digest(body);
    let text = URL_SAFE_NO_PAD.encode(digest.get(..DIGEST_BYTES).unwrap_or_default());
    // Base64url and quotes are a header's value.
    HeaderValue::from_str(&format!("\"{text}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether `If-None-Match` names this tag (RFC 9110 §13.1.2: compared weakly).
pub fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    names(headers.get_all(header::IF_NONE_MATCH).iter(), etag)
}

fn names<'a>(values: impl Iterator<Item = &'a HeaderValue>, etag: &str) -> bool {
    let tags = values.filter_map(|value| value.to_str().ok());
    let mut tags = tags.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_the_answer_already_is_told_so() {
        for (sent, expected) in [
            (vec![], false),
            (vec!["\"a\""], true),
            (vec!["W/\"a\""], true),
            (vec!["\"b\", \"a\""], true),
            (vec!["\"b\"", "\"a\""], true),
            (vec!["*"], true),
            (vec!["\"b\""], false),
            (vec!["a"], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in &sent {
                headers.append(header::IF_NONE_MATCH, value.parse().unwrap());
            }
            assert_eq!(is_known(&headers, "\"a\""), expected, "{sent:?}");
        }
    }

    #[test]
    fn a_tag_is_a_digest_of_the_body() {
        assert_eq!(etag(b"a"), etag(b"a"));
        assert_ne!(etag(b"a"), etag(b"b"));
        assert_eq!(etag(b"").len(), 26, "24 characters and two quotes");
    }
}
