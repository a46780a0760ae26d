//! A flood of tokens in the provider's name, each with a key that nobody has heard of, moves the sidecars to ask
//! the provider once in each interval, all of them together.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::peers::mint::{KeyOrder, Order, Origin, TokenOrder};
use e2e::peers::provider::{AUDIENCE, Use, Visit};
use e2e::peers::{Maker, Minted};
use e2e::token::now;
use e2e::wire::Connection;
use e2e::world::key_source::REFETCH_INTERVAL_S;
use e2e::{World, poll, story};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{DISCOVERED, ask, ask_anew, request, settle, token};

/// How many forgeries there are, each with a `kid` of its own.
const FORGERIES: usize = 2_000;
/// How many connections each worker has.
const CONNECTIONS: usize = 8;
/// How long the flood lasts at least: several intervals.
const FLOOD: Duration = Duration::from_secs(4 * REFETCH_INTERVAL_S);
/// In which time a key that was just published is known, flood or not.
const SEEN: Duration = Duration::from_secs(REFETCH_INTERVAL_S + 3);

#[test]
fn a_flood_of_unknown_keys_costs_the_provider_one_request_in_each_interval() {
    story(&DISCOVERED, async |world| {
        let provider = world.provider()?;
        settle(world).await?;
        let (before, begun) = (provider.visits().await?.len(), Instant::now());
        let refused = flood(world, &forgeries(&provider.issuer())?).await?;
        ensure!(refused >= FORGERIES, "{refused} refusals");

        let visits = provider.visits().await?.split_off(before);
        // Not by the gaps between them: a request may take longer than the next one to arrive.
        let intervals = begun.elapsed().as_secs() / REFETCH_INTERVAL_S;
        ensure!(visits.len() >= 2, "the provider was not asked again: {visits:?}");
        ensure!(visits.len() as u64 <= intervals + 1, "more than once in each of {intervals} intervals: {visits:?}");
        ensure!(visits.iter().all(|Visit { what, .. }| what == "jwks"), "{visits:?}");
        Ok(())
    });
}

#[test]
fn a_rotation_in_the_middle_of_a_flood_is_seen_within_an_interval() {
    story(&DISCOVERED, async |world| {
        let provider = world.provider()?;
        settle(world).await?;
        let forgeries = forgeries(&provider.issuer())?;
        let flood = flood(world, &forgeries);
        let rotation = async {
            provider.rotate(Use::AtOnce).await?;
            let fresh = token(provider, "fresh@provider.example").await?;
            // Until then nobody can tell it from the forgeries.
            poll::until("the new key is known", SEEN, async || ask_anew(world, &fresh).await?.received()).await
        };
        let (refused, passed) = tokio::join!(flood, rotation);
        ensure!(refused? >= FORGERIES, "too few refusals");
        passed.map(drop)
    });
}

/// Sends the forgeries again and again, to every worker alike, for as long as the flood lasts: how many were refused.
/// None passes, and no answer but 401 comes, since who could tell has told.
async fn flood(world: &World, forgeries: &[String]) -> Result<usize> {
    let connections = world.connections_by_worker(CONNECTIONS).await?;
    let shares = forgeries.chunks(forgeries.len().div_ceil(connections.len()));
    let (mut senders, until) = (JoinSet::new(), Instant::now() + FLOOD);
    for ((_, mut connection), share) in connections.into_iter().zip(shares) {
        let share = share.to_vec();
        senders.spawn(async move {
            let mut refused = 0;
            while refused < share.len() || Instant::now() < until {
                for token in &share {
                    let answer = connection.send(&request(token)).await?;
                    ensure!(answer.status == 401, "{answer:?}");
                    refused += 1;
                }
            }
            Ok(refused)
        });
    }
    let mut refused = 0;
    while let Some(ended) = senders.join_next().await {
        refused += ended??;
    }
    let mut connection = Connection::open(world.envoy.edge()).await?;
    let good = token(world.provider()?, "good@provider.example").await?;
    ask(&mut connection, &good).await?.received().context("a good token after the flood")?;
    Ok(refused)
}

/// Tokens in the name of `issuer`, signed with somebody else's key, which has another name in each.
fn forgeries(issuer: &str) -> Result<Vec<String>> {
    let now = now();
    let jwk = Minted::by(Maker::PyJwt).stranger("RS256")?.private.clone();
    let forgery = |number| TokenOrder {
        key: "stranger".to_owned(),
        algorithm: "RS256".to_owned(),
        header: json!({"kid": format!("unknown-{number}")}),
        claims: json!({"iss": issuer, "aud": AUDIENCE, "email": "ann@example.com", "iat": now, "exp": now + 3600}),
        encrypt: false,
    };
    let keys = vec![KeyOrder { name: "stranger".to_owned(), origin: Origin::Known { jwk } }];
    Ok(Maker::PyJwt.make(&Order { keys, tokens: (0..FORGERIES).map(forgery).collect() })?.tokens)
}
