//! A million live entries: what they take in a worker's memory, how long their snapshot takes, whom it
//! delays meanwhile, and whether anybody is refused or checked who is not among them.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::Token;
use e2e::wire::Connection;
use e2e::world::World;
use redis::aio::MultiplexedConnection;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::load::{Passed, Stream};
use crate::scene;
use bench::figures::{count, figure, ms, target, target_ms};
use bench::million;

/// Requests of somebody uninvolved in a second.
const OTHERS: u32 = 500;
/// How long they are watched before.
const BASELINE: Duration = Duration::from_secs(15);
/// How long they are watched after the last worker holds the snapshot: it is swept then.
const AFTERWARDS: Duration = Duration::from_secs(3);
/// Each looks up a subject and a token.
const REQUESTS: u64 = 500_000;
/// Connections over which they go.
const LANES: u64 = 16;
/// A snapshot that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(180);

const LIMIT_BYTES: u64 = 24 * 1024 * 1024;
/// So much longer than before may the slowest request take while the snapshot is read.
const LIMIT_DELAY_MS: f64 = 20.0;

/// Measures.
///
/// # Errors
/// A part fails.
pub(crate) async fn run() -> Result<()> {
    let world = scene::start(1).await?;
    let mut redis = scene::redis(&world).await?;
    let version = million::file(&mut redis).await?;
    let memory = memory_bytes(&scene::registry(&world).await?);
    ensure!(memory > 0, "no worker says how much memory it uses");
    let before = baseline(&world).await?;
    let during = load(&world, &mut redis, version).await?;
    // A worker says how much it uses with its next poll.
    sleep(Duration::from_secs(2)).await;
    let added = memory_bytes(&scene::registry(&world).await?).saturating_sub(memory);
    count("million_memory_before_bytes", memory);
    before.delays.print("million_delay_before");
    during.delays.print("million_delay_loading");
    target("memory_million_bytes", added, LIMIT_BYTES);
    target_ms("million_added_delay", during.delays.max_ms() - before.delays.max_ms(), LIMIT_DELAY_MS);
    target("million_refused_meanwhile", before.refused + during.refused, 0);
    look_up(&world).await
}

async fn stream_of_one(world: &World) -> Result<Stream> {
    Stream::start(&scene::listeners(world), OTHERS, scene::requests_of_others(world, 1)).await
}

async fn baseline(world: &World) -> Result<Passed> {
    let stream = stream_of_one(world).await?;
    sleep(BASELINE).await;
    stream.stop().await
}

/// Waits until both sidecars, then every worker hold the entries; meanwhile somebody's requests go on.
async fn load(world: &World, redis: &mut MultiplexedConnection, version: u64) -> Result<Passed> {
    let stream = stream_of_one(world).await?;
    let begin = Instant::now();
    million::publish(redis, version).await?;
    let (mut sidecar, mut workers) = (None, None);
    while workers.is_none() {
        ensure!(begin.elapsed() < PATIENCE, "not everybody loads the entries");
        if sidecar.is_none() && version_of_sidecar(world).await? >= version {
            sidecar = Some(begin.elapsed());
        }
        let rows = scene::registry(world).await?;
        if rows.iter().all(|row| number(row, "version") >= version) {
            workers = Some(begin.elapsed());
        }
        sleep(Duration::from_millis(20)).await;
    }
    figure("million_sidecar_loaded", sidecar.map_or(0.0, ms), "ms");
    figure("million_every_worker_holds", workers.map_or(0.0, ms), "ms");
    sleep(AFTERWARDS).await;
    stream.stop().await
}

async fn version_of_sidecar(world: &World) -> Result<u64> {
    let metrics = world.a.ops("/metrics").await?.body;
    let version = metrics.lines().find_map(|line| line.strip_prefix("sekisho_feed_version "));
    Ok(version.and_then(|version| version.parse().ok()).unwrap_or_default())
}

/// The most that a VM uses.
fn memory_bytes(rows: &[Value]) -> u64 {
    rows.iter().map(|row| number(row, "memory_bytes")).max().unwrap_or_default()
}

fn number(row: &Value, name: &str) -> u64 {
    row.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// Requests of as many different people with as many different tokens, none of them barred.
async fn look_up(world: &World) -> Result<()> {
    let before = scene::checks(world).await?;
    let begin = Instant::now();
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let connection = Connection::open(world.envoy.edge()).await?;
        lanes.spawn(ask(connection, world.keys.jwt.clone(), lane));
    }
    let mut refused = 0;
    while let Some(lane) = lanes.join_next().await {
        refused += lane??;
    }
    figure("million_requests_per_second", REQUESTS as f64 / begin.elapsed().as_secs_f64(), "1/s");
    count("million_look_ups", REQUESTS * 2);
    target("false_refusals", refused, 0);
    target("false_checks", scene::checks(world).await?.others - before.others, 0);
    Ok(())
}

async fn ask(mut connection: Connection, key: String, lane: u64) -> Result<u64> {
    let mut refused = 0;
    for number in (lane..REQUESTS).step_by(LANES as usize) {
        let token = Token::new(&key, &format!("innocent-{number}"), &format!("innocent{number}@example.com"));
        let answer = connection.send(&scene::request(&token)).await?;
        refused += u64::from(answer.status != 200);
    }
    Ok(refused)
}
