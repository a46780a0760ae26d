//! Sidecars crash, stand still, or cannot be reached.

use anyhow::{Result, ensure};
use e2e::link::Link;
use e2e::world::Leg;
use e2e::world::operator::lagging_nodes;
use e2e::world::plan::with_available_route;
use e2e::{Plan, World, poll, story_in};

use crate::crowd::Crowd;
use crate::{ALLOW, DENY, STALENESS, until_unavailable, with_a_long_bound};

/// Every way from Envoy to the sidecars can be cut.
fn parted() -> Plan {
    Plan { links: &[Leg::Feed, Leg::Check], ..Plan::default() }
}

#[test]
fn p6_while_a_sidecar_crashes_and_comes_back_the_good_are_served_and_the_banned_are_not() {
    story_in(Plan::default(), async |world| {
        let mut crowd = Crowd::gather(world).await?;
        world.b.kill().await?;
        served_throughout(world, &crowd).await?;
        crowd.ban_another(world, &world.a).await?;
        world.b.start().await?;
        crowd.ban_another(world, &world.b).await?;
        crowd.see_everything_as_before(world).await?;
        crowd.leave().await
    });
}

#[test]
fn p4_while_a_sidecar_stands_still_the_other_one_serves_and_no_ban_is_forgotten() {
    story_in(Plan::default(), async |world| {
        let mut crowd = Crowd::gather(world).await?;
        world.b.pause().await?;
        crowd.ban_another(world, &world.a).await?;
        crowd.see_everything_as_before(world).await?;
        world.b.go_on().await?;
        crowd.ban_another(world, &world.b).await?;
        crowd.see_everything_as_before(world).await?;
        crowd.leave().await
    });
}

#[test]
fn p6_while_both_sidecars_crash_nobody_who_is_banned_gets_in() {
    story_in(Plan::default(), async |world| {
        let crowd = Crowd::gather(world).await?;
        tokio::try_join!(world.a.kill(), world.b.kill())?;
        until_unavailable(world, &crowd.good).await?;
        tokio::try_join!(world.a.start(), world.b.start())?;
        crowd.see_everything_as_before(world).await?;
        crowd.leave().await
    });
}

#[test]
fn p6_while_both_sidecars_stand_still_nobody_who_is_banned_gets_in() {
    story_in(Plan::default(), async |world| {
        let crowd = Crowd::gather(world).await?;
        tokio::try_join!(world.a.pause(), world.b.pause())?;
        until_unavailable(world, &crowd.good).await?;
        tokio::try_join!(world.a.go_on(), world.b.go_on())?;
        crowd.see_everything_as_before(world).await?;
        crowd.leave().await
    });
}

#[test]
fn p4_a_network_parted_between_envoy_and_one_sidecar_delays_no_ban_for_longer_than_the_bound() {
    story_in(parted(), async |world| {
        let mut crowd = Crowd::gather(world).await?;
        world.links.feed[0][0].silence();
        world.links.check[0][0].silence();
        // What is told to A reaches the workers by Redis and B.
        crowd.ban_another(world, &world.a).await?;
        crowd.see_everything_as_before(world).await?;
        world.links.feed[0][0].heal();
        world.links.check[0][0].heal();
        crowd.ban_another(world, &world.b).await?;
        crowd.see_everything_as_before(world).await?;
        crowd.leave().await
    });
}

#[test]
fn p7_workers_that_reach_no_sidecar_lag_until_their_bound_is_over_and_then_are_fenced() {
    story_in(Plan { policy: with_a_long_bound, ..parted() }, async |world| {
        let mut crowd = Crowd::gather(world).await?;
        let user = crowd.next()?;
        world.links.to_sidecars().for_each(Link::silence);
        let nodes = lagging_nodes(&world.ban_at(&world.a, &user).await?)?;
        assert!(nodes.iter().all(|node| node == world.envoy.node()), "{nodes:?}");
        let (_, answer) = world.ban_until_acknowledged(&world.a, &user).await?;
        crowd.is_barred(user);
        assert_eq!(answer["fenced"], answer["workers"], "{answer}");
        until_unavailable(world, &crowd.good).await?;
        world.links.to_sidecars().for_each(Link::heal);
        crowd.see_everything_as_before(world).await?;
        crowd.leave().await
    });
}

#[test]
fn p7_where_a_route_lets_pass_what_cannot_be_checked_no_silent_worker_counts_as_fenced() {
    story_in(Plan { policy: with_available_route, ..parted() }, async |world| {
        let (known, unknown) = (world.user(), world.user());
        world.ban_until_acknowledged(&world.a, &known).await?;
        world.get(ALLOW, &unknown.token).await?.received()?;
        world.links.to_sidecars().for_each(Link::close);
        until_unavailable(world, &unknown).await?;
        let answer = world.ban_at(&world.a, &unknown).await?;
        lagging_nodes(&answer)?;
        assert_eq!(answer.json()?["fenced"], 0, "{answer:?}");
        // This is what its operator chose: nobody there can have heard of the ban. The one before holds.
        poll::throughout(STALENESS, async || {
            ensure!(world.get(ALLOW, &unknown.token).await?.status == 200);
            ensure!(world.get(DENY, &unknown.token).await?.status == 503);
            ensure!(matches!(world.get(ALLOW, &known.token).await?.status, 401 | 503));
            Ok(())
        })
        .await?;
        world.links.to_sidecars().for_each(Link::heal);
        world.ban_until_acknowledged(&world.a, &unknown).await?;
        ensure!(world.get(ALLOW, &unknown.token).await?.status == 401);
        Ok(())
    });
}

/// The good one is served, for longer than the staleness bound: polls have found the other sidecar.
async fn served_throughout(world: &World, crowd: &Crowd) -> Result<()> {
    poll::throughout(2 * STALENESS, async || {
        let answer = world.get(DENY, &crowd.good.token).await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    })
    .await
}
