//! The parts that are measured, and what is asked of them.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use e2e::wire::{Connection, RawRequest};
use e2e::world::{APP_HOST, World};
use e2e::{Plan, Token, User};
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};

/// Envoys, each with two workers, two sidecars, a Redis with its append-only file synced every second.
///
/// # Errors
/// A component is missing or does not become ready.
pub(crate) async fn start(envoys: usize) -> Result<World> {
    Plan { envoys, workers: 2, ..Plan::default() }.start().await
}

/// The listeners of all Envoys.
pub(crate) fn listeners(world: &World) -> Vec<SocketAddr> {
    world.envoys.iter().map(|envoy| envoy.edge()).collect()
}

/// A request with a token on the path of the language models.
pub(crate) fn request(token: &Token) -> Vec<u8> {
    RawRequest::new("GET", "/v1/models").header("authorization", token.bearer()).bytes()
}

/// Requests of so many people who have nothing to do with what is measured.
pub(crate) fn requests_of_others(world: &World, people: usize) -> Vec<Vec<u8>> {
    (0..people).map(|_| request(&world.user().token)).collect()
}

/// The admin's request that bans somebody.
pub(crate) fn ban(admin: &Token, user: &User) -> Vec<u8> {
    let body = json!({"user_email": user.email, "reason": "a measurement"}).to_string();
    let request = RawRequest::to_host("POST", "/api/admin/sessions/revoke-user", APP_HOST)
        .header("authorization", admin.bearer())
        .header("content-type", "application/json")
        .header("content-length", body.len().to_string());
    [request.bytes(), body.into_bytes()].concat()
}

/// One open connection to every worker of every Envoy. Nobody else may open connections meanwhile.
///
/// # Errors
/// Envoy does not answer.
pub(crate) async fn connection_to_each_worker(world: &World) -> Result<Vec<Connection>> {
    let mut chosen = Vec::new();
    for envoy in &world.envoys {
        let mut missing = vec![true; envoy.workers() as usize];
        while missing.contains(&true) {
            let before = envoy.connections().await?;
            let mut connection = Connection::open(envoy.edge()).await?;
            connection.send(&RawRequest::new("GET", "/public").bytes()).await?;
            let after = envoy.connections().await?;
            let taken = after.iter().zip(&before).position(|(after, before)| after > before);
            let taken = taken.and_then(|worker| missing.get_mut(worker)).context("no worker took the connection")?;
            if std::mem::take(taken) {
                chosen.push(connection);
            }
        }
    }
    Ok(chosen)
}

/// How the sidecars answered checks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Checks {
    /// With a denial: somebody who is barred.
    pub(crate) denied: u64,
    /// With anything else: somebody who should not have needed one.
    pub(crate) others: u64,
}

/// The checks that both sidecars have answered so far.
///
/// # Errors
/// A sidecar does not answer.
pub(crate) async fn checks(world: &World) -> Result<Checks> {
    let mut checks = Checks { denied: 0, others: 0 };
    for sidecar in [&world.a, &world.b] {
        let metrics = sidecar.ops("/metrics").await?.body;
        for line in metrics.lines().filter(|line| line.starts_with("sekisho_checks_total{")) {
            let count: u64 = line.rsplit(' ').next().unwrap_or_default().parse()?;
            let kind = if line.contains("deny") { &mut checks.denied } else { &mut checks.others };
            *kind += count;
        }
    }
    Ok(checks)
}

/// The rows of the registry, one for each VM.
///
/// # Errors
/// Redis is away.
pub(crate) async fn registry(world: &World) -> Result<Vec<Value>> {
    let rows = world.redis.hash("sekisho:{feed}:workers").await?;
    let rows: Vec<Value> = rows.iter().map(|(_, row)| serde_json::from_str(row)).collect::<Result<_, _>>()?;
    ensure!(!rows.is_empty(), "no worker is in the registry");
    Ok(rows)
}

/// A connection to Redis of another program.
///
/// # Errors
/// Redis is away.
pub(crate) async fn redis(world: &World) -> Result<MultiplexedConnection> {
    Ok(redis::Client::open(world.redis.url())?.get_multiplexed_async_connection().await?)
}
