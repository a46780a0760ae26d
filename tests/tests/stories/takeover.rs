//! Taking over: the Redis and the environment of the gateway that Sekisho replaces. Whoever got in gets in, whoever did
//! not does not, and what stands in Redis is as the old gateway left it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::peers::oauth2_proxy::{Kept, Order, make};
use e2e::token::{Token, now};
use e2e::wire::RawRequest;
use e2e::{Plan, World, poll, story_in};
use redis::{Cmd, cmd};
use reqwest::Method;
use serde_json::{Value, json};

const WEEK_S: u64 = 604_800;
/// What everybody's requests change, as they did at the old gateway.
const ALIVE: [&str; 3] = ["active_user:", "active_user_metadata:", "active_users"];

fn the_old_gateway() -> Plan {
    Plan { policy: with_its_sessions, oauth2_proxy: true, ..Plan::default() }
}

fn with_its_sessions(policy: &mut Value) {
    policy["sessions"] = json!({"cookie": "sekisho", "oauth2_proxy": {}});
    for rule in policy["routes"].as_array_mut().into_iter().flatten() {
        if rule["name"] == "llm" {
            rule["sessions"] = "accept".into();
        }
    }
}

/// A token as the old gateway issued it, on record.
async fn issue(world: &World, email: &str, name: &str) -> Result<Token> {
    let token = world.token_of(email).claim("token_name", name);
    let (id, created_at) = (token.id().to_owned(), now() - 86_400);
    let record = json!({"token_id": id, "user_email": email, "token_name": name, "scopes": ["api:read", "api:write"],
        "created_at": created_at, "expires_at": now() + 86_400, "last_used": null});
    world.redis.set(&format!("token:info:{id}"), &record.to_string(), 86_400).await?;
    run(world, cmd("SADD").arg(format!("user:tokens:{email}")).arg(&id)).await?;
    Ok(token)
}

/// Everything else that the old gateway kept.
async fn fill(world: &World, ann: &Token, revoked: &Token) -> Result<()> {
    world.redis.set(&format!("revoked:token:{}", revoked.id()), "1", 86_400).await?;
    world.redis.set("active_user_deleted:Mallory@Example.com", &now().to_string(), WEEK_S).await?;
    let metadata = json!({"email": "ann@example.com", "created_at": now() - 600, "last_access": now() - 60,
        "expire_at": now() + 80_000, "expires_at": now() + 80_000, "session_ttl": 86_400, "session_count": 1,
        "auth_method": "jwt", "token_name": "laptop"});
    world.redis.set("active_user_metadata:ann@example.com", &metadata.to_string(), 80_000).await?;
    run(world, cmd("SADD").arg("active_user:ann@example.com").arg(ann.id())).await?;
    run(world, cmd("EXPIRE").arg("active_user:ann@example.com").arg(80_000)).await?;
    run(world, cmd("SADD").arg("active_users").arg("ann@example.com")).await?;
    run(world, cmd("SADD").arg("admin:emails").arg("boss@example.com")).await?;
    let log = json!({"cleanup_id": "cleanup_20260101_030000", "executed_at": now() - 1_000, "executed_by": "cron@system",
        "manual": false, "results": {"orphaned_jwt_token_ids_deleted": 1, "orphaned_metadata_deleted": 0,
        "empty_token_sets_deleted": 0}, "total_deleted": 1, "freed_memory": "1 KB", "duration_ms": 3, "deleted_items": []});
    world.redis.set("cleanup:log:cleanup_20260101_030000", &log.to_string(), 2_592_000).await?;
    run(world, cmd("ZADD").arg("cleanup:logs").arg(now() - 1_000).arg("cleanup_20260101_030000")).await
}

async fn run(world: &World, command: &Cmd) -> Result<()> {
    let _: redis::Value = world.redis.command(command).await?;
    Ok(())
}

/// Sessions that oauth2-proxy keeps, of each of these.
async fn sessions_of(world: &World, emails: &[&str]) -> Result<Vec<Kept>> {
    let order = |email: &&str| Order {
        fields: json!({"ca": now() - 60, "eo": now() + 3_600, "e": email, "u": "1", "n": email}),
        signed_at: now() - 60,
        ticket_of: None,
        cookie_name: "_oauth2_proxy",
        wrong_secret: false,
    };
    let (secret, orders) = (world.keys.cookies.clone(), emails.iter().map(order).collect::<Vec<_>>());
    let kept = tokio::task::spawn_blocking(move || make(&secret, &orders)).await??;
    for session in &kept {
        run(world, cmd("SET").arg(&session.key).arg(session.bytes()?).arg("EX").arg(WEEK_S)).await?;
    }
    Ok(kept)
}

/// Each key that is not ours, and what is in it.
async fn of_the_old(world: &World) -> Result<Vec<(String, Vec<u8>)>> {
    let mut keys: Vec<String> = world.redis.command(cmd("KEYS").arg("*")).await?;
    keys.retain(|key| !key.starts_with("sekisho:") && !ALIVE.iter().any(|alive| key.starts_with(alive)));
    keys.sort();
    let mut found = Vec::new();
    for key in keys {
        let bytes = world.redis.command(cmd("DUMP").arg(&key)).await?;
        found.push((key, bytes));
    }
    Ok(found)
}

