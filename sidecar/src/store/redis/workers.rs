//! The registry of filter workers in Redis, shared by all sidecars. Its clock is Redis's.

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::{AsyncCommands, Script};
use sekisho_protocol::{Epoch, ReplicaId};
use serde::{Deserialize, Serialize};

use super::RedisClient;
use super::feed::entry::epoch_id;
use super::keys::{EPOCH, STREAM, VERSION, WORKERS};
use crate::domain::feed::{Stamp, Version};
use crate::service::error::StoreError;
use crate::service::feed::registry::{Patience, Presence, Registered, Registry, Roll, Start, Worker};

static RECORD_POLL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/record_poll.lua")));
static FORGET_SILENT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/forget_silent.lua")));

/// Most workers on record. Every change reads them all.
const MAX_WORKERS: usize = 10_000;

/// The registry in Redis.
#[derive(Clone)]
pub struct RedisWorkers {
    redis: RedisClient,
}

impl RedisWorkers {
    /// The registry in this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis }
    }
}

/// A worker as it is on record. Rows of older builds lack what came later.
#[derive(Serialize, Deserialize)]
struct Row {
    /// Written by the script, by Redis's clock.
    #[serde(default, skip_serializing)]
    polled_at_ms: u64,
    /// Written by the script, for a worker that began blank.
    #[serde(default, skip_serializing)]
    joined_epoch: Option<Epoch>,
    /// Together with `joined_epoch`.
    #[serde(default, skip_serializing)]
    joined_version: u64,
    node: String,
    #[serde(default)]
    worker: u32,
    build: String,
    fences: bool,
    staleness_ms: u32,
    sidecar: String,
    epoch: Option<Epoch>,
    version: u64,
    #[serde(default)]
    memory_bytes: u64,
    #[serde(default)]
    entries: u64,
    #[serde(default)]
    age_ms: Option<u64>,
}

#[async_trait]
impl Registry for RedisWorkers {
    async fn record(&self, presence: &Presence, start: Start) -> Result<Registered, StoreError> {
        let row = serde_json::to_string(&Row::of(presence)).map_err(StoreError::unavailable)?;
        let mut call = RECORD_POLL.key(WORKERS);
        call.key(EPOCH)
            .key(VERSION)
            .arg(presence.replica.as_str())
            .arg(row)
            .arg(MAX_WORKERS)
            .arg(u8::from(start == Start::Blank));
        let (outcome, id, version): (String, String, u64) = call.invoke_async(&mut self.redis.shared()).await?;
        Ok(match (outcome.as_str(), id.is_empty()) {
            ("FULL", _) => Registered::Full,
            (_, true) => Registered::At(None),
            (_, false) => Registered::At(Some(Stamp { epoch: epoch_id(id)?, version: Version::new(version) })),
        })
    }

    async fn remove(&self, replica: &ReplicaId) -> Result<(), StoreError> {
        Ok(self.redis.shared().hdel(WORKERS, replica.as_str()).await?)
    }

    async fn roll(&self) -> Result<Roll, StoreError> {
        type Answers = ((u64, u64), Option<String>, Option<u64>, u64, Vec<(String, String)>);
        let mut pipe = redis::pipe();
        pipe.atomic().cmd("TIME").hget(EPOCH, "id").get(VERSION).xlen(STREAM).hgetall(WORKERS);
        let ((seconds, micros), id, version, stream_length, rows): Answers =
            pipe.query_async(&mut self.redis.shared()).await?;
        // A row that cannot be read is a worker nobody knows anything about. It may not be left out, or
        // changes would count as applied by all.
        let workers = rows.into_iter().map(|(replica, row)| worker(replica, &row)).collect::<Result<_, _>>()?;
        Ok(Roll {
            now_ms: seconds * 1_000 + micros / 1_000,
            epoch: id.map(epoch_id).transpose()?,
            version: Version::new(version.unwrap_or(0)),
            stream_length,
            workers,
        })
    }

    async fn forget_silent(&self, patience: Patience) -> Result<usize, StoreError> {
        let mut call = FORGET_SILENT.key(WORKERS);
        call.arg(patience.fencing_ms).arg(patience.others_ms);
        Ok(call.invoke_async(&mut self.redis.shared()).await?)
    }
}

impl Row {
    fn of(presence: &Presence) -> Self {
        Self {
            polled_at_ms: 0,
            joined_epoch: None,
            joined_version: 0,
            node: presence.node.clone(),
            worker: presence.worker,
            build: presence.build.clone(),
            fences: presence.fences,
            staleness_ms: presence.staleness_ms,
            sidecar: presence.sidecar.clone(),
            epoch: presence.holds.as_ref().map(|stamp| stamp.epoch.clone()),
            version: presence.holds.as_ref().map_or(0, |stamp| stamp.version.get()),
            memory_bytes: presence.memory_bytes,
            entries: presence.entries,
            age_ms: presence.age_ms,
        }
    }
}

fn worker(replica: String, row: &str) -> Result<Worker, StoreError> {
    let corrupt = |error: &dyn std::fmt::Display| StoreError::corrupt(format!("{WORKERS} {replica}"), error);
    let row: Row = serde_json::from_str(row).map_err(|error| corrupt(&error))?;
    let id = ReplicaId::try_from(replica.clone()).map_err(|error| corrupt(&error))?;
    let stamp = |epoch, version| Stamp { epoch, version: Version::new(version) };
    Ok(Worker {
        presence: Presence {
            replica: id,
            node: row.node,
            worker: row.worker,
            build: row.build,
            fences: row.fences,
            staleness_ms: row.staleness_ms,
            sidecar: row.sidecar,
            holds: row.epoch.map(|epoch| stamp(epoch, row.version)),
            memory_bytes: row.memory_bytes,
            entries: row.entries,
            age_ms: row.age_ms,
        },
        polled_at_ms: row.polled_at_ms,
        joined: row.joined_epoch.map(|epoch| stamp(epoch, row.joined_version)),
    })
}
