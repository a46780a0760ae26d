//! What the stories about sign-in stand on: the provider does what it is told, and the browser what browsers do. Their client
//! is made by hand here, so that none of this depends on ours.

mod by_hand;
mod logout;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use by_hand::{ByHand, Tokens};
use e2e::peers::provider::Fault;
use e2e::peers::sign_in::{Endpoint, Forgery, Person, RefreshTokens, Setup, SignInProvider, Signature};
use e2e::{Browser, story_without_world};
use serde_json::json;

const ANN: &str = "ann@example.com";

/// A story of a provider and a client alone.
fn between(setup: Setup, story: impl AsyncFnOnce(&ByHand) -> Result<()>) {
    story_without_world(async || story(&ByHand::start(setup).await?).await);
}

#[test]
fn a_code_gets_tokens_that_verify_with_the_providers_keys() {
    for (algorithm, client_auth) in
        [("RS256", "client_secret_basic"), ("ES256", "client_secret_post"), ("EdDSA", "client_secret_basic")]
    {
        between(Setup { algorithm, client_auth }, async |client| {
            client.provider.describe(&Person::new(ANN).acr("urn:stories:mfa").amr(&["pwd", "otp"])).await?;
            let tokens = client.sign_in(&mut Browser::new()?, ANN).await?;
            let claims = client.verify(&tokens.id_token).await?;
            for (name, expected) in [
                ("email", json!(ANN)),
                ("email_verified", json!(true)),
                ("name", json!("Ann")),
                ("preferred_username", json!("ann")),
                ("groups", json!(["staff"])),
                ("acr", json!("urn:stories:mfa")),
                ("amr", json!(["pwd", "otp"])),
                ("nonce", json!(tokens.nonce)),
            ] {
                assert_eq!(claims[name], expected, "{algorithm}: {claims}");
            }
            assert!(claims["auth_time"].is_u64(), "{claims}");
            let sessions = client.provider.sessions_of(ANN).await?;
            assert_eq!(json!([sessions[0].sid, sessions[0].sub]), json!([claims["sid"], claims["sub"]]));
            assert_eq!(client.user_info(&tokens.access_token).await?.json_with(200)?["email"], ANN);
            Ok(())
        });
    }
}

#[test]
fn a_code_is_worth_nothing_a_second_time_or_without_its_verifier() {
    between(Setup::default(), async |client| {
        let callback = client.callback(&mut Browser::new()?, ANN).await?;
        let verifier = callback.verifier.clone();
        let other = client.exchange(&callback.code, &"x".repeat(43)).await?;
        assert_eq!(other.json_with(400)?["error"], "invalid_grant");
        assert_eq!(client.exchange(&callback.code, &verifier).await?.status, 200);
        assert_eq!(client.exchange(&callback.code, &verifier).await?.json_with(400)?["error"], "invalid_grant");
        assert_eq!(client.provider.visits_to(Endpoint::Exchange).await?, 3);
        let without = client.authorization_url(&[("code_challenge", ""), ("code_challenge_method", "")])?;
        let refused = Browser::new()?.get(&without).await?;
        assert!(
            refused.redirect()?.context("no callback")?.query().unwrap_or_default().contains("error=invalid_request")
        );
        Ok(())
    });
}

#[test]
fn refresh_tokens_come_turn_and_go_as_a_story_wants_it() {
    between(Setup::default(), async |client| {
        let provider = &client.provider;
        provider.access_tokens_live(Duration::from_secs(7)).await?;
        let mut browser = Browser::new()?;
        let first = client.sign_in(&mut browser, ANN).await?;
        assert_eq!(first.expires_in, 7);
        let second = client.refresh(first.refresh()?).await?.json_with(200)?;
        assert_ne!(second["refresh_token"], json!(first.refresh_token), "it turns");
        assert_eq!(client.refresh(first.refresh()?).await?.json_with(400)?["error"], "invalid_grant");
        let stolen = second["refresh_token"].as_str().context("no refresh token")?;
        assert_eq!(client.refresh(stolen).await?.status, 400, "the second use has ended them all");

        provider.refresh_tokens(RefreshTokens::Always, false).await?;
        let third = client.sign_in(&mut browser, ANN).await?;
        for _ in 0..2 {
            assert_eq!(
                client.refresh(third.refresh()?).await?.json_with(200)?["refresh_token"],
                json!(third.refresh_token)
            );
        }
        provider.revoke(ANN).await?;
        assert_eq!(client.refresh(third.refresh()?).await?.json_with(400)?["error"], "invalid_grant");
        provider.refresh_tokens(RefreshTokens::Never, false).await?;
        assert_eq!(client.sign_in(&mut browser, ANN).await?.refresh_token, None);
        assert_eq!(provider.visits_to(Endpoint::Refresh).await?, 6);
        Ok(())
    });
}

#[test]
fn who_is_gone_cannot_refresh_and_who_is_known_is_not_asked_again() {
    between(Setup::default(), async |client| {
        let mut browser = Browser::new()?;
        let tokens = client.sign_in(&mut browser, ANN).await?;
        let again = browser.open(&client.authorization_url(&[])?).await?;
        assert_eq!(again.url.path(), "/oauth2/callback", "no login page came in between: {:?}", again.steps);
        client.provider.forget(ANN).await?;
        let page = browser.open(&client.authorization_url(&[])?).await?;
        assert!(page.form_with(&[("login", "")]).is_ok(), "{:?}", page.steps);
        let cancelled = browser.submit(&page, &[("cancel", "yes")]).await?;
        assert!(cancelled.url.query().unwrap_or_default().contains("error=access_denied"), "{}", cancelled.url);
        client.provider.log_in_as(Some("bob@example.com")).await?;
        let unasked = Browser::new()?.open(&client.authorization_url(&[])?).await?;
        assert_eq!(unasked.url.path(), "/oauth2/callback", "{:?}", unasked.steps);
        client.provider.describe(&Person::new(ANN).deleted()).await?;
        assert_eq!(client.refresh(tokens.refresh()?).await?.json_with(400)?["error"], "invalid_grant");
        Ok(())
    });
}

