//! Bans and lifts of an admin, acknowledged by every worker.

use anyhow::{Result, ensure};
use e2e::World;
use reqwest::Method;
use serde_json::{Value, json};

/// Bans `email` for as long as bans last by default.
pub(crate) async fn ban(world: &World, email: &str) -> Result<Value> {
    let body = json!({"user_email": email});
    let path = "/api/admin/sessions/revoke-user";
    acknowledged(world.app(Method::POST, path, &world.admin_token(), Some(&body)).await?.json_with(200)?)
}

/// Lifts the ban of `email`.
pub(crate) async fn lift(world: &World, email: &str) -> Result<Value> {
    let path = format!("/api/admin/sessions/unban/{email}");
    acknowledged(world.app(Method::DELETE, &path, &world.admin_token(), None).await?.json_with(200)?)
}

/// Nobody lags, and nobody is merely silent: a worker that checks every request has heard of nothing.
fn acknowledged(answer: Value) -> Result<Value> {
    ensure!(answer["lagging"] == json!([]) && answer["acknowledged"] == answer["workers"], "{answer}");
    Ok(answer)
}
