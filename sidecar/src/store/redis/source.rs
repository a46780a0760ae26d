//! Following the feed in Redis, over a connection of one's own: reads block on it.

use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use sekisho_protocol::Epoch;

use super::RedisClient;
use super::feed::{entry, epoch};
use super::keys::{ENTRIES, STREAM};
use crate::domain::feed::Version;
use crate::domain::feed::position::{EpochRecord, Lineage, Position};
use crate::domain::feed::write::Write;
use crate::service::error::StoreError;
use crate::service::feed::source::{FeedSource, Round};

mod restore;

/// Most changes in one read.
const READ_MAX: usize = 1_000;
/// Entries per step when all are read.
const SCAN_COUNT: usize = 1_000;

/// Follows the feed.
pub struct RedisFeedSource {
    redis: RedisClient,
    connection: Option<MultiplexedConnection>,
}

impl RedisFeedSource {
    /// Follows the feed in this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis, connection: None }
    }

    async fn connection(&mut self) -> Result<MultiplexedConnection, StoreError> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let connection = self.redis.dedicated().await?;
        self.connection = Some(connection.clone());
        Ok(connection)
    }

    /// A connection that failed is of no more use, and may even answer late: the next call makes another.
    fn judge<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.is_err() {
            self.connection = None;
        }
        result
    }
}

#[async_trait]
impl FeedSource for RedisFeedSource {
    async fn position(&mut self) -> Result<Position, StoreError> {
        let mut connection = self.connection().await?;
        let position = epoch::position(&mut connection).await;
        self.judge(position)
    }

    async fn next(&mut self, after: Version, wait: Duration) -> Result<Round, StoreError> {
        let mut connection = self.connection().await?;
        let round = next(&mut connection, after, wait).await;
        self.judge(round)
    }

    async fn entries(&mut self) -> Result<Vec<Write>, StoreError> {
        let mut connection = self.connection().await?;
        let entries = entries(&mut connection).await;
        self.judge(entries)
    }

    async fn begin_epoch(
        &mut self,
        old: Option<&Epoch>,
        highest: Version,
        lineage: &Lineage,
    ) -> Result<EpochRecord, StoreError> {
        let mut connection = self.connection().await?;
        let begun = epoch::begin(&mut connection, old, highest, lineage).await;
        self.judge(begun)
    }

    async fn restore(&mut self, held: &[Write], epoch: &EpochRecord) -> Result<usize, StoreError> {
        let mut connection = self.connection().await?;
        let mut restored = 0;
        for chunk in held.chunks(restore::CHUNK) {
            let back = restore::restore(&mut connection, chunk, epoch).await;
            restored += self.judge(back)?;
        }
        Ok(restored)
    }
}

/// One round trip: the questions about the position are sent together with the read. Redis puts off what a
/// blocked connection sent and answers it in order, so the position is as of after the read, as it must be: what
/// was read belongs to the epoch that is in force then, or to none (rule P2). Changes wake the polls without
/// another journey to Redis and back.
async fn next(redis: &mut MultiplexedConnection, after: Version, wait: Duration) -> Result<Round, StoreError> {
    let block_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    let mut pipe = redis::pipe();
    pipe.cmd("XREAD")
        .arg("COUNT")
        .arg(READ_MAX)
        .arg("BLOCK")
        .arg(block_ms)
        .arg("STREAMS")
        .arg(STREAM)
        .arg(format!("{after}-0"));
    type Answers = (Option<StreamReadReply>, Option<u64>, epoch::Fields, epoch::Time, String, String);
    let (read, version, record, time, server, replication): Answers = epoch::ask(&mut pipe).query_async(redis).await?;
    let position = epoch::answered((version, record, time, server, replication))?;
    let ids = read.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
    let changes = ids.map(|id| entry::of_stream(&id)).collect::<Result<Vec<_>, _>>()?;
    Ok(Round { complete: changes.len() < READ_MAX, changes, position })
}

async fn entries(redis: &mut MultiplexedConnection) -> Result<Vec<Write>, StoreError> {
    let mut writes = Vec::new();
    let mut cursor = 0_u64;
    loop {
        let (next, fields): (u64, Vec<(String, String)>) =
            redis::cmd("HSCAN").arg(ENTRIES).arg(cursor).arg("COUNT").arg(SCAN_COUNT).query_async(redis).await?;
        for (field, value) in fields {
            writes.push(entry::parse(&field, &value)?);
        }
        cursor = next;
        if cursor == 0 {
            return Ok(writes);
        }
    }
}
