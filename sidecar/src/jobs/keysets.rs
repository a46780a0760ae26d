//! Looks after the keys of one source, once a second: fetches them when it is time, and announces them.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::domain::keyset::SourceName;
use crate::service::keysets::Keysets;

const JOB: &str = "keysets";
const EVERY: Duration = Duration::from_secs(1);

/// Looks after the source until the sidecar closes.
pub async fn run(keysets: Keysets, source: SourceName, closing: CancellationToken) {
    let mut trouble = Trouble::default();
    loop {
        match until_closing(keysets.tend(&source), &closing).await {
            None => return,
            Some(Ok(())) => trouble.ends(JOB),
            Some(Err(error)) => trouble.begins(JOB, &error),
        }
        if !pause(EVERY, &closing).await {
            return;
        }
    }
}
