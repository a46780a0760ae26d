//! Somebody at work in a browser, and what becomes of their next click.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use e2e::World;
use e2e::chromium::{Tab, Visitor, Window};

use super::{complaints, cookie_of, name_oneself, sign_in};
use crate::sign_in::steps::PAGE;

/// Somebody who is signed in, at one of their browsers.
pub(super) struct Seat {
    pub(super) email: String,
    pub(super) browser: Visitor,
    pub(super) tab: Tab,
    /// The value of the cookie with which they took it.
    pub(super) cookie: String,
}

impl Seat {
    /// Signs somebody in with a browser of its own.
    pub(super) async fn take(world: &World, email: &str) -> Result<Self> {
        let browser = Visitor::new(Window::default()).await?;
        let tab = browser.tab().await?;
        sign_in(world, &tab, PAGE, email).await?;
        let cookie = cookie_of(world, &browser).await?;
        Ok(Self { email: email.to_owned(), browser, tab, cookie })
    }

    /// Clicks on a link of the page; gives the address to which it is to lead.
    async fn click(&self, world: &World) -> Result<String> {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let path = format!("/console/next?click={}", COUNT.fetch_add(1, Ordering::Relaxed));
        let link = format!(
            "const link = document.createElement('a');
             Object.assign(link, {{href: '{path}', textContent: 'Next', style: 'position: fixed; top: 0; left: 0'}});
             document.body.append(link);"
        );
        self.tab.evaluate::<Option<u8>>(&link).await?;
        self.tab.click("link", "Next").await?;
        Ok(world.at(&path))
    }

    /// The next click shows the page that was wanted.
    async fn is_shown(&self, world: &World) -> Result<()> {
        let wanted = self.click(world).await?;
        self.tab.at(&wanted).await?;
        let text = self.tab.text().await?;
        ensure!(text.contains(&format!("\"x-forwarded-email\",\"{}\"", self.email)), "{text}");
        assert_eq!(complaints(&self.tab).await?, [""; 0]);
        Ok(())
    }

    /// The next click shows the page, with the same cookie.
    pub(super) async fn goes_on(&self, world: &World) -> Result<()> {
        self.is_shown(world).await?;
        ensure!(cookie_of(world, &self.browser).await? == self.cookie, "another cookie");
        self.asks(200).await
    }

    /// The next click leads by the provider, which knows them, to the page that was wanted, with another cookie.
    pub(super) async fn comes_back(&self, world: &World) -> Result<()> {
        let before = self.visits_to_the_provider(world).await?;
        self.is_shown(world).await?;
        ensure!(self.visits_to_the_provider(world).await? > before, "nobody asked the provider");
        ensure!(cookie_of(world, &self.browser).await? != self.cookie, "the old cookie");
        Ok(())
    }

    /// The next click leads to the provider, which asks who it is, and then to the page that was wanted.
    pub(super) async fn signs_in_anew(&self, world: &World) -> Result<()> {
        self.asks(401).await?;
        let wanted = self.click(world).await?;
        name_oneself(&self.tab, &self.email).await?;
        self.tab.at(&wanted).await?;
        ensure!(cookie_of(world, &self.browser).await? != self.cookie, "the old cookie");
        Ok(())
    }

    /// What the page's own script asks for is answered with this status.
    pub(super) async fn asks(&self, status: u16) -> Result<()> {
        let answered: u16 = self.tab.evaluate("return (await fetch('/console/data')).status;").await?;
        ensure!(answered == status, "not {status}, but {answered}");
        Ok(())
    }

    async fn visits_to_the_provider(&self, world: &World) -> Result<usize> {
        let provider = world.sign_in_provider()?.issuer();
        Ok(self.tab.requests().await?.iter().filter(|asked| asked.url.starts_with(&provider)).count())
    }

    /// Closes the browser.
    pub(super) async fn leave(self) -> Result<()> {
        self.browser.leave().await
    }
}
