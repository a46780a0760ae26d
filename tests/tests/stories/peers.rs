//! Tokens that other implementations made, in real Envoy: PyJWT and jose sign, the filter verifies, once with the
//! host's help where it has some, and once alone.

mod algorithms;
mod attacks;
mod forgeries;
mod table;

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::peers::Minted;
use e2e::peers::mint::MAKERS;
use e2e::wire::{Connection, RawRequest};
use e2e::world::APP_HOST;
use e2e::{Answer, Plan, Shared, World, poll};
use serde_json::{Value, json};

/// Slow cryptography has a budget in each second (rule E9); in which time there is room again for sure.
const ROOM: Duration = Duration::from_secs(20);

/// What the host verifies is left to it, as users run it.
static BY_HOST: Shared = Shared::in_turn(|| Plan { policy: |policy| accept_peers(policy, "auto"), ..Plan::default() });
/// The filter does everything itself.
static IN_WASM: Shared = Shared::in_turn(|| Plan { policy: |policy| accept_peers(policy, "never"), ..Plan::default() });

fn accept_peers(policy: &mut Value, host_crypto: &str) {
    policy["host_crypto"] = json!(host_crypto);
    if let Some(providers) = policy["providers"].as_array_mut() {
        providers.extend(MAKERS.map(|maker| Minted::by(maker).provider()));
    }
}

/// Asks with `token` for what every user may have, until the worker has room to verify it.
async fn ask(connection: &mut Connection, token: &str) -> Result<Answer> {
    until_verified(connection, &RawRequest::new("GET", "/v1/models"), token).await
}

/// Makes sure that `token` is refused, and gives the stable code of the reason.
async fn refusal(world: &World, token: &str) -> Result<String> {
    let mut connection = Connection::open(world.envoy.edge()).await?;
    // This route answers with problem details, which hold the code.
    let request = RawRequest::to_host("GET", "/api/token/list", APP_HOST);
    let answer = until_verified(&mut connection, &request, token).await?;
    ensure!(answer.status == 401, "{answer:?}");
    Ok(answer.json()?["code"].as_str().unwrap_or_default().to_owned())
}

async fn until_verified(connection: &mut Connection, request: &RawRequest, token: &str) -> Result<Answer> {
    let request = request.clone().header("authorization", format!("Bearer {token}")).bytes();
    poll::until("the worker has room to verify the token", ROOM, async || {
        let answer = connection.send(&request).await?;
        ensure!(answer.status != 503, "{answer:?}");
        Ok(answer)
    })
    .await
}
