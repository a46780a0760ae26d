//! Each page as people see it, in each language. With `SCREENSHOTS=1` it is drawn for the documentation.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::chromium::{Tab, Visitor, Window};
use e2e::components::repository;
use e2e::peers::provider::Fault;
use e2e::peers::sign_in::{About, Endpoint, LogoutToken, Person};
use e2e::world::People;
use e2e::{Plan, Shared, story};
use serde_json::{Value, json};

use super::{complaints, name_oneself, sign_in};
use crate::bans::ban;

const SETTINGS: &[(&str, &str)] =
    &[("SEKISHO_SIGN_IN_ALLOWED_DOMAINS", "example.com"), ("SEKISHO_OIDC_AMR_VALUES", "otp,pwd")];

/// Where not everybody may sign in, and the provider fails for a while.
static PICKY: Shared = Shared::in_turn(|| {
    let people = People { settings: SETTINGS, ..People::default() };
    Plan { people: Some(people), policy: with_reports, ..Plan::default() }
});

/// Adds `/reports`, to which people come with a session, and which says nothing of where to sign in.
fn with_reports(policy: &mut Value) {
    let reports =
        json!({"name": "reports", "match": {"prefix": "/reports"}, "access": "protected", "sessions": "accept"});
    if let Some(routes) = policy["routes"].as_array_mut() {
        routes.insert(0, reports);
    }
}

