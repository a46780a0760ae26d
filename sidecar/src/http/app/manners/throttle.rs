//! Counts requests for tokens, and refuses those beyond the limit. Each answer says what is left, in the fields of
//! draft-ietf-httpapi-ratelimit-headers.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::domain::error::Failure;
use crate::domain::rate::{Left, PerMinute};
use crate::http::app::Api;
use crate::http::app::answer::Refused;

/// The calls that mint tokens.
pub const COUNTED: &[&str] = &["/api/token/generate", "/api/token/refresh"];

/// What says how many calls there are, and how many are left.
pub const FIELDS: [HeaderName; 2] = [HeaderName::from_static("ratelimit-policy"), HeaderName::from_static("ratelimit")];

/// Lets a call pass unless its caller made too many. Who nobody vouches for is refused by the handler.
pub async fn count(State(api): State<Api>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let is_counted = request.method() == Method::POST && path.is_some_and(|path| COUNTED.contains(&path.as_str()));
    let caller = if is_counted { api.verifier.verify(request.headers(), api.now()).ok() } else { None };
    let Some(caller) = caller else { return next.run(request).await };
    let left = match api.throttle.token_request(&caller).await {
        Ok(left) => left,
        Err(failure) => return Refused(failure).into_response(),
    };
    let mut answer = match left.retry_after_s() {
        Some(retry_after_s) => Refused(Failure::TooManyRequests { retry_after_s }).into_response(),
        None => next.run(request).await,
    };
    for (name, value) in FIELDS.into_iter().zip(told(api.throttle.token_requests(), left)) {
        if let Ok(value) = HeaderValue::try_from(value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

fn told(limit: PerMinute, left: Left) -> [String; 2] {
    let policy = format!("\"tokens\";q={};w=60", limit.calls());
    [policy, format!("\"tokens\";r={};t={}", left.calls, left.whole_in_s())]
}
