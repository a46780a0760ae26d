//! Clean-ups through Envoy: an administrator clears leftovers away, nobody else does, and webhooks are told of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::receiver::GENERIC;
use e2e::{Plan, Shared, World, poll, story};
use redis::cmd;
use reqwest::Method;
use serde_json::{Value, json};

const RUN: &str = "/api/admin/redis/cleanup";
const PREVIEW: &str = "/api/admin/redis/cleanup/preview";
const LOGS: &str = "/api/admin/redis/cleanup/logs";

/// Leftovers are everybody's, so stories take turns.
static WORLD: Shared = Shared::in_turn(|| Plan { webhooks: true, ..Plan::default() });

/// An id of a token that ended, in the set of somebody new; whose.
async fn leftover(world: &World, id: &str) -> Result<String> {
    let email = world.user().email;
    world.redis.command::<()>(cmd("SADD").arg(format!("user:tokens:{email}")).arg(id)).await?;
    Ok(email)
}

async fn admin(world: &World, method: Method, path: &str) -> Result<Value> {
    world.app(method, path, &world.admin_token(), None).await?.json_with(200)
}

#[test]
fn an_admin_sees_what_is_left_over_clears_it_away_and_reads_what_was_deleted() {
    story(&WORLD, async |world| {
        let email = leftover(world, "ended-1").await?;
        let preview = admin(world, Method::GET, PREVIEW).await?;
        let item = json!({"type": "orphaned_jwt_token_id", "user_email": email, "token_id": "ended-1",
                          "key": format!("user:tokens:{email}")});
        let targets = preview["targets"]["orphaned_jwt_token_ids"].as_array().context("no targets")?;
        assert!(targets.contains(&item), "{preview}");
        let run = admin(world, Method::POST, RUN).await?;
        assert_eq!((&run["executed_by"], &run["manual"]), (&json!(e2e::world::ADMIN), &json!(true)), "{run}");
        let deleted = run["deleted_items"].as_array().context("no items")?;
        assert!(deleted.iter().any(|one| one["token_id"] == "ended-1" && one["user_email"] == email.as_str()), "{run}");
        assert_eq!(admin(world, Method::GET, PREVIEW).await?["counts"]["total"], 0);
        let logs = admin(world, Method::GET, LOGS).await?;
        assert_eq!(logs["logs"][0], run);
        let cli = world.b.cli(&["cleanup", "logs", "--json"]).await?;
        assert_eq!(serde_json::from_slice::<Value>(&cli.stdout)?["logs"][0], run, "{cli:?}");
        poll::until("a webhook is told", Duration::from_secs(20), async || {
            let told = world.receiver()?.taken(GENERIC)?;
            let is_it = |body: &Value| {
                body["type"] == "cleanup.run" && body["data"]["details"]["cleanup_id"] == run["cleanup_id"]
            };
            ensure!(told.iter().any(|one| is_it(&one.body)), "{told:?}");
            Ok(())
        })
        .await
    });
}

#[test]
fn a_token_in_use_outlives_every_clean_up() {
    story(&WORLD, async |world| {
        let user = world.user();
        let body = json!({"token_name": "ci"});
        let made = world.app(Method::POST, "/api/token/generate", &user.token, Some(&body)).await?.json_with(200)?;
        let cli = world.a.cli(&["cleanup", "run"]).await?;
        ensure!(cli.status.success(), "{cli:?}");
        let listed = world.app(Method::GET, "/api/token/list", &user.token, None).await?.json_with(200)?;
        assert_eq!((&listed["count"], &listed["tokens"][0]["token_id"]), (&json!(1), &made["token_id"]));
        Ok(())
    });
}

#[test]
fn no_header_makes_anybody_the_scheduler() {
    story(&WORLD, async |world| {
        let email = leftover(world, "ended-2").await?;
        let user = world.user();
        for path in [PREVIEW, LOGS] {
            let answer = world.app(Method::GET, path, &user.token, None).await?;
            assert_eq!(answer.json_with(403)?["error"], "Admin access only");
        }
        for header in ["x-forwarded-email", "X_Forwarded_Email", "x-forwarded-user", "x-sekisho-identity"] {
            // Past all Envoys, from inside the network, and through Envoy with somebody's token.
            let answer = world.a.app(Method::POST, RUN, &[(header, "cron@system")], None).await?;
            assert_eq!(answer.status, 401, "{header}: {answer:?}");
            let request = format!(
                "POST {RUN} HTTP/1.1\r\nhost: {}\r\nauthorization: {}\r\n{header}: cron@system\r\ncontent-length: 0\r\n\r\n",
                e2e::world::APP_HOST,
                user.token.bearer()
            );
            let answer = world.raw(request.as_bytes()).await?;
            assert!(matches!(answer.status, 400 | 403), "{header}: {answer:?}");
        }
        let left: usize = world.redis.command(cmd("SCARD").arg(format!("user:tokens:{email}"))).await?;
        assert_eq!(left, 1, "nothing was deleted");
        Ok(())
    });
}
