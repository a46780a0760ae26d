//! Sessions that end while their owners look at a page: what becomes of the next click.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::chromium::{Tab, Visitor, Window};
use e2e::peers::sign_in::RefreshTokens;
use e2e::token::now;
use e2e::world::People;
use e2e::{Plan, Shared, World, poll, story, story_in};
use reqwest::Method;
use serde_json::json;
use tokio::time::Instant;

use super::seat::Seat;
use super::{PEOPLE, complaints, name_oneself};
use crate::session_lists::{SESSIONS, admin, rows_of};
use crate::sign_in::steps::{PAGE, session_of};

const SOON: Duration = Duration::from_secs(20);
const LIFETIME: Duration = Duration::from_secs(6);

/// Where the provider is asked about sessions as often as can be. It goes away for everybody, so one story comes after the other.
static ASKED_AGAIN: Shared = Shared::in_turn(|| with_settings(&[("SEKISHO_SESSION_REFRESH_SECONDS", "1")]));

fn with_settings(settings: &'static [(&'static str, &'static str)]) -> Plan {
    Plan { people: Some(People { settings, ..People::default() }), ..Plan::default() }
}

#[test]
fn a_browser_whose_session_an_administrator_ends_is_sent_to_sign_in_and_another_one_is_not() {
    story(&PEOPLE, async |world| {
        let email = "ended-one@example.com";
        let laptop = Seat::take(world, email).await?;
        let [row] = &rows_of(world, email).await?[..] else { bail!("not one session") };
        let agent: String = laptop.tab.evaluate("return navigator.userAgent;").await?;
        ensure!(agent.contains("Chrome/"), "{agent}");
        assert_eq!((&row["address"], &row["agent"]), (&json!("127.0.0.1"), &json!(agent)), "{row}");
        let phone = Seat::take(world, email).await?;
        // Or else it would lead them back unasked.
        world.sign_in_provider()?.forget(email).await?;
        let key = row["session_key"].as_str().context("no key")?;
        admin(world, Method::DELETE, &format!("{SESSIONS}/{key}")).await?;
        phone.goes_on(world).await?;
        let [left] = &rows_of(world, email).await?[..] else { bail!("not one session is left") };
        assert_ne!(left["session_key"], key);
        laptop.signs_in_anew(world).await?;
        phone.goes_on(world).await?;
        laptop.leave().await?;
        phone.leave().await
    });
}

#[test]
fn all_browsers_of_somebody_are_sent_to_sign_in_when_an_administrator_ends_all_sessions() {
    story(&PEOPLE, async |world| {
        let email = "ended-all@example.com";
        let (laptop, phone) = (Seat::take(world, email).await?, Seat::take(world, email).await?);
        let other = Seat::take(world, "not-ended@example.com").await?;
        world.sign_in_provider()?.forget(email).await?;
        let ended = admin(world, Method::DELETE, &format!("{SESSIONS}/user/{email}")).await?;
        assert_eq!(ended["deleted_count"], 2, "{ended}");
        assert_eq!(rows_of(world, email).await?.len(), 0);
        for seat in [&laptop, &phone] {
            seat.signs_in_anew(world).await?;
        }
        other.goes_on(world).await?;
        for seat in [laptop, phone, other] {
            seat.leave().await?;
        }
        Ok(())
    });
}

#[test]
fn a_browser_that_nobody_used_comes_back_by_the_provider_and_one_that_was_used_goes_on() {
    story_in(with_settings(&[("SEKISHO_SESSION_IDLE_SECONDS", "4")]), async |world| {
        let unused = Seat::take(world, "unused@example.com").await?;
        let used = Seat::take(world, "used@example.com").await?;
        poll::throughout(Duration::from_secs(9), async || used.asks(200).await).await?;
        used.goes_on(world).await?;
        unused.comes_back(world).await?;
        used.leave().await?;
        unused.leave().await
    });
}

