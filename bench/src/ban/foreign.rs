//! Bans that another program writes to Redis: how long until they hold, by Redis's notices and without.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::wire::Connection;
use e2e::world::World;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, cmd};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::probe::Probes;
use crate::scene;
use bench::figures::{Samples, count, figure, ms};

const WRITES: usize = 50;
/// Records that a walk must find.
const RECORDS: usize = 100_000;
const RECORD: &str = "active_user_deleted:";
const ENTRIES: &str = "sekisho:{feed}:entries";
/// Records written in one round trip.
const CHUNK: usize = 10_000;
/// A walk that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// Measures.
///
/// # Errors
/// A part fails.
pub(crate) async fn run() -> Result<()> {
    let world = scene::start(1).await?;
    let mut workers = scene::connection_to_each_worker(&world).await?;
    let mut redis = scene::redis(&world).await?;
    let mut noticed = Samples::default();
    for _ in 0..WRITES {
        let (taken, connections) = write(&world, &mut redis, workers).await?;
        noticed.push(taken);
        workers = connections;
    }
    noticed.print("foreign_noticed");
    // The sidecars switch notices on when they subscribe; off from here on, only the walk finds a record.
    let _: () = cmd("CONFIG").arg(&["SET", "notify-keyspace-events", ""]).query_async(&mut redis).await?;
    let (walked, _) = write(&world, &mut redis, workers).await?;
    figure("foreign_without_notices", ms(walked), "ms");
    walk(&world, &mut redis).await
}

/// One record, until it is refused on every worker.
async fn write(
    world: &World,
    redis: &mut MultiplexedConnection,
    workers: Vec<Connection>,
) -> Result<(Duration, Vec<Connection>)> {
    let user = world.user();
    let (tell, since) = watch::channel(None);
    let probes = Probes::start(workers, &scene::request(&user.token), &since);
    sleep(Duration::from_millis(10)).await;
    let begin = Instant::now();
    let _: () = redis.set_ex(format!("{RECORD}{}", user.email), "1", 3_600).await?;
    tell.send_replace(Some(begin));
    let (workers, courses) = probes.end().await?;
    let refused = courses.iter().filter_map(|course| course.first_refused_after(begin)).max();
    Ok((refused.context("nobody was refused")? - begin, workers))
}

/// The walk over many records that nobody told of: a sidecar walks when it starts.
async fn walk(world: &World, redis: &mut MultiplexedConnection) -> Result<()> {
    world.a.kill().await?;
    world.b.kill().await?;
    for chunk in 0..RECORDS / CHUNK {
        let mut pipe = redis::pipe();
        for number in 0..CHUNK {
            pipe.set_ex(format!("{RECORD}walk{chunk}-{number}@example.com"), "1", 36_000).ignore();
        }
        let _: () = pipe.query_async(redis).await?;
    }
    let before: usize = redis.hlen(ENTRIES).await?;
    let begin = Instant::now();
    world.a.start().await?;
    while redis.hlen::<_, usize>(ENTRIES).await? < before + RECORDS {
        ensure!(begin.elapsed() < PATIENCE, "the walk does not end");
        sleep(Duration::from_millis(10)).await;
    }
    let taken = begin.elapsed();
    count("foreign_walk_records", RECORDS);
    figure("foreign_walk", ms(taken), "ms");
    Ok(())
}
