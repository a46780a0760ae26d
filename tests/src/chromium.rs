//! Real Chromium, driven by Playwright (`tests/peers/browser.mjs`), for what only a browser with scripts, layout and history
//! can tell. One of them serves all stories of the process; each story gets people of its own, with their own cookies.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

mod channel;

use channel::Channel;

/// The one of this process.
static CHROMIUM: OnceCell<Channel> = OnceCell::const_new();

/// What somebody's browser is like.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// The language that it asks for.
    pub locale: &'static str,
    /// Whether pages may run scripts.
    pub scripts: bool,
    /// How large it is, in CSS pixels.
    pub size: (u32, u32),
}

impl Default for Window {
    fn default() -> Self {
        Self { locale: "en-GB", scripts: true, size: (1024, 640) }
    }
}

/// Somebody with a browser, whose tabs share cookies.
pub struct Visitor {
    channel: &'static Channel,
    id: u64,
}

/// A tab of somebody's browser.
pub struct Tab {
    channel: &'static Channel,
    id: u64,
}

/// A cookie as Chromium keeps it.
#[derive(Debug, Clone, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// The host that it goes to; with a dot before it, subdomains as well.
    pub domain: String,
    /// Its path.
    pub path: String,
    /// When it ends, in seconds since 1970; -1 with the browser.
    pub expires: f64,
    /// Whether scripts are kept from it.
    pub http_only: bool,
    /// Whether plain connections are kept from it.
    pub secure: bool,
    /// `Strict`, `Lax` or `None`.
    pub same_site: String,
}

/// Something that a tab asked for.
#[derive(Debug, Clone, Deserialize)]
pub struct Asked {
    /// How.
    pub method: String,
    /// What for.
    pub url: String,
    /// `document`, `script`, `image`, `fetch` and so on.
    pub kind: String,
    /// What came of it; 0 if nothing did.
    pub status: u16,
}

impl Visitor {
    /// Somebody new, without cookies.
    ///
    /// # Errors
    /// Chromium is not installed, or does not start.
    pub async fn new(window: Window) -> Result<Self> {
        let channel = CHROMIUM.get_or_try_init(Channel::start).await?;
        let Window { locale, scripts, size: (width, height) } = window;
        let order = json!({"locale": locale, "scripts": scripts, "width": width, "height": height});
        Ok(Self { channel, id: channel.order("person", order).await? })
    }

    /// Opens an empty tab.
    ///
    /// # Errors
    /// Chromium does not obey.
    pub async fn tab(&self) -> Result<Tab> {
        Ok(Tab { channel: self.channel, id: self.order("tab", json!({})).await? })
    }

    /// The cookies for an address.
    ///
    /// # Errors
    /// Chromium does not obey.
    pub async fn cookies(&self, address: &str) -> Result<Vec<Cookie>> {
        self.order("cookies", json!({"url": address})).await
    }

    /// The cookie with this name for an address, if there is one.
    ///
    /// # Errors
    /// Chromium does not obey.
    pub async fn cookie(&self, address: &str, name: &str) -> Result<Option<Cookie>> {
        Ok(self.cookies(address).await?.into_iter().find(|cookie| cookie.name == name))
    }

    /// Plants a cookie, as an attacker on another port or with another way in would.
    ///
    /// # Errors
    /// Chromium does not obey, or refuses the cookie.
    pub async fn put_cookie(&self, address: &str, name: &str, value: &str) -> Result<()> {
        let cookie = json!({"name": name, "value": value, "url": address});
        self.order("put cookies", json!({"cookies": [cookie]})).await
    }

    /// Forgets all cookies.
    ///
    /// # Errors
    /// Chromium does not obey.
    pub async fn clear_cookies(&self) -> Result<()> {
        self.order("clear cookies", json!({})).await
    }

    /// Closes all tabs and forgets all cookies.
    ///
    /// # Errors
    /// Chromium does not obey.
    pub async fn leave(self) -> Result<()> {
        self.order("leave", json!({})).await
    }

    async fn order<T: DeserializeOwned>(&self, what: &str, mut order: Value) -> Result<T> {
        order["person"] = self.id.into();
        self.channel.order(what, order).await
    }
}

impl Tab {
    /// Types an address; gives the status of what it leads to.
    ///
    /// # Errors
    /// It leads nowhere.
    pub async fn goto(&self, address: &str) -> Result<u16> {
        self.order("goto", json!({"url": address})).await
    }

    /// Asks for the same page again; gives its status.
    ///
    /// # Errors
    /// It leads nowhere.
    pub async fn reload(&self) -> Result<u16> {
        self.order("reload", json!({})).await
    }

