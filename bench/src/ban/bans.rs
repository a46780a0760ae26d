//! Bans, one after the other, while others' requests go on: how long until a ban is acknowledged, and
//! whether anybody is admitted afterwards.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::Token;
use e2e::wire::Connection;
use e2e::world::World;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::load::Stream;
use crate::probe::Probes;
use crate::scene;
use bench::figures::{Samples, count, target, target_ms};

const BANS: usize = 500;
/// Requests of others in a second.
const OTHERS: u32 = 1_000;
/// So long the banned user's requests run before the ban.
const WARM_UP: Duration = Duration::from_millis(10);
/// No ban may take longer than this to be acknowledged, to be refused, or to stop the last request.
const LIMIT_MS: f64 = 10.0;

#[derive(Default)]
struct Figures {
    acknowledged: Samples,
    refused: Samples,
    last_admitted: Samples,
    admitted_after: usize,
}

/// Measures.
///
/// # Errors
/// A part fails.
pub(crate) async fn run() -> Result<()> {
    let world = scene::start(2).await?;
    let mut workers = scene::connection_to_each_worker(&world).await?;
    let mut admin = Connection::open(world.envoy.edge()).await?;
    let token = world.admin_token();
    let others = scene::requests_of_others(&world, 100);
    let before = scene::checks(&world).await?;
    let stream = Stream::start(&scene::listeners(&world), OTHERS, others).await?;
    let mut figures = Figures::default();
    for _ in 0..BANS {
        workers = ban(&world, workers, &mut admin, &token, &mut figures).await?;
    }
    let others = stream.stop().await?;
    let after = scene::checks(&world).await?;
    ensure!(after.denied > before.denied, "the sidecars count no checks: {after:?}");
    figures.acknowledged.print("ban_acknowledged");
    figures.refused.print("ban_refused_after_ack");
    figures.last_admitted.print("ban_last_admitted");
    others.delays.print("ban_others_delay");
    count("ban_others_sent", others.sent);
    target_ms("ban_acknowledged_p99", figures.acknowledged.percentile_ms(99), LIMIT_MS);
    target_ms("ban_refused_after_ack_p99", figures.refused.percentile_ms(99), LIMIT_MS);
    target_ms("ban_last_admitted_p99", figures.last_admitted.percentile_ms(99), LIMIT_MS);
    target("admitted_after_ack", figures.admitted_after as u64, 0);
    target("others_refused", others.refused, 0);
    target("others_checks", after.others - before.others, 0);
    Ok(())
}

async fn ban(
    world: &World,
    workers: Vec<Connection>,
    admin: &mut Connection,
    token: &Token,
    figures: &mut Figures,
) -> Result<Vec<Connection>> {
    let user = world.user();
    let (tell, since) = watch::channel(None);
    let probes = Probes::start(workers, &scene::request(&user.token), &since);
    sleep(WARM_UP).await;
    let begin = Instant::now();
    let answer = admin.send(&scene::ban(token, &user)).await?;
    let acknowledged = Instant::now();
    tell.send_replace(Some(acknowledged));
    ensure!(answer.status == 200, "the ban was not acknowledged by all: {answer:?}");
    let (workers, courses) = probes.end().await?;
    let refused = courses.iter().filter_map(|course| course.first_refused_after(acknowledged)).max();
    let admitted = courses.iter().filter_map(crate::probe::Course::last_admitted).max();
    figures.acknowledged.push(acknowledged - begin);
    figures.refused.push(refused.context("nobody was refused")? - acknowledged);
    figures.last_admitted.push(admitted.context("nobody was admitted before")?.saturating_duration_since(begin));
    figures.admitted_after += courses.iter().map(|course| course.admitted_after(acknowledged)).sum::<usize>();
    Ok(workers)
}
