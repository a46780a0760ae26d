//! Bans of people who are signed in, or who would like to be.

use anyhow::{Context, Result, ensure};
use e2e::wire::Connection;
use e2e::{Browser, World, story};
use reqwest::Method;
use serde_json::{Value, json};

use super::PEOPLE;
use super::steps::{PAGE, cookie_of, everywhere, is_told, signed_in, somebody, try_to_sign_in};
use crate::bans::{ban, lift};

/// Bans somebody for so many seconds.
async fn ban_for(world: &World, email: &str, seconds: u64) -> Result<Value> {
    let body = json!({"user_email": email, "duration_seconds": seconds});
    let path = "/api/admin/sessions/revoke-user";
    world.app(Method::POST, path, &world.admin_token(), Some(&body)).await?.json_with(200)
}

#[test]
fn a_ban_bars_sessions_and_tokens_at_once_and_says_until_when() {
    story(&PEOPLE, async |world| {
        let ann = somebody();
        let (token, (mut browser, cookie)) = (world.token_of(&ann), signed_in(world, &ann).await?);
        everywhere(world, &cookie, 200).await?;
        ban(world, &ann).await?;
        // It is acknowledged: no worker lets anybody in any more.
        let answer = everywhere(world, &cookie, 403).await?.json()?;
        assert_eq!((&answer["error"], &answer["user_email"]), (&json!("Access denied"), &json!(ann)), "{answer}");
        let left = answer["banned_until_seconds"].as_u64().context("no time left")?;
        ensure!((604_000..=604_800).contains(&left), "{left}");
        assert_eq!(world.get("/v1/models", &token).await?.status, 401);
        // Somebody who looks sees a page, in their language.
        let page = browser.get(&world.at(PAGE)).await?;
        ensure!(page.answer.status == 403 && page.answer.body.contains("<h1>Access denied</h1>"), "{page:?}");
        let mut japanese = browser.clone().with_header("accept-language", "ja");
        let page = japanese.get(&world.at(PAGE)).await?;
        let says_when = ["あと6日23時間", "あと7日で"].iter().any(|left| page.answer.body.contains(left));
        ensure!(says_when && page.answer.body.contains("<h1>アクセスできません</h1>"), "{page:?}");
        Ok(())
    });
}

#[test]
fn whoever_is_banned_gets_no_session_and_hears_for_how_long() {
    story(&PEOPLE, async |world| {
        for (seconds, english, japanese) in [
            (90_000, "It ends in 1 day and 1 hour.", "あと 1 日 1 時間で解除されます。"),
            (7_000, "It ends in 1 hour and 57 minutes.", "あと 1 時間 57 分で解除されます。"),
        ] {
            let ann = somebody();
            ban_for(world, &ann, seconds).await?;
            let mut browser = Browser::new()?;
            let page = try_to_sign_in(world, &mut browser, PAGE, &ann).await?;
            is_told(world, &browser, &page, 403, "Access suspended")?;
            ensure!(page.answer.body.contains(english) && page.links().is_empty(), "{page:?}");
            let mut browser = Browser::new()?.with_header("accept-language", "ja-JP,ja;q=0.9,en;q=0.8");
            let page = try_to_sign_in(world, &mut browser, PAGE, &ann).await?;
            is_told(world, &browser, &page, 403, "利用停止中")?;
            ensure!(page.answer.body.contains(japanese), "{page:?}");
        }
        Ok(())
    });
}

#[test]
fn whoever_is_banned_while_they_sign_in_gets_no_session() {
    story(&PEOPLE, async |world| {
        let ann = somebody();
        let mut browser = Browser::new()?;
        let login = browser.open(&world.at(PAGE)).await?;
        ban(world, &ann).await?;
        let page = browser.submit(&login, &[("login", &ann)]).await?;
        is_told(world, &browser, &page, 403, "Access suspended")
    });
}

#[test]
fn an_unban_lets_tokens_in_at_once_and_asks_browsers_to_sign_in() {
    story(&PEOPLE, async |world| {
        let ann = somebody();
        let (token, (mut browser, cookie)) = (world.token_of(&ann), signed_in(world, &ann).await?);
        ban(world, &ann).await?;
        everywhere(world, &cookie, 403).await?;
        lift(world, &ann).await?;
        for _ in 0..12 {
            let mut connection = Connection::open(world.envoy.edge()).await?;
            let request = e2e::wire::RawRequest::new("GET", "/v1/models").header("authorization", token.bearer());
            connection.send(&request.bytes()).await?.received()?;
        }
        // The session ended with the ban, for good.
        everywhere(world, &cookie, 401).await?;
        let page = browser.open(&world.at(PAGE)).await?;
        assert_eq!(page.answer.received()?.path, PAGE, "the provider knows them: {:?}", page.steps);
        let anew = cookie_of(world, &browser)?;
        ensure!(anew != cookie, "the old one");
        everywhere(world, &anew, 200).await?;
        everywhere(world, &cookie, 401).await.map(drop)
    });
}
