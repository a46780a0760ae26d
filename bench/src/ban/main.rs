//! Measures the kill switch on real parts: `bench-ban [bans|foreign|million]`, all of them without a word.
//!
//! It prints figures and what they are held against (see [`bench::figures`]), and ends with 0 even if a target is
//! missed: a machine that does other things meanwhile is no fault of the code. It fails if a part fails.

#![expect(clippy::cast_precision_loss, reason = "numbers of requests are far below what a float can count")]

mod bans;
mod foreign;
mod load;
mod million;
mod probe;
mod scene;

use anyhow::{Result, bail};
use e2e::story::runtime;

fn main() -> Result<()> {
    let part = std::env::args().nth(1);
    runtime().block_on(async {
        match part.as_deref() {
            Some("bans") => bans::run().await,
            Some("foreign") => foreign::run().await,
            Some("million") => million::run().await,
            Some(other) => bail!("there is no part {other}: say bans, foreign, million, or nothing for all"),
            None => {
                bans::run().await?;
                foreign::run().await?;
                million::run().await
            }
        }
    })
}