    /// Goes back in its history; gives the status of that page, or 0 if it came from memory.
    ///
    /// # Errors
    /// It leads nowhere.
    pub async fn back(&self) -> Result<u16> {
        self.order("back", json!({})).await
    }

    /// Goes forward in its history, likewise.
    ///
    /// # Errors
    /// It leads nowhere.
    pub async fn forward(&self) -> Result<u16> {
        self.order("forward", json!({})).await
    }

    /// Waits until it has come to an address; `*` and `**` stand for anything.
    ///
    /// # Errors
    /// It has not in time; the error tells where it is.
    pub async fn at(&self, address: &str) -> Result<()> {
        self.order("at", json!({"url": address})).await
    }

    /// Waits until it shows something with this role and this name, such as a heading.
    ///
    /// # Errors
    /// It does not in time.
    pub async fn shows(&self, role: &str, name: &str) -> Result<()> {
        let shown: Result<()> = self.order("shows", json!({"role": role, "name": name})).await;
        match shown {
            Ok(()) => Ok(()),
            Err(error) => Err(error.context(format!("it shows: {}", self.text().await?))),
        }
    }

    /// Clicks on what has this role (`button`, `link`) and this name.
    ///
    /// # Errors
    /// There is not exactly one.
    pub async fn click(&self, role: &str, name: &str) -> Result<()> {
        self.order("click", json!({"role": role, "name": name})).await
    }

    /// Fills in the field with this label.
    ///
    /// # Errors
    /// There is not exactly one.
    pub async fn fill(&self, label: &str, value: &str) -> Result<()> {
        self.order("fill", json!({"label": label, "value": value})).await
    }

    /// Presses a key, such as `Tab` or `Enter`.
    ///
    /// # Errors
    /// Chromium does not obey.
    pub async fn press(&self, key: &str) -> Result<()> {
        self.order("press", json!({"key": key})).await
    }

    /// What has the focus: its tag and its text.
    ///
    /// # Errors
    /// Chromium does not obey.
    pub async fn focused(&self) -> Result<String> {
        self.order("focused", json!({})).await
    }

    /// What a reader sees.
    ///
    /// # Errors
    /// Chromium does not obey.
    pub async fn text(&self) -> Result<String> {
        self.order("text", json!({})).await
    }

    /// Its title.
    ///
    /// # Errors
    /// Chromium does not obey.
    pub async fn title(&self) -> Result<String> {
        self.order("title", json!({})).await
    }

    /// Where it is.
    ///
    /// # Errors
    /// Chromium does not obey.
    pub async fn url(&self) -> Result<String> {
        self.order("url", json!({})).await
    }

    /// Runs the body of an asynchronous function in the page.
    ///
    /// # Errors
    /// It throws, or gives no such value.
    pub async fn evaluate<T: DeserializeOwned>(&self, script: &str) -> Result<T> {
        self.order("evaluate", json!({"script": script})).await
    }

    /// Keeps a picture of the whole page.
    ///
    /// # Errors
    /// It cannot be written.
    pub async fn screenshot(&self, file: &Path) -> Result<()> {
        self.order("screenshot", json!({"file": file})).await
    }

    /// All that it asked for so far.
    ///
    /// # Errors
    /// Chromium does not obey.
    pub async fn requests(&self) -> Result<Vec<Asked>> {
        self.order("requests", json!({})).await
    }

    /// What it complained about so far: errors of scripts, and violations of a page's Content-Security-Policy.
    ///
    /// # Errors
    /// Chromium does not obey.
    pub async fn complaints(&self) -> Result<Vec<String>> {
        self.order("complaints", json!({})).await
    }

    /// Makes sure that the page can be used without eyes, without a mouse and on this screen.
    ///
    /// # Errors
    /// It cannot; the error tells why.
    pub async fn is_accessible(&self) -> Result<()> {
        let problems: Vec<String> = self.order("accessibility", json!({})).await?;
        ensure!(problems.is_empty(), "{}: {problems:#?}", self.url().await?);
        Ok(())
    }

    /// Closes it.
    ///
    /// # Errors
    /// Chromium does not obey.
    pub async fn close(self) -> Result<()> {
        self.order("close", json!({})).await
    }

    async fn order<T: DeserializeOwned>(&self, what: &str, mut order: Value) -> Result<T> {
        order["tab"] = self.id.into();
        self.channel.order(what, order).await
    }
}

/// How long any order may take: longer than Playwright waits by itself, so that its error is the one that is told.
const PATIENCE: Duration = Duration::from_secs(40);

async fn in_time<T>(what: &str, answer: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(PATIENCE, answer).await.with_context(|| format!("Chromium does not {what}"))
}
