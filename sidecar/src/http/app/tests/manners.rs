//! What all calls have in common.

use axum::http::request::Builder;

use super::*;

mod browsers;
mod idempotency;
mod patience;
mod tags;
mod throttle;

const GENERATE: &str = "/api/token/generate";

/// A POST of an ordinary user, as JSON.
fn post(path: &str) -> Builder {
    post_of(ANN, path)
}

fn post_of(who: &str, path: &str) -> Builder {
    let request = Request::post(path).header("x-sekisho-identity", assertion(who, &["api:read", "api:write"]));
    request.header(header::CONTENT_TYPE, "application/json")
}

fn with(request: Builder, body: &Value) -> Request<Body> {
    request.body(Body::from(body.to_string())).unwrap()
}

impl World {
    /// How many tokens the user has.
    async fn tokens(&self) -> u64 {
        self.user(Method::GET, "/api/token/list", None).await.body["count"].as_u64().unwrap()
    }
}
