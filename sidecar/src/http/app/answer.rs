//! Answers that calls have in common: refusals, and what a change came to.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::error::Failure;
use crate::service::acknowledgement;
use crate::service::change::Change;

/// A failure on its way to the client.
#[derive(Debug)]
pub struct Refused(pub Failure);

/// What a handler returns.
pub type Answer<T> = Result<T, Refused>;

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        let status = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::warn!(error = %failure, code = failure.code(), "a call failed");
        }
        let mut response = (status, Json(failure.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(failure.media_type()));
        if let Some(seconds) = failure.retry_after_s() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            // RFC 9110 §15.5.2 wants a challenge; the way in is a bearer token, at the gateway.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The answer to a change: 200 if every filter applied it, 202 if it is written but some lag.
pub struct Changed<T> {
    body: T,
    is_complete: bool,
}

impl<T> Changed<T> {
    /// The answer `body` to `change`.
    pub fn new(change: &Change, body: T) -> Self {
        Self { body, is_complete: change.is_complete() }
    }
}

impl<T: Serialize> IntoResponse for Changed<T> {
    fn into_response(self) -> Response {
        let status = if self.is_complete { StatusCode::OK } else { StatusCode::ACCEPTED };
        (status, Json(self.body)).into_response()
    }
}

/// How a change took effect.
#[derive(Debug, Serialize, ToSchema)]
pub struct Effect {
    /// The feed's version of the change, comparable within `epoch`.
    pub version: u64,
    /// The numbering to which `version` belongs.
    pub epoch: String,
    /// Filter workers that count.
    pub workers: usize,
    /// Those that have applied the change.
    pub acknowledged: usize,
    /// Those that joined after the change was written: they check every request until they have read it.
    pub joining: usize,
    /// Those that were silent for so long that they check every request now.
    pub fenced: usize,
    /// Who they are.
    pub fenced_workers: Vec<Straggler>,
    /// Those that have not applied it in time. They will; until then they may act on what they knew.
    pub lagging: Vec<Straggler>,
    /// How long the acknowledgement took.
    pub elapsed_ms: u64,
    /// What of the change survives a crash of Redis: `aof_always`, `aof_everysec`, `aof`, `rdb`,
    /// `memory` or `unknown`.
    pub durability: &'static str,
}

/// A filter worker that has not acknowledged a change.
#[derive(Debug, Serialize, ToSchema)]
pub struct Straggler {
    /// Its id.
    pub replica: String,
    /// Its Envoy's node id.
    pub node: String,
    /// Its number within that Envoy, from 1; 0 if nobody knows.
    pub worker: u32,
    /// The version that it has.
    pub version: u64,
}

impl From<&acknowledgement::Straggler> for Straggler {
    fn from(straggler: &acknowledgement::Straggler) -> Self {
        Self {
            replica: straggler.replica.to_string(),
            node: straggler.node.clone(),
            worker: straggler.worker,
            version: straggler.version.get(),
        }
    }
}

impl From<&Change> for Effect {
    fn from(change: &Change) -> Self {
        let acknowledgement = &change.acknowledgement;
        Self {
            version: acknowledgement.version.get(),
            epoch: acknowledgement.epoch.to_string(),
            workers: acknowledgement.workers,
            acknowledged: acknowledgement.acknowledged,
            joining: acknowledgement.joining,
            fenced: acknowledgement.fenced.len(),
            fenced_workers: acknowledgement.fenced.iter().map(Straggler::from).collect(),
            lagging: acknowledgement.lagging.iter().map(Straggler::from).collect(),
            elapsed_ms: acknowledgement.elapsed_ms,
            durability: change.durability.word(),
        }
    }
}

/// A problem document (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Problem {
    /// Always `about:blank`: the title is that of the status.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// What a program should look at. It never changes its meaning.
    code: String,
    /// What a person should read.
    detail: String,
}

/// Refusal of an admin call.
#[derive(Serialize, ToSchema)]
pub struct AdminOnly {
    /// Always `Admin access only`.
    error: String,
    /// Who asked.
    user: String,
}

/// No session has this key.
#[derive(Serialize, ToSchema)]
pub struct NoSession {
    /// Always `Session not found`.
    error: String,
    /// What was asked for.
    session_key: String,
}

/// How any call of a caller for themselves may be refused.
#[derive(utoipa::IntoResponses)]
pub enum OwnRefusals {
    /// Nobody whom the gateway vouches for.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// A caller without an address that a provider vouches for, somebody else's token, or a scope
    /// that the caller does not hold.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(Problem),
    /// Redis can't be used now. Nothing is promised.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// How any admin call may be refused.
#[derive(utoipa::IntoResponses)]
pub enum AdminRefusals {
    /// Nobody whom the gateway vouches for.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthenticated(Problem),
    /// Not an administrator, or without the scope `admin`. Calls that read admit auditors. A call for super administrators alone,
    /// or one that concerns a super administrator, answers others with a problem document, `super_admin_only`.
    #[response(status = 403)]
    Forbidden(AdminOnly),
    /// Redis can't be used now. Nothing is promised.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(Problem),
}

/// How a call with a bad value may be refused.
#[derive(utoipa::IntoResponses)]
pub enum ValueRefusals {
    /// A value is missing or wrong.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
}

/// How a call with a body may be refused.
#[derive(utoipa::IntoResponses)]
pub enum BodyRefusals {
    /// A value is missing or wrong, or the body is not the JSON that the call takes.
    #[response(status = 400, content_type = "application/problem+json")]
    Invalid(Problem),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(Problem),
    /// The body does not say that it is JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(Problem),
}
