//! The `mesh` listener: the five conversations with filters. Every call carries the mesh secret; to
//! whoever does not, everything looks the same.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use sekisho_protocol::path;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::validate_request::{ValidateRequest, ValidateRequestHeaderLayer};

use crate::config::Secret;
use crate::http::bearer;
use crate::service::activity::Activities;
use crate::service::checks::Checks;
use crate::service::feed::polls::Polls;
use crate::service::keysets::Keysets;
use crate::service::metrics::Metrics;
use crate::service::oauth2_proxy::Oauth2Proxy;
use crate::service::sessions::Sessions;

pub mod activity;
pub mod check;
pub mod feed;
pub mod keys;
pub mod refusal;
pub mod session;

use refusal::Refusal;

/// Largest check or question about a session: two names and a route's.
const CHECK_MAX_BYTES: usize = 16 * 1024;
/// Largest activity report: a thousand subjects and a thousand outcomes.
const REPORT_MAX_BYTES: usize = 2 * 1024 * 1024;
/// Far longer than a filter waits for a decision, and longer than any question for keys.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than any poll is held.
const POLL_TIMEOUT: Duration = Duration::from_secs(40);

/// What the handlers work with.
pub struct Mesh {
    /// What every filter knows.
    pub secret: Secret,
    /// The feed.
    pub polls: Polls,
    /// Decisions.
    pub checks: Checks,
    /// What is behind cookies.
    pub sessions: Sessions,
    /// What is behind those of oauth2-proxy, if there is one.
    pub oauth2_proxy: Option<Oauth2Proxy>,
    /// The keys of those who issue tokens.
    pub keysets: Keysets,
    /// What filters saw.
    pub activities: Activities,
    /// What is counted.
    pub metrics: Metrics,
}

/// The listener's routes.
pub fn router(mesh: Mesh) -> Router {
    let quick = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIMEOUT);
    let slow = TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, POLL_TIMEOUT);
    let check = post(check::check).layer((quick, DefaultBodyLimit::max(CHECK_MAX_BYTES)));
    let session = post(session::session).layer((quick, DefaultBodyLimit::max(CHECK_MAX_BYTES)));
    let activity = post(activity::report).layer((quick, DefaultBodyLimit::max(REPORT_MAX_BYTES)));
    Router::new()
        .route(path::FEED, get(feed::poll).delete(feed::goodbye).layer(slow))
        .route(path::CHECK, check)
        .route(path::SESSION, session)
        .route(path::KEYS, get(keys::keys).layer(quick))
        .route(path::ACTIVITY, activity)
        .fallback(async || Refusal::NoSuchPath)
        .method_not_allowed_fallback(async || Refusal::NoSuchPath)
        .layer(
            ServiceBuilder::new()
                .layer(CatchPanicLayer::custom(|_| Refusal::Defect.into_response()))
                .layer(ValidateRequestHeaderLayer::custom(Filters(mesh.secret.clone()))),
        )
        // One for all requests: there may be ten thousand polls at a time.
        .with_state(Arc::new(mesh))
}

/// Lets nobody through who does not know the mesh secret, not even to learn which paths there are. No middleware of ours:
/// that would hold another kilobyte for each poll.
#[derive(Clone)]
struct Filters(Secret);

impl<B> ValidateRequest<B> for Filters {
    type ResponseBody = Body;

    fn validate(&mut self, request: &mut Request<B>) -> Result<(), Response> {
        if bearer::carries(request.headers(), &self.0) { Ok(()) } else { Err(Refusal::Stranger.into_response()) }
    }
}

#[cfg(test)]
mod tests;
