//! A provider that nobody here wrote (npm's oidc-provider) issues tokens; the sidecars fetch its keys, and tell the
//! workers. It rotates its keys, goes away, comes back, and answers with nonsense.

mod rotation;
mod strangers;
mod trouble;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::peers::Provider;
use e2e::wire::{Connection, RawRequest};
use e2e::world::{Found, KeySource};
use e2e::{Answer, Plan, Shared, World, poll, story};

/// In which time a change at the provider has arrived everywhere once somebody asked for it, or once it could be
/// asked again: retries become slower with each failure.
const SETTLED: Duration = Duration::from_secs(30);

/// The sidecars know who the provider is, and find its keys by its description.
static DISCOVERED: Shared = Shared::in_turn(|| with_provider("RS256", Found::ByDiscovery));
/// The sidecars know where the keys are.
static LOCATED: Shared = Shared::in_turn(|| with_provider("ES256", Found::ByJwksUri));

fn with_provider(algorithm: &'static str, found: Found) -> Plan {
    Plan { provider: Some(KeySource { algorithm, found, running: true }), ..Plan::default() }
}

#[test]
fn a_providers_keys_are_found_by_its_description_and_by_one_sidecar_only() {
    story(&DISCOVERED, async |world| {
        expect_tokens_to_pass(world).await?;
        let discoveries = world.provider()?.visits_to("discovery").await?;
        ensure!((1..=2).contains(&discoveries), "{discoveries} requests for the description");
        Ok(())
    });
}

#[test]
fn a_providers_keys_are_found_where_the_sidecars_are_told() {
    story(&LOCATED, async |world| {
        expect_tokens_to_pass(world).await?;
        assert_eq!(world.provider()?.visits_to("discovery").await?, 0);
        Ok(())
    });
}

async fn expect_tokens_to_pass(world: &World) -> Result<()> {
    let provider = world.provider()?;
    for (worker, mut connection) in world.connections_by_worker(1).await? {
        let email = format!("{}@provider.example", worker.replace(' ', "-"));
        let token = provider.issuance().token(&email).await?;
        let received = ask(&mut connection, &token).await?.received().with_context(|| worker.clone())?;
        assert_eq!(received.one("x-forwarded-email"), Some(email.as_str()), "{worker}");
        assert_eq!(received.one("x-sekisho-scopes"), Some("api:read"), "{worker}");
    }
    Ok(())
}

/// Asks with `token` for what every user may have.
async fn ask(connection: &mut Connection, token: &str) -> Result<Answer> {
    connection.send(&request(token)).await
}

/// The same over a connection of its own.
async fn ask_anew(world: &World, token: &str) -> Result<Answer> {
    ask(&mut Connection::open(world.envoy.edge()).await?, token).await
}

fn request(token: &str) -> Vec<u8> {
    RawRequest::new("GET", "/v1/models").header("authorization", format!("Bearer {token}")).bytes()
}

async fn token(provider: &Provider, email: &str) -> Result<String> {
    provider.issuance().token(email).await
}

/// Waits until a token that was not seen before passes everywhere.
async fn until_new_tokens_pass(world: &World) -> Result<()> {
    let fresh = token(world.provider()?, "settled@provider.example").await?;
    poll::until("new tokens pass", SETTLED, async || {
        for (worker, mut connection) in world.connections_by_worker(1).await? {
            ask(&mut connection, &fresh).await?.received().context(worker)?;
        }
        Ok(())
    })
    .await
}
