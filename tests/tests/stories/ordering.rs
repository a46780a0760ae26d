//! Answers to checks that arrive late never win over what a worker has heard since (rules P5 and P6), and
//! nothing of a request reaches the upstream before its decision.
//!
//! A relay keeps the sidecar's answers back for as long as a story wants. A worker asks when its feed was
//! silent for longer than the staleness bound, and to confirm what its denylist says.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::check_relay::{CheckRelay, Relayed};
use e2e::link::Link;
use e2e::world::Leg;
use e2e::{Plan, Shared, User, World, poll, story};
use sekisho_protocol::check::CheckDecision;
use serde_json::json;
use tokio::sync::OnceCell;

use crate::bans::{ban, lift};

mod held;
mod storm;

use held::{Held, Sent};

/// Requests under way at Envoy, decided or not.
const ACTIVE: &str = "http.edge.downstream_rq_active";
/// In which time a worker is stale, or fresh again, or an answer is there.
const SOON: Duration = Duration::from_secs(10);

/// One worker, so that requests of different connections share what it knows.
static LATE: Shared = Shared::in_turn(|| Plan {
    workers: 1,
    links: &[Leg::Feed, Leg::Check],
    policy: |policy| {
        policy["mesh"]["staleness_ms"] = json!(1_000);
        policy["mesh"]["check_timeout_ms"] = json!(10_000);
    },
    ..Plan::default()
});

/// The relay of [`LATE`]. It stands before the first check is sent, so no connection has to change.
async fn relay_of(world: &World) -> Result<&'static CheckRelay> {
    static RELAY: OnceCell<CheckRelay> = OnceCell::const_new();
    RELAY.get_or_try_init(async || over_relay(world).await).await
}

/// Leads every check of `world` over one relay to sidecar B.
pub(crate) async fn over_relay(world: &World) -> Result<CheckRelay> {
    let relay = CheckRelay::to(world.b.ports().mesh).await?;
    world.links.check.iter().flatten().for_each(|link| link.lead_to(relay.port()));
    Ok(relay)
}

#[test]
fn p5_an_allow_from_before_a_ban_admits_nobody_once_the_worker_has_heard_of_the_ban() {
    story(&LATE, async |world| {
        let relay = relay_of(world).await?;
        let [banned, again, lifted, untouched] = [world.user(), world.user(), world.user(), world.user()];
        let held = while_stale(world, relay, async || {
            let mut held = Vec::new();
            for user in [&banned, &again, &lifted, &untouched] {
                held.push(Held::begin(world, relay, user, Sent::Whole).await?);
                until_allowed(relay, user, 1).await?;
            }
            Ok(held)
        })
        .await?;
        for user in [&banned, &again, &lifted] {
            ban(world, &user.email).await?;
        }
        lift(world, &again.email).await?;
        lift(world, &lifted.email).await?;
        ban(world, &again.email).await?;
        for (held, status) in held.into_iter().zip([503, 503, 200, 200]) {
            held.ends_with(world, relay, status).await?;
        }
        Ok(())
    });
}

#[test]
fn p5_an_allow_from_before_a_ban_admits_nobody_after_a_snapshot_of_another_epoch_either() {
    story(&LATE, async |world| {
        let relay = relay_of(world).await?;
        let user = world.user();
        let held = while_stale(world, relay, async || {
            let held = Held::begin(world, relay, &user, Sent::Whole).await?;
            until_allowed(relay, &user, 1).await?;
            Ok(held)
        })
        .await?;
        let banned = ban(world, &user.email).await?;
        let epoch = banned["epoch"].as_str().context("no epoch")?;
        // Redis loses everything; the sidecars write back what they hold, in an epoch of its own.
        world.redis.command::<()>(&redis::cmd("FLUSHALL")).await?;
        poll::until("every worker has a snapshot of another epoch", poll::START, async || {
            world.every_worker_has_its_snapshot().await?;
            let workers = world.redis.hash("sekisho:{feed}:workers").await?;
            ensure!(workers.iter().all(|(_, worker)| !worker.contains(epoch)), "{workers:?}");
            Ok(())
        })
        .await?;
        held.ends_with(world, relay, 503).await?;
        world.until_answered(&user.token, 401, SOON).await?;
        Ok(())
    });
}

