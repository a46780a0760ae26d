//! What somebody says in the provider's name.

use anyhow::{Context, ensure};
use e2e::peers::sign_in::{CLIENT_ID, Endpoint, Forgery, Person, Signature};
use e2e::token::now;
use e2e::{Browser, story};
use serde_json::json;

use super::MISLED;
use super::steps::{PAGE, is_told, somebody, try_to_sign_in};

const UNTRUSTED: &str = "Not signed in";

#[test]
fn a_forged_id_token_signs_nobody_in() {
    story(&MISLED, async |world| {
        let provider = world.sign_in_provider()?;
        let forged = Forgery::default;
        for (what, forgery) in [
            ("one bit was turned", forged().signed(Signature::Broken)),
            ("a stranger signed", forged().signed(Signature::Stranger)),
            ("nobody signed", forged().signed(Signature::None)),
            ("HMAC with the client's secret", forged().signed(Signature::Secret)),
            ("an unknown key", forged().header("kid", "unknown")),
            ("another issuer", forged().claim("iss", "http://127.0.0.1:1")),
            ("no issuer", forged().without("iss")),
            ("another audience", forged().claim("aud", "others")),
            ("another audience besides", forged().claim("aud", json!([CLIENT_ID, "others"]))),
            ("no audience", forged().without("aud")),
            ("another nonce", forged().claim("nonce", "x".repeat(43))),
            ("no nonce", forged().without("nonce")),
            ("expired", forged().claim("exp", now() - 1)),
            ("without an end", forged().without("exp")),
            ("of the future", forged().claim("iat", now() + 3_600)),
            ("no subject", forged().without("sub")),
            ("an empty subject", forged().claim("sub", "")),
            ("another subject than at userinfo", forged().claim("sub", "subject-of-somebody-else")),
        ] {
            provider.forge_id_tokens(Some(&forgery)).await?;
            let mut browser = Browser::new()?;
            let page = try_to_sign_in(world, &mut browser, PAGE, &somebody()).await?;
            // What lacks a claim that every ID token has may not even be read as one: then the provider is not well.
            let is_unread = page.answer.status == 503;
            let (status, heading) = if is_unread { (503, "Try again shortly") } else { (502, UNTRUSTED) };
            is_told(world, &browser, &page, status, heading).context(what)?;
            ensure!(!is_unread || what.starts_with("no ") || what.starts_with("without "), "{what}: {page:?}");
        }
        provider.forge_id_tokens(None).await?;
        world.sign_in(&mut Browser::new()?, &somebody()).await?;
        Ok(())
    });
}

#[test]
fn an_answer_of_another_issuer_is_refused_before_its_code_goes_anywhere() {
    story(&MISLED, async |world| {
        let provider = world.sign_in_provider()?;
        let before = provider.visits_to(Endpoint::Exchange).await?;
        // The provider says that its answers always bear `iss` (RFC 9207 §3).
        for issuer in [Some("http://evil.example"), Some(""), None] {
            provider.forge_callbacks(&[("iss", issuer)]).await?;
            let mut browser = Browser::new()?;
            let page = try_to_sign_in(world, &mut browser, PAGE, &somebody()).await?;
            is_told(world, &browser, &page, 502, UNTRUSTED).with_context(|| format!("{issuer:?}"))?;
        }
        for parameters in [
            &[("state", None)][..],
            &[("state", Some("x"))],
            &[("state", Some("eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh"))],
            &[("code", None)],
            &[("code", Some(""))],
            &[("error", Some("access_denied"))],
        ] {
            provider.forge_callbacks(parameters).await?;
            let mut browser = Browser::new()?;
            let page = try_to_sign_in(world, &mut browser, PAGE, &somebody()).await?;
            is_told(world, &browser, &page, 400, "Please sign in again").with_context(|| format!("{parameters:?}"))?;
        }
        ensure!(provider.visits_to(Endpoint::Exchange).await? == before, "a code was redeemed");
        provider.forge_callbacks(&[("code", Some("made-up"))]).await?;
        let mut browser = Browser::new()?;
        let page = try_to_sign_in(world, &mut browser, PAGE, &somebody()).await?;
        is_told(world, &browser, &page, 403, UNTRUSTED)?;
        provider.forge_callbacks(&[]).await?;
        Ok(())
    });
}

#[test]
fn whoever_changes_their_mind_at_the_provider_is_told_and_may_try_again() {
    story(&MISLED, async |world| {
        let mut browser = Browser::new()?;
        let login = browser.open(&world.at(PAGE)).await?;
        let page = browser.submit(&login, &[("cancel", "yes")]).await?;
        is_told(world, &browser, &page, 403, UNTRUSTED)?;
        let [again] = &page.links()[..] else { anyhow::bail!("{page:?}") };
        let login = browser.click(&page, again).await?;
        let page = browser.submit(&login, &[("login", &somebody())]).await?;
        assert_eq!(page.answer.received()?.path, PAGE);
        Ok(())
    });
}

#[test]
fn what_the_provider_calls_somebody_never_becomes_markup_or_another_header() {
    story(&MISLED, async |world| {
        let email = somebody();
        let hostile = json!("<script>alert(1)</script>\r\nx-forwarded-email: root@example.com");
        world.sign_in_provider()?.describe(&Person::new(&email).claim("name", hostile)).await?;
        let mut browser = Browser::new()?;
        let received = world.sign_in(&mut browser, &email).await?.answer.received()?;
        assert_eq!(received.all("x-forwarded-email"), [email.as_str()]);
        Ok(())
    });
}
