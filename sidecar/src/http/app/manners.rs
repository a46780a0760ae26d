//! What all calls have in common before and after their handlers: the manners of the API.
//!
//! From the outside in: every answer bears headers for browsers ([`browsers`]); a call that a browser sends for another
//! site is refused ([`cross_site`]); one that takes too long is given up; lists have tags ([`tags`]); a call that is sent
//! twice is carried out once ([`idempotency`]); requests for tokens that are carried out are counted ([`throttle`]).

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::domain::error::Failure;
use crate::http::app::Api;
use crate::http::app::answer::Refused;

pub mod browsers;
pub mod cross_site;
pub mod described;
pub mod idempotency;
pub mod tags;
pub mod throttle;

/// Largest body that a call takes: every one is a few hundred bytes.
const BODY_MAX_BYTES: usize = 64 * 1024;

/// Longer than any call takes: a change waits 6 s for its turn and 30 s at most for its acknowledgement, and some look
/// at every key of Redis, about a second for a million.
const TIMEOUT: Duration = Duration::from_secs(120);

/// `routes`, with manners.
pub fn around(routes: Router, api: &Api) -> Router {
    routes.layer(
        ServiceBuilder::new()
            .layer(middleware::map_response(browsers::protect))
            .layer(middleware::from_fn(cross_site::refuse))
            .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
            .layer(middleware::from_fn_with_state(TIMEOUT, in_time))
            .layer(middleware::from_fn(tags::tag))
            .layer(middleware::from_fn_with_state(api.clone(), idempotency::once))
            .layer(middleware::from_fn_with_state(api.clone(), throttle::count))
            .layer(CatchPanicLayer::custom(on_panic)),
    )
}

/// Gives up a call that is still not answered after `limit`: its body may never end. A change runs to its end.
pub(super) async fn in_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let cause = || format!("a call was not answered within {} s", limit.as_secs());
    let answered = timeout(limit, next.run(request)).await;
    answered.unwrap_or_else(|_| Refused(Failure::Unavailable { cause: cause() }).into_response())
}

fn on_panic(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    Refused(Failure::Internal { cause: "a handler panicked".into() }).into_response()
}
