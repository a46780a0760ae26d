//! A ban, a revocation or a logout holds on every worker from the moment in which it is acknowledged.
//!
//! The world is split: sidecar A serves the app API, B feeds the workers. What is told to A reaches
//! them only through Redis and B.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::wire::RawRequest;
use e2e::world::Roles;
use e2e::{Answer, Plan, Shared, Token, User, World, story};
use redis::cmd;
use reqwest::Method;
use serde_json::{Value, json};

static SPLIT: Shared = Shared::in_turn(|| Plan { roles: Roles::Split, ..Plan::default() });

/// Requests that may be under way on one worker before the first of them is answered.
const AT_ONCE: u64 = 16;

/// In which time what another program writes to Redis must take effect.
const OTHERS_WRITES: Duration = Duration::from_secs(1);

#[test]
fn an_acknowledged_ban_stops_the_user_on_every_worker_and_an_unban_lets_the_same_token_in() {
    story(&SPLIT, async |world| {
        let User { email, token } = world.user();
        let request = llm(&token);
        world.everywhere(&request, |answer| answer.status == 200).await?;
        let mut open = world.connections_to_every_worker().await?;

        let banned = ban(world, json!({"user_email": email, "reason": "a story"})).await?;
        expect_acknowledged_by_all(world, &banned);
        assert_eq!(banned["user_email"], json!(email));
        assert_eq!(banned["ban_duration_seconds"], 604_800);
        assert_eq!(banned["deleted_by"], e2e::world::ADMIN);
        // The very first request of each connection after the acknowledgement.
        for connection in &mut open {
            expect_banned_for_a_week(&connection.send(&request).await?)?;
        }
        world.everywhere(&request, |answer| answer.status == 401).await?;

        let path = format!("/api/admin/sessions/unban/{email}");
        let unbanned = world.app(Method::DELETE, &path, &world.admin_token(), None).await?.json_with(200)?;
        expect_acknowledged_by_all(world, &unbanned);
        for connection in &mut open {
            assert_eq!(connection.send(&request).await?.status, 200);
        }
        world.everywhere(&request, |answer| answer.status == 200).await?;
        Ok(())
    });
}

#[test]
fn p6_a_hit_is_confirmed_once_on_each_worker_and_the_denial_is_cached() {
    story(&SPLIT, async |world| {
        let User { email, token } = world.user();
        ban(world, json!({"user_email": email})).await?;
        let before = world.checks(&[]).await?;
        world.get("/v1/models", &token).await?;
        assert_eq!(world.checks(&[]).await?, before + 1, "the hit is confirmed");
        world.everywhere(&llm(&token), |answer| answer.status == 401).await?;
        let checks = world.checks(&[]).await? - before;
        assert!(checks <= 1 + AT_ONCE * u64::from(world.envoy.workers()), "{checks} checks for one ban");
        Ok(())
    });
}

#[test]
fn a_ban_without_end_says_so_and_stays() {
    story(&SPLIT, async |world| {
        let User { email, token } = world.user();
        let banned = ban(world, json!({"user_email": email.to_uppercase(), "permanent": true})).await?;
        expect_acknowledged_by_all(world, &banned);
        let answer = world.get("/v1/models", &token).await?;
        expect_message(&answer, "Invalid or expired token: User is banned permanently")?;
        let life: i64 = world.redis.command(cmd("TTL").arg(format!("active_user_deleted:{email}"))).await?;
        assert_eq!(life, -1, "the record of a ban without end has no end");
        Ok(())
    });
}

#[test]
fn a_ban_ends_by_itself() {
    story(&SPLIT, async |world| {
        let User { email, token } = world.user();
        ban(world, json!({"user_email": email, "duration_seconds": 2})).await?;
        expect_message(
            &world.get("/v1/models", &token).await?,
            "Invalid or expired token: User is banned for 0 days 0 hours",
        )?;
        world.until_answered(&token, 200, Duration::from_secs(4)).await?;
        Ok(())
    });
}