/// A page: its picture's name, its heading in English and in Japanese, and its button's words, if it has one.
struct Look {
    file: &'static str,
    heading: [&'static str; 2],
    button: Option<[&'static str; 2]>,
}

const LANGUAGES: [&str; 2] = ["en", "ja"];
const AGAIN: Option<[&str; 2]> = Some(["Sign in again", "もう一度サインイン"]);
const SIGN_IN: Look =
    Look { file: "sign-in", heading: ["Sign in", "サインイン"], button: Some(["Sign in", "サインイン"]) };
const SIGN_OUT: Look =
    Look {
        file: "sign-out", heading: ["Sign out", "サインアウト"], button: Some(["Sign out", "サインアウト"])
    };
const SIGNED_OUT: Look =
    Look { file: "signed-out", heading: ["Signed out", "サインアウトしました"], button: AGAIN };
const STALE: Look =
    Look {
        file: "stale", heading: ["Please sign in again", "もう一度サインインしてください"], button: AGAIN
    };
const NOT_ALLOWED: Look = Look {
    file: "not-allowed",
    heading: ["No access", "アクセスできません"],
    button: Some(["Use another account", "別のアカウントを使う"]),
};
const UNVERIFIED: Look = Look { file: "unverified", ..NOT_ALLOWED };
const REFUSED: Look =
    Look { file: "refused", heading: ["Not signed in", "サインインできませんでした"], button: AGAIN };
const NOT_HERE: Look =
    Look { file: "not-here", heading: ["Nothing here", "ページがありません"], button: None };
const TOO_WEAK: Look =
    Look {
        file: "second-factor", heading: ["A second factor is needed", "二要素認証が必要です"], button: AGAIN
    };
const UNAVAILABLE: Look = Look {
    file: "unavailable",
    heading: ["Try again shortly", "しばらくしてからお試しください"],
    button: Some(["Try again", "もう一度試す"]),
};
const SUSPENDED: Look = Look { file: "suspended", heading: ["Access suspended", "利用停止中"], button: None };
const ENDED: Look =
    Look { file: "ended", heading: ["Session ended", "セッションが終了しました"], button: None };
const BANNED: Look = Look { file: "banned", heading: ["Access denied", "アクセスできません"], button: None };

/// Whoever looks sees this page: it is accessible, loads nothing, breaks no policy, works by keyboard alone; and its picture
/// is taken, if pictures are wanted.
async fn is_seen(tab: &Tab, look: &Look, language: usize) -> Result<()> {
    tab.shows("heading", look.heading[language]).await?;
    tab.is_accessible().await?;
    assert_eq!(tab.evaluate::<String>("return document.documentElement.lang;").await?, LANGUAGES[language]);
    let loads: u32 = tab.evaluate("return performance.getEntriesByType('resource').length;").await?;
    assert_eq!(loads, 0, "{} loads something", look.file);
    let violations = complaints(tab).await?;
    ensure!(violations.is_empty(), "{}: {violations:?}", look.file);
    // Nor does it by means of what is no part of the page, such as an icon.
    let page = tab.url().await?;
    let after = tab.requests().await?.into_iter().rev().take_while(|asked| asked.url != page);
    let strays: Vec<_> = after.filter(|asked| asked.kind != "document" && !asked.url.starts_with("data:")).collect();
    ensure!(strays.is_empty(), "{}: {strays:?}", look.file);
    if std::env::var_os("SCREENSHOTS").is_some() {
        let file = repository().join(format!("docs/images/sign-in/{}.{}.png", look.file, LANGUAGES[language]));
        take(tab, &file).await?;
    }
    if let Some(button) = look.button {
        tab.press("Tab").await?;
        let focused = tab.focused().await?;
        ensure!(focused.ends_with(&format!(" {}", button[language])), "{}: {focused}", look.file);
    }
    Ok(())
}

async fn take(tab: &Tab, file: &Path) -> Result<()> {
    std::fs::create_dir_all(file.parent().context("no folder")?)?;
    tab.screenshot(file).await?;
    let bytes = std::fs::metadata(file)?.len();
    ensure!(bytes < 40 * 1024, "{} has {bytes} bytes", file.display());
    Ok(())
}

/// Somebody who reads this language, on a small screen.
async fn reader(language: usize) -> Result<(Visitor, Tab)> {
    let locale = ["en-GB", "ja-JP"][language];
    let somebody = Visitor::new(Window { locale, size: (480, 320), ..Window::default() }).await?;
    let tab = somebody.tab().await?;
    Ok((somebody, tab))
}

#[test]
fn the_pages_of_signing_in_and_out() {
    story(&PICKY, async |world| {
        for language in 0..2 {
            let (somebody, tab) = reader(language).await?;
            tab.goto(&world.at("/oauth2/sign_in?rd=/console/page")).await?;
            is_seen(&tab, &SIGN_IN, language).await?;
            // The focus is on the button.
            tab.press("Enter").await?;
            name_oneself(&tab, &format!("pages{language}@example.com")).await?;
            tab.at(&world.at("/console/page")).await?;
            // Whoever comes from another site is asked.
            tab.goto(&world.on("evil.localhost", "/public/page")).await?;
            let leave = format!("setTimeout(() => location.href = '{}', 0);", world.at("/oauth2/sign_out"));
            tab.evaluate::<Option<u8>>(&leave).await?;
            tab.at(&world.at("/oauth2/sign_out")).await?;
            is_seen(&tab, &SIGN_OUT, language).await?;
            tab.press("Enter").await?;
            tab.shows("heading", "Sign out at the provider?").await?;
            let other = somebody.tab().await?;
            other.goto(&world.at("/oauth2/signed_out")).await?;
            is_seen(&other, &SIGNED_OUT, language).await?;
            let late = somebody.tab().await?;
            late.goto(&world.at("/oauth2/callback?code=x&state=y")).await?;
            is_seen(&late, &STALE, language).await?;
            somebody.leave().await?;
        }
        Ok(())
    });
}

#[test]
fn the_pages_of_those_who_may_not_sign_in() {
    story(&PICKY, async |world| {
        let provider = world.sign_in_provider()?;
        for language in 0..2 {
            let weak = format!("weak{language}@example.com");
            provider.describe(&Person::new(&weak).amr(&["sms"])).await?;
            let suspended = format!("suspended{language}@example.com");
            ban(world, &suspended).await?;
            let unverified = format!("unverified{language}@example.com");
            provider.describe(&Person::new(&unverified).claim("email_verified", false)).await?;
            for (look, email) in [
                (NOT_ALLOWED, "ann@elsewhere.example"),
                (UNVERIFIED, unverified.as_str()),
                (TOO_WEAK, &weak),
                (SUSPENDED, &suspended),
            ] {
                let (somebody, tab) = reader(language).await?;
                tab.goto(&world.at("/console/page")).await?;
                name_oneself(&tab, email).await?;
                is_seen(&tab, &look, language).await?;
                let text = tab.text().await?;
                let is_vouched_for = !text.contains(["has not confirmed", "確認していません"][language]);
                ensure!(is_vouched_for == (look.file != UNVERIFIED.file), "{}: {text}", look.file);
                somebody.leave().await?;
            }
            let (somebody, tab) = reader(language).await?;
            provider.behave(Endpoint::Exchange, Some(Fault::Status(500))).await?;
            tab.goto(&world.at("/console/page")).await?;
            name_oneself(&tab, &format!("late{language}@example.com")).await?;
            is_seen(&tab, &UNAVAILABLE, language).await?;
            provider.behave(Endpoint::Exchange, None).await?;
            // The way out works by keyboard as well.
            tab.press("Enter").await?;
            tab.at(&world.at("/console/page")).await?;
            somebody.leave().await?;
        }
        Ok(())
    });
}

#[test]
fn the_pages_of_those_who_change_their_minds_or_are_where_nobody_signs_in() {
    story(&PICKY, async |world| {
        for language in 0..2 {
            let (somebody, tab) = reader(language).await?;
            tab.goto(&world.at("/console/page")).await?;
            tab.click("button", "Cancel").await?;
            is_seen(&tab, &REFUSED, language).await?;
            // They may change them again.
            tab.press("Enter").await?;
            name_oneself(&tab, &format!("wavering{language}@example.com")).await?;
            tab.at(&world.at("/console/page")).await?;
            assert_eq!(tab.goto(&world.on("elsewhere.localhost", "/oauth2/sign_in")).await?, 404);
            is_seen(&tab, &NOT_HERE, language).await?;
            somebody.leave().await?;
        }
        Ok(())
    });
}

#[test]
fn the_pages_of_those_whose_session_ended() {
    story(&PICKY, async |world| {
        let provider = world.sign_in_provider()?;
        for language in 0..2 {
            let (somebody, tab) = reader(language).await?;
            let email = format!("barred{language}@example.com");
            sign_in(world, &tab, "/console/page", &email).await?;
            ban(world, &email).await?;
            tab.reload().await?;
            is_seen(&tab, &BANNED, language).await?;
            somebody.leave().await?;

            let (somebody, tab) = reader(language).await?;
            let email = format!("ended{language}@example.com");
            sign_in(world, &tab, "/console/page", &email).await?;
            let told = provider.log_out(&LogoutToken::new(&email, About::Session)).await?;
            ensure!(told.status == 200, "{told:?}");
            provider.forget(&email).await?;
            tab.goto(&world.at("/reports/page")).await?;
            is_seen(&tab, &ENDED, language).await?;
            tab.goto(&world.at("/console/page")).await?;
            tab.shows("heading", "Sign in at the provider").await?;
            somebody.leave().await?;
        }
        Ok(())
    });
}
