//! Tokens that need a recent sign-in: they work, the window is over, they are refused; their owner signs in, and they
//! work again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::token::now;
use e2e::wire::RawRequest;
use e2e::world::people::HOST;
use e2e::world::{People, Sidecars};
use e2e::{Browser, Plan, Token, World, poll, story_in};
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
const SETTINGS: &[(&str, &str)] = &[("SEKISHO_TOKENS_RECENT_SIGN_IN_SECONDS", "86400")];
/// A look at who has signed in, which comes every half minute, and some time for its news.
const LOOKED_AT: Duration = Duration::from_secs(45);

fn with_recent_sign_in(policy: &mut serde_json::Value) {
    policy["providers"][0]["recent_sign_in"] = json!(true);
}

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
        poll::until("every worker answers so", LOOKED_AT, async || {
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
    story_in(Plan { policy: with_recent_sign_in, ..Plan::default() }, async |world| {
        let (old, recent) = ("iris@example.com", "jane@example.com");
        sign_in(world, old, now() - WINDOW_S - 1).await?;
        sign_in(world, recent, now() - WINDOW_S + 3_600).await?;
        let (irises, janes) = (mint(world, old).await?, mint(world, recent).await?);
        everywhere(world, &irises, 200, "").await?;
        for sidecar in [&world.a, &world.b] {
            sidecar.kill().await?;
            sidecar.start_with(SETTINGS).await?;
        }
        everywhere(world, &irises, 401, "User must sign in again").await?;
        everywhere(world, &janes, 200, "").await?;
        sign_in(world, old, now()).await?;
        everywhere(world, &irises, 200, "").await
    });
}

/// A token that has been on record since before the window.
async fn on_record(world: &World, email: &str) -> Result<Token> {
    let token = world.token_of(email);
    let record = json!({"token_id": token.id(), "user_email": email, "token_name": "laptop", "scopes": ["api:read"],
        "created_at": now() - 2 * WINDOW_S, "expires_at": now() + WINDOW_S, "last_used": null});
    world.redis.set(&format!("token:info:{}", token.id()), &record.to_string(), WINDOW_S).await?;
    world.redis.command::<()>(redis::cmd("SADD").arg(format!("user:tokens:{email}")).arg(token.id())).await?;
    Ok(token)
}

#[test]
fn whose_token_is_refused_for_that_signs_in_at_the_provider_and_their_token_is_good_again() {
    let people = Some(People { settings: SETTINGS, ..People::default() });
    // The sidecars find the tokens when they start.
    let plan = Plan { people, policy: with_recent_sign_in, sidecars: Sidecars::Absent, ..Plan::default() };
    story_in(plan, async |world| {
        let (kate, liam) = ("kate@example.com", "liam@example.com");
        let (kates, liams) = (on_record(world, kate).await?, on_record(world, liam).await?);
        tokio::try_join!(world.a.start(), world.b.start())?;
        world.every_worker_has_its_snapshot().await?;
        for token in [&kates, &liams] {
            everywhere(world, token, 401, "User must sign in again").await?;
        }
        let request = RawRequest::to_host("GET", "/console/page", HOST).header("authorization", kates.bearer()).bytes();
        let refused = world.raw(&request).await?.json_with(401)?;
        assert_eq!(refused["code"], "sign_in_needed", "{refused}");
        let mut browser = Browser::new()?;
        let page = world.sign_in(&mut browser, kate).await?;
        assert_eq!(page.answer.received()?.all("x-forwarded-email"), [kate]);
        let again = poll::until("her token is good again", Duration::from_secs(5), async || {
            world.raw(&request).await?.received()
        });
        assert_eq!(again.await?.all("x-sekisho-token-id"), [kates.id()]);
        everywhere(world, &kates, 200, "").await?;
        everywhere(world, &liams, 401, "User must sign in again").await
    });
}
