//! Taking over: the Redis and the files of the gateway that Sekisho replaces. Sidecars and filter run on what `sekisho import` says.
//! Whoever got in gets in, whoever did not does not, and the old gateway can read all that it kept.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::envoy::Listeners;
use e2e::token::Token;
use e2e::wire::RawRequest;
use e2e::world::{ADMIN, Sidecars};
use e2e::{Answer, Plan, World, poll, story_in};
use reqwest::Method;
use serde_json::{Value, json};

mod imported;
mod old;

use imported::{CHIEF, COOKIE};
use old::{Record, Session, Tokens};

const DEADLINE: Duration = Duration::from_secs(10);

/// A world with nothing but the rules that docs/migration.md wants: neither its sidecars nor its filter have been told of the
/// old gateway.
fn the_old_gateways() -> Plan {
    Plan { policy: with_rules, listeners: Listeners::FromFile, sidecars: Sidecars::Absent, ..Plan::default() }
}

fn with_rules(policy: &mut Value) {
    policy["providers"][0]["issuers"] = json!(["sekisho", old::ISSUER]);
    if let Some(routes) = policy["routes"].as_array_mut() {
        let proxy = json!({"name": "oauth2-proxy", "match": {"prefix": "/oauth2-proxy"}, "access": "public"});
        // The app's own rules stay first.
        routes.insert(3, proxy);
        for rule in routes.iter_mut().filter(|rule| rule["name"] == "llm") {
            rule["sessions"] = "accept".into();
        }
    }
}

/// A request that shows a session of oauth2-proxy.
fn with_cookie(path: &str, session: &Session) -> Vec<u8> {
    // As a browser does, by the name with which its key begins.
    let name = session.kept.key.rsplit_once('-').map_or(COOKIE, |(name, _)| name);
    RawRequest::new("GET", path).header("cookie", format!("{name}={}", session.kept.cookie)).bytes()
}

/// What an administrator sees.
async fn see(world: &World, path: &str) -> Result<Value> {
    as_admin(world, CHIEF, path).await?.json_with(200)
}

async fn as_admin(world: &World, email: &str, path: &str) -> Result<Answer> {
    let token = world.token_of(email).claim("scopes", ["api:read", "api:write", "admin"].map(Value::from).to_vec());
    world.app(Method::GET, path, &token, None).await
}

/// Nobody has shown a cookie yet: administrators see the keys alone.
async fn sessions_are_listed(world: &World, sessions: &[Session]) -> Result<()> {
    let listed = see(world, "/api/admin/sessions").await?.to_string();
    for Session { kept, what, .. } in sessions {
        ensure!(listed.contains(&format!("\"{}\"", kept.key)), "{what}: {listed}");
    }
    Ok(())
}

/// By token and in the browser.
async fn who_got_in_gets_in(world: &World, tokens: &Tokens, sessions: &[Session]) -> Result<()> {
    world.until_answered(&tokens.anns, 200, DEADLINE).await?;
    world.until_answered(&tokens.mallorys, 401, DEADLINE).await?;
    let told = world.until_answered(&tokens.revoked, 401, DEADLINE).await?.body;
    ensure!(told.contains("revoked"), "{told}");
    for session in sessions {
        poll::until(session.what, DEADLINE, async || {
            let answer = world.raw(&with_cookie("/v1/models", session)).await?;
            ensure!(answer.status == session.status, "{}: {answer:?}", session.what);
            Ok(())
        })
        .await?;
    }
    let [anns, ..] = sessions else { anyhow::bail!("no sessions") };
    let received = world.raw(&with_cookie("/oauth2-proxy/userinfo", anns)).await?.received()?;
    assert_eq!(received.all("cookie"), [format!("{COOKIE}={}", anns.kept.cookie)], "for oauth2-proxy");
    let received = world.raw(&with_cookie("/v1/models", anns)).await?.received()?;
    assert_eq!((received.all("cookie"), received.all("x-sekisho-method")), (vec![], vec!["oauth2_proxy"]));
    Ok(())
}

