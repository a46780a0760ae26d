//! What an operator sees: the reason of each refusal, and never a secret.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use e2e::wire::RawRequest;
use e2e::{User, World, poll, story};
use reqwest::Method;
use serde_json::{Value, json};

use crate::CALM;

mod dashboard;
mod decisions;
mod statistics;
mod watched;

#[test]
fn the_access_log_holds_the_reason_of_a_refusal() {
    story(&CALM, async |world| {
        let User { token, .. } = world.user();
        let expired = token.clone().claim("exp", e2e::token::now() - 3600);
        for (path, bearer, reason) in [
            ("/v1/log/missing", None, json!("credential_missing")),
            ("/v1/log/format", Some("Basic x".to_owned()), json!("credential_format")),
            ("/v1/log/expired", Some(expired.bearer()), json!("token_expired")),
            ("/v1/log/passed", Some(token.bearer()), Value::Null),
        ] {
            let request = RawRequest::new("GET", &format!("{path}?secret=in-the-query"));
            let request = bearer.iter().fold(request, |request, bearer| request.header("authorization", bearer));
            world.raw(&request.bytes()).await?;
            let entry = access_log_of(world, path).await?;
            assert_eq!(entry["reason"], reason, "{path}");
            // Of what passes nothing is said, since every word costs a call.
            let (decision, route) = if reason.is_null() { (None, None) } else { (Some("deny"), Some("llm")) };
            assert_eq!((entry["decision"].as_str(), entry["route"].as_str()), (decision, route), "{entry}");
        }
        Ok(())
    });
}

#[test]
fn a_ban_and_a_malformed_request_have_reasons_of_their_own() {
    story(&CALM, async |world| {
        let User { email, token } = world.user();
        let body = json!({"user_email": email});
        let path = "/api/admin/sessions/revoke-user";
        world.app(Method::POST, path, &world.admin_token(), Some(&body)).await?.json_with(200)?;
        world.get("/v1/log/banned", &token).await?;
        assert_eq!(access_log_of(world, "/v1/log/banned").await?["reason"], "user_banned");
        let twice = RawRequest::new("GET", "/v1/log/twice")
            .header("authorization", "Bearer a")
            .header("authorization", "Bearer a");
        world.raw(&twice.bytes()).await?;
        assert_eq!(access_log_of(world, "/v1/log/twice").await?["reason"], "several_credentials");
        Ok(())
    });
}

#[test]
fn no_log_holds_a_token_or_a_secret() {
    story(&CALM, async |world| {
        let User { token, .. } = world.user();
        let forged = token.clone().signed_with("a secret that the forger made up, long enough");
        for token in [&token, &forged] {
            world.get("/v1/log/quiet", token).await?;
        }
        access_log_of(world, "/v1/log/quiet").await?;
        let logs = e2e::process::logs_of(world.folder());
        for secret in
            [token.text(), forged.text(), world.keys.jwt.clone(), world.keys.mesh.clone(), world.keys.upstream.clone()]
        {
            assert!(!logs.contains(&secret), "a log holds {secret}");
        }
        Ok(())
    });
}

#[test]
fn the_ops_listener_shows_health_readiness_and_metrics() {
    story(&CALM, async |world| {
        assert_eq!(world.a.ops("/healthz").await?.status, 200);
        assert_eq!(world.a.ops("/health").await?.json_with(200)?["status"], "healthy");
        let ready = world.a.ops("/readyz").await?.json_with(200)?;
        assert_eq!(ready["ready"], true, "{ready}");
        let metrics = world.a.ops("/metrics").await?;
        assert_eq!(metrics.status, 200);
        assert!(metrics.body.contains("sekisho_"), "{}", metrics.body);
        Ok(())
    });
}

#[test]
fn the_doctor_finds_nothing_wrong_where_nothing_is() {
    story(&CALM, async |world| {
        let text = world.a.cli(&["doctor"]).await?;
        assert_eq!(text.status.code(), Some(0), "{}", String::from_utf8_lossy(&text.stdout));
        let json = world.b.cli(&["doctor", "--json"]).await?;
        assert_eq!(json.status.code(), Some(0), "{json:?}");
        serde_json::from_slice::<Value>(&json.stdout)?;
        Ok(())
    });
}

#[test]
fn the_mesh_shows_every_worker_with_its_number_memory_and_state_and_the_command_line_the_same() {
    story(&CALM, async |world| {
        let mesh = poll::until("every worker is live", Duration::from_secs(5), async || {
            let mesh = world.app(Method::GET, "/api/admin/mesh", &world.admin_token(), None).await?.json_with(200)?;
            ensure!(mesh["states"]["live"] == mesh["count"], "{mesh}");
            Ok(mesh)
        })
        .await?;
        let workers = mesh["workers"].as_array().context("no workers")?;
        assert!(workers.len() >= world.envoy.workers() as usize, "{mesh}");
        let numbers: BTreeSet<_> = workers.iter().filter_map(|worker| worker["worker"].as_u64()).collect();
        assert_eq!(numbers.len(), workers.len(), "each has a number of its own: {mesh}");
        for worker in workers {
            assert!(worker["worker"].as_u64() > Some(0) && worker["memory_bytes"].as_u64() > Some(0), "{worker}");
            assert_eq!((&worker["lag"], &worker["fences"]), (&json!(0), &json!(true)), "{worker}");
            assert!(worker["age_ms"].as_u64() <= worker["staleness_ms"].as_u64(), "{worker}");
        }
        let shown = world.b.cli(&["mesh", "--json"]).await?;
        let shown: Value = serde_json::from_slice(&shown.stdout)?;
        assert_eq!((&shown["epoch"], &shown["count"]), (&mesh["epoch"], &mesh["count"]));
        Ok(())
    });
}

/// The entry of the request to `path`, once Envoy has written it.
async fn access_log_of(world: &World, path: &str) -> Result<Value> {
    poll::until("the access log holds the request", Duration::from_secs(15), async || {
        let log = world.envoy.output().await;
        let entries = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut of_path = entries.filter(|entry| entry["path"] == path);
        match (of_path.next(), of_path.next()) {
            (Some(entry), None) => Ok(entry),
            (Some(entry), Some(_)) if path.ends_with("quiet") => Ok(entry),
            (Some(_), Some(_)) => bail!("several requests to {path}"),
            (None, _) => Err(anyhow!("no entry for {path} yet")),
        }
    })
    .await
}
