//! Where signing in and out leads: never to another origin, whatever somebody wishes for (open redirects).

use anyhow::{Context, Result, ensure};
use e2e::browser::Page;
use e2e::{World, story};
use reqwest::Url;

use super::PEOPLE;
use super::steps::{signed_in, somebody};

/// Places that are not of this origin, as `rd` would have them. `PORT` is that of this one.
pub(crate) const ELSEWHERE: [&str; 44] = [
    "//evil.localhost",
    "///evil.localhost",
    "////evil.localhost/",
    "//evil.localhost/%2e%2e",
    "/\\evil.localhost",
    "/\\/evil.localhost",
    "\\\\evil.localhost",
    "\\/evil.localhost",
    "//\\evil.localhost",
    "/\t/evil.localhost",
    "/\n/evil.localhost",
    "/\r\n/evil.localhost",
    "\t//evil.localhost",
    " //evil.localhost",
    "\u{a0}//evil.localhost",
    "/./\\evil.localhost",
    "/.//evil.localhost",
    "/..//evil.localhost",
    "/console/..//evil.localhost",
    "/%2e//evil.localhost",
    "http://evil.localhost",
    "http://evil.localhost:PORT/console/page",
    "HTTP://EVIL.localhost",
    "http:evil.localhost",
    "http:/evil.localhost",
    "http:///evil.localhost",
    "https://people.localhost:PORT/console/page",
    "http://people.localhost/console/page",
    "http://people.localhost:1/console/page",
    "http://people.localhost:PORT.evil.localhost/",
    "http://people.localhost:PORT@evil.localhost/",
    "http://people.localhost.evil.localhost:PORT/",
    "http://ann:secret@people.localhost:PORT/",
    "http://evil.localhost#@people.localhost:PORT/",
    "http://evil.localhost?@people.localhost:PORT/",
    "http://evil.localhost\\@people.localhost:PORT/",
    "http://people.localhost:PORT\\.evil.localhost/",
    "http://127.0.0.1:PORT/console/page",
    "javascript:alert(document.domain)",
    "javascript://people.localhost:PORT/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "evil.localhost",
    "/console\r\nSet-Cookie: sekisho=planted",
    "/oauth2/sign_out",
];

/// Places of this origin, as `rd` has them, and what they are called.
pub(crate) const HERE: [(&str, &str); 6] = [
    ("/console/a?b=c&d=%2F#e", "/console/a?b=c&d=%2F"),
    ("/console/go?to=http://evil.localhost", "/console/go?to=http://evil.localhost"),
    ("/console/\u{30a2}", "/console/%E3%82%A2"),
    ("http://people.localhost:PORT/console/b", "/console/b"),
    ("/oauth2-docs", "/oauth2-docs"),
    ("", "/"),
];

/// What a page's link must not be led astray by, and where it leads.
pub(crate) const IN_A_LINK: [(&str, &str); 4] = [
    ("//evil.localhost", "/"),
    ("http://evil.localhost", "/"),
    ("\"><script>alert(1)</script>", "/"),
    ("/console/a\"b<c>&d", "/console/a%22b%3Cc%3E&d"),
];

/// The address that leads through the provider to `rd`.
pub(crate) fn start(world: &World, rd: &str) -> Result<String> {
    let rd = rd.replace("PORT", &world.envoy.edge().port().to_string());
    Ok(Url::parse_with_params(&world.at("/oauth2/start"), [("rd", rd)])?.into())
}

/// The page that asks before it leads there.
pub(crate) fn asking(world: &World, rd: &str) -> Result<String> {
    Ok(start(world, rd)?.replace("/oauth2/start", "/oauth2/sign_in"))
}

/// Whether an address is of this origin or the provider's.
pub(crate) fn is_on_the_way(world: &World, address: &Url) -> Result<bool> {
    let origin = address.origin().ascii_serialization();
    Ok([world.at(""), world.sign_in_provider()?.issuer()].contains(&origin))
}

/// Every step was at the provider or here, and the last one here.
fn stayed(world: &World, page: &Page) -> Result<()> {
    for step in &page.steps {
        ensure!(is_on_the_way(world, &step.url)?, "{:?}", page.steps);
    }
    ensure!(page.url.origin().ascii_serialization() == world.at(""), "{:?}", page.steps);
    Ok(())
}

#[test]
fn signing_in_leads_to_no_other_origin() {
    story(&PEOPLE, async |world| {
        let (browser, _) = signed_in(world, &somebody()).await?;
        for rd in ELSEWHERE {
            let mut browser = browser.clone();
            let page = browser.open(&start(world, rd)?).await.with_context(|| rd.to_owned())?;
            stayed(world, &page).with_context(|| rd.to_owned())?;
            assert_eq!(page.url.as_str(), world.at("/"), "{rd:?}");
        }
        Ok(())
    });
}

#[test]
fn signing_in_leads_to_every_page_of_this_origin() {
    story(&PEOPLE, async |world| {
        let (browser, _) = signed_in(world, &somebody()).await?;
        for (rd, expected) in HERE {
            let page = browser.clone().open(&start(world, rd)?).await?;
            assert_eq!(page.url.as_str(), world.at(expected), "{rd}");
        }
        // Whoever names two places names none.
        let twice = world.at("/oauth2/start?rd=/console/a&rd=/console/b");
        assert_eq!(browser.clone().open(&twice).await?.url.as_str(), world.at("/"));
        Ok(())
    });
}

#[test]
fn the_link_of_a_page_leads_no_further_either() {
    story(&PEOPLE, async |world| {
        let (browser, _) = signed_in(world, &somebody()).await?;
        for (rd, expected) in IN_A_LINK {
            let mut browser = browser.clone();
            let page = browser.open(&asking(world, rd)?).await?;
            ensure!(page.answer.status == 200 && !page.answer.body.contains("<script"), "{page:?}");
            let [link] = &page.links()[..] else { anyhow::bail!("{page:?}") };
            ensure!(link.starts_with("/oauth2/start?rd=%2F"), "{link}");
            let page = browser.click(&page, link).await?;
            stayed(world, &page)?;
            assert_eq!(page.url.as_str(), world.at(expected), "{rd}");
        }
        Ok(())
    });
}
