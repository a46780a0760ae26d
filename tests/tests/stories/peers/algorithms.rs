//! Each algorithm: what PyJWT and jose sign with it passes, on every worker, and the counters say who verified it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::peers::mint::MAKERS;
use e2e::peers::minted::{ALGORITHMS, TOKENS};
use e2e::peers::{Maker, Minted};
use e2e::{World, poll, story};

use super::{BY_HOST, IN_WASM, ask};

/// What Envoy's `verify_signature` is good for.
const OF_THE_HOST: [&str; 6] = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"];
/// How many signatures were looked at, by algorithm and by who did it.
const VERIFICATIONS: &str = "sekisho_filter_verifications_total";
/// In which time a worker's counts have arrived at a sidecar.
const REPORTED: Duration = Duration::from_secs(10);

#[test]
fn what_others_sign_passes_whatever_the_algorithm_and_the_host_verifies_what_it_can() {
    story(&BY_HOST, async |world| {
        let by = |algorithm: &str| -> &'static str { if OF_THE_HOST.contains(&algorithm) { "host" } else { "wasm" } };
        every_algorithm_passes_on_every_worker(world).await?;
        every_verification_was_by(world, by).await
    });
}

#[test]
fn what_others_sign_passes_whatever_the_algorithm_without_the_host_as_well() {
    story(&IN_WASM, async |world| {
        every_algorithm_passes_on_every_worker(world).await?;
        every_verification_was_by(world, |_| "wasm").await
    });
}

async fn every_algorithm_passes_on_every_worker(world: &World) -> Result<()> {
    let mut connections = world.connections_by_worker(1).await?;
    for maker in MAKERS {
        for (algorithm, _) in ALGORITHMS {
            for token in Minted::by(maker).tokens(algorithm)? {
                for (worker, connection) in &mut connections {
                    let what = || format!("{algorithm} of {maker:?} on {worker}");
                    let received = ask(connection, token.text).await?.received().with_context(what)?;
                    assert_eq!(received.one("x-forwarded-email"), Some(token.email), "{}", what());
                    let id = format!("token of {}", token.email);
                    assert_eq!(received.one("x-sekisho-token-id"), Some(id.as_str()), "{}", what());
                }
            }
        }
    }
    Ok(())
}

/// In the whole life of this world, whatever other stories did in it.
async fn every_verification_was_by(world: &World, by: fn(&str) -> &'static str) -> Result<()> {
    let expected = u64::try_from(TOKENS * MAKERS.len())? * u64::from(world.envoy.workers());
    for (algorithm, _) in ALGORITHMS {
        let (right, wrong) = if by(algorithm) == "host" { ("host", "wasm") } else { ("wasm", "host") };
        poll::until(&format!("every {algorithm} signature is counted"), REPORTED, async || {
            let counted = verifications(world, algorithm, right).await?;
            ensure!(counted >= expected, "{counted} of {expected} by {right}");
            Ok(())
        })
        .await?;
        assert_eq!(verifications(world, algorithm, wrong).await?, 0, "{algorithm} by {wrong}");
    }
    Ok(())
}

async fn verifications(world: &World, algorithm: &str, by: &str) -> Result<u64> {
    let labels = [("algorithm", algorithm), ("by", by)];
    Ok(world.a.metric_of(VERIFICATIONS, &labels).await? + world.b.metric_of(VERIFICATIONS, &labels).await?)
}

/// Should one of them verify nothing, everything above would prove less than it says.
#[test]
fn both_makers_make_other_keys_and_other_tokens() -> Result<()> {
    let (python, node) = (Minted::by(Maker::PyJwt), Minted::by(Maker::Jose));
    for (algorithm, kind) in ALGORITHMS {
        assert_ne!(python.tokens(algorithm)?[0].text, node.tokens(algorithm)?[0].text, "{algorithm}");
        if kind != "oct" {
            assert_ne!(python.key(algorithm)?.public, node.key(algorithm)?.public, "{algorithm}");
        }
    }
    Ok(())
}
