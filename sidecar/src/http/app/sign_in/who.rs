//! What programs ask about whoever is signed in, as oauth2-proxy answers it.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use crate::domain::session::Session;
use crate::http::app::Api;
use crate::http::app::answer::Answer;
use crate::http::app::caller::SignedIn;

/// Who is signed in.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserInfo {
    /// Their address, or `issuer|sub`.
    user: String,
    email: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<String>,
}

/// `GET /oauth2/userinfo`: who is signed in, or 401.
pub(super) async fn userinfo(State(api): State<Api>, SignedIn(caller): SignedIn) -> Answer<Json<UserInfo>> {
    let session = match caller.session_id() {
        Some(id) => api.sessions.known(&id).await?,
        None => None,
    };
    let claim = |name: &str| session.as_ref().and_then(|session: &Session| session.claims.get(name));
    let groups = claim("groups").and_then(Value::as_array).into_iter().flatten();
    Ok(Json(UserInfo {
        user: caller.subject().to_string(),
        email: caller.email().ok().map(ToString::to_string),
        groups: groups.filter_map(Value::as_str).map(str::to_owned).collect(),
        preferred_username: claim("preferred_username").and_then(Value::as_str).map(str::to_owned),
    }))
}

/// `GET /oauth2/auth`: 202 if somebody is signed in, else 401, for proxies that ask about each request.
pub(super) async fn auth(SignedIn(caller): SignedIn) -> Response {
    let mut response = StatusCode::ACCEPTED.into_response();
    let told = [
        ("x-auth-request-user", Some(caller.subject().to_string())),
        ("x-auth-request-email", caller.email().ok().map(ToString::to_string)),
    ];
    for (name, value) in told {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}