#[test]
fn a_revoked_token_is_refused_on_every_worker_and_its_sisters_are_not() {
    story(&SPLIT, async |world| {
        let User { token, .. } = world.user();
        let (lost, kept) = (generate(world, &token).await?, generate(world, &token).await?);
        let request = llm_with(&lost.bearer);
        world.everywhere(&request, |answer| answer.status == 200).await?;
        let mut open = world.connections_to_every_worker().await?;

        let body = json!({"token_id": lost.id});
        let revoked = world.app(Method::POST, "/api/token/revoke", &token, Some(&body)).await?.json_with(200)?;
        expect_acknowledged_by_all(world, &revoked);
        for connection in &mut open {
            let message = "Invalid or expired token: Token has been revoked";
            expect_message(&connection.send(&request).await?, message)?;
        }
        world.everywhere(&request, |answer| answer.status == 401).await?;
        world.everywhere(&llm_with(&kept.bearer), |answer| answer.status == 200).await?;
        Ok(())
    });
}

#[test]
fn p9_a_ban_that_another_program_writes_takes_effect_within_a_second() {
    story(&SPLIT, async |world| {
        let User { email, token } = world.user();
        world.get("/v1/models", &token).await?.received()?;
        // The gateway that wrote such records did not fold the case of addresses.
        for (key, case) in [(email.clone(), "lower"), (email.replace("user", "User"), "mixed")] {
            let key = format!("active_user_deleted:{key}");
            world.redis.set(&key, &e2e::token::now().to_string(), 604_800).await?;
            let answer = world.until_answered(&token, 401, OTHERS_WRITES).await.context(case)?;
            expect_banned_for_a_week(&answer)?;
            world.everywhere(&llm(&token), |answer| answer.status == 401).await?;
            let _removed: u64 = world.redis.command(cmd("DEL").arg(&key)).await?;
            world.until_answered(&token, 200, OTHERS_WRITES).await.context(case)?;
        }
        Ok(())
    });
}

#[test]
fn p9_a_revocation_that_another_program_writes_takes_effect_within_a_second() {
    story(&SPLIT, async |world| {
        let User { token, .. } = world.user();
        world.get("/v1/models", &token).await?.received()?;
        world.redis.set(&format!("revoked:token:{}", token.id()), "1", 3600).await?;
        let answer = world.until_answered(&token, 401, OTHERS_WRITES).await?;
        expect_message(&answer, "Invalid or expired token: Token has been revoked")?;
        world.everywhere(&llm(&token), |answer| answer.status == 401).await?;
        Ok(())
    });
}

#[test]
fn a_logout_ends_what_was_issued_before_it_and_a_token_from_right_after_works() {
    story(&SPLIT, async |world| {
        let User { email, token } = world.user();
        let (undated, minted) = (token.clone().without("iat"), generate(world, &token).await?);
        let old = [llm(&token), llm(&undated), llm_with(&minted.bearer)];
        for request in &old {
            assert_eq!(world.raw(request).await?.status, 200);
        }
        let mut open = world.connections_to_every_worker().await?;

        let body = json!({"user_email": email});
        let path = "/api/admin/sessions/logout-user";
        let ended = world.app(Method::POST, path, &world.admin_token(), Some(&body)).await?.json_with(200)?;
        expect_acknowledged_by_all(world, &ended);
        for connection in &mut open {
            for request in &old {
                let answer = connection.send(request).await?;
                expect_message(&answer, "Invalid or expired token: Token has been revoked")?;
            }
        }
        world.everywhere(&llm(&token), |answer| answer.status == 401).await?;

        let since = ended["issued_before"].as_u64().context("no moment")?;
        let fresh = generate(world, &token.claim("iat", since)).await?;
        for connection in &mut open {
            assert_eq!(connection.send(&llm_with(&fresh.bearer)).await?.status, 200);
        }
        world.everywhere(&llm_with(&fresh.bearer), |answer| answer.status == 200).await?;
        Ok(())
    });
}

