//! The registry of workers.

use sekisho_protocol::ReplicaId;

use super::*;
use crate::domain::feed::Version;
use crate::service::feed::Feed;
use crate::service::feed::registry::{Patience, Presence, Registered, Registry};
use crate::store::redis::feed::RedisFeed;
use crate::store::redis::workers::RedisWorkers;

fn presence(id: u8) -> Presence {
    Presence {
        replica: ReplicaId::from_bytes([id; 16]),
        node: "a \"node\"".into(),
        build: "1.0".into(),
        fences: true,
        staleness_ms: 3_000,
        sidecar: "s1".into(),
        holds: None,
    }
}

#[tokio::test]
async fn p7_who_registers_is_told_where_the_feed_stands_and_counts_from_then_on() {
    let server = RedisServer::start().await;
    let workers = RedisWorkers::new(server.client());
    assert_eq!(workers.record(&presence(1)).await.unwrap(), Registered::At(None));
    let stamp = RedisFeed::new(server.client()).put(&ban("ann@x")).await.unwrap();
    assert_eq!(workers.record(&presence(2)).await.unwrap(), Registered::At(Some(stamp.clone())));
    let polled = Presence { holds: Some(stamp.clone()), ..presence(1) };
    workers.record(&polled).await.unwrap();
    let roll = workers.roll().await.unwrap();
    assert_eq!((roll.epoch, roll.version), (Some(stamp.epoch), Version::new(1)));
    assert_eq!(roll.workers.len(), 2);
    let worker = roll.workers.iter().find(|worker| worker.presence.replica == polled.replica).unwrap();
    assert_eq!(worker.presence, polled);
    assert!(roll.now_ms - worker.polled_at_ms < 1_000);
}

#[tokio::test]
async fn p7_a_goodbye_is_forgotten_at_once_and_the_silent_after_a_while() {
    let server = RedisServer::start().await;
    let workers = RedisWorkers::new(server.client());
    workers.record(&presence(1)).await.unwrap();
    workers.record(&presence(2)).await.unwrap();
    workers.remove(&presence(1).replica).await.unwrap();
    assert_eq!(workers.roll().await.unwrap().workers.len(), 1);
    let unfenced = Presence { fences: false, ..presence(3) };
    workers.record(&unfenced).await.unwrap();
    let patience = |fencing_ms, others_ms| Patience { fencing_ms, others_ms };
    assert_eq!(workers.forget_silent(patience(3_600_000, 3_600_000)).await.unwrap(), 0);
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    assert_eq!(workers.forget_silent(patience(5, 3_600_000)).await.unwrap(), 1);
    let left = workers.roll().await.unwrap().workers;
    assert_eq!(
        left.iter().map(|worker| &worker.presence).collect::<Vec<_>>(),
        [&unfenced],
        "it may still admit somebody"
    );
    assert_eq!(workers.forget_silent(patience(5, 5)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_an_error_and_no_missing_worker() {
    let server = RedisServer::start().await;
    let workers = RedisWorkers::new(server.client());
    let _: i64 = raw(&server, &["HSET", "sekisho:{feed}:workers", "someone", "{}"]).await;
    assert!(workers.roll().await.is_err());
    assert_eq!(workers.forget_silent(Patience { fencing_ms: 1_000, others_ms: 1_000 }).await.unwrap(), 1);
    assert!(workers.roll().await.is_ok());
}
