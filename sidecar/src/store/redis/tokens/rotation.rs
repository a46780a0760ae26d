//! Exchanges of tokens: per token its exchange, per family its members, and three lines of what is to be done. Redis says
//! what the time is: the clocks of sidecars differ.

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, Script};

use super::{RedisTokens, STEP};
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::tokens::refresh::{EXCHANGES_MAX, Exchange, Exchanged, Exchanges, Member, Tie};

/// + token id: a hash of the exchanged token's `family`, until when it is `good_until`, the `count` of its exchanges,
///   and `retired`, once it is revoked for that.
const EXCHANGE: &str = "sekisho:token:exchange:";
/// + family: a sorted set of its tokens, by when they may be forgotten, and of what seals it, which stays to the last. Those
///   that were generated have a [`GENERATED`] before their ids.
const FAMILY: &str = "sekisho:token:members:";
/// No id begins with it.
const GENERATED: char = '+';
/// What seals a family for tokens that come from it by exchanges. No token has this id.
const SEALED: &str = "!";
/// What seals it for tokens that are generated.
const SEALED_FOR_ALL: &str = "!+";
/// What says that its case was closed.
const CLOSED: &str = "!.";
/// A sorted set: tokens, by when they are to be revoked.
const RETIRING: &str = "sekisho:{tokens}:retiring";
/// A sorted set: families of which an exchanged token was shown.
const CASES: &str = "sekisho:{tokens}:cases";
/// A sorted set: tokens that somebody is revoking.
const REVOKING: &str = "sekisho:{tokens}:revoking";
/// How long who takes something in hand may take, in seconds; then it is anybody's again.
const LEASE_S: u64 = 10;
/// How long something is remembered that has no other end, in seconds: its tokens have ended before.
const NO_OTHER_END_S: u64 = 86_400;

static NOTE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/note_exchange.lua")));
static JOIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/join_family.lua")));
static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/lease_due.lua")));
static PUT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/put_in_line.lua")));

fn exchange_key(id: &str) -> String {
    format!("{EXCHANGE}{id}")
}

fn family_key(family: &str) -> String {
    format!("{FAMILY}{family}")
}

fn seal_of(tie: Tie) -> &'static str {
    match tie {
        Tie::Exchanged => SEALED,
        Tie::Generated => SEALED_FOR_ALL,
    }
}

async fn lease(redis: &mut ConnectionManager, line: &str, limit: usize) -> Result<Vec<String>, StoreError> {
    Ok(LEASE.key(line).arg(LEASE_S).arg(limit).invoke_async(redis).await?)
}

/// Whether it is new in this line, in which it is to be seen to in so many seconds.
async fn put(redis: &mut ConnectionManager, line: &str, member: &str, after_s: u64) -> Result<bool, StoreError> {
    Ok(PUT.key(line).arg(member).arg(after_s).invoke_async(redis).await?)
}

#[async_trait]
impl Exchanges for RedisTokens {
    async fn note(&self, exchange: &Exchange) -> Result<Option<UnixSeconds>, StoreError> {
        let mut redis = self.client.shared();
        let ends: Option<u64> = redis.zscore(RETIRING, &exchange.old).await?;
        let mut call = NOTE.key(exchange_key(&exchange.old));
        call.arg(&exchange.family).arg(exchange.grace_s).arg(exchange.old_ends.get());
        call.arg(exchange.until.get()).arg(EXCHANGES_MAX).arg(u8::from(ends.is_some()));
        let good_until: u64 = call.invoke_async(&mut redis).await?;
        Ok((good_until > 0).then_some(UnixSeconds(good_until)))
    }

