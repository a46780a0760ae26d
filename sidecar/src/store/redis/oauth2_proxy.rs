//! Sessions of oauth2-proxy where it keeps them, under keys such as `_oauth2_proxy-{32 hex digits}`: read, deleted, never
//! written. And what is remembered of whose tickets were shown: `sekisho:oauth2_proxy:seen:{key}`, and all their keys in
//! `sekisho:oauth2_proxy:noted`.

use std::collections::HashMap;

use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, FromRedisValue, Value, from_redis_value};
use sekisho_protocol::activity::Method;

use super::feed::epoch;
use super::keys::{OAUTH2_PROXY_NOTED, OAUTH2_PROXY_SEEN};
use super::{RedisClient, foreign, scan};
use crate::domain::feed::position::Position;
use crate::domain::oauth2_proxy::MAX_BYTES;
use crate::domain::oauth2_proxy::rules::key_of;
use crate::domain::session::{Session, SessionId};
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::oauth2_proxy::{Found, Oauth2ProxyStore, Seen};

pub mod deletions;

/// Keys per step of a walk.
const SCAN_COUNT: usize = 500;
/// The same, among all keys there are.
const UNSEEN_COUNT: usize = 2_000;
/// What `PTTL` says of what never ends.
const NEVER: i64 = -1;

/// Those sessions in Redis.
#[derive(Clone)]
pub struct RedisOauth2Proxy {
    redis: RedisClient,
}

impl RedisOauth2Proxy {
    /// The sessions in this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis }
    }
}

fn seen_key(key: &str) -> String {
    format!("{OAUTH2_PROXY_SEEN}{key}")
}

#[async_trait]
impl Oauth2ProxyStore for RedisOauth2Proxy {
    async fn look_up(&self, key: &str) -> Result<(Found, Position), StoreError> {
        let mut pipe = redis::pipe();
        // One byte more than may be is enough to see that there are too many.
        pipe.cmd("GETRANGE").arg(key).arg(0).arg(MAX_BYTES).cmd("PTTL").arg(key);
        pipe.hgetall(seen_key(key));
        // Redis answers a connection in order, so the position is as of after the session.
        epoch::ask(&mut pipe);
        let mut answers = foreign::read(pipe, &mut self.redis.shared()).await?.into_iter();
        let mut next = || answers.next().unwrap_or(Value::Nil);
        let (value, left_ms, seen) = (next(), next(), next());
        let value: Option<Vec<u8>> = read(key, value)?;
        let left_ms: i64 = read(key, left_ms)?;
        let seen = seen_of(key, read(key, seen)?)?;
        let position = epoch::answered(read(key, Value::Array(answers.collect()))?)?;
        // Of a key that is not there, a range is empty.
        let is_there = left_ms >= NEVER;
        let left_s = u64::try_from(left_ms).ok().map(|left| left / 1_000);
        Ok((Found { value: value.filter(|_| is_there), left_s, seen }, position))
    }

    async fn is_there(&self, key: &str) -> Result<bool, StoreError> {
        Ok(self.redis.shared().exists(key).await?)
    }

    async fn seen(&self, key: &str) -> Result<Option<Seen>, StoreError> {
        seen_of(key, self.redis.shared().hgetall(seen_key(key)).await?)
    }

    async fn note(&self, key: &str, seen: &Seen) -> Result<(), StoreError> {
        let (name, ends_at) = (seen_key(key), seen.ends_at.get());
        let mut pipe = redis::pipe();
        // The list first: what nobody walks over must never be.
        pipe.zadd(OAUTH2_PROXY_NOTED, key, ends_at).ignore();
        pipe.cmd("ZREMRANGEBYSCORE").arg(OAUTH2_PROXY_NOTED).arg("-inf").arg(seen.noted_at.get()).ignore();
        pipe.cmd("HSET").arg(&name).arg("id").arg(seen.id.as_str()).arg("ticket").arg(&seen.ticket);
        pipe.arg("noted_at").arg(seen.noted_at.get()).arg("ends_at").arg(ends_at).ignore();
        pipe.cmd("EXPIREAT").arg(&name).arg(ends_at).ignore();
        Ok(pipe.exec_async(&mut self.redis.shared()).await?)
    }