#[test]
fn the_command_line_logs_out_and_issues_a_token_that_works_at_once() {
    story(&SPLIT, async |world| {
        let User { email, token } = world.user();
        world.get("/v1/models", &token).await?.received()?;
        let output = world.a.cli(&["logout", &email, "--json"]).await?;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        expect_acknowledged_by_all(world, &serde_json::from_slice(&output.stdout)?);
        assert_eq!(world.get("/v1/models", &token).await?.status, 401);
        let issued = world.a.cli(&["token", "issue", "--email", &email]).await?;
        let bearer = format!("Bearer {}", String::from_utf8(issued.stdout)?.trim_end());
        assert_eq!(world.raw(&llm_with(&bearer)).await?.status, 200);
        Ok(())
    });
}

#[test]
fn the_command_line_bans_as_well_as_the_api() {
    story(&SPLIT, async |world| {
        let User { email, token } = world.user();
        let output = world.a.cli(&["ban", "add", &email, "--for", "1h", "--reason", "a story", "--json"]).await?;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let banned: Value = serde_json::from_slice(&output.stdout)?;
        expect_acknowledged_by_all(world, &banned);
        assert_eq!(world.get("/v1/models", &token).await?.status, 401);
        let listed = world.a.cli(&["ban", "list", "--json"]).await?;
        assert!(String::from_utf8_lossy(&listed.stdout).contains(&email), "{listed:?}");
        assert_eq!(world.a.cli(&["ban", "lift", &email]).await?.status.code(), Some(0));
        assert_eq!(world.get("/v1/models", &token).await?.status, 200);
        Ok(())
    });
}

fn llm(token: &Token) -> Vec<u8> {
    llm_with(&token.bearer())
}

fn llm_with(bearer: &str) -> Vec<u8> {
    RawRequest::new("GET", "/v1/models").header("authorization", bearer).bytes()
}

struct Minted {
    id: String,
    bearer: String,
}

async fn generate(world: &World, token: &Token) -> Result<Minted> {
    let body = json!({"token_name": "a story"});
    let minted = world.app(Method::POST, "/api/token/generate", token, Some(&body)).await?.json_with(200)?;
    let text = |name: &str| minted[name].as_str().map(str::to_owned).with_context(|| format!("no {name}: {minted}"));
    Ok(Minted { id: text("token_id")?, bearer: format!("Bearer {}", text("token")?) })
}

async fn ban(world: &World, body: Value) -> Result<Value> {
    let path = "/api/admin/sessions/revoke-user";
    world.app(Method::POST, path, &world.admin_token(), Some(&body)).await?.json_with(200)
}

/// 200, and nobody lags: one replica for each worker, and Envoy's main thread has one too.
fn expect_acknowledged_by_all(world: &World, answer: &Value) {
    let workers = answer["workers"].as_u64().unwrap_or_default();
    assert!(workers >= u64::from(world.envoy.workers()), "{answer}");
    assert_eq!(answer["acknowledged"], workers, "{answer}");
    assert_eq!(answer["lagging"], json!([]), "{answer}");
    assert_eq!(answer["durability"], "aof_everysec", "{answer}");
}

/// The whole answer of the LLM path, literally.
fn expect_message(answer: &Answer, message: &str) -> Result<()> {
    assert_eq!(answer.json_with(401)?, json!({"error": {"message": message, "type": "authentication_error"}}));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    Ok(())
}

/// What is left of a week is less than a week as soon as a second has passed.
fn expect_banned_for_a_week(answer: &Answer) -> Result<()> {
    let whole = "Invalid or expired token: User is banned for 7 days 0 hours";
    let begun = "Invalid or expired token: User is banned for 6 days 23 hours";
    let is_whole = answer.json_with(401)?["error"]["message"] == whole;
    expect_message(answer, if is_whole { whole } else { begun })
}
