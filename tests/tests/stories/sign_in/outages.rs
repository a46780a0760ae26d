//! Parts that are away while somebody signs in or is signed in: they are told, nothing is left half done, and the next
//! attempt succeeds.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::browser::Page;
use e2e::peers::provider::Fault;
use e2e::peers::sign_in::Endpoint;
use e2e::world::People;
use e2e::{Browser, Plan, World, poll, story, story_in};
use sekisho_protocol::Subject;
use sekisho_sidecar::service::sessions::SessionStore;

use super::MISLED;
use super::steps::{PAGE, cookie_of, everywhere, is_told, signed_in, somebody, try_to_sign_in};
use crate::people::store;

const AWAY: &str = "Try again shortly";
const SOON: Duration = Duration::from_secs(20);

fn people() -> Plan {
    Plan { people: Some(People::default()), ..Plan::default() }
}

/// Takes the way out that a page offers, and signs in on it.
async fn again(world: &World, browser: &mut Browser, page: &Page, email: &str) -> Result<Page> {
    let [link] = &page.links()[..] else { anyhow::bail!("{page:?}") };
    let page = browser.click(page, link).await?;
    browser.sign_in_from(page, world.sign_in_provider()?, &world.at(PAGE), email).await
}

#[test]
fn whoever_signs_in_while_the_provider_was_never_there_is_told_and_may_try_again() {
    story_in(people(), async |world| {
        let provider = world.sign_in_provider()?;
        provider.go_down().await?;
        let mut browser = Browser::new()?;
        let page = browser.open(&world.at(PAGE)).await?;
        is_told(world, &browser, &page, 503, AWAY)?;
        assert_eq!(page.answer.header("retry-after"), Some("10"));
        // Those who come with a token do not notice.
        world.get("/v1/models", &world.user().token).await?.received()?;
        provider.come_back().await?;
        // Each sidecar remembers for a second that it was away.
        poll::until("both sidecars ask the provider again", SOON, async || {
            for _ in 0..4 {
                let page = Browser::new()?.open(&world.at(PAGE)).await?;
                ensure!(page.answer.status == 200, "{page:?}");
            }
            Ok(())
        })
        .await?;
        let page = again(world, &mut browser, &page, &somebody()).await?;
        assert_eq!(page.answer.received()?.path, PAGE);
        Ok(())
    });
}

#[test]
fn a_provider_that_answers_with_something_else_signs_nobody_in_and_is_asked_again() {
    story(&MISLED, async |world| {
        let provider = world.sign_in_provider()?;
        for (endpoint, fault) in [
            (Endpoint::Exchange, Fault::Status(500)),
            (Endpoint::Exchange, Fault::Status(429)),
            (Endpoint::Exchange, Fault::Html),
            (Endpoint::Exchange, Fault::Redirect(provider.issuer())),
            (Endpoint::Exchange, Fault::Lost),
            (Endpoint::UserInfo, Fault::Status(503)),
            (Endpoint::UserInfo, Fault::Html),
        ] {
            let (what, email) = (format!("{endpoint:?} {fault:?}"), somebody());
            provider.behave_once(endpoint, fault).await?;
            let mut browser = Browser::new()?;
            let page = try_to_sign_in(world, &mut browser, PAGE, &email).await?;
            is_told(world, &browser, &page, 503, AWAY).context(what.clone())?;
            let page = again(world, &mut browser, &page, &email).await.context(what)?;
            assert_eq!(page.answer.received()?.path, PAGE);
        }
        Ok(())
    });
}

#[test]
fn a_sign_in_without_redis_leaves_nothing_and_the_next_one_succeeds() {
    story_in(people(), async |world| {
        let (ann, bob) = (somebody(), somebody());
        let (mut signed_in_before, cookie) = signed_in(world, &bob).await?;
        let mut browser = Browser::new()?;
        let login = browser.open(&world.at(PAGE)).await?;
        world.redis.kill().await?;
        let page = browser.submit(&login, &[("login", &ann)]).await?;
        is_told(world, &browser, &page, 503, AWAY)?;
        // Whoever cannot be signed out is told so, and keeps the cookie with which they can be.
        let page = signed_in_before.open(&world.at("/oauth2/sign_out")).await?;
        ensure!(page.answer.status == 503, "{page:?}");
        assert_eq!(cookie_of(world, &signed_in_before)?, cookie);

        world.redis.resume().await?;
        poll::until("the old session holds", SOON, async || everywhere(world, &cookie, 200).await).await?;
        let subject = Subject::try_from(ann.clone())?;
        assert_eq!(store(world)?.of_subject(&subject).await?, []);
        let page = poll::until("somebody signs in", SOON, async || {
            let mut browser = Browser::new()?;
            world.sign_in(&mut browser, &ann).await
        })
        .await?;
        assert_eq!(page.answer.received()?.path, PAGE);
        assert_eq!(store(world)?.of_subject(&subject).await?.len(), 1);
        Ok(())
    });
}

#[test]
fn a_sign_in_that_began_at_one_sidecar_ends_at_the_other() {
    story_in(people(), async |world| {
        let ann = somebody();
        // Whichever serves them: the other one is gone before the answer comes.
        world.b.kill().await?;
        let (mut browser, login) = poll::until("the other sidecar serves", SOON, async || {
            let mut browser = Browser::new()?;
            let page = browser.open(&world.at(PAGE)).await?;
            ensure!(page.form_with(&[("login", "")]).is_ok(), "{page:?}");
            Ok((browser, page))
        })
        .await?;
        world.b.start().await?;
        world.a.kill().await?;
        poll::until("the one that came back serves", SOON, async || {
            let page = Browser::new()?.open(&world.at("/oauth2/sign_in")).await?;
            ensure!(page.answer.status == 200, "{page:?}");
            Ok(())
        })
        .await?;
        // What Envoy would lead to the one that is gone goes to the other.
        poll::throughout(Duration::from_secs(1), async || {
            let page = Browser::new()?.open(&world.at("/oauth2/sign_in")).await?;
            ensure!(page.answer.status == 200, "{page:?}");
            Ok(())
        })
        .await?;
        browser.submit(&login, &[("login", &ann)]).await?;
        // The page itself may be checked with the one that is gone still; the session is there.
        let cookie = cookie_of(world, &browser)?;
        poll::until("every worker asks the one that is there", SOON, async || everywhere(world, &cookie, 200).await)
            .await?;
        world.a.start().await?;
        world.b.kill().await?;
        poll::until("the session holds with either", SOON, async || everywhere(world, &cookie, 200).await)
            .await
            .map(drop)
    });
}
