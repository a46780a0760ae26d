//! Redis crashes, stands still, is slow, or loses what it held.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::link::Link;
use e2e::world::Leg;
use e2e::world::plan::with_available_route;
use e2e::{Plan, World, story_in};
use redis::cmd;

use crate::crowd::Crowd;
use crate::{ALLOW, until_unavailable};

/// Twice as long as a sidecar waits for an answer of Redis.
const SLOW: Duration = Duration::from_secs(2);

fn linked() -> Plan {
    Plan { links: &[Leg::Redis], ..Plan::default() }
}

/// While `trouble` comes and goes, and after it, nobody who is banned gets in; and bans work again.
fn no_ban_is_lost_by(plan: Plan, trouble: impl AsyncFnOnce(&World, &Crowd) -> Result<()>) {
    story_in(plan, async |world| {
        let mut crowd = Crowd::gather(world).await?;
        crowd.ban_another(world, &world.b).await?;
        trouble(world, &crowd).await?;
        crowd.see_everything_as_before(world).await?;
        crowd.ban_another(world, &world.a).await?;
        crowd.see_everything_as_before(world).await?;
        crowd.leave().await
    });
}

#[test]
fn p2_a_redis_that_crashes_and_comes_back_with_its_data_lets_nobody_in() {
    no_ban_is_lost_by(Plan::default(), async |world, crowd| {
        world.redis.kill().await?;
        until_unavailable(world, &crowd.good).await?;
        world.redis.resume().await
    });
}

#[test]
fn p4_a_redis_that_stands_still_lets_nobody_in() {
    no_ban_is_lost_by(Plan::default(), async |world, crowd| {
        world.redis.pause().await?;
        until_unavailable(world, &crowd.good).await?;
        world.redis.go_on().await
    });
}

#[test]
fn p2_what_a_redis_forgets_at_once_the_sidecars_write_back() {
    no_ban_is_lost_by(Plan::default(), async |world, _| {
        world.redis.kill().await?;
        world.redis.resume_without_data().await
    });
}

#[test]
fn p2_what_a_redis_forgets_while_workers_are_stale_the_sidecars_write_back() {
    no_ban_is_lost_by(Plan::default(), async |world, crowd| {
        world.redis.kill().await?;
        until_unavailable(world, &crowd.good).await?;
        world.redis.resume_without_data().await
    });
}

#[test]
fn p2_what_somebody_flushes_the_sidecars_write_back() {
    no_ban_is_lost_by(Plan::default(), async |world, _| world.redis.command(&cmd("FLUSHALL")).await);
}

#[test]
fn p2_a_replica_that_lags_is_promoted_and_no_ban_is_lost_with_the_old_master() {
    story_in(linked(), async |world| {
        let replication = Link::to(world.redis.port()).await?;
        let replica = world.redis.start_replica(replication.port()).await?;
        replication.silence();
        // The replica hears of none of these bans.
        let mut crowd = Crowd::gather(world).await?;
        crowd.ban_another(world, &world.b).await?;
        world.redis.kill().await?;
        replica.command::<()>(cmd("REPLICAOF").arg("NO").arg("ONE")).await?;
        for link in &world.links.redis {
            link.lead_to(replica.port());
        }
        crowd.see_everything_as_before(world).await?;
        crowd.ban_another(world, &world.a).await?;
        crowd.see_everything_as_before(world).await?;
        crowd.leave().await
    });
}

#[test]
fn p4_a_redis_that_answers_after_two_seconds_is_as_if_away() {
    let plan = Plan { policy: with_available_route, ..linked() };
    no_ban_is_lost_by(plan, async |world, crowd| {
        for link in &world.links.redis {
            link.delay(Duration::ZERO, SLOW);
        }
        until_unavailable(world, &crowd.good).await?;
        ensure!(world.get(ALLOW, &crowd.good.token).await?.status == 200);
        let answer = world.ban_at(&world.a, &world.user()).await?;
        ensure!(answer.json_with(503)?["code"] == "unavailable", "{answer:?}");
        for link in &world.links.redis {
            link.heal();
        }
        Ok(())
    });
}