    async fn noted(&self, cursor: Option<u64>) -> Result<(Vec<String>, Option<u64>), StoreError> {
        let (mut redis, cursor) = (self.redis.shared(), cursor.unwrap_or(0));
        let (next, found) = scan::scored(&mut redis, OAUTH2_PROXY_NOTED, cursor, "*", SCAN_COUNT).await?;
        Ok((found.into_iter().map(|(key, _)| key).collect(), (next != 0).then_some(next)))
    }

    async fn forget(&self, key: &str) -> Result<(), StoreError> {
        Ok(self.redis.shared().zrem(OAUTH2_PROXY_NOTED, key).await?)
    }

    async fn unseen(&self, prefix: &str, cursor: u64) -> Result<(Vec<(String, Option<u64>)>, u64), StoreError> {
        let mut redis = self.redis.shared();
        let (next, keys) = scan::keys(&mut redis, &format!("{}*", escaped(prefix)), cursor, UNSEEN_COUNT).await?;
        let mut pipe = redis::pipe();
        for key in &keys {
            pipe.cmd("TYPE").arg(key).pttl(key).exists(seen_key(key));
        }
        if keys.is_empty() {
            return Ok((Vec::new(), next));
        }
        let answers: Vec<Value> = pipe.query_async(&mut redis).await?;
        let mut found = Vec::new();
        for (key, answer) in keys.into_iter().zip(answers.chunks(3)) {
            let [kind, left, seen] = answer else { continue };
            let (kind, left): (String, i64) = (read(&key, kind.clone())?, read(&key, left.clone())?);
            if kind == "string" && !read::<bool>(&key, seen.clone())? {
                found.push((key, u64::try_from(left).ok()));
            }
        }
        Ok((found, next))
    }

    async fn text(&self, key: &str) -> Result<Option<Option<u64>>, StoreError> {
        let (kind, left): (String, i64) =
            redis::pipe().cmd("TYPE").arg(key).pttl(key).query_async(&mut self.redis.shared()).await?;
        Ok((kind == "string" && left >= NEVER).then(|| u64::try_from(left).ok()))
    }

    async fn delete_text(&self, key: &str) -> Result<bool, StoreError> {
        let mut redis = self.redis.shared();
        let kind: String = redis::cmd("TYPE").arg(key).query_async(&mut redis).await?;
        Ok(kind == "string" && redis.del::<_, u64>(key).await? > 0)
    }
}

/// Deletes what oauth2-proxy keeps of a session that was ended; nothing of one of our own. Whoever signed in anew with the
/// same ticket has another session there, which is not meant. If that happens just now, they sign in once more.
pub(super) async fn delete(redis: &mut ConnectionManager, session: &Session) -> Result<(), StoreError> {
    let Some(key) = key_of(&session.id).filter(|_| session.method == Method::Oauth2Proxy) else { return Ok(()) };
    let present: Option<String> = redis.hget(seen_key(key), "id").await?;
    if present.is_none_or(|present| present == session.id.as_str()) {
        redis::pipe().del(key).ignore().zrem(OAUTH2_PROXY_NOTED, key).ignore().exec_async(redis).await?;
    }
    Ok(())
}

fn seen_of(key: &str, fields: HashMap<String, String>) -> Result<Option<Seen>, StoreError> {
    let corrupt = |why: &str| StoreError::corrupt(seen_key(key), why);
    let field = |name: &str| fields.get(name).map(String::as_str);
    let Some(id) = field("id") else { return Ok(None) };
    let id = SessionId::parse(id).map_err(|_| corrupt("names no session"))?;
    // Whose name it is not must neither be told nor ended for it.
    if key_of(&id) != Some(key) {
        return Err(corrupt("names a session of another key"));
    }
    let moment = |name: &str| field(name).and_then(|text| text.parse().ok()).map(UnixSeconds);
    let (Some(noted_at), Some(ends_at)) = (moment("noted_at"), moment("ends_at")) else {
        return Err(corrupt("has no times"));
    };
    Ok(Some(Seen { id, ticket: field("ticket").unwrap_or_default().to_owned(), noted_at, ends_at }))
}

fn read<T: FromRedisValue>(key: &str, answer: Value) -> Result<T, StoreError> {
    from_redis_value(answer).map_err(|error| StoreError::corrupt(key, error))
}

/// The same text in a pattern.
fn escaped(text: &str) -> String {
    let special = |char: char| matches!(char, '*' | '?' | '[' | ']' | '\\' | '^');
    text.chars().flat_map(|char| special(char).then_some('\\').into_iter().chain([char])).collect()
}
