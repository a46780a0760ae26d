//! What each part says and does when another is away (architecture §6).
//!
//! Beside the ordinary route stands `/available`, whose operator chose `on_unavailable: allow`.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::poll;
use e2e::token::assertion;
use e2e::wire::RawRequest;
use e2e::world::Sidecars;
use e2e::world::plan::with_available_route;
use e2e::{Answer, Plan, Token, User, World, story_in};
use reqwest::Method;
use sekisho_protocol::identity::APP_AUDIENCE;
use sekisho_protocol::keys::app_identity_key;
use serde_json::json;

/// The staleness bound that users run.
const STALENESS: Duration = Duration::from_secs(3);
/// In which time a worker has noticed that it is stale.
const NOTICED: Duration = Duration::from_secs(8);
/// In which time everything is as before once what was away is back.
const RECOVERED: Duration = Duration::from_secs(15);

fn plan(sidecars: Sidecars) -> Plan {
    Plan { sidecars, policy: with_available_route, ..Plan::default() }
}

#[test]
fn p4_without_redis_the_route_decides_and_a_ban_still_holds() {
    story_in(plan(Sidecars::Running), async |world| {
        let (good, banned, unseen) = (world.user(), world.user(), world.user());
        for user in [&banned, &unseen] {
            let path = "/api/admin/sessions/revoke-user";
            let body = json!({"user_email": user.email});
            world.app(Method::POST, path, &world.admin_token(), Some(&body)).await?.json_with(200)?;
        }
        assert_eq!(world.get("/v1/models", &banned.token).await?.status, 401);
        assert_eq!(world.get("/available/x", &good.token).await?.status, 200);

        world.redis.stop().await?;
        expect_unavailable_but_where_allowed(world, &good.token).await?;
        for path in ["/v1/models", "/available/x"] {
            // Nobody can confirm the hit, and that is no reason to let it pass (rule P6).
            expect_barred(&world.get(path, &banned.token).await?)?;
            expect_barred(&world.get(path, &unseen.token).await?)?;
        }
        expect_each_part_to_say_so(world).await?;

        world.redis.resume().await?;
        world.until_answered(&good.token, 200, RECOVERED).await?;
        world.until_answered(&banned.token, 401, RECOVERED).await?;
        assert_eq!(world.get("/available/x", &unseen.token).await?.status, 401);
        poll::until_true(
            "sidecar A is ready again",
            RECOVERED,
            async || Ok(world.a.ops("/readyz").await?.status == 200),
        )
        .await
    });
}

