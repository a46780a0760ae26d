//! The export: whole, page by page, or visibly cut off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures_util::TryStreamExt as _;

use super::*;
use crate::domain::audit::chain::{ChainHash, End, Link};
use crate::domain::audit::{By, Event, Place};
use crate::service::audit::trail::{Ends, Pruned, Trail};
use crate::service::error::StoreError;
use crate::store::redis::journal::RedisJournal;
use crate::testing::RedisServer;

/// A trail of so many events, the newest first, which can be read a few times.
struct Numbered {
    events: u64,
    reads: AtomicUsize,
}

impl Numbered {
    fn event(number: u64) -> Recorded {
        let event = Event::begun(format!("event {number}"), number, Action::BanGiven, By::operator("root"), None);
        Recorded { end: End { seq: number, hash: ChainHash::parse(&"0".repeat(64)).unwrap() }, event }
    }
}

#[async_trait]
impl Trail for Numbered {
    async fn append(&self, _: &[Event]) -> Result<End, StoreError> {
        Err(StoreError::unavailable("not here"))
    }

    async fn query(&self, _: &Question, after: Option<Place>, limit: usize) -> Result<Vec<Recorded>, StoreError> {
        if self.reads.fetch_sub(1, Ordering::Relaxed) == 0 {
            return Err(StoreError::unavailable("the database went away"));
        }
        let below = after.map_or(self.events + 1, |place| place.seq);
        Ok((1..below).rev().take(limit).map(Self::event).collect())
    }

    async fn links(&self, _: u64, _: usize) -> Result<Vec<Link>, StoreError> {
        Err(StoreError::unavailable("not here"))
    }

    async fn ends(&self) -> Result<Ends, StoreError> {
        Err(StoreError::unavailable("not here"))
    }

    async fn prune(&self, _: u64, _: usize) -> Result<Pruned, StoreError> {
        Err(StoreError::unavailable("not here"))
    }
}

/// What an export of so many events sends, if the trail can be read so often.
async fn exported(redis: &RedisServer, events: u64, reads: usize) -> Result<Vec<Bytes>, Failure> {
    let trail = Arc::new(Numbered { events, reads: AtomicUsize::new(reads) });
    let trail = AuditTrail::new(Arc::new(RedisJournal::new(redis.client())), trail);
    let first = page(&trail, &Question::default(), None).await?;
    pages(trail, Question::default(), first).try_collect().await
}

#[tokio::test]
async fn each_event_is_a_line_once_and_no_page_is_longer_than_a_step() {
    let redis = RedisServer::start().await;
    for (events, expected) in [(0, 1), (1, 1), (500, 1), (501, 2), (1_234, 3)] {
        let chunks = exported(&redis, events, 10).await.unwrap();
        assert_eq!(chunks.len(), expected, "{events} events");
        let text: String = chunks.iter().map(|chunk| std::str::from_utf8(chunk).unwrap()).collect();
        let seqs: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap())
            .collect();
        assert_eq!(seqs, (1..=events).rev().collect::<Vec<_>>());
        assert!(chunks.iter().all(|chunk| chunk.iter().filter(|byte| **byte == b'\n').count() <= STEP));
    }
}

#[tokio::test]
async fn an_export_that_cannot_go_on_does_not_come_to_its_end() {
    let redis = RedisServer::start().await;
    assert!(matches!(exported(&redis, 1_234, 0).await, Err(Failure::Unavailable { .. })), "not even begun");
    assert!(matches!(exported(&redis, 1_234, 2).await, Err(Failure::Unavailable { .. })), "in the middle");
    assert!(exported(&redis, 1_234, 3).await.is_ok());
}
