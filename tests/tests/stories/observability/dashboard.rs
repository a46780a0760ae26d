//! The dashboard and the alerts of the documentation ask for what exists.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::components::repository;
use e2e::exposition::Exposition;
use e2e::{User, World, poll, story};
use serde_json::Value;

use super::watched::{SOON, WATCHED, cut_a_stream};

#[test]
fn every_query_of_the_dashboard_and_of_the_alerts_names_what_envoy_or_a_sidecar_tells() {
    story(&WATCHED, async |world| {
        let dashboard: Value =
            serde_json::from_str(&std::fs::read_to_string(repository().join("docs/grafana/sekisho.json"))?)?;
        let page = std::fs::read_to_string(repository().join("docs/observability.md"))?;
        let mut queries = queries_of(&dashboard)?;
        let alerts: Vec<_> = page.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
        ensure!(alerts.len() >= 5, "the alerts of the page are not found");
        queries.extend(alerts.into_iter().map(str::to_owned));
        let wanted: BTreeSet<_> = queries.iter().flat_map(|query| names_in(query)).collect();
        ensure!(wanted.len() >= 15, "the names in the queries are not found: {wanted:?}");
        make_traffic(world).await?;
        poll::until("everything is told that is asked for", SOON, async || {
            let pages = [world.envoy.exposition("").await?, world.a.exposition().await?, world.b.exposition().await?];
            let told: BTreeSet<&str> = pages.iter().flat_map(Exposition::names).collect();
            let missing: Vec<_> = wanted.iter().filter(|name| !told.contains(name.as_str())).collect();
            ensure!(missing.is_empty(), "nobody tells {missing:?}");
            Ok(())
        })
        .await
    });
}

#[test]
fn the_dashboard_is_one_that_grafana_takes() -> Result<()> {
    let dashboard: Value =
        serde_json::from_str(&std::fs::read_to_string(repository().join("docs/grafana/sekisho.json"))?)?;
    ensure!(dashboard["schemaVersion"].as_u64() >= Some(39), "the scheme of Grafana 11 or later");
    ensure!(dashboard["templating"]["list"][0]["type"] == "datasource", "a variable for the source of data");
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let ids: BTreeSet<_> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    ensure!(ids.len() == panels.len(), "each panel has an id of its own");
    for panel in panels {
        ensure!(panel["title"].is_string() && panel["gridPos"]["w"].as_u64() <= Some(24), "{panel}");
    }
    Ok(())
}

/// Some of everything that the filter counts only where it happens.
async fn make_traffic(world: &World) -> Result<()> {
    let User { token, .. } = world.user();
    let banned = world.user();
    world.ban_until_acknowledged(&world.a, &banned).await?;
    for (user, status) in [(&token, 200), (&token, 200), (&banned.token, 401)] {
        let answer = world.get("/asked/dashboard", user).await?;
        ensure!(answer.status == status, "{answer:?}");
    }
    cut_a_stream(world).await
}

fn queries_of(dashboard: &Value) -> Result<Vec<String>> {
    let panels = dashboard["panels"].as_array().context("no panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries: Vec<_> = targets.filter_map(|target| target["expr"].as_str().map(str::to_owned)).collect();
    ensure!(queries.len() >= 15, "{} queries", queries.len());
    Ok(queries)
}

/// The names of metrics in a query: all of ours and of Envoy's begin alike.
fn names_in(query: &str) -> Vec<String> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("sekisho_") || word.starts_with("envoy_")).map(str::to_owned).collect()
}
