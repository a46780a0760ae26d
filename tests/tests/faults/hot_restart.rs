//! An Envoy takes over from another one while requests flow.

use anyhow::ensure;
use e2e::envoy::Restart;
use e2e::{Plan, poll, story_in};

use crate::NOTICED;
use crate::crowd::Crowd;

#[test]
fn p7_after_a_hot_restart_both_generations_count_until_the_old_one_has_ended() {
    story_in(Plan { restart: Restart::Hot, ..Plan::default() }, async |world| {
        let mut crowd = Crowd::gather(world).await?;
        let before = world.replicas().await?;
        let mut parent = world.envoy.restart_hot().await?;
        poll::until("the new generation is on record beside the old one", NOTICED, async || {
            let now = world.replicas().await?;
            let both = before.iter().all(|replica| now.contains(replica)) && now.len() == 2 * world.envoy.machines();
            ensure!(both, "{before:?} have become {now:?}");
            Ok(())
        })
        .await?;
        parent.still_runs()?;
        let answer = crowd.ban_another(world, &world.a).await?;
        ensure!(answer["workers"] == 2 * world.envoy.machines(), "{answer}");
        parent.terminate().await?;
        poll::until("the old generation does not count any more", NOTICED, async || {
            world.envoy.stat("server.live").await?;
            let answer = world.ban_at(&world.b, &world.user()).await?.json_with(200)?;
            ensure!(answer["acknowledged"] == world.envoy.machines(), "{answer}");
            Ok(())
        })
        .await?;
        crowd.ban_another(world, &world.b).await?;
        crowd.see_everything_as_before(world).await?;
        crowd.leave().await
    });
}
