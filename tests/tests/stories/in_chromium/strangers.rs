//! What those who wish people ill do with addresses and cookies, as a real browser reads and keeps them.

use anyhow::{Context, Result, bail, ensure};
use e2e::chromium::{Tab, Visitor, Window};
use e2e::world::people::COOKIE;
use e2e::{World, story};
use reqwest::Url;
use serde_json::Value;

use super::{PEOPLE, complaints, cookie_of, name_oneself, sign_in};
use crate::sign_in::redirects::{ELSEWHERE, HERE, IN_A_LINK, asking, is_on_the_way, start};
use crate::sign_in::steps::{PAGE, answer_for, everywhere};
use crate::sign_in::strangers::{STALE, known};

/// A browser that is signed in.
async fn signed_in(world: &World, email: &str) -> Result<Visitor> {
    let somebody = Visitor::new(Window::default()).await?;
    sign_in(world, &somebody.tab().await?, PAGE, email).await?;
    Ok(somebody)
}

/// Whom a browser is taken for.
async fn who(world: &World, somebody: &Visitor) -> Result<Option<String>> {
    let tab = somebody.tab().await?;
    let status = tab.goto(&world.at("/oauth2/userinfo")).await?;
    let told: Value = tab.evaluate("return JSON.parse(document.body.innerText);").await?;
    tab.close().await?;
    match status {
        200 => Ok(told["email"].as_str().map(str::to_owned)),
        401 => Ok(None),
        _ => bail!("{status}: {told}"),
    }
}

/// It came to this path by way of the provider, and asked nobody else for anything.
async fn was_led_to(world: &World, tab: &Tab, path: &str) -> Result<()> {
    let (mut by_the_provider, provider) = (false, world.sign_in_provider()?.issuer());
    for asked in tab.requests().await? {
        // A page's own icon is in itself.
        if asked.kind != "document" && asked.url.starts_with("data:") {
            continue;
        }
        ensure!(is_on_the_way(world, &Url::parse(&asked.url)?)?, "{asked:?}");
        by_the_provider |= asked.url.starts_with(&provider);
    }
    ensure!(by_the_provider, "nobody asked the provider: {:?}", tab.requests().await?);
    assert_eq!(tab.url().await?, world.at(path));
    Ok(())
}

#[test]
fn no_wish_leads_a_browser_to_another_origin() {
    story(&PEOPLE, async |world| {
        let ann = signed_in(world, "wishes@example.com").await?;
        for rd in ELSEWHERE {
            let tab = ann.tab().await?;
            tab.goto(&start(world, rd)?).await.with_context(|| format!("{rd:?}"))?;
            was_led_to(world, &tab, "/").await.with_context(|| format!("{rd:?}"))?;
            tab.close().await?;
        }
        ann.leave().await
    });
}

#[test]
fn a_wish_for_a_page_of_this_origin_leads_a_browser_there() {
    story(&PEOPLE, async |world| {
        let ann = signed_in(world, "pages@example.com").await?;
        for (rd, expected) in HERE {
            let tab = ann.tab().await?;
            tab.goto(&start(world, rd)?).await?;
            was_led_to(world, &tab, expected).await.with_context(|| format!("{rd:?}"))?;
            tab.close().await?;
        }
        ann.leave().await
    });
}

#[test]
fn the_link_of_a_page_leads_a_browser_no_further_and_is_no_markup() {
    story(&PEOPLE, async |world| {
        let ann = signed_in(world, "links@example.com").await?;
        for (rd, expected) in IN_A_LINK {
            let tab = ann.tab().await?;
            assert_eq!(tab.goto(&asking(world, rd)?).await?, 200);
            let elements: u32 = tab.evaluate("return document.querySelectorAll('main *, script').length;").await?;
            assert_eq!(elements, 4, "{rd:?}: there is more than a heading, a sentence and a link in its paragraph");
            assert_eq!(complaints(&tab).await?, [""; 0], "{rd:?}");
            tab.click("link", "Sign in").await?;
            tab.at(&world.at(expected)).await?;
            was_led_to(world, &tab, expected).await.with_context(|| format!("{rd:?}"))?;
            tab.close().await?;
        }
        ann.leave().await
    });
}

#[test]
fn a_cookie_that_was_planted_before_signing_in_is_not_the_one_afterwards() {
    story(&PEOPLE, async |world| {
        let mallory = signed_in(world, "fixer@example.com").await?;
        let valid = cookie_of(world, &mallory).await?;
        let made_up = "x".repeat(valid.len());
        for (planted, email) in [(valid, "fixed1@example.com"), (made_up, "fixed2@example.com")] {
            let ann = Visitor::new(Window::default()).await?;
            ann.put_cookie(&world.at("/"), COOKIE, &planted).await?;
            let tab = ann.tab().await?;
            tab.goto(&world.at("/oauth2/sign_in?rd=/console/page")).await?;
            tab.click("link", "Sign in").await?;
            name_oneself(&tab, email).await?;
            tab.at(&world.at(PAGE)).await?;
            ensure!(cookie_of(world, &ann).await? != planted, "the planted one");
            assert_eq!(who(world, &ann).await?.as_deref(), Some(email));
            everywhere(world, &planted, 401).await?;
            ann.leave().await?;
        }
        // Nor is it worth anything to whoever planted it.
        assert_eq!(who(world, &mallory).await?, None);
        mallory.leave().await
    });
}

