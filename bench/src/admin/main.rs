//! Measures the sidecar at the size of a large installation: `bench-admin [lists|trail|checks|polls]`, all of them
//! without a word.
//!
//! It prints figures and what they are held against (see [`bench::figures`]), and ends with 0 even if a target is
//! missed: a machine that does other things meanwhile is no fault of the code. It fails if a part fails.

#![expect(clippy::cast_precision_loss, reason = "numbers of calls and bytes are far below what a float can count")]

mod checks;
mod filling;
mod lists;
mod polls;
mod postgres;
mod scene;
mod trail;

use anyhow::{Result, bail};
use bench::figures::{figure, target_ms};
use e2e::story::runtime;

use scene::Scene;

const LIMIT_PAGE_MS: f64 = 50.0;
const LIMIT_SEARCH_MS: f64 = 200.0;

fn main() -> Result<()> {
    let part = std::env::args().nth(1);
    runtime().block_on(async {
        match part.as_deref() {
            Some("lists") => lists::run().await,
            Some("trail") => trail::run().await,
            Some("checks") => checks::run().await,
            Some("polls") => polls::run().await,
            Some(other) => bail!("there is no part {other}: say lists, trail, checks, polls, or nothing for all"),
            None => {
                checks::run().await?;
                polls::run().await?;
                lists::run().await?;
                trail::run().await
            }
        }
    })
}

/// Asks questions, each by its name, path and the list that its answer has, and holds nineteen of twenty answers against
/// the limit of first pages or of searches.
async fn ask(scene: &Scene, kind: &str, questions: &[(&str, &str, &str)]) -> Result<()> {
    let limit = if kind.ends_with("search") { LIMIT_SEARCH_MS } else { LIMIT_PAGE_MS };
    for (name, path, list) in questions {
        let samples = scene.ask(path, list).await?;
        figure(&format!("{kind}_{name}_p50"), samples.percentile_ms(50), "ms");
        target_ms(&format!("{kind}_{name}_p95"), samples.percentile_ms(95), limit);
    }
    Ok(())
}
