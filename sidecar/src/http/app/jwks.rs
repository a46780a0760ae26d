//! `/.well-known/jwks.json`: the public keys of the tokens that the API issues (RFC 7517), for whoever verifies them
//! without a filter, and of the filters' assertions, for upstreams. Nobody has to say who they are.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::domain::error::Failure;
use crate::http::app::Api;
use crate::http::app::answer::{Answer, Problem};
use crate::http::app::manners::tags::is_known;

/// A key is published long before it signs: five minutes of an older set refuse no token.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The public keys of tokens that this API issues and of the filters' identity assertions, as a JWK set (RFC 7517).
/// What is signed with HS256 has none. An assertion's `typ` is `sekisho-identity+jwt`: it is no access token.
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "keys", security(()),
    responses((status = 200, description = "The keys", body = serde_json::Value, content_type = "application/jwk-set+json"),
        (status = 304, description = "They are those of the `If-None-Match` header"),
        (status = 503, description = "Redis can't be used now", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show(State(api): State<Api>, headers: HeaderMap) -> Answer<Response> {
    let document = api.jwks.document().await?;
    let internal = |error: header::InvalidHeaderValue| Failure::Internal { cause: error.to_string() };
    let etag = HeaderValue::from_str(&document.etag).map_err(internal)?;
    let cached = [(header::CACHE_CONTROL, CACHE_CONTROL), (header::ETAG, etag)];
    if is_known(&headers, &document.etag) {
        return Ok((StatusCode::NOT_MODIFIED, cached).into_response());
    }
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"))];
    Ok((cached, json, document.body.clone()).into_response())
}
