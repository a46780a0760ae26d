//! The filter's VM ends in the middle of a request.

use anyhow::{Result, ensure};
use e2e::wire::{Connection, RawRequest};
use e2e::world::Filter;
use e2e::{Load, Plan, User, World, poll, story_in};
use tokio::time::Instant;

use crate::crowd::Crowd;
use crate::{DENY, NOTICED};

#[test]
fn p7_while_a_vm_that_trapped_is_loaded_again_nobody_passes_unauthenticated_and_bans_hold() {
    story_in(Plan { filter: Filter::Trapping, ..Plan::default() }, async |world| {
        let mut crowd = Crowd::gather(world).await?;
        let (stranger, begin) = (stranger(world), Instant::now());
        let strangers = Load::start(&world.envoys, DENY, &[&stranger]);
        let before = world.replicas().await?;

        set_the_trap_off(world, &crowd.good).await?;
        poll::until("the new VM is on record beside the old one", NOTICED, async || {
            let now = world.replicas().await?;
            let both = before.iter().all(|replica| now.contains(replica)) && now.len() == before.len() + 1;
            ensure!(both, "{before:?} have become {now:?}");
            Ok(())
        })
        .await?;
        ensure!(world.envoy.vm_reloads().await? > 0, "no VM was loaded again");
        // The old one cannot say goodbye. It counts until its bound is over.
        let answer = crowd.ban_another(world, &world.a).await?;
        assert_eq!(answer["acknowledged"], before.len(), "{answer}");
        assert_eq!(answer["fenced"], 1, "{answer}");
        crowd.see_everything_as_before(world).await?;
        strangers.stop().await?.expect_barred(&stranger, begin)?;
        crowd.leave().await
    });
}

/// Somebody whose token is forged.
fn stranger(world: &World) -> User {
    let User { email, token } = world.user();
    User { email, token: token.signed_with("a secret that the forger made up, long enough") }
}

/// Ends the VM of one worker with a request that would pass otherwise.
async fn set_the_trap_off(world: &World, user: &User) -> Result<()> {
    let request = RawRequest::new("GET", DENY).header("authorization", user.token.bearer());
    let request = request.header("x-sekisho-trap", "1").bytes();
    let answer = Connection::open(world.envoy.edge()).await?.send(&request).await;
    ensure!(!answer.as_ref().is_ok_and(|answer| answer.status == 200), "{answer:?}");
    Ok(())
}
