//! A crowd at the moment in which the provider is to be asked again. One that rotates refresh tokens takes whoever shows one twice
//! for a thief, so it must be asked once, however many requests, workers and sidecars there are.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::peers::provider::Fault;
use e2e::peers::sign_in::{Endpoint, RefreshTokens};
use e2e::token::now;
use e2e::wire::Connection;
use e2e::world::People;
use e2e::{Browser, Plan, World, poll, story_in};
use tokio::task::JoinSet;

use super::steps::{PAGE, cookie_of, everywhere, make_due, session_of, showing, somebody, try_to_sign_in};

const REQUESTS: usize = 1_000;
/// So often it is tried to have both sidecars hear of it: which one a worker asks first is chance.
const ATTEMPTS: usize = 8;

/// How many questions each sidecar was asked by `envoys`, by Envoy's own count.
async fn questions(world: &World) -> Result<[u64; 2]> {
    let mut asked = [0, 0];
    for envoy in &world.envoys {
        for (sidecar, count) in [&world.a, &world.b].into_iter().zip(&mut asked) {
            *count += envoy.requests_to("sekisho_check", sidecar.ports().mesh).await?;
        }
    }
    Ok(asked)
}

/// Lets a crowd ask with a session that no worker knows, and about which the provider is to be asked.
async fn crowd(world: &World) -> Result<()> {
    let provider = world.sign_in_provider()?;
    let mut browser = Browser::new()?;
    let page = try_to_sign_in(world, &mut browser, "/oauth2/start?rd=/public/page", &somebody()).await?;
    ensure!(page.url.path() == "/public/page", "{:?}", page.steps);
    let cookie = cookie_of(world, &browser)?;
    make_due(world, &cookie).await?;
    let before = provider.visits_to(Endpoint::Refresh).await?;
    let mut requests = JoinSet::new();
    for number in 0..REQUESTS {
        let edge = world.envoys[number % world.envoys.len()].edge();
        let request = showing(&cookie, PAGE);
        requests.spawn(async move { Connection::open(edge).await?.send(&request).await });
    }
    while let Some(answer) = requests.join_next().await {
        answer??.received()?;
    }
    poll::until("what the provider said is on record", Duration::from_secs(20), async || {
        let at = session_of(world, &cookie).await?.refresh_at.context("never again")?;
        ensure!(at.get() > now() + 600, "{at:?}");
        Ok(())
    })
    .await?;
    everywhere(world, &cookie, 200).await?;
    let refreshes = provider.visits_to(Endpoint::Refresh).await? - before;
    ensure!(refreshes == 1, "{refreshes} refreshes");
    Ok(())
}

#[test]
fn a_thousand_requests_at_the_moment_of_refresh_over_two_sidecars_make_one_refresh() {
    let plan = Plan { envoys: 2, people: Some(People::default()), ..Plan::default() };
    story_in(plan, async |world| {
        let provider = world.sign_in_provider()?;
        provider.refresh_tokens(RefreshTokens::Always, true).await?;
        // Whoever is second comes while the first one waits.
        provider.behave(Endpoint::Refresh, Some(Fault::Slow(Duration::from_millis(1_500)))).await?;
        for _ in 0..ATTEMPTS {
            let before = questions(world).await?;
            crowd(world).await?;
            let after = questions(world).await?;
            if after.iter().zip(before).all(|(after, before)| *after > before) {
                return Ok(());
            }
        }
        anyhow::bail!("one sidecar was never asked in {ATTEMPTS} crowds")
    });
}
