//! What Redis says of itself: what it would survive, what it would throw away.

use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::RedisClient;
use super::feed::epoch::info;
use crate::service::change::{Durability, Persistence};
use crate::service::error::StoreError;
use crate::service::readiness::{Vitals, VitalsProbe};

/// Asks Redis how it is.
#[derive(Clone)]
pub struct RedisVitals {
    redis: RedisClient,
}

impl RedisVitals {
    /// Asks this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis }
    }
}

#[async_trait]
impl VitalsProbe for RedisVitals {
    async fn vitals(&self) -> Result<Vitals, StoreError> {
        let mut redis = self.redis.shared();
        let (server, replication, memory, persistence, (seconds, micros)): (
            String,
            String,
            String,
            String,
            (u64, u64),
        ) = redis::pipe()
            .cmd("INFO")
            .arg("server")
            .cmd("INFO")
            .arg("replication")
            .cmd("INFO")
            .arg("memory")
            .cmd("INFO")
            .arg("persistence")
            .cmd("TIME")
            .query_async(&mut redis)
            .await?;
        Ok(Vitals {
            server_version: info(&server, "redis_version").unwrap_or("of unknown version").to_owned(),
            role: info(&replication, "role").unwrap_or("unknown").to_owned(),
            durability: durability(&persistence, &mut redis).await?,
            eviction_policy: info(&memory, "maxmemory_policy").unwrap_or("unknown").to_owned(),
            notifications: setting(&mut redis, "notify-keyspace-events").await?,
            clock_ms: seconds * 1_000 + micros / 1_000,
        })
    }
}

#[async_trait]
impl Persistence for RedisVitals {
    async fn durability(&self) -> Result<Durability, StoreError> {
        let mut redis = self.redis.shared();
        let persistence: String = redis::cmd("INFO").arg("persistence").query_async(&mut redis).await?;
        durability(&persistence, &mut redis).await
    }
}

async fn durability(persistence: &str, redis: &mut ConnectionManager) -> Result<Durability, StoreError> {
    if info(persistence, "aof_enabled") == Some("1") {
        return Ok(match setting(redis, "appendfsync").await?.as_deref() {
            Some("always") => Durability::Always,
            Some("everysec") => Durability::EverySecond,
            _ => Durability::AppendOnly,
        });
    }
    Ok(match setting(redis, "save").await?.as_deref() {
        Some("") => Durability::Memory,
        Some(_) => Durability::Snapshots,
        None => Durability::Unknown,
    })
}

/// A setting; none if it may not be asked (managed Redis often forbids CONFIG).
pub(super) async fn setting(redis: &mut ConnectionManager, name: &str) -> Result<Option<String>, StoreError> {
    let answer: Result<Vec<String>, _> = redis::cmd("CONFIG").arg("GET").arg(name).query_async(redis).await;
    match answer {
        Ok(pair) => Ok(pair.into_iter().nth(1)),
        Err(error) if is_refusal(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether Redis answered, and said no.
pub(super) fn is_refusal(error: &RedisError) -> bool {
    use ServerErrorKind::{NoPerm, ResponseError};
    matches!(error.kind(), ErrorKind::Server(NoPerm | ResponseError) | ErrorKind::Extension)
}
