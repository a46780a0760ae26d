//! One read for everybody, and rests between reads.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use sekisho_protocol::Epoch;
use tokio::time::sleep;

use super::*;
use crate::domain::feed::Version;
use crate::service::feed::registry::{Patience, Worker};

/// A registry that takes its time, and counts how often it is read.
struct Slow {
    read: AtomicUsize,
    takes: Duration,
    workers: usize,
}

#[async_trait]
impl Registry for Slow {
    async fn record(&self, _: &Presence, _: Start) -> Result<Registered, StoreError> {
        Ok(Registered::At(None))
    }
    async fn remove(&self, _: &ReplicaId) -> Result<(), StoreError> {
        Ok(())
    }
    async fn roll(&self) -> Result<Roll, StoreError> {
        sleep(self.takes).await;
        let version = Version::new(self.read.fetch_add(1, Ordering::Relaxed) as u64 + 1);
        let epoch = Some(Epoch::from_bytes([1; 16]));
        Ok(Roll { now_ms: 0, epoch, version, stream_length: 0, workers: vec![worker(); self.workers] })
    }
    async fn forget_silent(&self, _: Patience) -> Result<usize, StoreError> {
        Ok(0)
    }
}

fn worker() -> Worker {
    let presence = Presence {
        replica: ReplicaId::from_bytes([1; 16]),
        node: "n".into(),
        worker: 1,
        build: "b".into(),
        fences: true,
        staleness_ms: 3_000,
        sidecar: "s".into(),
        holds: None,
        memory_bytes: 0,
        entries: 0,
        age_ms: None,
    };
    Worker { presence, polled_at_ms: 0, joined: None }
}

fn slow(takes_ms: u64, workers: usize) -> (Arc<Slow>, Census) {
    let registry = Arc::new(Slow { read: AtomicUsize::new(0), takes: Duration::from_millis(takes_ms), workers });
    (Arc::clone(&registry), Census::new(registry))
}

#[tokio::test]
async fn whoever_asks_while_the_registry_is_read_shares_the_next_read() {
    let (registry, census) = slow(10, 5_000);
    let begun = Instant::now();
    let first = tokio::spawn({
        let census = census.clone();
        async move { census.since(begun).await.unwrap().version }
    });
    while census.last.try_lock().is_ok() {
        tokio::task::yield_now().await;
    }
    let asked_at = Instant::now();
    let others = futures_util::future::join_all((0..50).map(|_| census.since(asked_at))).await;
    assert_eq!(first.await.unwrap(), Version::new(1));
    assert!(
        others.iter().all(|roll| roll.as_ref().unwrap().version == Version::new(2)),
        "nothing older than the question"
    );
    assert_eq!(registry.read.load(Ordering::Relaxed), 2);
    assert!(begun.elapsed() >= Duration::from_millis(30), "two reads of 10 ms, and between them a rest for 5,000 rows");
}

#[tokio::test]
async fn whoever_is_content_with_an_older_reading_gets_it() {
    let (registry, census) = slow(0, 3);
    let begun = Instant::now();
    for expected in [1, 1] {
        assert_eq!(census.since(begun).await.unwrap().version, Version::new(expected));
    }
    assert_eq!(census.since(Instant::now()).await.unwrap().version, Version::new(2));
    assert_eq!(registry.read.load(Ordering::Relaxed), 2);
}