#[test]
fn what_a_story_wants_forged_is_forged_and_nothing_else() {
    between(Setup::default(), async |client| {
        let provider = &client.provider;
        for (forgery, expected) in [
            (Forgery::default(), None),
            (Forgery::default().claim("iss", "http://127.0.0.1:1"), Some("InvalidIssuer")),
            (Forgery::default().claim("aud", "others"), Some("InvalidAudience")),
            (Forgery::default().claim("exp", 1), Some("ExpiredSignature")),
            (Forgery::default().signed(Signature::Broken), Some("InvalidSignature")),
            (Forgery::default().signed(Signature::Stranger), Some("InvalidSignature")),
            (Forgery::default().signed(Signature::Secret), Some("InvalidAlgorithm")),
            (Forgery::default().header("kid", "unknown"), Some("no key is called unknown")),
            // The library knows no such algorithm at all.
            (Forgery::default().signed(Signature::None), Some("unknown variant `none`")),
        ] {
            provider.forge_id_tokens(Some(&forgery)).await?;
            let tokens = client.sign_in(&mut Browser::new()?, ANN).await?;
            let verified = client.verify(&tokens.id_token).await;
            match expected {
                None => ensure!(verified.is_ok(), "{verified:?}"),
                Some(error) => ensure!(format!("{verified:?}").contains(error), "{forgery:?}: {verified:?}"),
            }
        }
        let forgery = Forgery::default().claim("nonce", "another").claim("email_verified", false).without("groups");
        provider.forge_id_tokens(Some(&forgery)).await?;
        let tokens = client.sign_in(&mut Browser::new()?, ANN).await?;
        let claims = client.verify(&tokens.id_token).await?;
        assert_eq!((&claims["nonce"], &claims["email_verified"]), (&json!("another"), &json!(false)));
        assert!(claims.get("groups").is_none() && claims["email"] == ANN, "{claims}");

        provider.forge_id_tokens(None).await?;
        provider.forge_callbacks(&[("iss", Some("http://evil.example")), ("state", None)]).await?;
        let mut browser = Browser::new()?;
        let login = browser.open(&client.authorization_url(&[])?).await?;
        let query = browser.submit(&login, &[("login", ANN)]).await?.url.query().unwrap_or_default().to_owned();
        assert!(query.contains("iss=http%3A%2F%2Fevil.example") && !query.contains("state="), "{query}");
        provider.tell_claims_by_userinfo_alone(true).await?;
        let tokens = client.sign_in(&mut Browser::new()?, ANN).await;
        assert!(tokens.is_err(), "the state is missing");
        provider.forge_callbacks(&[]).await?;
        let tokens = client.sign_in(&mut Browser::new()?, ANN).await?;
        assert!(client.verify(&tokens.id_token).await?.get("email").is_none());
        assert_eq!(client.user_info(&tokens.access_token).await?.json_with(200)?["email"], ANN);
        Ok(())
    });
}

#[test]
fn a_provider_fails_as_it_is_told_and_recovers() {
    between(Setup::default(), async |client| {
        let provider = &client.provider;
        let tokens = client.sign_in(&mut Browser::new()?, ANN).await?;
        provider.behave_once(Endpoint::Refresh, Fault::Lost).await?;
        assert!(client.refresh(tokens.refresh()?).await.is_err(), "the answer got lost");
        assert_eq!(client.refresh(tokens.refresh()?).await?.status, 400, "but the token was used");
        provider.behave(Endpoint::Exchange, Some(Fault::Status(503))).await?;
        let callback = client.callback(&mut Browser::new()?, ANN).await?;
        assert_eq!(client.exchange(&callback.code, &callback.verifier).await?.status, 503);
        provider.behave(Endpoint::Exchange, None).await?;
        assert_eq!(client.exchange(&callback.code, &callback.verifier).await?.status, 200);
        provider.behave_once(Endpoint::UserInfo, Fault::Hang).await?;
        let asked = tokio::time::timeout(Duration::from_secs(1), client.user_info(&tokens.access_token)).await;
        assert!(asked.is_err(), "no answer comes");

        provider.go_down().await?;
        assert!(Browser::new()?.get(&provider.issuer()).await.is_err());
        provider.come_back().await?;
        let tokens: Tokens = client.sign_in(&mut Browser::new()?, ANN).await?;
        provider.rotate_keys().await?;
        let later = client.sign_in(&mut Browser::new()?, ANN).await?;
        for token in [&tokens.id_token, &later.id_token] {
            client.verify(token).await?;
        }
        assert_eq!(client.refresh(tokens.refresh()?).await?.status, 200, "it remembers what it gave before");
        let secrets = SignInProvider::secrets_in(client.folder());
        for secret in [&later.access_token, &later.id_token, later.refresh()?, &callback.code] {
            assert!(secrets.contains(secret), "{secret} is not among those that it gave out");
        }
        Ok(())
    });
}