#[test]
fn p5_nothing_of_a_held_request_reaches_the_upstream_and_what_is_admitted_arrives_whole() {
    story(&LATE, async |world| {
        let relay = relay_of(world).await?;
        let (good, bad) = (world.user(), world.user());
        let held = while_stale(world, relay, async || {
            let mut held = Vec::new();
            for user in [&good, &bad] {
                for sent in Sent::WITH_MORE_THAN_A_HEAD {
                    held.push(Held::begin(world, relay, user, sent).await?);
                }
                until_allowed(relay, user, Sent::WITH_MORE_THAN_A_HEAD.len()).await?;
            }
            Ok(held)
        })
        .await?;
        ban(world, &bad.email).await?;
        held.iter().try_for_each(|held| held.expect_unseen(world))?;
        for held in held {
            if held.subject == good.email {
                held.arrives_whole(relay).await?;
            } else {
                held.ends_with(world, relay, 503).await?;
            }
        }
        Ok(())
    });
}

#[test]
fn p6_while_a_hit_is_confirmed_bodies_and_messages_wait_and_then_go_nowhere() {
    story(&LATE, async |world| {
        let relay = relay_of(world).await?;
        let mut held = Vec::new();
        for sent in Sent::WITH_MORE_THAN_A_HEAD {
            let user = world.user();
            ban(world, &user.email).await?;
            held.push(Held::begin(world, relay, &user, sent).await?);
            until_answered(relay, &user, 1).await?;
        }
        held.iter().try_for_each(|held| held.expect_unseen(world))?;
        for held in held {
            held.ends_with(world, relay, 401).await?;
        }
        Ok(())
    });
}

#[test]
fn p13_a_check_survives_the_client_who_caused_it_and_answers_the_one_who_waits() {
    story(&LATE, async |world| {
        let relay = relay_of(world).await?;
        let user = world.user();
        ban(world, &user.email).await?;
        until_active(world, 0).await?;
        let first = Held::begin(world, relay, &user, Sent::Whole).await?;
        until_answered(relay, &user, 1).await?;
        let second = Held::begin(world, relay, &user, Sent::Whole).await?;
        until_active(world, 2).await?;
        drop(first);
        until_active(world, 1).await?;
        second.ends_with(world, relay, 401).await?;
        ensure!(relay.answers(&user.email).len() == 1, "the second one asked for itself");
        Ok(())
    });
}

#[test]
fn p6_fifty_requests_of_somebody_banned_at_once_cause_one_check() {
    const REQUESTS: u64 = 50;
    story(&LATE, async |world| {
        let relay = relay_of(world).await?;
        let user = world.user();
        ban(world, &user.email).await?;
        until_active(world, 0).await?;
        let mut waiting = Vec::new();
        for _ in 0..REQUESTS {
            waiting.push(Held::begin(world, relay, &user, Sent::Whole).await?);
        }
        until_active(world, REQUESTS).await?;
        for held in waiting {
            held.ends_with(world, relay, 401).await?;
        }
        ensure!(relay.answers(&user.email).len() == 1, "{:?}", relay.answers(&user.email));
        Ok(())
    });
}

/// Does `act` while the worker hears nothing and therefore asks about every request. Afterwards it has
/// heard everything again.
async fn while_stale<T>(world: &World, relay: &CheckRelay, act: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
    let probe = world.user();
    let asks = async || {
        let before = relay.answers(&probe.email).len();
        world.get("/v1/models", &probe.token).await?.received()?;
        Ok(relay.answers(&probe.email).len() > before)
    };
    let feeds = || world.links.feed.iter().flatten();
    feeds().for_each(Link::silence);
    poll::until_true("the worker is stale", SOON, asks).await?;
    let done = act().await?;
    feeds().for_each(Link::heal);
    poll::until_true("the worker is fresh", SOON, async || Ok(!asks().await?)).await?;
    Ok(done)
}

/// Waits until the sidecar has answered `count` checks about `user`.
async fn until_answered(relay: &CheckRelay, user: &User, count: usize) -> Result<()> {
    poll::until_true("the sidecar has answered", SOON, async || Ok(relay.answers(&user.email).len() == count)).await
}

/// The same, with nothing but *allow*.
async fn until_allowed(relay: &CheckRelay, user: &User, count: usize) -> Result<()> {
    until_answered(relay, user, count).await?;
    let allows = |relayed: &Relayed| relayed.reply.as_ref().is_some_and(|r| r.decision == CheckDecision::Allow);
    let answers = relay.answers(&user.email);
    ensure!(answers.iter().all(allows), "{answers:?}");
    Ok(())
}

/// Waits until so many requests are under way.
async fn until_active(world: &World, count: u64) -> Result<()> {
    poll::until("so many requests are under way", SOON, async || {
        let active = world.envoy.stat(ACTIVE).await?;
        ensure!(active == count, "{active} instead of {count}");
        Ok(())
    })
    .await
}
