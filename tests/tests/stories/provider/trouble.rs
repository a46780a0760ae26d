//! The provider is away, slow, or answers with something else than its keys: the last good keys stay in use, a
//! `kid` that is not among them is no reason to refuse anybody for good (503, not 401), and an operator is told what
//! is wrong.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::peers::provider::{Document, Fault, Use};
use e2e::world::{Found, KeySource};
use e2e::{Plan, World, poll, story, story_in};
use serde_json::{Value, json};

use super::{DISCOVERED, SETTLED, ask_anew, settle, token, until_new_tokens_pass};

/// The reason if nobody listens there.
const REFUSED: &str = "refused";
/// Attempts of a sidecar to fetch keys, by how they ended.
const FETCHES: &str = "sekisho_keyset_fetches_total";
/// In which time the reason of a failure is shown everywhere.
const SHOWN: Duration = Duration::from_secs(15);

#[test]
fn a_provider_that_is_down_at_the_start_is_503_until_it_comes_up_as_itself() {
    let source = KeySource { algorithm: "PS256", found: Found::ByDiscovery, running: false };
    story_in(Plan { provider: Some(source), ..Plan::default() }, async |world| {
        let provider = world.provider()?;
        provider.start_mute().await?;
        let early = token(provider, "early@provider.example").await?;
        provider.kill().await?;
        expect_cannot_tell(world, &early).await?;
        // Nobody else is concerned.
        world.get("/v1/models", &world.user().token).await?.received()?;
        expect_reason(world, REFUSED).await?;

        // Whoever took its place does not know its name, and is not asked for keys.
        provider.start_mute().await?;
        let impostor = json!({"issuer": "http://impostor.example", "jwks_uri": provider.elsewhere()});
        provider.behave(Document::Discovery, Some(Fault::Other(impostor))).await?;
        expect_reason(world, "metadata of the issuer `http://impostor.example`").await?;
        expect_cannot_tell(world, &early).await?;
        assert_eq!(provider.visits_to("elsewhere").await?, 0);

        provider.behave(Document::Discovery, None).await?;
        provider.behave(Document::Jwks, None).await?;
        poll::until("the token passes", SETTLED, async || ask_anew(world, &early).await?.received()).await?;
        until_new_tokens_pass(world).await
    });
}

#[test]
fn a_provider_that_goes_down_later_is_missed_by_nobody_whose_key_is_known() {
    story(&DISCOVERED, async |world| {
        let provider = world.provider()?;
        settle(world).await?;
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
        expect_reason(world, REFUSED).await?;
        let logs = e2e::process::logs_of(world.folder());
        assert!(logs.contains("keys cannot be fetched; the last good ones stay"), "no word of it in the logs");

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
            (Fault::Slow(Duration::from_secs(30)), "no answer within"),
            (Fault::Drip, "no answer within"),
            (Fault::Large, "more than 524288 bytes"),
            (Fault::Html, "it is no set of keys"),
            (Fault::Redirect(elsewhere), "redirects to another origin"),
            (Fault::Status(500), "status 500"),
            (Fault::Status(404), "status 404"),
            (Fault::Other(json!({"keys": []})), "none of its 0 keys can be used"),
            (Fault::Other(json!([])), "it is no set of keys"),
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
    settle(world).await?;
    let (known, failed) = (token(provider, "known@provider.example").await?, failed_fetches(world).await?);
    provider.behave(Document::Jwks, Some(fault)).await?;
    provider.rotate(Use::AtOnce).await?;
    let unknown = token(provider, "unknown@provider.example").await?;
    expect_cannot_tell(world, &unknown).await?;
    expect_reason(world, reason).await?;
    ensure!(failed_fetches(world).await? > failed, "no failure was counted");
    ask_anew(world, &known).await?.received().context("a token of a key that was known before")?;

    provider.behave(Document::Jwks, None).await?;
    poll::until("the new key is known", SETTLED, async || ask_anew(world, &unknown).await?.received()).await.map(drop)
}

async fn failed_fetches(world: &World) -> Result<u64> {
    let labels = [("source", "provider"), ("outcome", "failed")];
    Ok(world.a.metric_of(FETCHES, &labels).await? + world.b.metric_of(FETCHES, &labels).await?)
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
        let said = world.a.cli(&["keys", "list", "--json"]).await?.stdout;
        let said: Value = serde_json::from_slice(&said)?;
        let failure = said["sources"].as_array().into_iter().flatten().find_map(|source| source["failure"].as_str());
        ensure!(failure.is_some_and(|failure| failure.contains(reason)), "{said}");
        Ok(())
    })
    .await
}
