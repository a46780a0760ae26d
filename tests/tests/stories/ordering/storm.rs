//! Bans and lifts in quick succession while the answers to checks come late.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::wire::{Connection, RawRequest};
use e2e::world::Leg;
use e2e::{Plan, User, World, story_in};
use futures_util::future::try_join_all;
use serde_json::Value;
use tokio::time::Instant;

use crate::bans::{ban, lift};

/// How long it lasts.
const SPAN: Duration = Duration::from_secs(3);
/// How late checks come at most, and their answers once more.
const LAG: Duration = Duration::from_millis(30);
const USERS: usize = 5;
/// Connections of each user, so that there are some to each worker.
const CONNECTIONS_EACH: usize = 6;

/// A user's standing, as a number that grows: one step when a change is requested, one when it is
/// acknowledged. So `0, 4, 8…` admit, `2, 6, 10…` bar, and odd numbers promise nothing.
#[derive(Default)]
struct Standing(AtomicU64);

impl Standing {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn step(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What a request may be answered that was sent at one standing and answered at another.
fn is_right(sent_at: u64, answered_at: u64, status: u16) -> bool {
    match (sent_at % 4, sent_at == answered_at) {
        (0, true) => status == 200,
        (2, true) => status != 200,
        // A change was requested or acknowledged meanwhile: either answer is right.
        _ => true,
    }
}

#[test]
fn p5_in_a_storm_of_bans_and_lifts_every_acknowledgement_holds() {
    let links: &[Leg] = &[Leg::Check];
    story_in(Plan { links, ..Plan::default() }, async |world| {
        let relay = super::over_relay(world).await?;
        relay.lag(LAG);
        let users: Vec<User> = (0..USERS).map(|_| world.user()).collect();
        let rounds = try_join_all(users.iter().map(|user| storm_over(world, user))).await?;
        let checks: usize = users.iter().map(|user| relay.answers(&user.email).len()).sum();
        ensure!(rounds.iter().all(|rounds| *rounds >= 3) && checks >= USERS, "{rounds:?} rounds, {checks} checks");
        Ok(())
    });
}

/// Bans and lifts `user` for a while, with requests of theirs all along. Gives the number of rounds.
async fn storm_over(world: &World, user: &User) -> Result<u64> {
    let standing = Arc::new(Standing::default());
    let end = Instant::now() + SPAN;
    let request = RawRequest::new("GET", "/v1/models").header("authorization", user.token.bearer()).bytes();
    let senders = (0..CONNECTIONS_EACH).map(|_| send_until(end, world, &request, &standing));
    let (rounds, _) =
        tokio::try_join!(ban_and_lift_until(end, world, user, &request, &standing), try_join_all(senders))?;
    Ok(rounds)
}

async fn ban_and_lift_until(
    end: Instant,
    world: &World,
    user: &User,
    request: &[u8],
    standing: &Standing,
) -> Result<u64> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS_EACH {
        connections.push(Connection::open(world.envoy.edge()).await?);
    }
    let mut rounds = 0;
    while Instant::now() < end {
        // Nobody waits for answers in between, so checks of one ban are still under way in the next.
        for _ in 0..rounds % 3 {
            change(standing, ban(world, &user.email)).await?;
            change(standing, lift(world, &user.email)).await?;
        }
        change(standing, ban(world, &user.email)).await?;
        send_over_each(&mut connections, request, standing).await?;
        change(standing, lift(world, &user.email)).await?;
        send_over_each(&mut connections, request, standing).await?;
        rounds += 1;
    }
    Ok(rounds)
}

/// Awaits the acknowledgement of a change, with a step before and after.
async fn change(standing: &Standing, acknowledged: impl Future<Output = Result<Value>>) -> Result<()> {
    standing.step();
    acknowledged.await?;
    standing.step();
    Ok(())
}

/// The very first requests after an acknowledgement, on every worker.
async fn send_over_each(connections: &mut [Connection], request: &[u8], standing: &Standing) -> Result<()> {
    try_join_all(connections.iter_mut().map(|connection| send(connection, request, standing))).await?;
    Ok(())
}

async fn send_until(end: Instant, world: &World, request: &[u8], standing: &Standing) -> Result<()> {
    let mut connection = Connection::open(world.envoy.edge()).await?;
    while Instant::now() < end {
        send(&mut connection, request, standing).await?;
    }
    Ok(())
}

async fn send(connection: &mut Connection, request: &[u8], standing: &Standing) -> Result<()> {
    let sent_at = standing.now();
    let answer = connection.send(request).await?;
    let answered_at = standing.now();
    ensure!(is_right(sent_at, answered_at, answer.status), "sent at {sent_at}, answered at {answered_at}: {answer:?}");
    Ok(())
}
