//! The back button: what a browser keeps of pages for people who are signed in.

use anyhow::ensure;
use e2e::chromium::{Visitor, Window};
use e2e::story;

use super::{PEOPLE, complaints, sign_in};

#[test]
fn the_back_button_after_signing_in_is_in_nobodys_way() {
    story(&PEOPLE, async |world| {
        let ann = Visitor::new(Window::default()).await?;
        let tab = ann.tab().await?;
        sign_in(world, &tab, "/console/page", "back@example.com").await?;
        tab.goto(&world.at("/console/next")).await?;
        // Back to the provider's form, and on as if nothing had happened.
        tab.back().await?;
        tab.at(&world.at("/console/page")).await?;
        let text = tab.text().await?;
        ensure!(text.contains("back@example.com"), "{text}");
        assert_eq!(complaints(&tab).await?, [""; 0]);
        ann.leave().await
    });
}

#[test]
fn the_back_button_after_signing_out_shows_no_protected_page() {
    story(&PEOPLE, async |world| {
        let ann = Visitor::new(Window::default()).await?;
        let tab = ann.tab().await?;
        sign_in(world, &tab, "/console/secret", "gone@example.com").await?;
        tab.goto(&world.at("/oauth2/sign_out")).await?;
        tab.click("button", "Sign out").await?;
        tab.shows("heading", "Signed out").await?;
        for _ in 0..4 {
            tab.back().await.ok();
            let (url, text) = (tab.url().await?, tab.text().await?);
            ensure!(!text.contains("gone@example.com"), "{url} shows {text}");
        }
        ann.leave().await
    });
}
