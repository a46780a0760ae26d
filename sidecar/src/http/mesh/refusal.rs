//! What a filter is told when it gets no answer: a status, and a code and a sentence for its log.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a call of a filter was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It does not know the mesh secret, or did not say it.
    Stranger,
    /// It makes no sense, or speaks another version of the protocol.
    Malformed(&'static str),
    /// There is nothing at this path, or not with this method.
    NoSuchPath,
    /// The sidecar cannot tell now.
    CannotTell(&'static str),
    /// A defect of Sekisho.
    Defect,
}

impl Refusal {
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Stranger => (StatusCode::UNAUTHORIZED, "unauthorized", "this listener is for filters of the mesh"),
            Self::Malformed(detail) => (StatusCode::BAD_REQUEST, "malformed", detail),
            Self::NoSuchPath => (StatusCode::NOT_FOUND, "no_such_path", "there is nothing at this address"),
            Self::CannotTell(detail) => (StatusCode::SERVICE_UNAVAILABLE, "cannot_tell", detail),
            Self::Defect => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "the sidecar failed; its log says more"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, detail) = self.row();
        let problem =
            json!({"title": status.canonical_reason(), "status": status.as_u16(), "code": code, "detail": detail});
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self {
            Self::Stranger => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::CannotTell(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
