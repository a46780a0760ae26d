//! Who is active is counted by every worker and every Envoy, and told by every sidecar.

use anyhow::{Context, Result, ensure};
use e2e::load::request;
use e2e::{Token, User, World, poll, story};
use reqwest::Method;
use serde_json::{Value, json};

use crate::CALM;

const REPORTED: std::time::Duration = std::time::Duration::from_secs(20);
/// Requests of each connection.
const EACH: u64 = 25;

async fn seen(world: &World, email: &str, requests: u64) -> Result<Value> {
    let path = format!("/api/admin/sessions/active-users?q={email}");
    poll::until(&format!("{requests} requests of {email} are counted"), REPORTED, async || {
        let answer = world.app(Method::GET, &path, &world.admin_token(), None).await?.json_with(200)?;
        let user = answer["active_users"].get(0).cloned().context("nobody is active")?;
        // A name is read and written a moment after the request was counted.
        ensure!(user["request_count"] == requests && user["token_name"].is_string(), "{user}");
        Ok(user)
    })
    .await
}

#[test]
fn every_request_of_every_worker_is_counted_once_and_its_user_shown_with_address_token_and_ban() {
    story(&CALM, async |world| {
        let email = world.user().email;
        let answer = world
            .app(Method::POST, "/api/token/generate", &world.token_of(&email), Some(&json!({"token_name": "laptop"})))
            .await?
            .json_with(200)?;
        let token = Token::minted(answer["token"].as_str().context("no token")?)?;
        let user = User { email, token };
        let mut connections = world.connections_to_every_worker().await?;
        for connection in &mut connections {
            for _ in 0..EACH {
                let answer = connection.send(&request("/v1/models", &user)).await?;
                ensure!(answer.status == 200, "{answer:?}");
            }
        }
        // One more asked for the token.
        let requests = EACH * u64::try_from(connections.len())? + 1;
        let seen = seen(world, &user.email, requests).await?;
        assert_eq!((&seen["auth_method"], &seen["session_count"]), (&json!("jwt"), &json!(2)), "{seen}");
        assert_eq!((&seen["address"], &seen["token_name"]), (&json!("127.0.0.1"), &json!("laptop")), "{seen}");
        assert_eq!(seen["is_banned"], false);
        let path = format!("/api/admin/tokens/{}", user.email);
        let tokens = world.app(Method::GET, &path, &world.admin_token(), None).await?.json_with(200)?;
        assert!(tokens["tokens"][0]["last_used"].as_u64().is_some(), "{tokens}");
        world.ban(&user).await?.json_with(200)?;
        let path = format!("/api/admin/sessions/active-users?q={}", user.email);
        let banned = world.app(Method::GET, &path, &world.admin_token(), None).await?.json_with(200)?;
        assert_eq!(banned["active_users"][0]["is_banned"], true, "{banned}");
        assert!(banned["banned_count"].as_u64() >= Some(1), "{banned}");
        Ok(())
    });
}
