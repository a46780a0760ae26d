//! The `ops` listener: health, readiness, metrics, and the log's level. No secret is needed to read;
//! the mesh secret is needed to change the level.

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower_http::timeout::TimeoutLayer;

use crate::config::Secret;
use crate::http::bearer;
use crate::logging::{LogLevel, LogLevelError};
use crate::service::feed::mirror::Mirror;
use crate::service::metrics::Metrics;
use crate::service::readiness::{Readiness, Report};

const BODY_MAX_BYTES: usize = 4 * 1024;
const TIMEOUT: Duration = Duration::from_secs(5);
/// The OpenMetrics text format, which `prometheus-client` writes.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the handlers work with.
#[derive(Clone)]
pub struct Ops {
    /// The name of this sidecar.
    pub node: String,
    /// Opens what changes something.
    pub secret: Secret,
    /// What is ready.
    pub readiness: Readiness,
    /// What was counted.
    pub metrics: Metrics,
    /// This sidecar's copy of the feed.
    pub mirror: Mirror,
    /// The log's switch.
    pub log_level: LogLevel,
}

/// The listener's routes.
pub fn router(ops: Ops) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/health", get(health))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/log-level", get(log_level).put(set_log_level))
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIMEOUT))
        .with_state(ops)
}

/// The process runs and answers. Says nothing about what it needs: see `/readyz`.
async fn healthz(State(ops): State<Ops>) -> Json<Value> {
    Json(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "node": ops.node}))
}

/// As the gateway that Sekisho replaces answered.
async fn health() -> Json<Value> {
    Json(json!({"status": "healthy"}))
}

async fn readyz(State(ops): State<Ops>) -> (StatusCode, Json<Report>) {
    let report = ops.readiness.report().await;
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report))
}

async fn metrics(State(ops): State<Ops>) -> Response {
    ([(header::CONTENT_TYPE, OPENMETRICS)], ops.metrics.text(&ops.mirror)).into_response()
}

/// The level of the log, as it is asked for and told.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Level {
    level: String,
}

async fn log_level(State(ops): State<Ops>) -> Response {
    match ops.log_level.get() {
        Ok(level) => Json(Level { level }).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal", &error.to_string()),
    }
}

async fn set_log_level(State(ops): State<Ops>, headers: HeaderMap, body: String) -> Response {
    if !bearer::carries(&headers, &ops.secret) {
        let mut refused =
            refuse(StatusCode::UNAUTHORIZED, "unauthorized", "this needs the mesh secret as a bearer token");
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return refused;
    }
    let Ok(wanted) = serde_json::from_str::<Level>(&body) else {
        return refuse(StatusCode::BAD_REQUEST, "invalid_body", r#"send {"level":"debug"}"#);
    };
    match ops.log_level.set(&wanted.level) {
        Ok(()) => {
            tracing::info!(log.level = %wanted.level, "the log level was changed");
            Json(wanted).into_response()
        }
        Err(error @ LogLevelError::Filter(_)) => refuse(StatusCode::BAD_REQUEST, "invalid_level", &error.to_string()),
        Err(error @ LogLevelError::Gone(_)) => {
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "internal", &error.to_string())
        }
    }
}

fn refuse(status: StatusCode, code: &str, detail: &str) -> Response {
    let problem =
        json!({"title": status.canonical_reason(), "status": status.as_u16(), "code": code, "detail": detail});
    (status, [(header::CONTENT_TYPE, "application/problem+json")], problem.to_string()).into_response()
}

#[cfg(test)]
mod tests;
