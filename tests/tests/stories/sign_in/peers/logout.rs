//! Signing out at the provider, and the back channel.

use anyhow::{Context, Result, ensure};
use e2e::peers::sign_in::{About, Delivered, Forgery, LogoutToken, Setup, Signature};
use e2e::token::now;
use e2e::{Browser, Token};
use reqwest::Url;
use serde_json::{Value, json};

use super::by_hand::ByHand;
use super::{ANN, between};

const BACK_CHANNEL: &str = "/oauth2/backchannel_logout";

/// The last logout token that reached the client, which answers with 200.
fn arrived(client: &ByHand) -> Result<String> {
    let received = client.reached.with_path(BACK_CHANNEL).pop().context("nothing came by the back channel")?;
    ensure!(received.method == "POST" && received.one("content-type") == Some("application/x-www-form-urlencoded"));
    ensure!(client.origin.ends_with(received.one("host").unwrap_or_default()), "{received:?}");
    Ok(received.body.strip_prefix("logout_token=").context("no logout token")?.to_owned())
}

fn claims_of(token: &str) -> Result<Value> {
    use base64::Engine as _;
    let part = token.split('.').nth(1).context("no claims")?;
    Ok(serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part)?)?)
}

#[test]
fn logout_tokens_say_what_a_story_wants_them_to() {
    between(Setup::default(), async |client| {
        let provider = &client.provider;
        client.sign_in(&mut Browser::new()?, ANN).await?;
        let session = provider.sessions_of(ANN).await?.pop().context("no session")?;
        for (about, sid, sub) in
            [(About::Session, true, false), (About::Subject, false, true), (About::Both, true, true)]
        {
            let delivered: Delivered = provider.log_out(&LogoutToken::new(ANN, about)).await?;
            assert_eq!(delivered.status, 200, "{delivered:?}");
            assert_eq!(arrived(client)?, delivered.token);
            let claims = client.verify(&delivered.token).await?;
            assert_eq!(claims.get("sid").is_some_and(|found| *found == json!(session.sid)), sid, "{claims}");
            assert_eq!(claims.get("sub").is_some_and(|found| *found == json!(session.sub)), sub, "{claims}");
            assert!(claims["events"]["http://schemas.openid.net/event/backchannel-logout"].is_object(), "{claims}");
            assert_eq!(Token::minted(&delivered.token)?.header("typ"), Some("logout+jwt"));
            assert!(provider.log_out_again(&delivered).await?.token == delivered.token);
        }
        let old = now() - 3_600;
        let odd = Forgery::default().claim("nonce", "n").claim("iat", old).claim("jti", "same").without("events");
        let odd = LogoutToken::new(ANN, About::Session).sid("unknown").forged(odd.header("typ", "JWT"));
        let token = provider.log_out(&odd).await?.token;
        let claims = client.verify(&token).await?;
        let (expected, got) =
            (json!(["n", old, "same", "unknown"]), ["nonce", "iat", "jti", "sid"].map(|name| claims[name].clone()));
        assert_eq!(json!(got), expected);
        assert!(claims.get("events").is_none() && Token::minted(&token)?.header("typ") == Some("JWT"));
        let broken = LogoutToken::new(ANN, About::Session).forged(Forgery::default().signed(Signature::Broken));
        assert!(client.verify(&provider.log_out(&broken).await?.token).await.is_err());
        Ok(())
    });
}

#[test]
fn signing_out_at_the_provider_tells_the_client_and_leads_back() {
    between(Setup::default(), async |client| {
        let mut browser = Browser::new()?;
        let tokens = client.sign_in(&mut browser, ANN).await?;
        let session = client.provider.sessions_of(ANN).await?.pop().context("no session")?;
        let after = format!("{}/", client.origin);
        let parameters =
            [("id_token_hint", tokens.id_token.as_str()), ("post_logout_redirect_uri", &after), ("state", "s")];
        let address = Url::parse_with_params(&format!("{}/session/end", client.provider.issuer()), parameters)?;
        let page = browser.open(address.as_str()).await?;
        let out = browser.submit(&page, &[("logout", "yes")]).await?;
        assert_eq!(out.url.as_str(), format!("{after}?state=s"), "{:?}", out.steps);
        let claims = claims_of(&arrived(client)?)?;
        assert_eq!((&claims["sid"], &claims["sub"]), (&json!(session.sid), &json!(session.sub)));
        assert_eq!(client.provider.sessions_of(ANN).await?, []);
        let page = browser.open(&client.authorization_url(&[])?).await?;
        assert!(page.form_with(&[("login", "")]).is_ok(), "they are asked again: {:?}", page.steps);
        Ok(())
    });
}
