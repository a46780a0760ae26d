//! The registry of workers.

use sekisho_protocol::ReplicaId;

use super::*;
use crate::domain::feed::Version;
use crate::service::feed::Feed;
use crate::service::feed::registry::{Patience, Presence, Registered, Registry, Start};
use crate::store::redis::feed::RedisFeed;
use crate::store::redis::workers::RedisWorkers;

fn presence(id: u8) -> Presence {
    Presence {
        replica: ReplicaId::from_bytes([id; 16]),
        node: "a \"node\"".into(),
        worker: 2,
        build: "1.0".into(),
        fences: true,
        staleness_ms: 3_000,
        sidecar: "s1".into(),
        holds: None,
        memory_bytes: 3 << 20,
        entries: 700,
        age_ms: Some(12),
    }
}

#[tokio::test]
async fn p7_who_registers_is_told_where_the_feed_stands_and_counts_from_then_on() {
    let server = RedisServer::start().await;
    let workers = RedisWorkers::new(server.client());
    assert_eq!(workers.record(&presence(1), Start::Held).await.unwrap(), Registered::At(None));
    let stamp = RedisFeed::new(server.client()).put(&ban("ann@x")).await.unwrap();
    assert_eq!(workers.record(&presence(2), Start::Held).await.unwrap(), Registered::At(Some(stamp.clone())));
    let polled = Presence { holds: Some(stamp.clone()), ..presence(1) };
    workers.record(&polled, Start::Held).await.unwrap();
    let roll = workers.roll().await.unwrap();
    assert_eq!((roll.epoch, roll.version), (Some(stamp.epoch), Version::new(1)));
    assert_eq!(roll.workers.len(), 2);
    let worker = roll.workers.iter().find(|worker| worker.presence.replica == polled.replica).unwrap();
    assert_eq!(worker.presence, polled);
    assert!(roll.now_ms - worker.polled_at_ms < 1_000);
}

#[tokio::test]
async fn p7_where_the_feed_stood_when_a_blank_worker_joined_stays_on_record() {
    let server = RedisServer::start().await;
    let (workers, feed) = (RedisWorkers::new(server.client()), RedisFeed::new(server.client()));
    let joined = async |id: u8| {
        let roll = workers.roll().await.unwrap();
        let replica = presence(id).replica;
        roll.workers.into_iter().find(|worker| worker.presence.replica == replica).unwrap().joined
    };
    workers.record(&presence(1), Start::Blank).await.unwrap();
    assert_eq!(joined(1).await, None, "there was no feed");
    let first = feed.put(&ban("ann@x")).await.unwrap();
    // A node may be called anything, also like what the script itself writes.
    let node = r#"{"polled_at_ms":1,"joined_epoch":"00","joined_version":99,"#.to_owned();
    workers.record(&Presence { node, ..presence(2) }, Start::Blank).await.unwrap();
    workers.record(&presence(3), Start::Held).await.unwrap();
    feed.put(&ban("bob@x")).await.unwrap();
    for id in [1, 2, 3] {
        workers.record(&presence(id), Start::Blank).await.unwrap();
    }
    assert_eq!(joined(1).await, None, "what it heard before it joined this feed nobody knows");
    assert_eq!(joined(2).await, Some(first));
    assert_eq!(joined(3).await, None, "it came with something");
    workers.remove(&presence(2).replica).await.unwrap();
    workers.record(&presence(2), Start::Held).await.unwrap();
    assert_eq!(joined(2).await, None);
}

#[tokio::test]
async fn a_row_of_an_older_build_is_read() {
    let server = RedisServer::start().await;
    let row = r#"{"polled_at_ms":5,"node":"n","build":"b","fences":true,"staleness_ms":3000,"sidecar":"s","epoch":null,"version":0}"#;
    let replica = presence(1).replica;
    let _: i64 = raw(&server, &["HSET", "sekisho:{feed}:workers", replica.as_str(), row]).await;
    let roll = RedisWorkers::new(server.client()).roll().await.unwrap();
    let worker = roll.workers.first().unwrap();
    assert_eq!((worker.presence.worker, worker.presence.age_ms, &worker.joined), (0, None, &None));
}

#[tokio::test]
async fn p7_a_goodbye_is_forgotten_at_once_and_the_silent_after_a_while() {
    let server = RedisServer::start().await;
    let workers = RedisWorkers::new(server.client());
    workers.record(&presence(1), Start::Held).await.unwrap();
    workers.record(&presence(2), Start::Held).await.unwrap();
    workers.remove(&presence(1).replica).await.unwrap();
    assert_eq!(workers.roll().await.unwrap().workers.len(), 1);
    let unfenced = Presence { fences: false, ..presence(3) };
    workers.record(&unfenced, Start::Held).await.unwrap();
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
