//! The provider tells of logouts without a browser (OpenID Connect Back-Channel Logout 1.0).

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::peers::sign_in::{About, Delivered, Forgery, LogoutToken, Signature};
use e2e::token::now;
use e2e::wire::RawRequest;
use e2e::world::people::HOST;
use e2e::{World, poll, story};
use reqwest::Url;
use serde_json::json;

use super::steps::{everywhere, signed_in, somebody};
use super::{OTHERWISE, PEOPLE};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

async fn tell(world: &World, token: &LogoutToken) -> Result<Delivered> {
    world.sign_in_provider()?.log_out(token).await
}

#[test]
fn a_logout_of_one_session_ends_that_one() {
    story(&PEOPLE, async |world| {
        let ann = somebody();
        let ((_, older), (_, newer)) = (signed_in(world, &ann).await?, signed_in(world, &ann).await?);
        let told = tell(world, &LogoutToken::new(&ann, About::Session)).await?;
        assert_eq!(told.status, 200, "{told:?}");
        everywhere(world, &newer, 401).await?;
        everywhere(world, &older, 200).await?;
        world.get("/v1/models", &world.token_of(&ann)).await?.received()?;
        let again = world.sign_in_provider()?.log_out_again(&told).await?;
        assert_eq!(again.status, 400, "a token counts once: {again:?}");
        let of_nobody = tell(world, &LogoutToken::new(&ann, About::Session).sid("unknown")).await?;
        assert_eq!(of_nobody.status, 200, "nothing is left to be ended: {of_nobody:?}");
        everywhere(world, &older, 200).await.map(drop)
    });
}

#[test]
fn a_logout_of_somebody_ends_all_their_sessions_and_nobody_elses() {
    story(&PEOPLE, async |world| {
        let (ann, bob) = (somebody(), somebody());
        let (_, bobs) = signed_in(world, &bob).await?;
        let (mut first, one) = signed_in(world, &ann).await?;
        let (_, two) = signed_in(world, &ann).await?;
        let told = tell(world, &LogoutToken::new(&ann, About::Subject)).await?;
        assert_eq!(told.status, 200, "{told:?}");
        for cookie in [&one, &two] {
            everywhere(world, cookie, 401).await?;
        }
        everywhere(world, &bobs, 200).await?;
        world.get("/v1/models", &world.token_of(&ann)).await?.received()?;
        // They may sign in anew, though not within the same second: that sign-in could be one that had begun before.
        poll::until("they sign in", Duration::from_secs(10), async || world.sign_in(&mut first, &ann).await)
            .await
            .map(drop)
    });
}

#[test]
fn a_logout_of_somebody_revokes_their_tokens_where_that_is_switched_on() {
    story(&OTHERWISE, async |world| {
        let ann = somebody();
        let (token, (_, cookie)) = (world.token_of(&ann), signed_in(world, &ann).await?);
        world.get("/v1/models", &token).await?.received()?;
        // A session that ends is no reason; whoever is gone is.
        let told = tell(world, &LogoutToken::new(&ann, About::Both)).await?;
        assert_eq!(told.status, 200, "{told:?}");
        everywhere(world, &cookie, 401).await?;
        world.get("/v1/models", &token).await?.received()?;
        let signed_in = async || signed_in(world, &ann).await;
        let (_, cookie) = poll::until("they sign in", Duration::from_secs(10), signed_in).await?;
        let told = tell(world, &LogoutToken::new(&ann, About::Subject)).await?;
        assert_eq!(told.status, 200, "{told:?}");
        everywhere(world, &cookie, 401).await?;
        let request = RawRequest::new("GET", "/v1/models").header("authorization", token.bearer()).bytes();
        for _ in 0..24 {
            assert_eq!(world.raw(&request).await?.status, 401);
        }
        Ok(())
    });
}

#[test]
fn whatever_else_looks_like_a_logout_is_refused_and_ends_nothing() {
    story(&PEOPLE, async |world| {
        let ann = somebody();
        let (_, cookie) = signed_in(world, &ann).await?;
        let forged = Forgery::default;
        for (what, forgery) in [
            ("one bit was turned", forged().signed(Signature::Broken)),
            ("a stranger signed", forged().signed(Signature::Stranger)),
            ("nobody signed", forged().signed(Signature::None)),
            ("HMAC with the client's secret", forged().signed(Signature::Secret)),
            ("another issuer", forged().claim("iss", "http://127.0.0.1:1")),
            ("another client", forged().claim("aud", "others")),
            ("a nonce, as in an ID token", forged().claim("nonce", "n")),
            ("no event", forged().without("events")),
            ("another event", forged().claim("events", json!({"http://example.com/event": {}}))),
            ("an event that is none", forged().claim("events", json!({(EVENT): true}))),
            ("no jti", forged().without("jti")),
            ("an hour old", forged().claim("iat", now() - 3_600)),
            ("of the future", forged().claim("iat", now() + 3_600)),
            ("expired", forged().claim("exp", now() - 1)),
            ("an ID token's type", forged().header("typ", "at+jwt")),
            ("neither whose nor which", forged().without("sid").without("sub")),
        ] {
            let told = tell(world, &LogoutToken::new(&ann, About::Both).forged(forgery)).await?;
            assert_eq!(told.status, 400, "{what}: {told:?}");
            ensure!(told.body.contains("invalid_request"), "{what}: {told:?}");
        }
        for body in ["", "logout_token=", "logout_token=a.b.c", "token=x", "logout_token=x&logout_token=y"] {
            let request = RawRequest::to_host("POST", "/oauth2/backchannel_logout", HOST);
            let request = request.header("content-type", "application/x-www-form-urlencoded").with_body(body);
            assert_eq!(world.raw(&request).await?.status, 400, "{body}");
        }
        everywhere(world, &cookie, 200).await.map(drop)
    });
}

#[test]
fn an_id_token_is_no_logout_token() {
    story(&PEOPLE, async |world| {
        let ann = somebody();
        let (mut browser, cookie) = signed_in(world, &ann).await?;
        let asked = browser.clone().get(&world.at("/oauth2/sign_out")).await?;
        let away = asked.redirect()?.context("not sent to the provider")?;
        let id_token = away.query_pairs().find(|(name, _)| name == "id_token_hint").context("no hint")?.1.into_owned();
        everywhere(world, &cookie, 401).await?;
        world.sign_in(&mut browser, &ann).await?;
        let cookie = super::steps::cookie_of(world, &browser)?;
        let request = RawRequest::to_host("POST", "/oauth2/backchannel_logout", HOST);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = world.raw(&request.with_body(&format!("logout_token={id_token}"))).await?;
        assert_eq!(answer.status, 400, "{answer:?}");
        everywhere(world, &cookie, 200).await.map(drop)
    });
}

#[test]
fn whoever_signs_out_at_the_provider_itself_is_signed_out_here() {
    story(&PEOPLE, async |world| {
        let ann = somebody();
        let (mut browser, cookie) = signed_in(world, &ann).await?;
        let after = world.at("/oauth2/signed_out");
        let end = format!("{}/session/end", world.sign_in_provider()?.issuer());
        let parameters = [("client_id", e2e::peers::sign_in::CLIENT_ID), ("post_logout_redirect_uri", after.as_str())];
        let asked = browser.open(Url::parse_with_params(&end, parameters)?.as_str()).await?;
        let out = browser.submit(&asked, &[("logout", "yes")]).await?;
        assert_eq!(out.url.path(), "/oauth2/signed_out", "{:?}", out.steps);
        everywhere(world, &cookie, 401).await.map(drop)
    });
}
