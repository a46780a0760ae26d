//! Sessions end by themselves: unused for too long, or after their lifetime however much they are used.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::wire::Connection;
use e2e::world::People;
use e2e::world::people::COOKIE;
use e2e::{Answer, Plan, World, poll, story_in};
use tokio::time::Instant;

use super::steps::{PAGE, cookie_of, everywhere, showing, signed_in, somebody};

async fn ask(world: &World, cookie: &str) -> Result<Answer> {
    Connection::open(world.envoy.edge()).await?.send(&showing(cookie, PAGE)).await
}

#[test]
fn a_session_ends_when_nobody_uses_it_and_goes_on_while_somebody_does() {
    let people = People { settings: &[("SEKISHO_SESSION_IDLE_SECONDS", "4")], ..People::default() };
    story_in(Plan { people: Some(people), ..Plan::default() }, async |world| {
        let (ann, bob) = (somebody(), somebody());
        let (_, used) = signed_in(world, &ann).await?;
        let (mut browser, unused) = signed_in(world, &bob).await?;
        everywhere(world, &unused, 200).await?;
        poll::throughout(Duration::from_secs(9), async || ask(world, &used).await?.received().map(drop)).await?;
        everywhere(world, &unused, 401).await?;
        everywhere(world, &used, 200).await?;
        // The browser goes by the provider, who knows them, and comes back with another one.
        assert_eq!(browser.open(&world.at(PAGE)).await?.answer.received()?.all("x-forwarded-email"), [bob.as_str()]);
        ensure!(cookie_of(world, &browser)? != unused, "the old one");
        Ok(())
    });
}

#[test]
fn a_session_ends_with_its_lifetime_however_much_it_is_used() {
    let people = People { settings: &[("SEKISHO_SESSION_LIFETIME_SECONDS", "5")], ..People::default() };
    story_in(Plan { people: Some(people), ..Plan::default() }, async |world| {
        let begun = Instant::now();
        let (mut browser, cookie) = signed_in(world, &somebody()).await?;
        poll::until("the lifetime is over", Duration::from_secs(10), async || {
            let answer = ask(world, &cookie).await?;
            ensure!(answer.status == 401, "{answer:?}");
            Ok(())
        })
        .await?;
        let lived = begun.elapsed();
        ensure!((Duration::from_secs(4)..Duration::from_secs(8)).contains(&lived), "{lived:?}");
        everywhere(world, &cookie, 401).await?;
        ensure!(
            browser.jar.get(&world.at("/"), COOKIE).is_none_or(|_| lived < Duration::from_secs(6)),
            "kept too long"
        );
        assert_eq!(browser.open(&world.at(PAGE)).await?.answer.received()?.path, PAGE);
        ensure!(cookie_of(world, &browser)? != cookie, "the old one");
        Ok(())
    });
}
