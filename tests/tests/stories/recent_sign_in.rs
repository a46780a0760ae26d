//! Tokens that need a recent sign-in: they work, the window is over, they are refused; their owner signs in, and they
//! work again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::token::now;
use e2e::wire::RawRequest;
use e2e::{Plan, Token, World, poll, story_in};
use reqwest::Method;
use sekisho_protocol::{Email, Subject};
use sekisho_sidecar::domain::time::UnixSeconds;
use sekisho_sidecar::service::feed::mirror::Mirror;
use sekisho_sidecar::service::recent_sign_in::RecentSignIn;
use sekisho_sidecar::store::redis::RedisClient;
use sekisho_sidecar::store::redis::feed::RedisFeed;
use sekisho_sidecar::store::redis::recent_sign_in::RedisRecentSignIn;
use sekisho_sidecar::store::redis::tokens::RedisTokens;
use serde_json::json;

const WINDOW_S: u64 = 86_400;

/// Somebody signs in at a moment, as a session does that begins.
async fn sign_in(world: &World, email: &str, at: u64) -> Result<()> {
    let redis = RedisClient::open(&world.redis.url())?;
    let (store, tokens) = (RedisRecentSignIn::new(redis.clone()), RedisTokens::new(redis.clone()));
    let feed = Arc::new(RedisFeed::new(redis));
    let sign_ins = RecentSignIn::new(Arc::new(store), Arc::new(tokens), feed, Mirror::default(), Some(WINDOW_S));
    let subject = Subject::from(Email::parse(email)?);
    Ok(sign_ins.note(&subject, UnixSeconds(at), UnixSeconds(now())).await?)
}

/// Mints a token by the API, so that it is on record.
async fn mint(world: &World, email: &str) -> Result<Token> {
    let wish = json!({"token_name": "laptop"});
    let minted = world.app(Method::POST, "/api/token/generate", &world.token_of(email), Some(&wish)).await?;
    ensure!(minted.status == 200, "{minted:?}");
    let id = minted.json()?["token_id"].as_str().unwrap_or_default().to_owned();
    Ok(world.token_of(email).claim("jti", id))
}

async fn everywhere(world: &World, token: &Token, status: u16, told: &str) -> Result<()> {
    let request = RawRequest::new("GET", "/v1/models").header("authorization", token.bearer()).bytes();
    for (worker, mut connection) in world.connections_by_worker(1).await? {
        poll::until("every worker answers so", Duration::from_secs(30), async || {
            let answer = connection.send(&request).await?;
            ensure!(answer.status == status && answer.body.contains(told), "{worker}: {answer:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[test]
fn a_token_is_good_while_its_owner_has_signed_in_recently() {
    let policy = |policy: &mut serde_json::Value| policy["providers"][0]["recent_sign_in"] = json!(true);
    story_in(Plan { policy, ..Plan::default() }, async |world| {
        let (old, recent) = ("iris@example.com", "jane@example.com");
        sign_in(world, old, now() - WINDOW_S - 1).await?;
        sign_in(world, recent, now() - WINDOW_S + 3_600).await?;
        let (irises, janes) = (mint(world, old).await?, mint(world, recent).await?);
        everywhere(world, &irises, 200, "").await?;
        for sidecar in [&world.a, &world.b] {
            sidecar.kill().await?;
            let window = WINDOW_S.to_string();
            sidecar.start_with(&[("SEKISHO_TOKENS_RECENT_SIGN_IN_SECONDS", &window)]).await?;
        }
        everywhere(world, &irises, 401, "User must sign in again").await?;
        everywhere(world, &janes, 200, "").await?;
        sign_in(world, old, now()).await?;
        everywhere(world, &irises, 200, "").await
    });
}
