//! Other people's answers in one's own browser, and one's own in other people's.

use anyhow::{Context, Result, ensure};
use e2e::browser::Page;
use e2e::world::people::COOKIE;
use e2e::{Browser, World, story};

use super::PEOPLE;
use super::steps::{PAGE, answer_for, cookie_of, everywhere, is_told, plant, signed_in, somebody};

pub(crate) const STALE: &str = "Please sign in again";

/// A browser that the provider knows, and that is signed in nowhere else.
pub(crate) async fn known(world: &World, email: &str) -> Result<Browser> {
    let (mut browser, _) = signed_in(world, email).await?;
    browser.jar.forget(|cookie| cookie.name == COOKIE);
    Ok(browser)
}

/// Who a browser is taken for.
async fn who(world: &World, browser: &mut Browser) -> Result<Option<String>> {
    let page: Page = browser.get(&world.at("/oauth2/userinfo")).await?;
    if page.answer.status == 401 {
        return Ok(None);
    }
    Ok(page.answer.json_with(200)?["email"].as_str().map(str::to_owned))
}

#[test]
fn nobody_is_signed_in_as_the_attacker_whose_answer_they_open() {
    story(&PEOPLE, async |world| {
        let (mallory, ann) = (somebody(), somebody());
        let mut theirs = known(world, &mallory).await?;
        let answer = answer_for(world, &mut theirs, PAGE).await?;
        // Whether somebody is signed in there or not.
        let mut nobody = Browser::new()?;
        let page = nobody.open(answer.as_str()).await?;
        is_told(world, &nobody, &page, 400, STALE)?;
        let (mut hers, cookie) = signed_in(world, &ann).await?;
        let page = hers.get(answer.as_str()).await?;
        assert_eq!(page.redirect()?.context("a page")?.as_str(), world.at("/"));
        assert_eq!((who(world, &mut hers).await?, cookie_of(world, &hers)?), (Some(ann), cookie));
        // It was worth something all the time, where it belongs.
        theirs.open(answer.as_str()).await?;
        assert_eq!(who(world, &mut theirs).await?, Some(mallory));
        Ok(())
    });
}

#[test]
fn an_attackers_code_is_worth_nothing_in_a_sign_in_of_somebody_else() {
    story(&PEOPLE, async |world| {
        let (mut theirs, mut hers) = (known(world, &somebody()).await?, known(world, &somebody()).await?);
        let (code, mut injected) =
            (answer_for(world, &mut theirs, PAGE).await?, answer_for(world, &mut hers, PAGE).await?);
        let parameters: Vec<(String, String)> = injected.query_pairs().into_owned().collect();
        injected.query_pairs_mut().clear();
        for (name, value) in parameters {
            let foreign = code.query_pairs().find(|(known, _)| known == "code").context("no code")?.1;
            let value = if name == "code" { foreign.as_ref() } else { &value };
            injected.query_pairs_mut().append_pair(&name, value);
        }
        let page = hers.open(injected.as_str()).await?;
        is_told(world, &hers, &page, 403, "Not signed in")
    });
}

#[test]
fn a_stolen_answer_is_worth_nothing_even_with_a_cookie_of_that_name() {
    story(&PEOPLE, async |world| {
        let (ann, mallory) = (somebody(), somebody());
        let mut hers = known(world, &ann).await?;
        let stolen = answer_for(world, &mut hers, PAGE).await?;
        let attempt = |browser: &Browser| {
            let cookies = browser.jar.all(&world.at("/")).into_iter();
            cookies.filter(|cookie| cookie.name.starts_with("sekisho-")).cloned().next_back().context("no attempt")
        };
        let mut theirs = known(world, &mallory).await?;
        answer_for(world, &mut theirs, PAGE).await?;
        let mut renamed = attempt(&theirs)?;
        renamed.name = attempt(&hers)?.name;
        plant(world, &mut theirs, &renamed)?;
        let page = theirs.open(stolen.as_str()).await?;
        is_told(world, &theirs, &page, 400, STALE)?;

        // Somebody who can plant cookies, such as a page on another port, is in the way and gets nothing: two of a name are none.
        let mut crowded = hers.clone();
        let url = world.at("/").parse()?;
        crowded.jar.take(&format!("{}={}; Path=/oauth2", renamed.name, renamed.value), &url);
        let page = crowded.open(stolen.as_str()).await?;
        is_told(world, &crowded, &page, 400, STALE)?;

        assert_eq!(hers.open(stolen.as_str()).await?.answer.received()?.all("x-forwarded-email"), [ann.as_str()]);
        Ok(())
    });
}