#[test]
fn a_cookie_that_was_planted_for_a_part_of_the_site_makes_nobody_of_its_visitors_somebody_else() {
    story(&PEOPLE, async |world| {
        let mallory = signed_in(world, "tosser@example.com").await?;
        let ann = Visitor::new(Window::default()).await?;
        ann.put_cookie(&world.at("/console/"), COOKIE, &cookie_of(world, &mallory).await?).await?;
        let tab = ann.tab().await?;
        tab.goto(&world.at("/oauth2/start?rd=/console/page")).await?;
        name_oneself(&tab, "tossed@example.com").await?;
        tab.at(&world.at(PAGE)).await?;
        // The browser shows both, the one with the longer path first (RFC 6265 §5.4): two of a name are none.
        assert_eq!(tab.reload().await?, 400);
        let text = tab.text().await?;
        ensure!(!text.contains("tosser@example.com"), "{text}");
        assert_eq!(who(world, &ann).await?.as_deref(), Some("tossed@example.com"));
        ann.leave().await?;
        mallory.leave().await
    });
}

#[test]
fn an_attackers_answer_signs_nobody_in_whichever_way_it_comes_into_their_browser() {
    story(&PEOPLE, async |world| {
        let (mallory, email) = ("giver@example.com", "given@example.com");
        let mut theirs = known(world, mallory).await?;
        let answer = answer_for(world, &mut theirs, PAGE).await?;
        let ann = Visitor::new(Window::default()).await?;
        // In a mail.
        let tab = ann.tab().await?;
        assert_eq!(tab.goto(answer.as_str()).await?, 400);
        tab.shows("heading", STALE).await?;
        // On a page of another site: shown in it unseen, and then led there.
        tab.goto(&world.on("evil.localhost", "/public/page")).await?;
        let unseen = format!(
            "await Promise.all(['iframe', 'img'].map(name => new Promise(done => {{
                 const thing = document.createElement(name);
                 thing.onload = thing.onerror = done;
                 thing.src = '{answer}';
                 document.body.append(thing);
             }})));"
        );
        tab.evaluate::<Option<u8>>(&unseen).await?;
        assert_eq!(who(world, &ann).await?, None);
        tab.evaluate::<Option<u8>>(&format!("setTimeout(() => location.href = '{answer}', 0);")).await?;
        tab.shows("heading", STALE).await?;
        ensure!(ann.cookies(&world.at("/")).await?.is_empty(), "something is left of it");
        // While they sign in themselves, which it is not in the way of.
        tab.click("link", "Sign in again").await?;
        tab.shows("heading", "Sign in at the provider").await?;
        let other = ann.tab().await?;
        assert_eq!(other.goto(answer.as_str()).await?, 400);
        other.shows("heading", STALE).await?;
        name_oneself(&tab, email).await?;
        tab.at(&world.at("/")).await?;
        // And when they have.
        other.reload().await?;
        other.at(&world.at("/")).await?;
        assert_eq!(who(world, &ann).await?.as_deref(), Some(email));
        // It was worth something all the time, where it belongs.
        assert_eq!(theirs.open(answer.as_str()).await?.answer.received()?.all("x-forwarded-email"), [mallory]);
        ann.leave().await
    });
}

#[test]
fn an_answer_that_was_stolen_signs_nobody_in_in_another_browser() {
    story(&PEOPLE, async |world| {
        let (ann, mallory) = ("robbed@example.com", "robber@example.com");
        let mut hers = known(world, ann).await?;
        let stolen = answer_for(world, &mut hers, PAGE).await?;
        let thief = Visitor::new(Window::default()).await?;
        let tab = thief.tab().await?;
        assert_eq!(tab.goto(stolen.as_str()).await?, 400);
        tab.shows("heading", STALE).await?;
        // With a sign-in of their own under way.
        tab.goto(&world.at(PAGE)).await?;
        let other = thief.tab().await?;
        assert_eq!(other.goto(stolen.as_str()).await?, 400);
        assert_eq!(who(world, &thief).await?, None);
        // Signed in as themselves they stay so.
        name_oneself(&tab, mallory).await?;
        tab.at(&world.at(PAGE)).await?;
        other.goto(stolen.as_str()).await?;
        assert_eq!(who(world, &thief).await?.as_deref(), Some(mallory));
        // It was worth something all the time, where it belongs.
        assert_eq!(hers.open(stolen.as_str()).await?.answer.received()?.all("x-forwarded-email"), [ann]);
        thief.leave().await
    });
}

#[test]
fn an_answer_in_a_browsers_history_is_worth_nothing_to_whoever_reads_that() {
    story(&PEOPLE, async |world| {
        let (ann, thief) = (Visitor::new(Window::default()).await?, Visitor::new(Window::default()).await?);
        let tab = ann.tab().await?;
        sign_in(world, &tab, PAGE, "history@example.com").await?;
        let mut asked = tab.requests().await?.into_iter().map(|asked| asked.url);
        let used = asked.find(|url| url.contains("/oauth2/callback?")).context("no answer")?;
        let theirs = thief.tab().await?;
        assert_eq!(theirs.goto(&used).await?, 400);
        theirs.shows("heading", STALE).await?;
        assert_eq!(who(world, &thief).await?, None);
        assert_eq!(tab.reload().await?, 200, "its owner is signed in still");
        ann.leave().await?;
        thief.leave().await
    });
}
