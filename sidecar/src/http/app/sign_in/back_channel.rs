//! `POST /oauth2/backchannel_logout`: the identity provider tells of a logout (OpenID Connect Back-Channel Logout 1.0 §2.5).
//! It has no credential but the token's signature, and needs to reach one host only.

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use crate::domain::error::Failure;
use crate::http::app::Api;
use crate::http::app::answer::Refused;
use crate::service::sign_in::back_channel::NotLoggedOut;

#[derive(Deserialize)]
pub(super) struct Logout {
    logout_token: String,
}

pub(super) async fn log_out(State(api): State<Api>, form: Result<Form<Logout>, FormRejection>) -> Response {
    let Some(sign_in) = api.sign_in else { return Refused(Failure::NoSuchPath).into_response() };
    let Ok(Form(Logout { logout_token })) = form else { return invalid("the form has no `logout_token`") };
    match sign_in.log_out(&logout_token).await {
        Ok(count) => {
            tracing::info!(count, "sessions were ended since the identity provider told of a logout");
            StatusCode::OK.into_response()
        }
        Err(NotLoggedOut::Invalid(why)) => {
            tracing::warn!(why, "a logout that somebody told of in the identity provider's name was refused");
            invalid("the logout token is not valid")
        }
        Err(NotLoggedOut::Failed(failure)) => Refused(failure).into_response(),
    }
}

/// §2.8.
fn invalid(why: &str) -> Response {
    let mut response =
        (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_request", "error_description": why}))).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