/// With Redis away: the ops listener, the app API and the command line.
async fn expect_each_part_to_say_so(world: &World) -> Result<()> {
    assert_eq!(world.a.ops("/healthz").await?.status, 200, "the process itself is well");
    let ready = world.a.ops("/readyz").await?.json_with(503)?;
    assert_eq!(ready["ready"], false, "{ready}");
    let failed: Vec<_> =
        ready["checks"].as_array().into_iter().flatten().filter(|check| check["ok"] == false).collect();
    assert!(failed.iter().any(|check| check.to_string().to_lowercase().contains("redis")), "{ready}");

    let key = app_identity_key(world.keys.mesh.as_bytes());
    let admin = assertion(&key, APP_AUDIENCE, e2e::world::ADMIN, &["admin", "api:write"]);
    let headers = [("x-sekisho-identity", admin.as_str())];
    for (path, body) in [
        ("/api/admin/sessions/revoke-user", json!({"user_email": "ann@example.com"})),
        ("/api/token/generate", json!({"token_name": "x"})),
    ] {
        let answer = world.a.app(Method::POST, path, &headers, Some(&body)).await?;
        let problem = answer.json_with(503)?;
        assert_eq!(problem["code"], "unavailable", "{problem}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }

    let output = world.a.cli(&["ban", "add", "ann@example.com"]).await?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said.to_lowercase().contains("redis"), "{said}");
    let doctor = world.a.cli(&["doctor"]).await?;
    assert_eq!(doctor.status.code(), Some(3), "{doctor:?}");
    Ok(())
}

#[test]
fn one_sidecar_is_enough_and_without_any_the_route_decides() {
    story_in(plan(Sidecars::Running), async |world| {
        let (good, banned) = (world.user(), world.user());
        world.a.kill().await?;
        let served = async || {
            let answer = world.get("/v1/models", &good.token).await?;
            ensure!(answer.status == 200, "{answer:?}");
            Ok(())
        };
        // Longer than the staleness bound: the workers' polls have found the other sidecar.
        poll::throughout(2 * STALENESS, served).await?;
        world.ban_until_acknowledged(&world.b, &banned).await?;
        world.until_answered(&banned.token, 401, Duration::from_secs(2)).await?;

        world.b.kill().await?;
        expect_unavailable_but_where_allowed(world, &good.token).await?;
        expect_barred(&world.get("/available/x", &banned.token).await?)?;

        tokio::try_join!(world.a.start(), world.b.start())?;
        world.until_answered(&good.token, 200, RECOVERED).await?;
        expect_barred(&world.get("/v1/models", &banned.token).await?)
    });
}

#[test]
fn a_sidecar_that_shuts_down_is_not_missed() {
    story_in(plan(Sidecars::Running), async |world| {
        let User { token, .. } = world.user();
        world.a.terminate().await?;
        poll::throughout(2 * STALENESS, async || {
            let answer = world.get("/v1/models", &token).await?;
            ensure!(answer.status == 200, "{answer:?}");
            Ok(())
        })
        .await
    });
}

#[test]
fn before_the_first_snapshot_the_filter_is_as_if_stale() {
    story_in(plan(Sidecars::Absent), async |world| {
        let (good, banned) = (world.user(), world.user());
        expect_unavailable_but_where_allowed(world, &good.token).await?;
        let forged = good.token.clone().signed_with("a secret that the forger made up, long enough");
        assert_eq!(world.get("/v1/models", &forged).await?.status, 401, "that needs no sidecar");
        assert_eq!(world.get("/available/x", &forged).await?.status, 401, "allow is not for everybody");

        let record = format!("active_user_deleted:{}", banned.email);
        world.redis.set(&record, &e2e::token::now().to_string(), 604_800).await?;
        tokio::try_join!(world.a.start(), world.b.start())?;
        world.until_answered(&good.token, 200, RECOVERED).await?;
        world.until_answered(&banned.token, 401, RECOVERED).await?;
        world.every_worker_has_its_snapshot().await?;
        assert_eq!(world.get("/available/x", &banned.token).await?.status, 401);
        Ok(())
    });
}

/// `deny` answers 503 in the words of an inability, `allow` lets pass, public routes stay open.
async fn expect_unavailable_but_where_allowed(world: &World, token: &Token) -> Result<()> {
    let answer = world.until_answered(token, 503, NOTICED).await?;
    let message = "The request cannot be checked right now. Try again shortly";
    assert_eq!(answer.json()?, json!({"error": {"message": message, "type": "service_unavailable"}}));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(answer.header("www-authenticate"), None, "an inability is no refusal");
    for _ in 0..16 {
        // Over connections of their own, so that each worker is asked.
        let request = |path: &str| RawRequest::new("GET", path).header("authorization", token.bearer()).bytes();
        poll::until_true("every worker says so", NOTICED, async || {
            Ok(world.raw(&request("/v1/models")).await?.status == 503)
        })
        .await?;
        let received = world.raw(&request("/available/x")).await?.received()?;
        assert!(received.one("x-sekisho-identity").is_some(), "the token was verified all the same");
        assert_eq!(world.raw(&request("/public/page")).await?.status, 200);
    }
    Ok(())
}

/// Refused: with the reason if it was confirmed once, else as an inability. Never let in.
fn expect_barred(answer: &Answer) -> Result<()> {
    ensure!(matches!(answer.status, 401 | 503), "let in: {answer:?}");
    Ok(())
}
