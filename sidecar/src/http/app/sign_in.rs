//! `/oauth2/…`: signing in and out in a browser, and what programs ask about who is signed in. Every browser host leads here,
//! by a rule that lets everybody in and takes sessions (`optional`): whoever has one comes with the filter's assertion.
//!
//! These are pages and redirects, no API, so its description has none of them: docs/sign-in.md has.

use axum::Router;
use axum::routing::{get, post};

use crate::http::app::Api;

mod answers;
mod back_channel;
mod callback;
mod cookies;
mod page;
mod sign_out;
mod start;
mod texts;
mod visit;
mod who;

/// The pages and what else is there.
pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/oauth2/start", get(start::start))
        .route("/oauth2/sign_in", get(start::ask))
        .route("/oauth2/callback", get(callback::finish))
        .route("/oauth2/sign_out", get(sign_out::ask).post(sign_out::sign_out))
        .route("/oauth2/signed_out", get(sign_out::done))
        .route("/oauth2/userinfo", get(who::userinfo))
        .route("/oauth2/auth", get(who::auth))
        .route("/oauth2/backchannel_logout", post(back_channel::log_out))
}
