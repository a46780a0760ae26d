//! What is read from a request, with refusals in the documented shape.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::domain::error::Failure;
use crate::domain::page::Window;
use crate::http::app::answer::Refused;

/// Whom a request is for: RFC 9113 §8.3.1 and RFC 9112 §3.2.2 let the target's authority win over `Host`. None if it names
/// two, or none.
#[must_use]
pub fn host(target: &Uri, headers: &HeaderMap) -> Option<Authority> {
    if let Some(authority) = target.authority() {
        return Some(authority.clone());
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => Authority::try_from(host.as_bytes()).ok(),
        _ => None,
    }
}

/// A JSON body that says so in its content type.
pub struct Json<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        match axum::Json::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(JsonRejection::MissingJsonContentType(_)) => Err(Failure::NotJson.into()),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Failure::TooLarge.into()),
            Err(rejection) => Err(Failure::Body(rejection.body_text()).into()),
        }
    }
}

/// The query.
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let query: Result<_, QueryRejection> = axum::extract::Query::from_request_parts(parts, state).await;
        let axum::extract::Query(query) =
            query.map_err(|rejection| Failure::invalid("query", rejection.body_text()))?;
        Ok(Self(query))
    }
}

/// The variable part of a path, percent-decoded and nothing else: `+` stays `+`, as addresses need it.
pub struct PathPart(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathPart {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let path: Result<_, PathRejection> = axum::extract::Path::from_request_parts(parts, state).await;
        let axum::extract::Path(part) = path.map_err(|rejection| Failure::invalid("path", rejection.body_text()))?;
        Ok(Self(part))
    }
}

/// Which part of a list is wanted. Without both, all of it, up to the `limit` that the answer names.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Most rows of the answer, 1 to 10,000.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// `next_cursor` of the answer before.
    cursor: Option<String>,
}

impl Paging {
    /// The part that it names.
    ///
    /// # Errors
    /// The limit is out of its bounds.
    pub fn window(self) -> Result<Window, Failure> {
        Window::choose(self.limit, self.cursor)
    }
}