/// What stood in the old environment is in force, and nothing of the world's own.
async fn the_old_settings_hold(world: &World) -> Result<()> {
    for (email, status) in [(CHIEF, 200), ("deputy@example.com", 200), ("oli@ops.example.com", 200), (ADMIN, 403)] {
        let answer = as_admin(world, email, "/api/admin/bans").await?;
        ensure!(answer.status == status, "{email}: {answer:?}");
    }
    let admins = see(world, "/api/admin/manage").await?;
    assert_eq!(admins["domains"], json!(["ops.example.com"]), "{admins}");
    for (email, source) in
        [(CHIEF, "super_admin"), ("deputy@example.com", "environment"), ("boss@example.com", "redis")]
    {
        let listed = admins["admins"].as_array().into_iter().flatten();
        ensure!(
            listed.filter(|one| one["email"] == email && one["source"] == source).count() == 1,
            "{email}: {admins}"
        );
    }
    assert_eq!(see(world, "/api/admin/redis/cleanup/logs").await?["retention_days"], 12);
    let wish = json!({"token_name": "new"});
    let minted =
        world.app(Method::POST, "/api/token/generate", &world.token_of("bob@example.com"), Some(&wish)).await?;
    let minted = Token::minted(minted.json_with(200)?["token"].as_str().context("no token")?)?;
    assert_eq!(world.get("/v1/models", &minted).await?.status, 200, "signed with the old secret");
    Ok(())
}

/// What the old gateway kept is shown on.
async fn administrators_see_what_it_kept(world: &World) -> Result<()> {
    poll::until("the tokens are listed", DEADLINE, async || {
        let tokens = see(world, "/api/admin/tokens").await?;
        ensure!(tokens["summary"]["total"] == 4 && tokens["summary"]["revoked"] == 1, "{tokens}");
        Ok(())
    })
    .await?;
    for (path, kept) in [
        ("/api/admin/sessions/active-users", "ann@example.com"),
        ("/api/admin/redis/cleanup/logs", "cleanup_20260101_030000"),
        ("/api/admin/bans", "mallory@example.com"),
        ("/api/admin/sessions", "ann@example.com"),
        ("/api/admin/sessions", "bob@example.com"),
    ] {
        let seen = see(world, path).await?.to_string();
        ensure!(seen.contains(kept), "{kept} is not in {path}: {seen}");
    }
    Ok(())
}

/// The old gateway may come back: it finds what it kept, and can read what was written since.
async fn nothing_is_broken_for_it(world: &World, before: &[Record], gone: &Session, used: &Token) -> Result<()> {
    poll::until("the old gateway can read everything", DEADLINE, async || {
        let after = old::records(world).await?;
        for record in before.iter().filter(|record| record.key != gone.kept.key) {
            old::still_holds(record, &after)?;
        }
        for record in after.iter().filter(|record| before.iter().all(|known| known.key != record.key)) {
            old::is_readable(record)?;
        }
        ensure!(after.iter().all(|record| record.key != gone.kept.key), "its session is still there");
        // Until the first report, nothing would have been changed.
        let info: String = world.redis.command(redis::cmd("GET").arg(format!("token:info:{}", used.id()))).await?;
        ensure!(serde_json::from_str::<Value>(&info)?["last_used"].is_u64(), "{info}");
        Ok(())
    })
    .await
}

#[test]
fn sekisho_takes_over_from_the_old_gateway_by_its_files_and_leaves_what_it_finds_as_it_was() {
    story_in(the_old_gateways(), async |world| {
        let tokens = old::fill(world).await?;
        let sessions = old::sessions(world).await?;
        let before = old::records(world).await?;
        ensure!(before.len() >= 15, "{} keys", before.len());
        imported::import(world).await?.take_effect(world).await?;
        sessions_are_listed(world, &sessions).await?;
        who_got_in_gets_in(world, &tokens, &sessions).await?;
        the_old_settings_hold(world).await?;
        administrators_see_what_it_kept(world).await?;
        // Mallory's session was ended by the ban, as the old gateway meant to.
        let mallorys = sessions.iter().find(|session| session.status == 403).context("nobody is banned")?;
        nothing_is_broken_for_it(world, &before, mallorys, &tokens.anns).await
    });
}
