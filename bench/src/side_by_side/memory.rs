//! What the filter takes: its file, and the memory of a VM that remembers ten thousand tokens.

use std::time::Duration;

use anyhow::{Context, Result};
use bench::figures::{Target, figure};
use e2e::components;
use tokio::time::sleep;

use crate::crowd::{CONNECTIONS, Crowd};
use crate::scene::Scene;
use crate::tokens::Algorithm;
use crate::traffic::request_for;
use crate::variant::{self, Variant};

/// So many tokens must be remembered.
const TOKENS: usize = 10_000;
/// The warm VM remembers these already: the one that always came, and the one of somebody who is banned.
const KNOWN: usize = 2;
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
    let hs256 = scene.tokens.of(Algorithm::Hs256);
    show(scene, hs256.all().skip(1).take(TOKENS - KNOWN))?;
    sleep(REPORTED).await;
    let before = verified(scene).await?;
    // What came first is forgotten first. If it is not verified again, all that came later are remembered, too.
    show(scene, std::iter::once(hs256.first()))?;
    sleep(REPORTED).await;
    let are_remembered = verified(scene).await? == before;
    figure("vm_remembers_10000_tokens", f64::from(u8::from(are_remembered)), "of 1");
    let rows = scene.mesh.registry().await?;
    let bytes = rows.iter().filter_map(|row| row["memory_bytes"].as_u64()).max();
    let bytes = bytes.filter(|bytes| *bytes > 0).context("no worker says how much memory it uses")?;
    let target = |name, value: u64, limit| Target::new(name, value as f64, limit, "bytes");
    let mut memory = target("vm_memory_10000_tokens", bytes, LIMIT_VM_BYTES);
    memory.is_kept &= are_remembered;
    Ok(vec![memory, target("wasm_file", file, LIMIT_FILE_BYTES)])
}

/// The most memory that any VM has now.
///
/// # Errors
/// No worker says how much it uses.
pub(crate) async fn largest(scene: &Scene) -> Result<Target> {
    sleep(REPORTED).await;
    let rows = scene.mesh.registry().await?;
    let bytes = rows.iter().filter_map(|row| row["memory_bytes"].as_u64()).max();
    let bytes = bytes.filter(|bytes| *bytes > 0).context("no worker says how much memory it uses")?;
    Ok(Target::new("vm_memory_after_floods", bytes as f64, LIMIT_VM_BYTES, "bytes"))
}

/// Shows the tokens to the warm VM.
fn show<'a>(scene: &Scene, mut tokens: impl Iterator<Item = &'a str>) -> Result<()> {
    let number = Variant::number_of(variant::CACHED).context("no such variant")?;
    let mut crowd = Crowd::open(scene.listener(number), CONNECTIONS)?;
    crowd.run(200, |client| match tokens.next() {
        Some(token) => client.send(&request_for("/models", Some(token))).map(|()| true),
        None => Ok(false),
    })?;
    Ok(())
}

/// How many HS256 tokens the workers say that they verified.
async fn verified(scene: &Scene) -> Result<u64> {
    scene.mesh.sidecar.metric_of("sekisho_filter_verifications_total", &[("algorithm", "HS256")]).await
}
