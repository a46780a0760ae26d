//! Following the feed in Redis, over a connection of one's own: reads block on it.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::streams::StreamReadReply;
use redis::{AsyncCommands, Script};
use sekisho_protocol::Epoch;
use sekisho_protocol::feed::FOREVER;

use super::RedisClient;
use super::feed::{entry, epoch};
use super::keys::{self, BANS, ENTRIES, EPOCH, STREAM, VERSION};
use crate::domain::feed::Version;
use crate::domain::feed::position::{EpochRecord, Lineage, Position};
use crate::domain::feed::state::{Says, Write};
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::feed::source::{FeedSource, Round};

static RESTORE: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("scripts/write.lua"), include_str!("scripts/restore.lua"))));
static DROP_RECORD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/drop_record.lua")));

/// Most changes in one read.
const READ_MAX: usize = 1_000;
/// Entries per step when all are read.
const SCAN_COUNT: usize = 1_000;
/// What a record says that was written back.
const RESTORED_REASON: &str = "restored after Redis lost data";

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
        for write in held {
            let back = restore(&mut connection, write, epoch).await;
            restored += usize::from(self.judge(back)?);
        }
        Ok(restored)
    }
}

async fn next(redis: &mut MultiplexedConnection, after: Version, wait: Duration) -> Result<Round, StoreError> {
    let block_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    let read: Option<StreamReadReply> = redis::cmd("XREAD")
        .arg("COUNT")
        .arg(READ_MAX)
        .arg("BLOCK")
        .arg(block_ms)
        .arg("STREAMS")
        .arg(STREAM)
        .arg(format!("{after}-0"))
        .query_async(redis)
        .await?;
    let ids = read.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids);
    let changes = ids.map(|id| entry::of_stream(&id)).collect::<Result<Vec<_>, _>>()?;
    // Only after the read: what was read belongs to the epoch that is in force now, or to none.
    let position_at = Instant::now();
    let position = epoch::position(redis).await?;
    Ok(Round { complete: changes.len() < READ_MAX, changes, position, position_at })
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

/// Whether the write was put back.
async fn restore(redis: &mut MultiplexedConnection, write: &Write, epoch: &EpochRecord) -> Result<bool, StoreError> {
    let (until, issued_before, lifted_at) = entry::numbers(write.says);
    let mut call = RESTORE.key(EPOCH);
    call.key(VERSION).key(STREAM).key(ENTRIES).key(BANS);
    call.arg(epoch.id.as_str()).arg(epoch.base.get());
    call.arg(crate::domain::feed::kind_word(write.kind)).arg(&write.name);
    call.arg(until).arg(issued_before).arg(lifted_at).arg(write.version.get());
    let outcome: String = call.invoke_async(redis).await?;
    match outcome.as_str() {
        "NEWER" => Ok(false),
        "OTHER" => Err(StoreError::unavailable("another epoch began meanwhile")),
        version => {
            restore_record(redis, write, version).await?;
            Ok(true)
        }
    }
}

/// Puts the record back that belongs to a restored entry, unless there is one. If somebody lifts the
/// entry at the same time, the record goes again: otherwise it would count as a new ban (rule P8).
async fn restore_record(redis: &mut MultiplexedConnection, write: &Write, version: &str) -> Result<(), StoreError> {
    let (Some(prefix), Says::Holds { until, .. }) = (keys::record_prefix(write.kind), write.says) else { return Ok(()) };
    let key = format!("{prefix}{}", write.name);
    let is_ban = prefix == keys::BAN_RECORD;
    let now = UnixSeconds::now().get();
    let value = if is_ban { now.to_string() } else { "1".to_owned() };
    let mut set = redis::cmd("SET");
    set.arg(&key).arg(&value).arg("NX");
    if until < FOREVER {
        set.arg("EXAT").arg(until);
    }
    let written: Option<String> = set.query_async(redis).await?;
    if written.is_none() {
        return Ok(());
    }
    if is_ban {
        restore_details(redis, &write.name, until, now).await?;
    }
    let present: Option<String> = redis.hget(ENTRIES, entry::field(write.kind, &write.name)).await?;
    let is_ours = present.is_some_and(|present| present.contains(&format!("\"version\":{version},")));
    if !is_ours {
        let _: i64 = DROP_RECORD.key(&key).arg(&value).invoke_async(redis).await?;
    }
    Ok(())
}

async fn restore_details(redis: &mut MultiplexedConnection, name: &str, until: u64, now: u64) -> Result<(), StoreError> {
    let key = format!("{}{name}", keys::BAN_DETAILS);
    let mut pipe = redis::pipe();
    pipe.atomic();
    for (field, value) in
        [("reason", RESTORED_REASON), ("by", "sekisho"), ("at", &now.to_string()), ("until", &until.to_string())]
    {
        pipe.cmd("HSETNX").arg(&key).arg(field).arg(value).ignore();
    }
    if until < FOREVER {
        pipe.cmd("EXPIREAT").arg(&key).arg(until).ignore();
    }
    Ok(pipe.query_async(redis).await?)
}
