//! Counts requests for tokens and revocations of them, and refuses those beyond the limit. Each answer says what is left, in the fields of
//! draft-ietf-httpapi-ratelimit-headers.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::domain::error::Failure;
use crate::domain::rate::{Left, PerMinute};
use crate::http::app::Api;
use crate::http::app::answer::Refused;
use crate::service::throttle::Counted;

/// The calls that are counted, and as what: those that mint tokens, and those by which owners revoke them.
pub const COUNTED: &[(&str, Counted)] = &[
    ("/api/token/generate", Counted::Requests),
    ("/api/token/refresh", Counted::Requests),
    ("/api/token/revoke", Counted::Revocations),
];

/// What says how many calls there are, and how many are left.
pub const FIELDS: [HeaderName; 2] = [HeaderName::from_static("ratelimit-policy"), HeaderName::from_static("ratelimit")];

/// Lets a call pass unless its caller made too many. Who nobody vouches for is refused by the handler.
pub async fn count(State(api): State<Api>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let counted = path.filter(|_| request.method() == Method::POST).and_then(|path| counted_as(path.as_str()));
    let caller = counted.and_then(|what| Some((what, api.verifier.verify(request.headers(), api.now()).ok()?)));
    let Some((what, caller)) = caller else { return next.run(request).await };
    let left = match api.throttle.count(what, &caller).await {
        Ok(left) => left,
        Err(failure) => return Refused(failure).into_response(),
    };
    let mut answer = match left.retry_after_s() {
        Some(retry_after_s) => Refused(Failure::TooManyRequests { retry_after_s }).into_response(),
        None => next.run(request).await,
    };
    for (name, value) in FIELDS.into_iter().zip(told(what, api.throttle.limit(), left)) {
        if let Ok(value) = HeaderValue::try_from(value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

/// As what a POST to this path is counted.
pub fn counted_as(path: &str) -> Option<Counted> {
    COUNTED.iter().find(|(counted, _)| *counted == path).map(|(_, what)| *what)
}

fn told(what: Counted, limit: PerMinute, left: Left) -> [String; 2] {
    let policy = match what {
        Counted::Requests => "tokens",
        Counted::Revocations => "revocations",
    };
    [format!("\"{policy}\";q={};w=60", limit.calls()), format!("\"{policy}\";r={};t={}", left.calls, left.whole_in_s())]
}
