//! The same request on every worker of every Envoy, for stories that claim something about all of them.
//!
//! A connection belongs to one worker for its whole life, and each connection here carries the same
//! number of requests. So a worker's count of connections tells how many requests it served.

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;

use super::World;
use crate::Answer;
use crate::envoy::Envoy;
use crate::wire::Connection;

/// How many requests every worker must have served before a story may speak of all workers.
const REQUESTS_PER_WORKER: u64 = 1_000;
const REQUESTS_PER_CONNECTION: u64 = 50;
const CONNECTIONS_AT_ONCE: usize = 16;

impl World {
    /// Sends `request` until every worker of every Envoy has answered it at least 1,000 times, and
    /// gives the number of answers. Nobody else may open connections meanwhile.
    ///
    /// # Errors
    /// An answer is not as `expected`.
    pub async fn everywhere(&self, request: &[u8], expected: fn(&Answer) -> bool) -> Result<u64> {
        let mut sent = 0;
        for envoy in &self.envoys {
            sent += everywhere_on(envoy, request, expected).await?;
        }
        Ok(sent)
    }

    /// Open connections, `each` to every worker of every Envoy, with the name of the worker. Nobody else
    /// may open connections meanwhile.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn connections_by_worker(&self, each: usize) -> Result<Vec<(String, Connection)>> {
        let mut connections: Vec<(String, Connection)> = Vec::new();
        for envoy in &self.envoys {
            let mut room = vec![each; envoy.workers() as usize];
            let mut before = envoy.connections().await?;
            while room.iter().any(|room| *room > 0) {
                let connection = accepted(envoy).await?;
                let after = envoy.connections().await?;
                let worker = after.iter().zip(&before).position(|(after, before)| after > before);
                let worker = worker.context("a connection that no worker has counted")?;
                if room[worker] > 0 {
                    room[worker] -= 1;
                    connections.push((format!("{} worker {worker}", envoy.node()), connection));
                }
                before = after;
            }
        }
        Ok(connections)
    }

    /// Open connections, at least one to each worker of every Envoy. Nobody else may open connections
    /// meanwhile.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn connections_to_every_worker(&self) -> Result<Vec<Connection>> {
        let mut connections = Vec::new();
        for envoy in &self.envoys {
            let before = envoy.connections().await?;
            loop {
                for _ in 0..CONNECTIONS_AT_ONCE {
                    connections.push(accepted(envoy).await?);
                }
                let after = envoy.connections().await?;
                if after.iter().zip(&before).all(|(after, before)| after > before) {
                    break;
                }
            }
        }
        Ok(connections)
    }
}

async fn everywhere_on(envoy: &Envoy, request: &[u8], expected: fn(&Answer) -> bool) -> Result<u64> {
    let before = envoy.connections().await?;
    let mut sent = 0;
    loop {
        let mut batch = JoinSet::new();
        for _ in 0..CONNECTIONS_AT_ONCE {
            batch.spawn(repeat(envoy.edge(), request.to_vec(), expected));
        }
        while let Some(ended) = batch.join_next().await {
            sent += ended??;
        }
        let after = envoy.connections().await?;
        let served = |(after, before): (&u64, &u64)| (after - before) * REQUESTS_PER_CONNECTION;
        if after.iter().zip(&before).map(served).all(|requests| requests >= REQUESTS_PER_WORKER) {
            return Ok(sent);
        }
    }
}

/// A new connection that a worker has counted: it does so when it accepts it, and an answer proves that
/// it has.
async fn accepted(envoy: &Envoy) -> Result<Connection> {
    let mut connection = Connection::open(envoy.edge()).await?;
    connection.send(b"GET /public HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
    Ok(connection)
}

async fn repeat(to: std::net::SocketAddr, request: Vec<u8>, expected: fn(&Answer) -> bool) -> Result<u64> {
    let mut connection = Connection::open(to).await?;
    for _ in 0..REQUESTS_PER_CONNECTION {
        let answer = connection.send(&request).await?;
        ensure!(expected(&answer), "unexpected: {answer:?}");
    }
    Ok(REQUESTS_PER_CONNECTION)
}
