//! Steps of walks over what other programs may have written. Keys and members are bytes: what is no text names nobody, and is
//! left out. What is of another type has no members. Neither is an error, which would end such a walk for good.

use redis::aio::ConnectionManager;
use redis::{Cmd, FromRedisValue, ParsingError, Pipeline, Value, from_redis_value};

use super::foreign;
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;

/// A key or a member; none if it is no text.
pub(super) struct Text(pub(super) Option<String>);

impl FromRedisValue for Text {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        Ok(Self(String::from_redis_value(value).ok()))
    }
}

/// Those that are texts.
pub(super) fn texts(found: Vec<Text>) -> Vec<String> {
    found.into_iter().filter_map(|text| text.0).collect()
}

/// Those that are texts, with what belongs to each.
pub(super) fn pairs<T>(found: Vec<(Text, T)>) -> Vec<(String, T)> {
    found.into_iter().filter_map(|(text, of)| Some((text.0?, of))).collect()
}

/// Some keys that match `pattern`, and where the walk goes on: it is over at 0.
pub(super) async fn keys(
    redis: &mut ConnectionManager,
    pattern: &str,
    cursor: u64,
    count: usize,
) -> Result<(u64, Vec<String>), StoreError> {
    let mut command = redis::cmd("SCAN");
    command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(count);
    let (next, keys): (u64, Vec<Text>) = command.query_async(redis).await?;
    Ok((next, texts(keys)))
}

/// Some members of a set, and where the walk goes on.
pub(super) async fn members(
    redis: &mut ConnectionManager,
    key: &str,
    cursor: u64,
    count: usize,
) -> Result<(u64, Vec<String>), StoreError> {
    let mut command = redis::cmd("SSCAN");
    command.arg(key).arg(cursor).arg("COUNT").arg(count);
    let (next, members): (u64, Vec<Text>) = step(redis, &command).await?;
    Ok((next, texts(members)))
}

/// Some members of a sorted set with their scores, those that match `pattern`, and where the walk goes on.
pub(super) async fn scored(
    redis: &mut ConnectionManager,
    key: &str,
    cursor: u64,
    pattern: &str,
    count: usize,
) -> Result<(u64, Vec<(String, f64)>), StoreError> {
    let mut command = redis::cmd("ZSCAN");
    command.arg(key).arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(count);
    let (next, members): (u64, Vec<(Text, f64)>) = step(redis, &command).await?;
    Ok((next, pairs(members)))
}

/// Members of a sorted set of ends, some of those that are over.
pub(super) struct Overdue {
    /// How many were looked at; none at the end of a walk.
    pub(super) looked: usize,
    /// Those of which there is no record any more.
    pub(super) gone: Vec<String>,
}

/// At most `count` of the members of `ends` that are over at `now`, behind the first `skip`; `record` names the key of one's
/// record. One that was used a moment ago has a record still, of which the set has not heard yet.
pub(super) async fn overdue(
    redis: &mut ConnectionManager,
    ends: &str,
    now: UnixSeconds,
    (skip, count): (usize, usize),
    record: impl Fn(&str) -> String,
) -> Result<Overdue, StoreError> {
    let mut range = redis::cmd("ZRANGE");
    range.arg(ends).arg("-inf").arg(now.get()).arg("BYSCORE").arg("LIMIT").arg(skip).arg(count);
    let ids: Vec<String> = range.query_async(redis).await?;
    if ids.is_empty() {
        return Ok(Overdue { looked: 0, gone: Vec::new() });
    }
    let mut pipeline = redis::pipe();
    for id in &ids {
        // One by one: two keys need not live on one node.
        pipeline.exists(record(id));
    }
    let exist: Vec<bool> = pipeline.query_async(redis).await?;
    let looked = ids.len();
    let gone = ids.into_iter().zip(exist).filter(|(_, exists)| !exists).map(|(id, _)| id).collect();
    Ok(Overdue { looked, gone })
}

async fn step<T: FromRedisValue + Default>(redis: &mut ConnectionManager, command: &Cmd) -> Result<T, StoreError> {
    let mut pipeline = Pipeline::new();
    pipeline.add_command(command.clone());
    let answer = foreign::read(pipeline, redis).await?.into_iter().next().unwrap_or(Value::Nil);
    if answer == Value::Nil { Ok(T::default()) } else { Ok(from_redis_value(answer).map_err(redis::RedisError::from)?) }
}
