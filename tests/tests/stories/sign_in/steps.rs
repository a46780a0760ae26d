//! What people and their browsers do in these stories again and again, and how one sees what became of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::browser::{Cookie, Page};
use e2e::token::now;
use e2e::wire::{Connection, RawRequest};
use e2e::world::people::{COOKIE, HOST};
use e2e::{Answer, Browser, World, poll};
use reqwest::Url;
use sekisho_protocol::session::cookie::CookieKey;
use sekisho_sidecar::domain::session::{Session, SessionId};
use sekisho_sidecar::domain::time::UnixSeconds;
use sekisho_sidecar::service::sessions::SessionStore;

use crate::people::store;

/// A page that only those see who signed in.
pub(crate) const PAGE: &str = "/console/page";
/// So many connections do not all end at one of two workers: they would once in eight million times.
const CONNECTIONS: usize = 24;

/// The address of somebody whom no other story knows.
pub(super) fn somebody() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("person{}@example.com", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Asks for `path` and says at the provider who it is: whatever comes of it.
pub(super) async fn try_to_sign_in(world: &World, browser: &mut Browser, path: &str, email: &str) -> Result<Page> {
    let login = browser.open(&world.at(path)).await?;
    browser.submit(&login, &[("login", email)]).await
}

/// Somebody's browser, and the value of its session's cookie.
pub(super) async fn signed_in(world: &World, email: &str) -> Result<(Browser, String)> {
    let mut browser = Browser::new()?;
    world.sign_in(&mut browser, email).await?;
    let cookie = cookie_of(world, &browser)?;
    Ok((browser, cookie))
}

/// The value of the cookie of a browser's session.
pub(super) fn cookie_of(world: &World, browser: &Browser) -> Result<String> {
    Ok(browser.jar.get(&world.at("/"), COOKIE).context("nobody is signed in")?.value.clone())
}

/// Puts a cookie into a browser.
pub(super) fn plant(world: &World, browser: &mut Browser, cookie: &Cookie) -> Result<()> {
    let url: Url = world.at("/").parse()?;
    browser.jar.take(&format!("{}={}; Path=/", cookie.name, cookie.value), &url);
    Ok(())
}

/// The session of a cookie, as it is on record.
pub(crate) async fn session_of(world: &World, cookie: &str) -> Result<Session> {
    let id = CookieKey::of_mesh(world.keys.mesh.as_bytes()).read(HOST, cookie.as_bytes()).context("no cookie")?;
    let (found, _) = store(world)?.look_up(&SessionId::parse(&id)?).await?;
    found.session.context("no session")
}

/// Lets the provider be asked about a session with its next use, as if the time for that had come.
pub(super) async fn make_due(world: &World, cookie: &str) -> Result<()> {
    poll::until_true("the session is due", Duration::from_secs(5), async || {
        let (seen, now) = (session_of(world, cookie).await?, UnixSeconds(now()));
        let due = Session { refresh_at: Some(now), ..seen.clone() };
        // It may have been changed in between.
        Ok(store(world)?.replace(&seen, &due, now).await?)
    })
    .await
}

/// A program's request that shows a cookie.
pub(super) fn showing(cookie: &str, path: &str) -> Vec<u8> {
    RawRequest::to_host("GET", path, HOST).header("cookie", format!("{COOKIE}={cookie}")).bytes()
}

/// Shows a cookie over many connections, to every worker: each answer has this status. Gives the last one.
pub(crate) async fn everywhere(world: &World, cookie: &str, status: u16) -> Result<Answer> {
    let mut last = None;
    for _ in 0..CONNECTIONS {
        // The worker that is asked twice answers the second time by what it remembers.
        let mut connection = Connection::open(world.envoy.edge()).await?;
        for _ in 0..2 {
            let answer = connection.send(&showing(cookie, PAGE)).await?;
            ensure!(answer.status == status, "not {status}: {answer:?}");
            last = Some(answer);
        }
    }
    last.context("nobody was asked")
}

/// Nobody was signed in, and the page says so with this status and this heading.
pub(super) fn is_told(world: &World, browser: &Browser, page: &Page, status: u16, heading: &str) -> Result<()> {
    ensure!(page.answer.status == status, "not {status}: {:?}", page.steps);
    ensure!(page.answer.body.contains(&format!("<h1>{heading}</h1>")), "not {heading}: {page:?}");
    ensure!(browser.jar.get(&world.at("/"), COOKIE).is_none(), "somebody was signed in: {page:?}");
    ensure!(page.answer.header("cache-control") == Some("no-store"), "{page:?}");
    Ok(())
}

/// Begins a sign-in in a browser that the provider knows already, and gives the address to which it is sent with the answer, without
/// going there.
pub(crate) async fn answer_for(world: &World, browser: &mut Browser, path: &str) -> Result<Url> {
    let mut page = browser.get(&world.at(path)).await?;
    for _ in 0..8 {
        let next = page.redirect()?.with_context(|| format!("no redirect: {page:?}"))?;
        if next.path() == "/oauth2/callback" {
            return Ok(next);
        }
        page = browser.get(next.as_str()).await?;
    }
    bail!("the provider gives no answer: {page:?}")
}