/// The sidecars' environment that `sekisho import` makes of the old one.
async fn imported(world: &World) -> Result<Vec<(String, String)>> {
    let (host, port) = ("127.0.0.1", world.redis.port());
    let file = world.folder().join("old.env");
    let (jwt, cookies) = (&world.keys.jwt, &world.keys.cookies);
    std::fs::write(
        &file,
        format!(
            "JWT_SECRET={jwt}\nREDIS_HOST={host}\nREDIS_PORT={port}\nSUPER_ADMIN_EMAIL={}\nADMIN_DOMAINS=ops.example.com\n\
             CLEANUP_LOG_RETENTION_DAYS=30\nLITELLM_SHARED_KEY=sk-shared\nOAUTH2_PROXY_COOKIE_SECRET={cookies}\n",
            e2e::world::ADMIN
        ),
    )?;
    let file = file.to_str().context("a path that is not UTF-8")?;
    let output = world.a.cli(&["import", file, "--show-secrets", "--json"]).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout)?;
    let sidecar = said["sidecar"].as_object().with_context(|| format!("no environment in {said}"))?;
    Ok(sidecar.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect())
}

/// Takes Sekisho and all that it left in Redis away.
async fn never_was(world: &World) -> Result<()> {
    world.a.terminate().await?;
    world.b.terminate().await?;
    run(world, &cmd("FLUSHALL")).await
}

async fn start_on(world: &World, environment: &[(String, String)]) -> Result<()> {
    let settings: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    tokio::try_join!(world.a.start_with(&settings), world.b.start_with(&settings))?;
    Ok(())
}

fn with_cookie(kept: &Kept) -> RawRequest {
    RawRequest::new("GET", "/v1/models").header("cookie", format!("_oauth2_proxy={}", kept.cookie))
}

#[test]
fn sekisho_takes_over_from_the_old_gateway_and_leaves_what_it_finds_as_it_was() {
    story_in(the_old_gateway(), async |world| {
        never_was(world).await?;
        let ann = issue(world, "ann@example.com", "laptop").await?;
        let revoked = issue(world, "ann@example.com", "lost").await?;
        let mallory = issue(world, "mallory@example.com", "laptop").await?;
        fill(world, &ann, &revoked).await?;
        let sessions = sessions_of(world, &["ann@example.com", "mallory@example.com", "bob@example.com"]).await?;
        let [anns, mallorys, bobs] = sessions.as_slice() else { anyhow::bail!("{} sessions", sessions.len()) };
        let before = of_the_old(world).await?;
        ensure!(before.len() >= 10, "{} keys", before.len());
        start_on(world, &imported(world).await?).await?;
        // Who got in gets in, by token and in the browser; who did not does not.
        let deadline = Duration::from_secs(10);
        world.until_answered(&ann, 200, deadline).await?;
        world.until_answered(&mallory, 401, deadline).await?;
        let told = world.until_answered(&revoked, 401, deadline).await?.body;
        ensure!(told.contains("revoked"), "{told}");
        // Administrators see what the old gateway kept; of whose cookies nobody has shown yet the keys.
        let see = async |path: &str| world.app(Method::GET, path, &world.admin_token(), None).await?.json_with(200);
        let listed = see("/api/admin/sessions").await?.to_string();
        for kept in &sessions {
            ensure!(listed.contains(&format!("\"{}\"", kept.key)), "{}: {listed}", kept.key);
        }
        for (kept, status) in [(anns, 200), (bobs, 200), (mallorys, 403)] {
            poll::until("the session is worth what it was", deadline, async || {
                let answer = world.raw(&with_cookie(kept).bytes()).await?;
                ensure!(answer.status == status, "{answer:?}");
                Ok(())
            })
            .await?;
        }
        poll::until("the tokens are listed", deadline, async || {
            let tokens = see("/api/admin/tokens").await?;
            ensure!(tokens["summary"]["total"] == 3 && tokens["summary"]["revoked"] == 1, "{tokens}");
            Ok(())
        })
        .await?;
        let active = see("/api/admin/sessions/active-users").await?.to_string();
        ensure!(active.contains("ann@example.com"), "{active}");
        let logs = see("/api/admin/redis/cleanup/logs").await?.to_string();
        ensure!(logs.contains("cleanup_20260101_030000"), "{logs}");
        let bans = see("/api/admin/bans").await?.to_string();
        ensure!(bans.contains("mallory@example.com"), "{bans}");
        let admins = see("/api/admin/manage").await?.to_string();
        ensure!(admins.contains("boss@example.com"), "{admins}");
        let listed = see("/api/admin/sessions").await?.to_string();
        for email in ["ann@example.com", "bob@example.com"] {
            ensure!(listed.contains(email), "{email}: {listed}");
        }
        // Mallory's session was ended by the ban, as the old gateway meant to; the rest is as it was.
        let after = of_the_old(world).await?;
        for (key, bytes) in before.iter().filter(|(key, _)| *key != mallorys.key) {
            let now = after.iter().find(|(known, _)| known == key).map(|(_, bytes)| bytes);
            // When a token was used last is written down by both.
            ensure!(now == Some(bytes) || key.starts_with("token:info:"), "{key} is not what it was");
        }
        Ok(())
    });
}
