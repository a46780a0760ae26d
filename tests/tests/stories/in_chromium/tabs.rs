//! Ways in and out, with one tab and with several.

use anyhow::{Context, Result, ensure};
use e2e::chromium::{Tab, Visitor, Window};
use e2e::world::people::COOKIE;
use e2e::{World, story};

use super::{PEOPLE, complaints, name_oneself, sign_in};
use crate::bans::{ban, lift};

async fn sees(tab: &Tab, email: &str) -> Result<()> {
    let text = tab.text().await?;
    ensure!(text.contains(&format!("\"x-forwarded-email\",\"{email}\"")) || text.contains(email), "{text}");
    Ok(())
}

async fn signed_out(world: &World, somebody: &Visitor) -> Result<()> {
    ensure!(somebody.cookie(&world.at("/"), COOKIE).await?.is_none(), "the cookie is there still");
    Ok(())
}

#[test]
fn a_deep_link_leads_through_signing_in_to_its_page() {
    story(&PEOPLE, async |world| {
        let (ann, link) = (Visitor::new(Window::default()).await?, "/console/reports?year=2026&of=a%2Fb");
        let tab = ann.tab().await?;
        sign_in(world, &tab, link, "link@example.com").await?;
        sees(&tab, "link@example.com").await?;
        assert_eq!(complaints(&tab).await?, [""; 0]);
        let cookie = ann.cookie(&world.at("/"), COOKIE).await?.context("no cookie")?;
        assert_eq!((cookie.http_only, cookie.same_site.as_str(), cookie.path.as_str()), (true, "Lax", "/"));
        let seen: String = tab.evaluate("return document.cookie;").await?;
        assert_eq!(seen, "", "no script sees it");
        ann.leave().await
    });
}

#[test]
fn two_tabs_that_sign_in_at_a_time_do_not_disturb_each_other() {
    story(&PEOPLE, async |world| {
        let ann = Visitor::new(Window::default()).await?;
        let (one, two) = (ann.tab().await?, ann.tab().await?);
        one.goto(&world.at("/console/one")).await?;
        two.goto(&world.at("/console/two")).await?;
        name_oneself(&two, "tabs@example.com").await?;
        two.at(&world.at("/console/two")).await?;
        name_oneself(&one, "tabs@example.com").await?;
        one.at(&world.at("/console/one")).await?;
        for tab in [&one, &two] {
            assert_eq!(tab.reload().await?, 200);
            sees(tab, "tabs@example.com").await?;
        }
        // Signing out in one is signing out in both.
        one.goto(&world.at("/oauth2/sign_out")).await?;
        one.click("button", "Sign out").await?;
        one.shows("heading", "Signed out").await?;
        signed_out(world, &ann).await?;
        two.reload().await?;
        two.shows("heading", "Sign in at the provider").await?;
        ann.leave().await
    });
}

#[test]
fn a_form_signs_out_through_the_provider_and_back() {
    story(&PEOPLE, async |world| {
        let ann = Visitor::new(Window::default()).await?;
        let tab = ann.tab().await?;
        sign_in(world, &tab, "/console/page", "form@example.com").await?;
        // From another site a link is not enough.
        let evil = format!(
            "location.href = '{}'; await new Promise(done => setTimeout(done, 100));",
            world.at("/oauth2/sign_out")
        );
        tab.goto(&world.on("evil.localhost", "/public/page")).await?;
        let _gone = tab.evaluate::<Option<u8>>(&evil).await;
        tab.shows("heading", "Sign out").await?;
        ensure!(ann.cookie(&world.at("/"), COOKIE).await?.is_some(), "they were signed out unasked");
        tab.click("button", "Sign out").await?;
        // The page's own policy lets its form lead to the provider.
        tab.shows("heading", "Sign out at the provider?").await?;
        tab.click("button", "Sign out").await?;
        tab.at(&world.at("/oauth2/signed_out**")).await?;
        tab.shows("heading", "Signed out").await?;
        assert_eq!(complaints(&tab).await?, [""; 0]);
        signed_out(world, &ann).await?;
        ann.leave().await
    });
}

#[test]
fn a_ban_shows_at_the_next_click_and_ends_with_signing_in_anew() {
    story(&PEOPLE, async |world| {
        let ann = Visitor::new(Window::default()).await?;
        let tab = ann.tab().await?;
        sign_in(world, &tab, "/console/page", "banned@example.com").await?;
        let status = "return (await fetch('/console/data')).status;";
        assert_eq!(tab.evaluate::<u16>(status).await?, 200);
        ban(world, "banned@example.com").await?;
        assert_eq!(tab.evaluate::<u16>(status).await?, 403, "what the page's own script sees");
        assert_eq!(tab.reload().await?, 403);
        tab.shows("heading", "Access denied").await?;
        tab.is_accessible().await?;
        lift(world, "banned@example.com").await?;
        tab.reload().await?;
        tab.at(&world.at("/console/page")).await?;
        sees(&tab, "banned@example.com").await?;
        ann.leave().await
    });
}
