//! Envoys crash, stand still, and start while bans flow.

use anyhow::{Result, ensure};
use e2e::envoy::Envoy;
use e2e::load::request;
use e2e::wire::Connection;
use e2e::world::operator::lagging_nodes;
use e2e::{Plan, User, World, poll, story_in};

use crate::crowd::Crowd;
use crate::{DENY, NOTICED, with_a_long_bound};

/// Two Envoys, so that one goes on while the other one fails.
fn two() -> Plan {
    Plan { envoys: 2, policy: with_a_long_bound, ..Plan::default() }
}

/// How many bans flow at least while an Envoy starts.
const BANS: usize = 20;

#[test]
fn p7_an_envoy_that_crashed_lags_until_its_bound_is_over_and_comes_back_with_every_ban() {
    story_in(two(), async |world| {
        let mut crowd = Crowd::gather(world).await?;
        world.envoys[1].kill().await?;
        miss_the_second_envoy(world, &mut crowd).await?;
        world.envoys[1].resume().await?;
        everybody_acknowledges(world).await?;
        crowd.see_everything_as_before(world).await?;
        crowd.leave().await
    });
}

/// The requests of the load pile up before it. It held an *allow* for every user when it stopped.
#[test]
fn p7_an_envoy_that_stood_still_lets_nobody_in_who_was_banned_meanwhile() {
    story_in(two(), async |world| {
        let mut crowd = Crowd::gather(world).await?;
        world.envoys[1].pause().await?;
        miss_the_second_envoy(world, &mut crowd).await?;
        world.envoys[1].go_on().await?;
        everybody_acknowledges(world).await?;
        crowd.see_everything_as_before(world).await?;
        crowd.leave().await
    });
}

#[test]
fn p7_an_envoy_that_starts_while_bans_flow_misses_none() {
    story_in(two(), async |world| {
        let crowd = Crowd::gather(world).await?;
        world.envoys[1].kill().await?;
        let starting = async {
            world.envoys[1].resume().await?;
            everybody_acknowledges(world).await
        };
        let (mut starting, mut has_started, mut bans) = (std::pin::pin!(starting), false, 0);
        while bans < BANS || !has_started {
            tokio::select! {
                started = &mut starting, if !has_started => (has_started, _) = (true, started?),
                refused = banned_everywhere(world) => bans += refused?,
            }
        }
        crowd.see_everything_as_before(world).await?;
        crowd.leave().await
    });
}

/// A change is answered with the workers of the second Envoy as those that lag, and once their bound is
/// over, with as many that are fenced.
async fn miss_the_second_envoy(world: &World, crowd: &mut Crowd) -> Result<()> {
    let user = crowd.next()?;
    let nodes = lagging_nodes(&world.ban_at(&world.a, &user).await?)?;
    let missing = &world.envoys[1];
    assert_eq!(nodes, vec![missing.node(); missing.machines()]);
    let (_, answer) = world.ban_until_acknowledged(&world.a, &user).await?;
    crowd.is_barred(user);
    assert_eq!(answer["fenced"], missing.machines(), "{answer}");
    Ok(())
}

/// Waits until a ban is acknowledged by as many workers as there are.
async fn everybody_acknowledges(world: &World) -> Result<()> {
    let all: usize = world.envoys.iter().map(|envoy| envoy.machines()).sum();
    poll::until("every worker acknowledges bans", NOTICED, async || {
        let answer = world.ban_at(&world.a, &world.user()).await?.json_with(200)?;
        ensure!(answer["acknowledged"] == all, "{answer}");
        Ok(())
    })
    .await
}

/// Bans somebody who was let in, and asks each Envoy that answers. 1: it was acknowledged.
async fn banned_everywhere(world: &World) -> Result<usize> {
    let user = world.user();
    for envoy in &world.envoys {
        asked(envoy, &user).await;
    }
    let answer = world.ban_at(&world.a, &user).await?;
    let acknowledged = answer.status == 200;
    if acknowledged {
        for envoy in &world.envoys {
            let status = asked(envoy, &user).await;
            ensure!(status != Some(200), "{} let {} in after {answer:?}", envoy.node(), user.email);
        }
    }
    Ok(usize::from(acknowledged))
}

/// What `user` gets from `envoy`; none if it does not answer.
async fn asked(envoy: &Envoy, user: &User) -> Option<u16> {
    let mut connection = Connection::open(envoy.edge()).await.ok()?;
    connection.send(&request(DENY, user)).await.ok().map(|answer| answer.status)
}