    async fn exchanged(&self, ids: &[String]) -> Result<Vec<Option<Exchanged>>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.hmget(exchange_key(id), &["family", "retired"]);
        }
        let found: Vec<(Option<String>, Option<u64>)> = pipeline.query_async(&mut self.client.shared()).await?;
        let exchanged = |(family, retired): (Option<String>, Option<u64>)| {
            family.map(|family| Exchanged { family, is_retired: retired.is_some() })
        };
        Ok(found.into_iter().map(exchanged).collect())
    }

    async fn join(&self, family: &str, tie: Tie, members: &[Member]) -> Result<bool, StoreError> {
        let mut call = JOIN.key(family_key(family));
        call.arg(seal_of(tie));
        for Member { id, until } in members {
            call.arg(match tie {
                Tie::Exchanged => id.clone(),
                Tie::Generated => format!("{GENERATED}{id}"),
            });
            call.arg(until.get());
        }
        Ok(call.invoke_async(&mut self.client.shared()).await?)
    }

    async fn retire_at(&self, id: &str, at: UnixSeconds) -> Result<(), StoreError> {
        let mut add = redis::cmd("ZADD");
        add.arg(RETIRING).arg("NX").arg(at.get()).arg(id);
        Ok(add.exec_async(&mut self.client.shared()).await?)
    }

    async fn to_retire(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        lease(&mut self.client.shared(), RETIRING, limit).await
    }

    async fn mark_retired(&self, id: &str) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.hset(exchange_key(id), "retired", 1).ignore();
        // The exchange may have been forgotten meanwhile: then this would have no end.
        pipeline.cmd("EXPIRE").arg(exchange_key(id)).arg(NO_OTHER_END_S).arg("NX").ignore();
        Ok(pipeline.exec_async(&mut self.client.shared()).await?)
    }

    async fn retired(&self, id: &str) -> Result<(), StoreError> {
        Ok(self.client.shared().zrem(RETIRING, id).await?)
    }

    async fn open_case(&self, family: &str) -> Result<bool, StoreError> {
        Ok(!self.is_closed(family).await? && put(&mut self.client.shared(), CASES, family, 0).await?)
    }

    async fn open_cases(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        lease(&mut self.client.shared(), CASES, limit).await
    }

    async fn seal(&self, family: &str, ties: &[Tie]) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        for tie in ties {
            pipeline.zadd(family_key(family), seal_of(*tie), "+inf").ignore();
        }
        pipeline.cmd("EXPIRE").arg(family_key(family)).arg(NO_OTHER_END_S).arg("NX").ignore();
        Ok(pipeline.exec_async(&mut self.client.shared()).await?)
    }

    async fn is_sealed(&self, family: &str, tie: Tie) -> Result<bool, StoreError> {
        let score: Option<f64> = self.client.shared().zscore(family_key(family), seal_of(tie)).await?;
        Ok(score.is_some())
    }

    async fn members(&self, family: &str, ties: &[Tie], cursor: u64) -> Result<(Vec<String>, Option<u64>), StoreError> {
        let mut scan = redis::cmd("ZSCAN");
        scan.arg(family_key(family)).arg(cursor).arg("COUNT").arg(STEP);
        let (next, found): (u64, Vec<(String, f64)>) = scan.query_async(&mut self.client.shared()).await?;
        let id = |(member, _): (String, f64)| match member.strip_prefix(GENERATED) {
            Some(id) => ties.contains(&Tie::Generated).then(|| id.to_owned()),
            None if member.starts_with(SEALED) => None,
            None => ties.contains(&Tie::Exchanged).then_some(member),
        };
        Ok((found.into_iter().filter_map(id).collect(), (next != 0).then_some(next)))
    }

    async fn is_closed(&self, family: &str) -> Result<bool, StoreError> {
        let score: Option<f64> = self.client.shared().zscore(family_key(family), CLOSED).await?;
        Ok(score.is_some())
    }

    async fn close_case(&self, family: &str) -> Result<(), StoreError> {
        let mut redis = self.client.shared();
        // First, so that nobody opens it again in between.
        let _: () = redis.zadd(family_key(family), CLOSED, "+inf").await?;
        Ok(redis.zrem(CASES, family).await?)
    }

    async fn begin_revocation(&self, id: &str) -> Result<(), StoreError> {
        put(&mut self.client.shared(), REVOKING, id, LEASE_S).await.map(|_| ())
    }

    async fn begun_revocations(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        lease(&mut self.client.shared(), REVOKING, limit).await
    }

    async fn end_revocation(&self, id: &str) -> Result<(), StoreError> {
        Ok(self.client.shared().zrem(REVOKING, id).await?)
    }
}
