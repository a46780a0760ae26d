//! Configurations and listeners that are pushed while requests flow.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::envoy::Listeners;
use e2e::link::Link;
use e2e::load::request;
use e2e::world::Leg;
use e2e::world::operator::lagging_nodes;
use e2e::world::plan::with_available_route;
use e2e::{Plan, World, poll, story_in};
use serde_json::Value;

use crate::crowd::Crowd;
use crate::{ALLOW, DENY, STALENESS, until_unavailable, with_a_long_bound};

/// For how long polls are counted: four times as long as a sidecar holds one without news.
const WHILE: Duration = Duration::from_secs(4);

fn pushed() -> Plan {
    Plan { listeners: Listeners::FromFile, ..Plan::default() }
}

#[test]
fn p7_pushes_of_policies_and_listeners_keep_every_replica_and_its_pace_and_let_nobody_in() {
    story_in(pushed(), async |world| {
        let mut crowd = Crowd::gather(world).await?;
        let (replicas, before) = (world.replicas().await?, polls_in_a_while(world).await?);
        for round in 0..2 {
            world.envoy.push_policy(|policy| set_max_checks(policy, round)).await?;
            crowd.ban_another(world, &world.a).await?;
        }
        world.envoy.push_listeners(with_another_time_out).await?;
        crowd.ban_another(world, &world.b).await?;
        let after = polls_in_a_while(world).await?;
        assert_eq!(world.replicas().await?, replicas, "other replicas are on record than before");
        assert_eq!(world.envoy.vm_reloads().await?, 0);
        ensure!(after < before + before / 2, "{before} polls before the pushes, {after} in as long a while after");
        crowd.see_everything_as_before(world).await?;
        crowd.leave().await
    });
}

#[test]
fn p7_listeners_that_drain_keep_their_replicas_and_the_bans_on_open_connections() {
    story_in(pushed(), async |world| {
        let banned = world.user();
        let mut open = world.connections_to_every_worker().await?;
        let replicas = world.replicas().await?;
        world.envoy.order("/drain_listeners?graceful&skip_exit").await?;
        world.ban_until_acknowledged(&world.a, &banned).await?;
        poll::throughout(STALENESS, async || {
            assert_eq!(world.replicas().await?, replicas, "other replicas are on record than before");
            Ok(())
        })
        .await?;
        for connection in &mut open {
            // A draining listener may close a connection with its answer, or before the next request.
            let Ok(answer) = connection.send(&request(DENY, &banned)).await else { continue };
            ensure!(answer.status == 401, "{answer:?}");
        }
        Ok(())
    });
}

/// The policy that lets requests pass is loaded at once, but the sidecars still count on the old one.
#[test]
fn p7_a_push_that_weakens_a_promise_while_nobody_hears_of_it_does_not_void_it() {
    let plan = Plan { links: &[Leg::Feed, Leg::Check], policy: with_a_long_bound, ..pushed() };
    story_in(plan, async |world| {
        let mut crowd = Crowd::gather(world).await?;
        world.links.to_sidecars().for_each(Link::silence);
        world.envoy.push_policy(with_available_route).await?;
        let user = crowd.next()?;
        lagging_nodes(&world.ban_at(&world.a, &user).await?)?;
        let (_, answer) = world.ban_until_acknowledged(&world.a, &user).await?;
        assert_eq!(answer["fenced"], answer["workers"], "{answer}");
        until_unavailable(world, &crowd.good).await?;
        for user in [&user, &crowd.good] {
            let answer = world.get(ALLOW, &user.token).await?;
            assert_eq!(answer.status, 503, "the promise on record is to let nobody pass: {answer:?}");
        }
        crowd.is_barred(user);
        world.links.to_sidecars().for_each(Link::heal);
        crowd.see_everything_as_before(world).await?;
        crowd.leave().await
    });
}

fn set_max_checks(policy: &mut Value, round: u32) {
    policy["mesh"]["max_checks"] = (100 + round).into();
}

/// Another listener, of which the filter is as it was.
fn with_another_time_out(listeners: &mut Value) -> Result<()> {
    for listener in listeners.as_array_mut().into_iter().flatten() {
        listener["per_connection_buffer_limit_bytes"] = 65_536.into();
    }
    Ok(())
}

async fn polls_in_a_while(world: &World) -> Result<u64> {
    let before = world.polls().await?;
    tokio::time::sleep(WHILE).await;
    Ok(world.polls().await? - before)
}
