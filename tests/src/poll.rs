//! Waiting for a state of the world: ask again and again until a deadline, never sleep and hope.

use std::time::Duration;

use anyhow::{Result, anyhow};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How long a part may take to start. Generous: two cores compile the filter for each worker.
pub const START: Duration = Duration::from_secs(30);

/// Asks `probe` every 10 ms until it gives a value.
///
/// # Errors
/// `within` is over, with the last error of the probe; or the probe failed for good, which it says
/// with [`Stop`].
pub async fn until<T>(what: &str, within: Duration, mut probe: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + within;
    let mut tick = interval(Duration::from_millis(10));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let last = match probe().await {
            Ok(value) => return Ok(value),
            Err(error) if error.is::<Stop>() => return Err(error.context(format!("waiting until {what}"))),
            Err(error) => error,
        };
        if Instant::now() > deadline {
            return Err(last.context(format!("not true within {within:?}: {what}")));
        }
    }
}

/// Asks `probe` every 10 ms until it says yes.
///
/// # Errors
/// `within` is over.
pub async fn until_true(what: &str, within: Duration, mut probe: impl AsyncFnMut() -> Result<bool>) -> Result<()> {
    until(what, within, async || if probe().await? { Ok(()) } else { Err(anyhow!("the answer was no")) }).await
}

/// Asks `probe` every 10 ms for the whole of `span`: what must not happen does not happen meanwhile.
///
/// # Errors
/// The probe's first.
pub async fn throughout(span: Duration, mut probe: impl AsyncFnMut() -> Result<()>) -> Result<()> {
    let deadline = Instant::now() + span;
    let mut tick = interval(Duration::from_millis(10));
    while Instant::now() < deadline {
        tick.tick().await;
        probe().await?;
    }
    Ok(())
}

/// The wait is pointless: what is waited for can no longer come.
#[derive(Debug)]
pub struct Stop(pub String);

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Stop {}
