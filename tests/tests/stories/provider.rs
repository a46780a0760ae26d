//! A provider that nobody here wrote (npm's oidc-provider) issues tokens; the sidecars fetch its keys, and tell the
//! workers. It rotates its keys, goes away, comes back, and answers with nonsense.

mod rotation;
mod strangers;
mod trouble;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::peers::Provider;
use e2e::peers::provider::Use;
use e2e::token::now_ms;
use e2e::wire::{Connection, RawRequest};
use e2e::world::key_source::REFETCH_INTERVAL_S;
use e2e::world::{Found, KeySource};
use e2e::{Answer, Plan, Shared, World, poll, story, story_in};

/// In which time a change at the provider has arrived everywhere once somebody asked for it, or once it could be
/// asked again: retries become slower with each failure.
const SETTLED: Duration = Duration::from_secs(30);

/// How much later than the provider the sidecars and the workers may end an interval.
const MARGIN_MS: u64 = 250;

/// The sidecars know who the provider is, and find its keys by its description.
static DISCOVERED: Shared = Shared::in_turn(|| with_provider("RS256", Found::ByDiscovery));
/// The sidecars know where the keys are.
static LOCATED: Shared = Shared::in_turn(|| with_provider("ES256", Found::ByJwksUri));

fn with_provider(algorithm: &'static str, found: Found) -> Plan {
    Plan { provider: Some(KeySource { algorithm, found, running: true }), ..Plan::default() }
}

#[test]
fn a_providers_keys_are_found_by_its_description_and_by_one_sidecar_only() {
    story_in(with_provider("EdDSA", Found::ByDiscovery), async |world| {
        expect_tokens_to_pass(world).await?;
        let provider = world.provider()?;
        assert_eq!((provider.visits_to("discovery").await?, provider.visits_to("jwks").await?), (1, 1));
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

#[test]
fn a_providers_keys_are_read_from_a_file_and_read_anew_when_it_changes() {
    story_in(with_provider("ES256", Found::InFile), async |world| {
        expect_tokens_to_pass(world).await?;
        let provider = world.provider()?;
        provider.rotate(Use::AtOnce).await?;
        let new = token(provider, "new@provider.example").await?;
        let answer = ask_anew(world, &new).await?;
        ensure!(answer.status == 401, "{answer:?}");

        provider.write_keys().await?;
        poll::until("the new key is known", SETTLED, async || ask_anew(world, &new).await?.received()).await?;
        // Asked by this story alone: for what is on its way to the file.
        assert_eq!(provider.visits_to("jwks").await?, 2);
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

/// Waits until nothing of the story before is left: new tokens pass everywhere, and the next unknown `kid` will
/// move the sidecars to ask the provider.
async fn settle(world: &World) -> Result<()> {
    until_new_tokens_pass(world).await?;
    until_the_provider_may_be_asked(world).await
}

/// Waits until nobody has asked the provider for so long that an unknown `kid` is worth a question.
async fn until_the_provider_may_be_asked(world: &World) -> Result<()> {
    poll::until_true("the interval is over", SETTLED, async || {
        let last = world.provider()?.visits().await?.last().map_or(0, |visit| visit.at_ms);
        Ok(now_ms() > last + REFETCH_INTERVAL_S * 1_000 + MARGIN_MS)
    })
    .await
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
