//! Sign-ins that have begun: several at a time, too many, too late.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use e2e::world::people::COOKIE;
use e2e::{Browser, story};

use super::PEOPLE;
use super::steps::{answer_for, is_told, plant, signed_in, somebody};

#[test]
fn two_sign_ins_side_by_side_each_lead_to_their_own_page() {
    story(&PEOPLE, async |world| {
        let ann = somebody();
        let mut browser = Browser::new()?;
        let first = browser.open(&world.at("/console/first?tab=1")).await?;
        let second = browser.open(&world.at("/console/second?tab=2")).await?;
        let second = browser.submit(&second, &[("login", &ann)]).await?;
        assert_eq!(second.answer.received()?.path, "/console/second?tab=2");
        let first = browser.submit(&first, &[("login", &ann)]).await?;
        assert_eq!(first.answer.received()?.path, "/console/first?tab=1");
        let names: Vec<&str> = browser.jar.all(&world.at("/")).iter().map(|cookie| cookie.name.as_str()).collect();
        assert_eq!(names, [COOKIE], "nothing is left of them");
        Ok(())
    });
}

#[test]
fn a_browser_keeps_six_sign_ins_and_the_oldest_go() {
    story(&PEOPLE, async |world| {
        let ann = somebody();
        let (mut browser, _) = signed_in(world, &ann).await?;
        browser.jar.forget(|cookie| cookie.name == COOKIE);
        let mut answers = Vec::new();
        for number in 0..9 {
            answers.push(answer_for(world, &mut browser, &format!("/oauth2/start?rd=/console/{number}")).await?);
            let kept = browser.jar.all(&world.at("/")).len();
            ensure!(kept == answers.len().min(6), "{kept} of {}", answers.len());
        }
        let oldest = answers.first().context("no answer")?;
        let page = browser.open(oldest.as_str()).await?;
        is_told(world, &browser, &page, 400, "Please sign in again")?;
        for (number, answer) in answers.iter().enumerate().skip(3) {
            let page = browser.open(answer.as_str()).await?;
            assert_eq!(page.answer.received()?.path, format!("/console/{number}"));
        }
        Ok(())
    });
}

#[test]
fn what_an_attempt_holds_is_sealed_and_cannot_be_changed() {
    story(&PEOPLE, async |world| {
        let (browser, _) = signed_in(world, &somebody()).await?;
        let mut seen = BTreeSet::new();
        for damage in ["cut", "turned", "empty", "doubled"] {
            let mut browser = browser.clone();
            browser.jar.forget(|cookie| cookie.name == COOKIE);
            let answer = answer_for(world, &mut browser, "/oauth2/start?rd=/console/secret-plan").await?;
            let attempts = browser.jar.all(&world.at("/"));
            let mut attempt = (*attempts.first().context("no attempt")?).clone();
            ensure!(!attempt.value.contains("secret-plan") && seen.insert(attempt.value.clone()), "{attempt:?}");
            attempt.value = match damage {
                "cut" => attempt.value[..attempt.value.len() - 4].to_owned(),
                "turned" if attempt.value.ends_with('A') => format!("{}Q", &attempt.value[..attempt.value.len() - 1]),
                "turned" => format!("{}A", &attempt.value[..attempt.value.len() - 1]),
                "empty" => String::new(),
                _ => attempt.value.repeat(2),
            };
            plant(world, &mut browser, &attempt)?;
            let page = browser.open(answer.as_str()).await?;
            is_told(world, &browser, &page, 400, "Please sign in again").context(damage)?;
        }
        Ok(())
    });
}