#[test]
fn an_answer_counts_once() {
    story(&PEOPLE, async |world| {
        let ann = somebody();
        let mut browser = known(world, &ann).await?;
        let answer = answer_for(world, &mut browser, PAGE).await?;
        let before = browser.clone();
        browser.open(answer.as_str()).await?;
        let cookie = cookie_of(world, &browser)?;
        // The same page again, as with the back button: whoever is signed in stays so.
        let again = browser.get(answer.as_str()).await?;
        assert_eq!(again.redirect()?.context("a page")?.path(), "/");
        assert_eq!(cookie_of(world, &browser)?, cookie);
        // Even with the attempt that was taken away: the provider gives nothing for the code any more.
        let mut thief = before;
        let page = thief.open(answer.as_str()).await?;
        is_told(world, &thief, &page, 403, "Not signed in")
    });
}

#[test]
fn each_sign_in_has_a_cookie_of_its_own_and_ends_the_session_before_it() {
    story(&PEOPLE, async |world| {
        let ann = somebody();
        let (mut browser, mut last) = signed_in(world, &ann).await?;
        for _ in 0..2 {
            everywhere(world, &last, 200).await?;
            browser
                .sign_in_at(world.sign_in_provider()?, &world.at("/oauth2/start?rd=/console/again"), &ann)
                .await
                .ok();
            let cookie = cookie_of(world, &browser)?;
            ensure!(cookie != last, "the same cookie");
            everywhere(world, &last, 401).await?;
            last = cookie;
        }
        everywhere(world, &last, 200).await?;
        Ok(())
    });
}

#[test]
fn a_session_that_was_planted_is_not_the_one_that_is_signed_in_to() {
    story(&PEOPLE, async |world| {
        let (mallory, ann) = (somebody(), somebody());
        let (theirs, planted) = signed_in(world, &mallory).await?;
        let mut hers = Browser::new()?;
        plant(world, &mut hers, theirs.jar.get(&world.at("/"), COOKIE).context("no cookie")?)?;
        let login = hers.open(&world.at("/oauth2/start?rd=/console/page")).await?;
        hers.submit(&login, &[("login", &ann)]).await?;
        ensure!(cookie_of(world, &hers)? != planted, "the planted one");
        assert_eq!(who(world, &mut hers).await?, Some(ann));
        everywhere(world, &planted, 401).await?;
        // One that never was a session is no reason to keep anybody out either.
        let mut bob = Browser::new()?;
        let mut made_up = theirs.jar.get(&world.at("/"), COOKIE).context("no cookie")?.clone();
        made_up.value = "x".repeat(made_up.value.len());
        plant(world, &mut bob, &made_up)?;
        world.sign_in(&mut bob, &somebody()).await?;
        ensure!(cookie_of(world, &bob)? != made_up.value, "the planted one");
        Ok(())
    });
}

#[test]
fn nobody_signs_in_on_a_host_that_was_not_named() {
    story(&PEOPLE, async |world| {
        for path in ["/oauth2/start?rd=/", "/oauth2/sign_in", "/oauth2/callback?code=a&state=b", "/oauth2/sign_out"] {
            let mut browser = Browser::new()?;
            let page = browser.open(&world.on("elsewhere.localhost", path)).await?;
            assert_eq!(page.answer.status, 404, "{path}: {page:?}");
            ensure!(page.answer.body.contains("Nothing here"), "{page:?}");
            assert!(browser.jar.all(&world.on("elsewhere.localhost", "/")).is_empty());
        }
        Ok(())
    });
}
