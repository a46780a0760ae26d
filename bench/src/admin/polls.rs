//! What ten thousand workers take that wait for news.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bench::figures::{Target, count, figure};
use bench::processes::{memory_bytes, used_ns};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Client;
use sekisho_protocol::feed::{FeedBody, FeedQuery, FeedReply};
use sekisho_protocol::{Epoch, PROTOCOL, ReplicaId, path};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::scene::{self, Scene};

const POLLS: usize = 10_000;
/// Connections, as of ten Envoys.
const CONNECTIONS: usize = 10;
/// So many workers read their snapshot at a time.
const STARTING: usize = 100;
/// So long they wait before they are looked at, and while they are.
const SETTLED: Duration = Duration::from_secs(5);
const WATCHED: Duration = Duration::from_secs(20);
/// How long a poll without news is held: as long as may be, so that most of them are at any time.
const HOLD_MS: u64 = 2_000;
const STALENESS_MS: u32 = 60_000;
const LIMIT_BYTES: f64 = 100.0 * 1_024.0 * 1_024.0;

/// Measures.
///
/// # Errors
/// A part fails.
pub(crate) async fn run() -> Result<()> {
    let scene = Scene::start_with(&[("SEKISHO_FEED_HOLD_MS", HOLD_MS.to_string())]).await?;
    let process = scene.process().await?;
    let before = memory_bytes(process)?;
    let workers: Vec<Worker> = stream::iter(workers(&scene)?)
        .map(async |mut worker: Worker| worker.poll().await.map(|()| worker))
        .buffer_unordered(STARTING)
        .try_collect()
        .await?;
    let mut waiting: JoinSet<Result<()>> = workers.into_iter().map(Worker::wait).collect();
    sleep(SETTLED).await;
    let (begin, used, answered) = (Instant::now(), used_ns(process)?, polls(&scene).await?);
    sleep(WATCHED).await;
    let seconds = begin.elapsed().as_secs_f64();
    let share = (used_ns(process)? - used) as f64 / 1e9 / seconds;
    let rate = (polls(&scene).await? - answered) as f64 / seconds;
    let after = memory_bytes(process)?;
    if let Some(ended) = waiting.try_join_next() {
        ended??;
    }
    count("idle_polls", POLLS);
    figure("idle_polls_answered", rate, "1/s");
    figure("idle_polls_cpu", share * 100.0, "% of a core");
    Target::new("idle_polls_memory", after.saturating_sub(before) as f64, LIMIT_BYTES, "bytes").print();
    Ok(())
}

/// How many polls were answered so far.
async fn polls(scene: &Scene) -> Result<u64> {
    scene.sidecar.metric("sekisho_feed_polls_total").await
}

fn workers(scene: &Scene) -> Result<Vec<Worker>> {
    let url: Arc<str> = format!("http://127.0.0.1:{}{}", scene.sidecar.ports().mesh, path::FEED).into();
    let secret = Arc::<str>::from(scene.keys.mesh.as_str());
    let envoys = (0..CONNECTIONS).map(|_| scene::envoy()).collect::<Result<Vec<_>>>()?;
    let workers = (0..POLLS).zip(envoys.iter().cycle()).map(|(number, envoy)| Worker {
        envoy: envoy.clone(),
        url: Arc::clone(&url),
        secret: Arc::clone(&secret),
        number,
        held: None,
    });
    Ok(workers.collect())
}

/// A worker of an Envoy.
struct Worker {
    envoy: Client,
    url: Arc<str>,
    secret: Arc<str>,
    number: usize,
    /// What it has of the feed.
    held: Option<(Epoch, u64)>,
}

impl Worker {
    /// Waits for news for ever.
    async fn wait(mut self) -> Result<()> {
        loop {
            self.poll().await?;
        }
    }

    async fn poll(&mut self) -> Result<()> {
        let query = FeedQuery {
            replica: ReplicaId::from_bytes((self.number as u128 + 1).to_be_bytes()),
            node: format!("envoy-{}", self.number % CONNECTIONS),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            worker: u32::try_from(self.number / CONNECTIONS)?,
            memory_bytes: 4 << 20,
            entries: 0,
            age_ms: self.held.as_ref().map(|_| 10),
            fences: true,
            staleness_ms: STALENESS_MS,
            epoch: self.held.as_ref().map(|(epoch, _)| epoch.clone()),
            since: self.held.as_ref().map_or(0, |(_, since)| *since),
            from: None,
        };
        let request = self.envoy.get(&*self.url).query(&query).bearer_auth(&self.secret);
        let answer = request.send().await.context("a poll")?;
        ensure!(answer.status() == 200, "{answer:?}");
        let reply: FeedReply = answer.json().await?;
        ensure!(reply.protocol == PROTOCOL, "{reply:?}");
        let version = match reply.body {
            FeedBody::Page { version, next, .. } => {
                ensure!(next.is_none(), "a snapshot of nothing has one page");
                version
            }
            FeedBody::Delta { version, .. } => version,
        };
        self.held = Some((reply.epoch, version));
        Ok(())
    }
}
