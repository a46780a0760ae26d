//! Records that other programs read and write, too: bans and revoked tokens.

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::Script;
use sekisho_protocol::Subject;
use sekisho_protocol::feed::{FOREVER, Kind};

use super::RedisClient;
use super::feed::entry;
use super::keys::{BAN_RECORD, BANS, ENTRIES, REVOKED_RECORD, record_prefix};
use crate::domain::feed::record::RecordEnd;
use crate::domain::time::UnixSeconds;
use crate::service::checks::{CheckRecords, Standing};
use crate::service::error::StoreError;
use crate::service::feed::source::{FoundRecord, Records};

static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/forget.lua")));

/// Keys per step of a walk.
const SCAN_COUNT: usize = 500;

/// The records in Redis.
#[derive(Clone)]
pub struct RedisRecords {
    redis: RedisClient,
}

/// Seconds and microseconds, as `TIME` tells them.
type Time = (u64, u64);

impl RedisRecords {
    /// The records in this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis }
    }
}

#[async_trait]
impl CheckRecords for RedisRecords {
    async fn standing(&self, subject: &Subject, token_id: Option<&str>) -> Result<Standing, StoreError> {
        let mut pipe = redis::pipe();
        pipe.cmd("TIME").cmd("PTTL").arg(format!("{BAN_RECORD}{subject}"));
        if let Some(id) = token_id {
            pipe.cmd("EXISTS").arg(format!("{REVOKED_RECORD}{id}"));
        } else {
            // A token without an id cannot be on record; a third answer keeps the shape.
            pipe.cmd("ECHO").arg(0);
        }
        let (time, left, revoked): (Time, i64, i64) = pipe.query_async(&mut self.redis.shared()).await?;
        Ok(Standing { banned_until: end(time, left).map(|end| end.0), token_revoked: revoked != 0 })
    }
}

#[async_trait]
impl Records for RedisRecords {
    async fn end(&self, kind: Kind, name: &str) -> Result<Option<RecordEnd>, StoreError> {
        let Some(prefix) = record_prefix(kind) else { return Ok(None) };
        let mut pipe = redis::pipe();
        pipe.cmd("TIME").cmd("PTTL").arg(format!("{prefix}{name}"));
        let (time, left): (Time, i64) = pipe.query_async(&mut self.redis.shared()).await?;
        Ok(end(time, left))
    }

    async fn scan(&self, kind: Kind, cursor: Option<u64>) -> Result<(Vec<FoundRecord>, Option<u64>), StoreError> {
        let Some(prefix) = record_prefix(kind) else { return Ok((Vec::new(), None)) };
        let mut redis = self.redis.shared();
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor.unwrap_or(0)).arg("MATCH").arg(format!("{prefix}*")).arg("COUNT").arg(SCAN_COUNT);
        // Keys are bytes; one that is no text cannot be the name of anybody.
        let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(&mut redis).await?;
        let keys: Vec<String> = keys.into_iter().filter_map(|key| String::from_utf8(key).ok()).collect();
        let mut found = Vec::new();
        if !keys.is_empty() {
            let mut pipe = redis::pipe();
            pipe.cmd("TIME");
            for key in &keys {
                pipe.cmd("PTTL").arg(key);
            }
            let answers: Vec<redis::Value> = pipe.query_async(&mut redis).await?;
            found = pair(prefix, &keys, answers)?;
        }
        Ok((found, (next != 0).then_some(next)))
    }

    async fn sweep(&self, cursor: Option<u64>) -> Result<(usize, Option<u64>), StoreError> {
        let mut redis = self.redis.shared();
        let mut scan = redis::cmd("HSCAN");
        scan.arg(ENTRIES).arg(cursor.unwrap_or(0)).arg("COUNT").arg(SCAN_COUNT);
        let (next, fields): (u64, Vec<(String, String)>) = scan.query_async(&mut redis).await?;
        let now = UnixSeconds::now().get();
        let mut forget = FORGET.key(ENTRIES);
        forget.key(BANS);
        let mut any = false;
        for (field, value) in &fields {
            // What cannot be read is a newer sidecar's, and not ours to remove.
            if entry::parse(field, value).is_ok_and(|write| write.says.is_over(now)) {
                forget.arg(field).arg(value);
                any = true;
            }
        }
        let removed = if any { forget.invoke_async(&mut redis).await? } else { 0 };
        Ok((removed, (next != 0).then_some(next)))
    }
}

fn pair(prefix: &str, keys: &[String], answers: Vec<redis::Value>) -> Result<Vec<FoundRecord>, StoreError> {
    let mut answers = answers.into_iter();
    let time: Time = redis::from_redis_value(answers.next().unwrap_or(redis::Value::Nil))
        .map_err(|error| StoreError::corrupt("TIME", error))?;
    let mut found = Vec::new();
    for (key, left) in keys.iter().zip(answers) {
        let left: i64 = redis::from_redis_value(left).map_err(|error| StoreError::corrupt(key, error))?;
        let name = key.strip_prefix(prefix).unwrap_or(key).to_owned();
        found.extend(end(time, left).map(|end| FoundRecord { name, end }));
    }
    Ok(found)
}

/// The end of a record with so many milliseconds left: −1 is for ever, −2 is no record.
fn end((seconds, micros): Time, left_ms: i64) -> Option<RecordEnd> {
    match (left_ms, u64::try_from(left_ms)) {
        (-1, _) => Some(RecordEnd(FOREVER)),
        (_, Ok(left)) => Some(RecordEnd::after(seconds * 1_000 + micros / 1_000, left)),
        _ => None,
    }
}
