//! A provider changes the key with which it signs, under load, and nobody who is its user notices.

use anyhow::{Context, Result, ensure};
use e2e::peers::load::FreshTokens;
use e2e::peers::provider::Use;
use e2e::{Shared, World, poll, story};

use super::{DISCOVERED, LOCATED, SETTLED, ask_anew, settle, token, until_the_provider_may_be_asked};

/// Requests before the change, between publication and use, and after: hundreds in each second.
const STRETCH: u64 = 600;

#[test]
fn no_request_fails_while_a_key_is_published_first_and_used_later() {
    for world in both() {
        story(world, async |world| rotate_under_load(world, Use::Later).await);
    }
}

#[test]
fn no_request_fails_while_a_key_signs_as_soon_as_it_is_published() {
    for world in both() {
        story(world, async |world| rotate_under_load(world, Use::AtOnce).await);
    }
}

#[test]
fn no_request_fails_while_keys_change_as_often_as_they_may_be_asked_for() {
    story(&DISCOVERED, async |world| {
        let provider = world.provider()?;
        settle(world).await?;
        let mut load = FreshTokens::start(world, provider);
        for _ in 0..3 {
            provider.rotate(Use::AtOnce).await?;
            load.go_on_for(STRETCH / 3).await?;
            until_the_provider_may_be_asked(world).await?;
        }
        load.stop().await?.expect_all_passed()
    });
}

fn both() -> [&'static Shared; 2] {
    [&DISCOVERED, &LOCATED]
}

async fn rotate_under_load(world: &World, when: Use) -> Result<()> {
    let provider = world.provider()?;
    settle(world).await?;
    let mut load = FreshTokens::start(world, provider);
    load.go_on_for(STRETCH).await?;
    provider.rotate(when).await?;
    load.go_on_for(STRETCH).await?;
    provider.use_newest().await?;
    load.go_on_for(STRETCH).await?;
    let outcome = load.stop().await?;
    ensure!(outcome.tokens as u64 >= 3 * STRETCH / 2, "too few tokens: {outcome:?}");
    outcome.expect_all_passed()
}

#[test]
fn a_key_that_the_provider_took_back_is_believed_no_longer_even_where_it_was_cached() {
    story(&DISCOVERED, async |world| {
        let provider = world.provider()?;
        settle(world).await?;
        let old = token(provider, "old@provider.example").await?;
        let mut connections = world.connections_by_worker(1).await?;
        for (worker, connection) in &mut connections {
            super::ask(connection, &old).await?.received().with_context(|| worker.clone())?;
        }
        provider.rotate(Use::AtOnce).await?;
        provider.retire_others().await?;
        // Whoever comes with the new key makes the sidecars look.
        let new = token(provider, "new@provider.example").await?;
        poll::until("the new key is known", SETTLED, async || ask_anew(world, &new).await?.received()).await?;
        for (worker, connection) in &mut connections {
            poll::until(&format!("{worker} refuses the old key"), SETTLED, async || {
                let answer = super::ask(connection, &old).await?;
                ensure!(answer.status == 401, "{answer:?}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    });
}
