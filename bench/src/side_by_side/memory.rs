//! What the filter takes: its file, and the memory of a VM with as many cached tokens as may be.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bench::figures::{Target, count};
use e2e::components;
use tokio::time::sleep;

use crate::crowd::{CONNECTIONS, Crowd};
use crate::scene::Scene;
use crate::tokens::Algorithm;
use crate::traffic::request_for;
use crate::variant::{self, Variant};

/// So many tokens are shown, twice.
const TOKENS: usize = 10_000;
/// A worker reports what it verified every second, and how much memory it has with its next poll.
const REPORTED: Duration = Duration::from_secs(3);
const LIMIT_FILE_BYTES: f64 = 1_000_000.0;
const LIMIT_VM_BYTES: f64 = 16_000_000.0;

/// Measures.
///
/// # Errors
/// A part fails.
pub(crate) async fn run(scene: &Scene) -> Result<Vec<Target>> {
    let file = components::filter()?.metadata()?.len();
    show(scene)?;
    sleep(REPORTED).await;
    let before = verified(scene).await?;
    show(scene)?;
    sleep(REPORTED).await;
    let again = verified(scene).await? - before;
    count("vm_cached_tokens", (TOKENS as u64).saturating_sub(again));
    let rows = scene.mesh.registry().await?;
    let bytes = rows.iter().filter_map(|row| row["memory_bytes"].as_u64()).max();
    let bytes = bytes.filter(|bytes| *bytes > 0).context("no worker says how much memory it uses")?;
    let target = |name, value: u64, limit| Target::new(name, value as f64, limit, "bytes");
    Ok(vec![target("vm_memory_10000_tokens", bytes, LIMIT_VM_BYTES), target("wasm_file", file, LIMIT_FILE_BYTES)])
}

fn show(scene: &Scene) -> Result<()> {
    let number = Variant::number_of(variant::COLD_HS256).context("no such variant")?;
    let mut crowd = Crowd::open(scene.listener(number), CONNECTIONS)?;
    let mut tokens = scene.tokens.of(Algorithm::Hs256).all().take(TOKENS);
    let answered = crowd.run(200, |client| match tokens.next() {
        Some(token) => client.send(&request_for("/models", Some(token))).map(|()| true),
        None => Ok(false),
    })?;
    ensure!(answered == TOKENS as u64, "{answered} of {TOKENS} tokens were taken");
    Ok(())
}

/// How many HS256 tokens the workers say that they verified.
async fn verified(scene: &Scene) -> Result<u64> {
    scene.mesh.sidecar.metric_of("sekisho_filter_verifications_total", &[("algorithm", "HS256")]).await
}
