//! Leftovers in Redis: what the gateway that Sekisho replaces never cleared away (`user:tokens:{email}` has no end), what
//! other programs leave behind, and what of our own orders points to nothing.
//!
//! No step assumes that two keys live on one node, so none sees two of them in one moment. It needs not to: a token's record
//! is written before its id is put anywhere, and never again once it is gone; and who is seen as a person comes back is put
//! back.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{
    AsyncCommands, ExistenceCheck, Pipeline, RedisResult, Script, SetExpiry, SetOptions, Value, from_redis_value,
};

use super::RedisClient;
use super::active_users::{ACTIVE_USER, ACTIVE_USERS, ACTIVITY_OF, METADATA};
use crate::domain::cleanup::{CleanupLog, Counts, Item, Kind};
use crate::domain::time::UnixSeconds;
use crate::service::cleanup::{CleanupStore, Cursor, Logged, Removed, Step, Turn};
use crate::service::error::StoreError;

mod delete;
mod logs;
mod walk;

/// + e-mail: a set of the ids of somebody's tokens.
const USER_TOKENS: &str = "user:tokens:";
/// Whose turn it is to run.
const TURN: &str = "sekisho:{cleanup}:turn";
/// The moment of the schedule for which there was a run last.
const SCHEDULED: &str = "sekisho:{cleanup}:scheduled";
/// What lies further ahead by Redis's clock, in seconds, is from a wrong one.
const AHEAD_S: u64 = 86_400;
/// Keys or members that one round trip asks for: at most a few milliseconds for Redis.
const STEP: usize = 1_000;

static RENEW_TURN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/renew_turn.lua")));
static END_TURN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/drop_record.lua")));
static RAISE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/raise.lua")));

/// Leftovers, and what is on record about clearing them away.
#[derive(Clone)]
pub struct RedisCleanup {
    redis: RedisClient,
}

impl RedisCleanup {
    /// Those of this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis }
    }
}

#[async_trait]
impl CleanupStore for RedisCleanup {
    fn places(&self) -> Vec<Cursor> {
        walk::places()
    }

    async fn walk(&self, from: Cursor) -> Result<Step, StoreError> {
        walk::step(&mut self.redis.shared(), from).await
    }

    async fn estimate(&self, sample: &[Item], counts: &Counts) -> Result<u64, StoreError> {
        walk::estimate(&mut self.redis.shared(), sample, counts).await
    }

    async fn delete(&self, items: &[Item]) -> Result<Removed, StoreError> {
        delete::all(&mut self.redis.shared(), items).await
    }

    async fn take_turn(&self, life: Duration) -> Result<Option<Turn>, StoreError> {
        let turn = Turn { id: uuid::Uuid::new_v4().to_string() };
        let options = SetOptions::default().conditional_set(ExistenceCheck::NX);
        let options = options.with_expiration(SetExpiry::PX(millis(life)));
        let taken: Option<String> = self.redis.shared().set_options(TURN, &turn.id, options).await?;
        Ok(taken.map(|_| turn))
    }

    async fn renew_turn(&self, turn: &Turn, life: Duration) -> Result<(), StoreError> {
        let mut call = RENEW_TURN.key(TURN);
        call.arg(&turn.id).arg(millis(life));
        Ok(call.invoke_async(&mut self.redis.shared()).await?)
    }

    async fn end_turn(&self, turn: Turn) -> Result<(), StoreError> {
        Ok(END_TURN.key(TURN).arg(turn.id).invoke_async(&mut self.redis.shared()).await?)
    }

    async fn keep_log(&self, log: &CleanupLog, days: u64) -> Result<bool, StoreError> {
        logs::keep(&mut self.redis.shared(), log, days).await
    }

    async fn logs(&self, before: Option<u64>, limit: usize, days: u64) -> Result<(Vec<Logged>, u64), StoreError> {
        logs::read(&mut self.redis.shared(), before, limit, days).await
    }

