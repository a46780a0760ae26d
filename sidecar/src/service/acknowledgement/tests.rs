//! Who counts (rule P7), and when waiting ends.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use sekisho_protocol::keys::digest_key;

use super::*;
use crate::domain::feed::state::State;
use crate::service::error::StoreError;
use crate::service::feed::registry::{Patience, Presence, Registered, Registry, Start};

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
            worker: 1,
            build: "test".into(),
            fences,
            staleness_ms: 3_000,
            sidecar: "test".into(),
            holds,
            memory_bytes: 0,
            entries: 0,
            age_ms: None,
        },
        polled_at_ms: NOW_MS - silent_ms,
        joined: None,
    }
}

fn roll(workers: Vec<Worker>) -> Roll {
    Roll { now_ms: NOW_MS, epoch: Some(epoch(1)), version: Version::new(9), stream_length: 9, workers }
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

#[test]
fn p7_a_worker_that_joined_after_the_change_is_not_waited_for_and_acknowledges_nothing() {
    let joined = |at: Stamp, worker: Worker| Worker { joined: Some(at), ..worker };
    let other = Stamp { epoch: epoch(2), version: Version::new(99) };
    for (case, worker, expected) in [
        ("it joined at the change", joined(stamp(9), worker(1, 900, true, None)), Standing::Joining),
        ("it joined later", joined(stamp(11), worker(1, 900, true, None)), Standing::Joining),
        ("it has read the change", joined(stamp(9), worker(1, 900, true, Some(stamp(9)))), Standing::Acknowledged),
        ("its snapshot may be older", joined(stamp(8), worker(1, 900, true, None)), Standing::Lagging),
        ("it joined in another epoch", joined(other, worker(1, 900, true, None)), Standing::Lagging),
        ("it had something before it joined", worker(1, 900, true, None), Standing::Lagging),
        ("it lets requests pass unchecked", joined(stamp(9), worker(1, 900, false, None)), Standing::Lagging),
        ("it fell silent", joined(stamp(9), worker(1, 3_501, true, None)), Standing::Fenced),
    ] {
        assert_eq!(standing(&worker, NOW_MS, &stamp(9)), expected, "{case}");
    }
}

/// A registry that gives one roll after another, and the last one for ever.
struct Script(Mutex<Vec<Result<Roll, StoreError>>>);

#[async_trait]
impl Registry for Script {
    async fn record(&self, _: &Presence, _: Start) -> Result<Registered, StoreError> {
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

fn straggler(id: u8, version: u64) -> Straggler {
    let (replica, version) = (ReplicaId::from_bytes([id; 16]), Version::new(version));
    Straggler { replica, node: format!("node {id}"), worker: 1, version }
}

async fn wait(rolls: Vec<Result<Roll, StoreError>>) -> Acknowledgement {
    wait_beside(Mirror::default(), rolls).await
}

async fn wait_beside(mirror: Mirror, rolls: Vec<Result<Roll, StoreError>>) -> Acknowledgement {
    let census = Census::new(Arc::new(Script(Mutex::new(rolls))));
    Acknowledgements::new(census, mirror, Metrics::default(), Duration::from_millis(50)).wait(stamp(9)).await
}

#[tokio::test]
async fn p7_after_the_store_lost_data_nothing_is_complete_until_whoever_it_forgot_is_stale() {
    let (mirror, now) = (Mirror::default(), std::time::Instant::now());
    load(&mirror, 1, 9, None);
    assert!(wait_beside(mirror.clone(), everybody()).await.is_complete(), "nothing came before this epoch");
    load(&mirror, 2, 9, Some(now));
    assert!(!wait_beside(mirror.clone(), everybody()).await.is_complete(), "the copy is of another epoch");
    load(&mirror, 1, 9, Some(now));
    let answer = wait_beside(mirror.clone(), everybody()).await;
    assert!(!answer.is_complete() && !answer.counted, "somebody may have been forgotten");
    load(&mirror, 1, 9, None);
    assert!(!mirror.has_settled(&stamp(9), Duration::from_secs(30)), "loaded anew, but in force no longer");
    assert!(mirror.has_settled(&stamp(9), Duration::ZERO));
}

#[tokio::test]
async fn p2_a_change_is_complete_only_once_this_sidecar_could_write_it_back() {
    let mirror = Mirror::default();
    mirror.keep();
    assert!(!wait_beside(mirror.clone(), everybody()).await.is_complete(), "it has read nothing yet");
    load(&mirror, 1, 8, None);
    assert!(!wait_beside(mirror.clone(), everybody()).await.is_complete());
    load(&mirror, 1, 9, None);
    assert!(wait_beside(mirror, everybody()).await.is_complete());
}

fn everybody() -> Vec<Result<Roll, StoreError>> {
    vec![Ok(roll(vec![worker(1, 0, true, Some(stamp(9)))]))]
}

fn load(mirror: &Mirror, epoch_byte: u8, version: u64, succeeded_at: Option<std::time::Instant>) {
    let key = digest_key(b"a secret of the mesh that is long enough");
    let stamp = Stamp { epoch: epoch(epoch_byte), version: Version::new(version) };
    drop(mirror.replace(State::load(key, stamp, Vec::new()), std::time::Instant::now(), succeeded_at));
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
    assert_eq!((answer.workers, answer.acknowledged), (3, 2));
    assert_eq!(answer.fenced, [straggler(3, 0)]);
}

#[tokio::test]
async fn who_lags_when_time_is_up_is_named() {
    let answer = wait(vec![Ok(roll(vec![worker(1, 0, true, Some(stamp(8)))]))]).await;
    assert!(!answer.is_complete());
    assert_eq!(answer.lagging, [straggler(1, 8)]);
}

#[tokio::test]
async fn a_poll_that_this_sidecar_puts_on_record_ends_the_pause() {
    let behind = Ok(roll(vec![worker(1, 0, true, Some(stamp(8)))]));
    let done = Ok(roll(vec![worker(1, 0, true, Some(stamp(9)))]));
    let census = Census::new(Arc::new(Script(Mutex::new(vec![behind, done]))));
    let mut recorded = census.changes();
    let presence = worker(1, 0, true, Some(stamp(9))).presence;
    census.record(&presence, Start::Held).await.unwrap();
    assert!(recorded.has_changed().unwrap());
    recorded.mark_unchanged();
    census.remove(&presence.replica).await.unwrap();
    assert!(recorded.has_changed().unwrap());
}

#[tokio::test]
async fn a_registry_that_cannot_be_read_is_no_acknowledgement() {
    let answer = wait(vec![Err(StoreError::unavailable("away"))]).await;
    assert!(!answer.counted);
    assert!(!answer.is_complete());
}
