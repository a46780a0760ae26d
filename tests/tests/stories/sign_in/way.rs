//! The way in, step by step.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::browser::{Page, Step};
use e2e::peers::sign_in::CLIENT_ID;
use e2e::world::people::COOKIE;
use e2e::{Browser, story};

use super::PEOPLE;

/// The values of a header of a step's answer.
fn all<'a>(step: &'a Step, name: &str) -> Vec<&'a str> {
    step.answer.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
}

fn step<'a>(page: &'a Page, part: &str) -> Result<&'a Step> {
    page.steps
        .iter()
        .find(|step| step.url.as_str().contains(part))
        .with_context(|| format!("no {part}: {:?}", page.steps))
}

fn parameter(step: &Step, name: &str) -> String {
    step.url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into()).unwrap_or_default()
}

#[test]
fn the_doctor_says_whether_the_filter_looks_for_the_cookie_that_sidecars_set() {
    story(&PEOPLE, async |world| {
        let told = String::from_utf8(world.a.cli(&["doctor"]).await?.stdout)?;
        let verdict = told.lines().find(|line| line.contains("session cookie")).context("nothing")?;
        ensure!(verdict.contains("the filter looks for `sekisho`"), "{verdict}");
        Ok(())
    });
}

#[test]
fn somebody_signs_in_on_the_way_to_a_page_and_lands_there() {
    story(&PEOPLE, async |world| {
        let mut browser = Browser::new()?;
        let wanted = world.at("/console/reports?year=2026&of=a%2Fb");
        let page = browser.sign_in_at(world.sign_in_provider()?, &wanted, "eve@example.com").await?;
        let received = page.answer.received()?;
        assert_eq!(received.path, "/console/reports?year=2026&of=a%2Fb");
        assert_eq!(received.all("x-forwarded-email"), ["eve@example.com"]);
        assert_eq!(received.all("cookie"), [""; 0], "no cookie of ours reaches the upstream");

        let callback = step(&page, "/oauth2/callback?")?;
        let [session, attempt] = all(callback, "set-cookie")[..] else { anyhow::bail!("{callback:?}") };
        assert!(session.ends_with("; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"), "{session}");
        assert!(attempt.ends_with("=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"), "{attempt}");
        let names: Vec<&str> = browser.jar.all(&wanted).iter().map(|cookie| cookie.name.as_str()).collect();
        assert_eq!(names, [COOKIE]);
        for step in page.steps.iter().filter(|step| step.url.path().starts_with("/oauth2")) {
            assert_eq!(step.answer.header("cache-control"), Some("no-store"), "{step:?}");
        }
        Ok(())
    });
}

#[test]
fn each_attempt_is_asked_for_with_secrets_of_its_own() {
    story(&PEOPLE, async |world| {
        let mut seen = BTreeSet::new();
        for _ in 0..3 {
            let page = Browser::new()?.open(&world.at("/console/page")).await?;
            let asked = step(&page, "/auth?")?;
            for (name, expected) in [
                ("response_type", "code"),
                ("client_id", CLIENT_ID),
                ("scope", "openid email profile"),
                ("redirect_uri", &world.at("/oauth2/callback")),
                ("code_challenge_method", "S256"),
            ] {
                assert_eq!(parameter(asked, name), expected, "{name}");
            }
            for name in ["state", "nonce", "code_challenge"] {
                let value = parameter(asked, name);
                ensure!(value.len() == 43 && seen.insert(value), "not 256 bits of its own: {name} of {asked:?}");
            }
        }
        Ok(())
    });
}

#[test]
fn a_program_without_a_session_is_told_so_and_sent_nowhere() {
    story(&PEOPLE, async |world| {
        let mut program =
            Browser::new()?.with_header("sec-fetch-mode", "cors").with_header("accept", "application/json");
        for path in ["/console/page", "/oauth2/userinfo", "/oauth2/auth"] {
            let page = program.get(&world.at(path)).await?;
            assert_eq!((page.answer.status, page.redirect()?), (401, None), "{path}");
        }
        Ok(())
    });
}

#[test]
fn programs_are_told_who_is_signed_in() {
    story(&PEOPLE, async |world| {
        let mut browser = Browser::new()?;
        world.sign_in(&mut browser, "grace@example.com").await?;
        let told = browser.get(&world.at("/oauth2/userinfo")).await?.answer.json_with(200)?;
        assert_eq!(
            (&told["user"], &told["email"]),
            (&"grace@example.com".into(), &"grace@example.com".into()),
            "{told}"
        );
        assert_eq!((&told["groups"][0], &told["preferredUsername"]), (&"staff".into(), &"grace".into()), "{told}");
        let answer = browser.get(&world.at("/oauth2/auth")).await?.answer;
        assert_eq!((answer.status, answer.header("x-auth-request-email")), (202, Some("grace@example.com")));
        Ok(())
    });
}
