//! Exchanges of tokens: per token its exchange, per family its members, and two lines of what is to be done.

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, Script};

use super::RedisTokens;
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::tokens::refresh::{EXCHANGES_MAX, Exchange, Exchanges};

/// + token id: a hash of the exchanged token's `family`, until when it is `good_until`, the `count` of its exchanges,
///   and `retired`, once it was revoked for that.
const EXCHANGE: &str = "sekisho:token:exchange:";
/// + family: a set of the ids of its tokens, and [`SEALED`].
const FAMILY: &str = "sekisho:token:family:";
/// What seals a family. No token has this id.
const SEALED: &str = "!";
/// A sorted set: tokens, by when they are to be revoked.
const RETIRING: &str = "sekisho:{tokens}:retiring";
/// A sorted set: families of which an exchanged token was shown.
const CASES: &str = "sekisho:{tokens}:cases";
/// How long who takes something in hand may take, in seconds; then it is anybody's again.
const LEASE_S: u64 = 10;
/// How long something is remembered that has no other end, in seconds: its tokens have ended before.
const NO_OTHER_END_S: u64 = 86_400;

static NOTE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/note_exchange.lua")));
static JOIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/join_family.lua")));
static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/lease_due.lua")));

fn exchange_key(id: &str) -> String {
    format!("{EXCHANGE}{id}")
}

fn family_key(family: &str) -> String {
    format!("{FAMILY}{family}")
}

async fn lease(
    redis: &mut ConnectionManager,
    line: &str,
    now: UnixSeconds,
    limit: usize,
) -> Result<Vec<String>, StoreError> {
    let mut call = LEASE.key(line);
    call.arg(now.get()).arg(now.plus(LEASE_S).get()).arg(limit);
    Ok(call.invoke_async(redis).await?)
}

#[async_trait]
impl Exchanges for RedisTokens {
    async fn join(&self, exchange: &Exchange) -> Result<bool, StoreError> {
        let mut call = JOIN.key(family_key(&exchange.family));
        call.arg(exchange.until.get()).arg(SEALED).arg(&exchange.old).arg(&exchange.new);
        Ok(call.invoke_async(&mut self.client.shared()).await?)
    }

    async fn note(&self, exchange: &Exchange) -> Result<Option<UnixSeconds>, StoreError> {
        let mut redis = self.client.shared();
        let ends: Option<u64> = redis.zscore(RETIRING, &exchange.old).await?;
        if ends.is_some_and(|ends| ends <= exchange.now.get()) {
            return Ok(None);
        }
        let mut call = NOTE.key(exchange_key(&exchange.old));
        call.arg(&exchange.family).arg(exchange.good_until.get()).arg(exchange.now.get());
        call.arg(exchange.until.get()).arg(EXCHANGES_MAX);
        let good_until: u64 = call.invoke_async(&mut redis).await?;
        Ok((good_until > 0).then_some(UnixSeconds(good_until)))
    }

    async fn retire_at(&self, id: &str, at: UnixSeconds) -> Result<(), StoreError> {
        let mut add = redis::cmd("ZADD");
        add.arg(RETIRING).arg("NX").arg(at.get()).arg(id);
        Ok(add.exec_async(&mut self.client.shared()).await?)
    }

    async fn to_retire(&self, now: UnixSeconds, limit: usize) -> Result<Vec<String>, StoreError> {
        lease(&mut self.client.shared(), RETIRING, now, limit).await
    }

    async fn retired(&self, id: &str) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.hset(exchange_key(id), "retired", 1).ignore();
        // The exchange may have been forgotten meanwhile: then this would have no end.
        pipeline.cmd("EXPIRE").arg(exchange_key(id)).arg(NO_OTHER_END_S).arg("NX").ignore();
        pipeline.zrem(RETIRING, id).ignore();
        Ok(pipeline.exec_async(&mut self.client.shared()).await?)
    }

    async fn family_of_retired(&self, id: &str) -> Result<Option<String>, StoreError> {
        let (family, retired): (Option<String>, Option<u64>) =
            self.client.shared().hmget(exchange_key(id), &["family", "retired"]).await?;
        Ok(family.filter(|_| retired.is_some()))
    }

    async fn open_case(&self, family: &str, now: UnixSeconds) -> Result<bool, StoreError> {
        let mut redis = self.client.shared();
        if redis.sismember(family_key(family), SEALED).await? {
            return Ok(false);
        }
        let mut add = redis::cmd("ZADD");
        add.arg(CASES).arg("NX").arg(now.get()).arg(family);
        Ok(add.query_async::<usize>(&mut redis).await? > 0)
    }

    async fn open_cases(&self, now: UnixSeconds, limit: usize) -> Result<Vec<String>, StoreError> {
        lease(&mut self.client.shared(), CASES, now, limit).await
    }

    async fn seal_family(&self, family: &str) -> Result<Vec<String>, StoreError> {
        let mut redis = self.client.shared();
        let mut pipeline = redis::pipe();
        pipeline.sadd(family_key(family), SEALED).ignore();
        pipeline.cmd("EXPIRE").arg(family_key(family)).arg(NO_OTHER_END_S).arg("NX").ignore();
        pipeline.smembers(family_key(family));
        let (mut members,): (Vec<String>,) = pipeline.query_async(&mut redis).await?;
        members.retain(|member| member != SEALED);
        Ok(members)
    }

    async fn close_case(&self, family: &str) -> Result<(), StoreError> {
        Ok(self.client.shared().zrem(CASES, family).await?)
    }
}
