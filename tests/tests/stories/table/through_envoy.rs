//! The same through real Envoy: one listener for each table and each way of normalising paths.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use e2e::envoy::configuration::add_listener;
use e2e::upstream::Received;
use e2e::wire::Connection;
use e2e::{World, ports};

use super::alone::explained;
use super::rows::{Row, Table};
use super::{Outcome, Seen};

/// Headers that Envoy adds to every answer.
const OF_ENVOY: &[&str] =
    &["date", "server", "connection", "x-request-id", "content-length", "x-envoy-upstream-service-time"];

/// Where the listeners are, by their names.
pub(super) struct ThroughEnvoy(BTreeMap<String, SocketAddr>);

/// Adds the listeners of `tables`, each like the two of every world.
pub(super) async fn with_listeners_for(
    world: &World,
    tables: &[Table],
    [edge, bare]: [&str; 2],
) -> Result<ThroughEnvoy> {
    let mut all = BTreeMap::new();
    let mut wanted = Vec::new();
    for table in tables {
        for (like, is_edge) in [(edge, true), (bare, false)] {
            let (name, port) = (name_of(table, is_edge), ports::free()?);
            all.insert(name.clone(), SocketAddr::from(([127, 0, 0, 1], port)));
            wanted.push((like, name, port, &table.policy));
        }
    }
    let add = |listeners: &mut serde_json::Value| {
        wanted.iter().try_for_each(|(like, name, port, policy)| add_listener(listeners, like, name, *port, policy))
    };
    world.envoy.push_listeners(add).await?;
    Ok(ThroughEnvoy(all))
}

fn name_of(table: &Table, is_edge: bool) -> String {
    format!("{}-{}", table.name, if is_edge { "edge" } else { "bare" })
}

impl ThroughEnvoy {
    pub(super) async fn ask(&self, world: &World, table: &Table, row: &Row) -> Result<Outcome> {
        let to = self.0.get(&name_of(table, row.edge)).context("no listener of that name")?;
        let before = world.upstream.count();
        let mut connection = Connection::open(*to).await?;
        connection.write(&row.request()).await?;
        let mut answer = connection.head().await?;
        if row.method != "HEAD" {
            answer.body = String::from_utf8_lossy(&connection.rest().await?.0).into_owned();
        }
        // Requests are sent one by one: whatever reached the upstream meanwhile is this one.
        let reached = world.upstream.count() > before;
        let seen = world.upstream.last().filter(|_| reached).map(|received| seen(&received));
        let body = if seen.is_some() { String::new() } else { answer.body };
        let headers = answer.headers.into_iter().filter(|(name, _)| !OF_ENVOY.contains(&name.as_str()));
        let mut headers = explained(headers);
        if seen.is_some() {
            // The rest is the upstream's.
            headers.retain(|name, _| name.starts_with("x-sekisho-"));
        }
        Ok(Outcome { status: answer.status, answer: headers, body, upstream: seen })
    }
}

fn seen(received: &Received) -> Seen {
    Seen::new(&received.method, &received.path, received.headers.iter().cloned())
}
