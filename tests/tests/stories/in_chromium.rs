//! People who sign in, in real Chromium: what only a browser with scripts, layout and history can tell.

mod ends;
mod history;
mod pages;
mod peers;
mod seat;
mod strangers;
mod tabs;

use anyhow::{Context, Result};
use e2e::chromium::{Tab, Visitor};
use e2e::world::People;
use e2e::world::people::COOKIE;
use e2e::{Plan, Shared, World};

/// The world of stories that change nothing for others: each has people of its own.
static PEOPLE: Shared = Shared::new(|| Plan { people: Some(People::default()), ..Plan::default() });

/// What a tab complains about, but for refusals of what it asked for: those are told to stories by their status.
async fn complaints(tab: &Tab) -> Result<Vec<String>> {
    let all = tab.complaints().await?.into_iter();
    Ok(all.filter(|told| !told.contains("Failed to load resource")).collect())
}

/// Says at the provider, whose page it is, who it is.
async fn name_oneself(tab: &Tab, email: &str) -> Result<()> {
    tab.shows("heading", "Sign in at the provider").await?;
    tab.fill("Name", email).await?;
    tab.click("button", "Sign in").await
}

/// Signs somebody in on their way to `path`, where they land.
async fn sign_in(world: &World, tab: &Tab, path: &str, email: &str) -> Result<()> {
    tab.goto(&world.at(path)).await?;
    name_oneself(tab, email).await?;
    tab.at(&world.at(path)).await
}

/// The value of the cookie of a browser's session.
async fn cookie_of(world: &World, somebody: &Visitor) -> Result<String> {
    Ok(somebody.cookie(&world.at("/"), COOKIE).await?.context("nobody is signed in")?.value)
}
