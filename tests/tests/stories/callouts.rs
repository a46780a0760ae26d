//! What never asks a sidecar: a token that was seen before, and one that is not valid.

use anyhow::{Result, ensure};
use e2e::wire::{Connection, RawRequest};
use e2e::{Plan, Shared, Token, User, World, story};
use tokio::task::JoinSet;

static QUIET: Shared = Shared::in_turn(Plan::default);

#[test]
fn a_cached_token_causes_no_check_on_any_worker() {
    story(&QUIET, async |world| {
        let before = world.checks(&[]).await?;
        let User { token, .. } = world.user();
        let request = RawRequest::new("GET", "/v1/models").header("authorization", token.bearer()).bytes();
        let sent = world.everywhere(&request, |answer| answer.status == 200).await?;
        assert!(sent >= 2_000);
        assert_eq!(world.checks(&[]).await?, before);
        assert_eq!(before, 0, "nothing in this world asks");
        Ok(())
    });
}

#[test]
fn ten_thousand_forged_tokens_cause_no_check_and_reach_nobody() {
    const CONNECTIONS: usize = 20;
    const TOKENS_EACH: usize = 500;
    story(&QUIET, async |world| {
        let (checks, received) = (world.checks(&[]).await?, world.upstream.count());
        let mut senders = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let forged: Vec<Token> = (0..TOKENS_EACH).map(|_| forged_token(world)).collect();
            senders.spawn(send_all(world.envoy.edge(), forged));
        }
        let mut refused = 0;
        while let Some(ended) = senders.join_next().await {
            refused += ended??;
        }
        assert_eq!(refused, 10_000);
        assert_eq!(world.checks(&[]).await?, checks);
        assert_eq!(world.upstream.count(), received);
        assert_eq!(world.envoy.vm_reloads().await?, 0);
        Ok(())
    });
}

#[test]
fn p5_a_new_token_needs_no_check_either_while_the_replica_is_fresh() {
    story(&QUIET, async |world| {
        let before = world.checks(&[]).await?;
        for _ in 0..200 {
            let User { token, .. } = world.user();
            world.get("/v1/models", &token).await?.received()?;
        }
        assert_eq!(world.checks(&[]).await?, before);
        Ok(())
    });
}

fn forged_token(world: &World) -> Token {
    let User { token, .. } = world.user();
    token.signed_with("a secret that the forger made up, long enough")
}

async fn send_all(to: std::net::SocketAddr, tokens: Vec<Token>) -> Result<usize> {
    let mut connection = Connection::open(to).await?;
    for token in &tokens {
        let request = RawRequest::new("GET", "/v1/models").header("authorization", token.bearer());
        let answer = connection.send(&request.bytes()).await?;
        ensure!(answer.status == 401 && answer.body.contains("signature is invalid"), "{answer:?}");
    }
    Ok(tokens.len())
}
