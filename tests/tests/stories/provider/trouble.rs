//! The provider is away, slow, or answers with something else than its keys: the last good keys stay in use, a
//! `kid` that is not among them is no reason to refuse anybody for good (503, not 401), and an operator is told what
//! is wrong.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::peers::provider::{Document, Fault, Use};
use e2e::world::{Found, KeySource};
use e2e::{Plan, World, poll, story, story_in};
use serde_json::json;

use super::{DISCOVERED, SETTLED, ask_anew, token, until_new_tokens_pass};

/// In which time the reason of a failure is shown everywhere.
const SHOWN: Duration = Duration::from_secs(15);

#[test]
fn a_provider_that_is_down_at_the_start_is_503_until_it_comes_up() {
    let source = KeySource { algorithm: "PS256", found: Found::ByDiscovery, running: false };
    story_in(Plan { provider: Some(source), ..Plan::default() }, async |world| {
        let provider = world.provider()?;
        provider.start_mute().await?;
        let early = token(provider, "early@provider.example").await?;
        provider.kill().await?;
        let answer = ask_anew(world, &early).await?;
        ensure!(answer.status == 503 && answer.header("retry-after").is_some(), "{answer:?}");
        // Nobody else is concerned.
        world.get("/v1/models", &world.user().token).await?.received()?;
        expect_reason(world, "connect").await?;

        provider.start().await?;
        poll::until("the token passes", SETTLED, async || ask_anew(world, &early).await?.received()).await?;
        until_new_tokens_pass(world).await
    });
}

#[test]
fn a_provider_that_goes_down_later_is_missed_by_nobody_whose_key_is_known() {
    story(&DISCOVERED, async |world| {
        let provider = world.provider()?;
        until_new_tokens_pass(world).await?;
        let known = [token(provider, "one@provider.example").await?, token(provider, "two@provider.example").await?];
        ask_anew(world, &known[0]).await?.received()?;
        provider.behave(Document::Jwks, Some(Fault::Status(500))).await?;
        provider.rotate(Use::AtOnce).await?;
        let unknown = token(provider, "three@provider.example").await?;
        provider.kill().await?;

        // The second one was never seen: its key is remembered, not the token.
        for token in &known {
            ask_anew(world, token).await?.received()?;
        }
        expect_cannot_tell(world, &unknown).await?;
        expect_reason(world, "connect").await?;

        provider.start().await?;
        poll::until("the new key is known", SETTLED, async || ask_anew(world, &unknown).await?.received()).await?;
        until_new_tokens_pass(world).await
    });
}

#[test]
fn whatever_a_provider_answers_instead_of_its_keys_the_last_good_ones_stay() {
    story(&DISCOVERED, async |world| {
        let elsewhere = world.provider()?.elsewhere();
        for (fault, reason) in [
            (Fault::Slow(Duration::from_secs(30)), "timed out"),
            (Fault::Drip, "timed out"),
            (Fault::Large, "bytes"),
            (Fault::Html, "JSON"),
            (Fault::Redirect(elsewhere), "redirect"),
            (Fault::Status(500), "500"),
            (Fault::Status(404), "404"),
            (Fault::Other(json!({"keys": []})), "key"),
            (Fault::Other(json!([])), "set"),
        ] {
            let what = format!("{fault:?}");
            survive(world, fault, reason).await.context(what)?;
        }
        assert_eq!(world.provider()?.visits_to("elsewhere").await?, 0, "nobody follows a redirect to another host");
        Ok(())
    });
}

async fn survive(world: &World, fault: Fault, reason: &str) -> Result<()> {
    let provider = world.provider()?;
    until_new_tokens_pass(world).await?;
    let known = token(provider, "known@provider.example").await?;
    provider.behave(Document::Jwks, Some(fault)).await?;
    provider.rotate(Use::AtOnce).await?;
    let unknown = token(provider, "unknown@provider.example").await?;
    expect_cannot_tell(world, &unknown).await?;
    expect_reason(world, reason).await?;
    ask_anew(world, &known).await?.received().context("a token of a key that was known before")?;

    provider.behave(Document::Jwks, None).await?;
    poll::until("the new key is known", SETTLED, async || ask_anew(world, &unknown).await?.received()).await.map(drop)
}

/// 503, and not the provider's user's fault.
async fn expect_cannot_tell(world: &World, token: &str) -> Result<()> {
    let answer = ask_anew(world, token).await?;
    ensure!(answer.status == 503, "{answer:?}");
    ensure!(answer.header("retry-after").is_some(), "{answer:?}");
    Ok(())
}

/// Waits until the command line says why the provider's keys could not be fetched.
async fn expect_reason(world: &World, reason: &str) -> Result<()> {
    poll::until(&format!("`sekisho keys list` says `{reason}`"), SHOWN, async || {
        let output = world.a.cli(&["keys", "list"]).await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(said.to_lowercase().contains(&reason.to_lowercase()), "{said}");
        Ok(())
    })
    .await
}
