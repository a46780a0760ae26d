//! Signing out: here, at the provider, and never because somebody else wants it.

use anyhow::{Context, Result, ensure};
use e2e::browser::{Form, Page};
use e2e::peers::sign_in::Endpoint;
use e2e::world::people::COOKIE;
use e2e::{Answer, Browser, World, story};
use reqwest::Method;

use super::steps::{PAGE, everywhere, signed_in, somebody};
use super::{OTHERWISE, PEOPLE};

const SIGN_OUT: &str = "/oauth2/sign_out";

/// A page of another site.
fn another_site() -> Result<Page> {
    let answer = Answer { status: 200, headers: Vec::new(), body: String::new() };
    Ok(Page { url: "http://evil.example/".parse()?, answer, steps: Vec::new() })
}

/// Nobody is signed in, and the page says so.
fn is_signed_out(world: &World, browser: &Browser, page: &Page) -> Result<()> {
    ensure!(page.url.path() == "/oauth2/signed_out" && page.answer.status == 200, "{:?}", page.steps);
    ensure!(page.answer.body.contains("<h1>Signed out</h1>"), "{page:?}");
    ensure!(browser.jar.get(&world.at("/"), COOKIE).is_none(), "the cookie is there still");
    Ok(())
}

#[test]
fn signing_out_ends_the_session_here_and_at_the_provider() {
    story(&PEOPLE, async |world| {
        let (ann, provider) = (somebody(), world.sign_in_provider()?);
        let (mut browser, cookie) = signed_in(world, &ann).await?;
        let (_, elsewhere) = signed_in(world, &ann).await?;
        let asked = browser.open(&world.at(SIGN_OUT)).await?;
        // The provider asks; here it is done, on every worker, whatever they answer there.
        ensure!(asked.url.as_str().starts_with(&provider.issuer()), "{:?}", asked.steps);
        let answer = everywhere(world, &cookie, 401).await?;
        assert_eq!(answer.json()?["error"], "Session has been revoked");
        let page = browser.submit(&asked, &[("logout", "yes")]).await?;
        is_signed_out(world, &browser, &page)?;
        assert_eq!(provider.sessions_of(&ann).await?.len(), 1, "the one of the other browser");
        everywhere(world, &elsewhere, 200).await?;
        let page = browser.open(&world.at(PAGE)).await?;
        ensure!(page.form_with(&[("login", "")]).is_ok(), "the provider does not ask: {:?}", page.steps);
        Ok(())
    });
}

#[test]
fn whoever_is_not_signed_in_is_told_so() {
    story(&PEOPLE, async |world| {
        let mut browser = Browser::new()?;
        for path in [SIGN_OUT, "/oauth2/signed_out"] {
            let page = browser.open(&world.at(path)).await?;
            ensure!(page.answer.status == 200 && page.answer.body.contains("<h1>Signed out</h1>"), "{page:?}");
        }
        Ok(())
    });
}

#[test]
fn signing_out_only_here_leaves_the_provider_alone() {
    story(&OTHERWISE, async |world| {
        let ann = somebody();
        let (mut browser, cookie) = signed_in(world, &ann).await?;
        let page = browser.open(&world.at(SIGN_OUT)).await?;
        is_signed_out(world, &browser, &page)?;
        everywhere(world, &cookie, 401).await?;
        assert_eq!(world.sign_in_provider()?.visits_to(Endpoint::EndSession).await?, 0);
        assert_eq!(world.sign_in_provider()?.sessions_of(&ann).await?.len(), 1);
        // Nobody is asked for a name.
        assert_eq!(browser.open(&world.at(PAGE)).await?.answer.received()?.path, PAGE);
        Ok(())
    });
}

#[test]
fn a_link_of_another_site_signs_nobody_out_unasked() {
    story(&PEOPLE, async |world| {
        let (mut browser, cookie) = signed_in(world, &somebody()).await?;
        let evil = another_site()?;
        let page = browser.click(&evil, &world.at(SIGN_OUT)).await?;
        ensure!(page.answer.status == 200 && page.answer.body.contains("<h1>Sign out</h1>"), "{page:?}");
        everywhere(world, &cookie, 200).await?;
        // Nor does a browser that looks ahead, or a form that another site sends.
        let mut hasty = browser.clone().with_header("sec-purpose", "prefetch");
        let ahead = hasty.open(&world.at(SIGN_OUT)).await?;
        ensure!(ahead.answer.body.contains("<h1>Sign out</h1>"), "{ahead:?}");
        let form = Form { method: Method::POST, action: world.at(SIGN_OUT), fields: Vec::new(), buttons: Vec::new() };
        let sent = browser.send(&evil, &form, &[]).await?;
        ensure!(sent.answer.status == 403 || sent.answer.body.contains("<h1>Signed out</h1>"), "{sent:?}");
        everywhere(world, &cookie, 200).await?;
        // The button does.
        let asked = browser.submit(&page, &[]).await?;
        let out = browser.submit(&asked, &[("logout", "yes")]).await?;
        is_signed_out(world, &browser, &out)?;
        everywhere(world, &cookie, 401).await.map(drop)
    });
}

#[test]
fn a_page_of_ones_own_signs_out_with_a_link_or_a_form() {
    story(&PEOPLE, async |world| {
        for by_form in [false, true] {
            let (mut browser, cookie) = signed_in(world, &somebody()).await?;
            let page = browser.open(&world.at(PAGE)).await?;
            let form = Form { method: Method::POST, action: SIGN_OUT.into(), fields: Vec::new(), buttons: Vec::new() };
            let asked =
                if by_form { browser.send(&page, &form, &[]).await? } else { browser.click(&page, SIGN_OUT).await? };
            ensure!(asked.form_with(&[("logout", "")]).is_ok(), "{asked:?}");
            everywhere(world, &cookie, 401).await?;
            let hint =
                asked.steps.iter().find(|step| step.url.path() == "/session/end").context("not at the provider")?;
            ensure!(hint.url.query_pairs().any(|(name, _)| name == "id_token_hint"), "{hint:?}");
        }
        Ok(())
    });
}
