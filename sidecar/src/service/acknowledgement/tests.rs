//! Who counts (rule P7), and when waiting ends.

use std::sync::Mutex;

use async_trait::async_trait;

use super::*;
use crate::service::error::StoreError;
use crate::service::feed::registry::{Patience, Presence, Registered};

const NOW_MS: u64 = 10_000_000;

fn epoch(byte: u8) -> Epoch {
    Epoch::from_bytes([byte; 16])
}

fn stamp(version: u64) -> Stamp {
    Stamp { epoch: epoch(1), version: Version::new(version) }
}

fn worker(id: u8, silent_ms: u64, fences: bool, holds: Option<Stamp>) -> Worker {
    Worker {
        presence: Presence {
            replica: ReplicaId::from_bytes([id; 16]),
            node: format!("node {id}"),
            build: "test".into(),
            fences,
            staleness_ms: 3_000,
            sidecar: "test".into(),
            holds,
        },
        polled_at_ms: NOW_MS - silent_ms,
    }
}

fn roll(workers: Vec<Worker>) -> Roll {
    Roll { now_ms: NOW_MS, epoch: Some(epoch(1)), version: Version::new(9), workers }
}

#[test]
fn p7_a_silent_worker_is_live_then_fenced_and_never_fenced_if_it_lets_requests_pass() {
    let other = Stamp { epoch: epoch(2), version: Version::new(99) };
    for (case, worker, expected) in [
        ("it applied the change", worker(1, 900, true, Some(stamp(9))), Standing::Acknowledged),
        ("it applied a later one", worker(1, 900, true, Some(stamp(12))), Standing::Acknowledged),
        ("it is behind", worker(1, 900, true, Some(stamp(8))), Standing::Lagging),
        ("it reads its first snapshot", worker(1, 900, true, None), Standing::Lagging),
        ("it is of another epoch", worker(1, 900, true, Some(other.clone())), Standing::Lagging),
        ("it is silent, within bound and margin", worker(1, 3_500, true, Some(stamp(8))), Standing::Lagging),
        ("it is silent for longer", worker(1, 3_501, true, Some(stamp(8))), Standing::Fenced),
        ("and was registered only", worker(1, 3_501, true, None), Standing::Fenced),
        ("it is silent and lets requests pass", worker(1, 3_501, false, Some(stamp(8))), Standing::Lagging),
        ("but applied the change before", worker(1, 3_501, false, Some(stamp(9))), Standing::Acknowledged),
        ("it is silent for ten minutes", worker(1, 600_000, false, None), Standing::Lagging),
        ("however long", worker(1, 3_000_000, false, None), Standing::Lagging),
    ] {
        assert_eq!(standing(&worker, NOW_MS, &stamp(9)), expected, "{case}");
    }
}

/// A registry that gives one roll after another, and the last one for ever.
struct Script(Mutex<Vec<Result<Roll, StoreError>>>);

#[async_trait]
impl Registry for Script {
    async fn record(&self, _: &Presence) -> Result<Registered, StoreError> {
        Ok(Registered::At(None))
    }
    async fn remove(&self, _: &ReplicaId) -> Result<(), StoreError> {
        Ok(())
    }
    async fn roll(&self) -> Result<Roll, StoreError> {
        let mut rolls = self.0.lock().unwrap();
        if rolls.len() > 1 { rolls.remove(0) } else { rolls[0].clone() }
    }
    async fn forget_silent(&self, _: Patience) -> Result<usize, StoreError> {
        Ok(0)
    }
}

async fn wait(rolls: Vec<Result<Roll, StoreError>>) -> Acknowledgement {
    let registry = Arc::new(Script(Mutex::new(rolls)));
    Acknowledgements::new(registry, Duration::from_millis(50)).wait(stamp(9)).await
}

#[tokio::test]
async fn waiting_ends_as_soon_as_every_live_worker_has_applied_the_change() {
    let behind = roll(vec![worker(1, 0, true, Some(stamp(8))), worker(2, 0, true, Some(stamp(9)))]);
    let done = roll(vec![
        worker(1, 0, true, Some(stamp(9))),
        worker(2, 0, true, Some(stamp(9))),
        worker(3, 9_000, true, None),
    ]);
    let answer = wait(vec![Ok(behind.clone()), Ok(behind), Ok(done)]).await;
    assert!(answer.is_complete());
    assert_eq!((answer.workers, answer.acknowledged, answer.fenced), (3, 2, 1));
}

#[tokio::test]
async fn who_lags_when_time_is_up_is_named() {
    let answer = wait(vec![Ok(roll(vec![worker(1, 0, true, Some(stamp(8)))]))]).await;
    assert!(!answer.is_complete());
    let expected = Laggard { replica: ReplicaId::from_bytes([1; 16]), node: "node 1".into(), version: Version::new(8) };
    assert_eq!(answer.lagging, [expected]);
}

#[tokio::test]
async fn a_registry_that_cannot_be_read_is_no_acknowledgement() {
    let answer = wait(vec![Err(StoreError::unavailable("away"))]).await;
    assert!(!answer.counted);
    assert!(!answer.is_complete());
}