#[test]
fn a_browser_comes_back_by_the_provider_once_the_lifetime_of_its_session_is_over() {
    story_in(with_settings(&[("SEKISHO_SESSION_LIFETIME_SECONDS", "6")]), async |world| {
        let before = Instant::now();
        let ann = Seat::take(world, "lived@example.com").await?;
        let landed = Instant::now();
        poll::until("the lifetime is over", SOON, async || ann.asks(401).await).await?;
        // Times are whole seconds.
        let (longest, shortest) = (before.elapsed(), landed.elapsed());
        let slack = Duration::from_secs(3);
        ensure!(longest >= LIFETIME - slack && shortest <= LIFETIME + slack, "{shortest:?} to {longest:?}");
        ann.comes_back(world).await?;
        ann.leave().await
    });
}

#[test]
fn a_browser_is_sent_to_sign_in_once_the_provider_takes_back_what_it_gave() {
    story(&ASKED_AGAIN, async |world| {
        let provider = world.sign_in_provider()?;
        provider.refresh_tokens(RefreshTokens::Always, true).await?;
        let (ann, bob) =
            (Seat::take(world, "revoked@example.com").await?, Seat::take(world, "not-revoked@example.com").await?);
        provider.revoke(&ann.email).await?;
        provider.forget(&ann.email).await?;
        poll::until("the provider was asked and refused", SOON, async || ann.asks(401).await).await?;
        ann.signs_in_anew(world).await?;
        bob.goes_on(world).await?;
        ann.leave().await?;
        bob.leave().await
    });
}

#[test]
fn a_page_goes_on_showing_while_the_provider_is_down_and_cannot_be_asked_about_its_session() {
    story(&ASKED_AGAIN, async |world| {
        let provider = world.sign_in_provider()?;
        provider.refresh_tokens(RefreshTokens::Always, true).await?;
        let ann = Seat::take(world, "undisturbed@example.com").await?;
        provider.go_down().await?;
        poll::until("it was tried to ask the provider", SOON, async || {
            ann.goes_on(world).await?;
            let at = session_of(world, &ann.cookie).await?.refresh_at.context("never again")?;
            ensure!(at.get() > now() + 20, "not put off: {at:?}");
            Ok(())
        })
        .await?;
        ann.goes_on(world).await?;
        provider.come_back().await?;
        ann.goes_on(world).await?;
        ann.leave().await
    });
}

/// Presses the button of the page about a provider that is away: whether that leads to the provider.
async fn leads_on(world: &World, tab: &Tab) -> Result<bool> {
    // The page that comes of it may be the same once more.
    tab.evaluate::<Option<u8>>("document.title = 'pressed';").await?;
    tab.click("link", "Try again").await?;
    poll::until("another page is there", SOON, async || {
        ensure!(tab.title().await? != "pressed", "not yet");
        Ok(())
    })
    .await?;
    Ok(tab.url().await?.starts_with(&world.sign_in_provider()?.issuer()))
}

#[test]
fn whoever_signs_in_while_the_provider_is_down_is_told_and_the_button_leads_on_once_it_is_back() {
    // In a world of its own: nobody has asked the provider how it is described.
    story_in(with_settings(&[]), async |world| {
        let (provider, email) = (world.sign_in_provider()?, "patient@example.com");
        provider.go_down().await?;
        let ann = Visitor::new(Window::default()).await?;
        let tab = ann.tab().await?;
        assert_eq!(tab.goto(&world.at(PAGE)).await?, 503);
        tab.shows("heading", "Try again shortly").await?;
        ensure!(!leads_on(world, &tab).await?, "the provider is down still");
        tab.shows("heading", "Try again shortly").await?;
        provider.come_back().await?;
        // A sidecar that found nobody there remembers that for a second.
        poll::until_true("the button leads on", SOON, async || leads_on(world, &tab).await).await?;
        name_oneself(&tab, email).await?;
        tab.at(&world.at(PAGE)).await?;
        let text = tab.text().await?;
        ensure!(text.contains(email), "{text}");
        assert_eq!(complaints(&tab).await?, [""; 0]);
        ann.leave().await
    });
}