    async fn scheduled_run(&self, moment: UnixSeconds) -> Result<(Option<UnixSeconds>, bool), StoreError> {
        let mut pipe = redis::pipe();
        pipe.cmd("TIME").get(SCHEDULED);
        let ((now, _), last): ((u64, u64), Option<String>) = pipe.query_async(&mut self.redis.shared()).await?;
        let is_possible = |moment: &UnixSeconds| moment.get() <= now + AHEAD_S;
        let last = last.and_then(|last| last.parse().ok()).map(UnixSeconds);
        Ok((last.filter(is_possible), is_possible(&moment)))
    }

    async fn note_scheduled_run(&self, moment: UnixSeconds) -> Result<(), StoreError> {
        Ok(RAISE.key(SCHEDULED).arg(moment.get()).arg(AHEAD_S).invoke_async(&mut self.redis.shared()).await?)
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Whether each of these keys is there.
async fn exist(redis: &mut ConnectionManager, keys: &[String]) -> Result<Vec<bool>, StoreError> {
    let mut all = Vec::with_capacity(keys.len());
    for keys in keys.chunks(STEP) {
        let mut pipe = redis::pipe();
        for key in keys {
            pipe.exists(key);
        }
        all.extend(pipe.query_async::<Vec<bool>>(redis).await?);
    }
    Ok(all)
}

/// Clears away what is left of those of `names` who are active no more; whose it was.
pub(super) async fn forget_inactive(
    redis: &mut ConnectionManager,
    names: Vec<String>,
) -> Result<Vec<String>, StoreError> {
    let gone = walk::inactive(redis, names).await?;
    let item = |kind, key: &str, name: &String| walk::person(kind, key.to_owned(), name.clone());
    let items: Vec<Item> = gone
        .iter()
        .flat_map(|name| {
            let metadata = item(Kind::OrphanedMetadata, &format!("{METADATA}{name}"), name);
            [metadata, item(Kind::InactiveUser, ACTIVE_USERS, name)]
        })
        .collect();
    let removed = delete::all(redis, &items).await?.items.into_iter();
    Ok(removed.filter(|item| item.kind == Kind::InactiveUser).filter_map(|item| item.user_email).collect())
}

/// Whether each of these people is active: seen by a filter; or with a token or a session in use, which is asked only of
/// those who were not seen.
pub(super) async fn are_active(redis: &mut ConnectionManager, names: &[String]) -> Result<Vec<bool>, StoreError> {
    let seen: Vec<String> = names.iter().map(|name| format!("{ACTIVITY_OF}{name}")).collect();
    let seen = exist(redis, &seen).await?;
    let unseen = names.iter().zip(&seen).filter(|(_, seen)| !**seen);
    let unseen: Vec<String> = unseen.map(|(name, _)| format!("{ACTIVE_USER}{name}")).collect();
    let mut in_use = exist(redis, &unseen).await?.into_iter();
    Ok(seen.into_iter().map(|seen| seen || in_use.next().unwrap_or(false)).collect())
}

/// How many bytes each of these keys takes. 0 for one that is not there, or if Redis does not say.
async fn usage(redis: &mut ConnectionManager, keys: &[String]) -> Result<Vec<u64>, StoreError> {
    let mut pipe = redis::pipe();
    for key in keys {
        pipe.cmd("MEMORY").arg("USAGE").arg(key);
    }
    let bytes = |answer: Value| from_redis_value::<Option<u64>>(answer).ok().flatten().unwrap_or(0);
    Ok(lenient(pipe, redis).await?.into_iter().map(bytes).collect())
}

/// The answers to a pipeline; nil for each error: a key of another type, or a command that is not allowed.
async fn lenient(mut pipe: Pipeline, redis: &mut ConnectionManager) -> Result<Vec<Value>, StoreError> {
    if pipe.is_empty() {
        return Ok(Vec::new());
    }
    pipe.ignore_errors();
    let answers: Vec<RedisResult<Value>> = pipe.query_async(redis).await?;
    Ok(answers.into_iter().map(|answer| answer.unwrap_or(Value::Nil)).collect())
}

#[cfg(test)]
mod tests;
