//! Looks at the whole mesh every second, for the metrics.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::service::mesh::{History, Mesh};
use crate::service::metrics::Metrics;

const JOB: &str = "survey";
const EVERY: Duration = Duration::from_secs(1);
/// A large mesh takes long to read; it is looked at for at most a twentieth of the time.
const REST: u32 = 19;

/// Surveys until the sidecar closes.
pub async fn run(mesh: Mesh, metrics: Metrics, closing: CancellationToken) {
    let (mut history, mut trouble) = (History::default(), Trouble::default());
    loop {
        let begun = Instant::now();
        match until_closing(mesh.survey(&mut history, EVERY), &closing).await {
            None => return,
            Some(Ok(survey)) => {
                trouble.ends(JOB);
                metrics.survey(Some(&survey));
            }
            Some(Err(error)) => {
                trouble.begins(JOB, &error);
                metrics.survey(None);
            }
        }
        if !pause(EVERY.max(begun.elapsed() * REST), &closing).await {
            return;
        }
    }
}
