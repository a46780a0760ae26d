//! Records: bans and revoked tokens, which other programs read and write, too, ended sessions, since when somebody's
//! tokens and sessions are valid, and who must sign in.

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::{Script, Value};
use sekisho_protocol::Subject;
use sekisho_protocol::activity::Method;
use sekisho_protocol::check::CheckRequest;
use sekisho_protocol::feed::{FOREVER, Kind};

use super::RedisClient;
use super::feed::{entry, epoch};
use super::keys::{
    BAN_RECORD, BANS, ENDED_RECORD, ENTRIES, NOT_BEFORE_RECORD, REVOKED_RECORD, SESSION, SESSIONS_NOT_BEFORE,
    SIGN_IN_RECORD, SIGNED_IN, record_prefix,
};
use super::scan::{Text, pairs};
use super::{foreign, scan};
use crate::domain::feed::position::Position;
use crate::domain::feed::record::Record;
use crate::domain::oauth2_proxy::rules::key_of;
use crate::domain::session::SessionId;
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

    /// What the records of `kind` under these keys say, in their order: one round trip.
    async fn read(&self, kind: Kind, keys: &[String]) -> Result<Vec<Option<Record>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipe = redis::pipe();
        pipe.cmd("TIME");
        for key in keys {
            pipe.cmd("PTTL").arg(key);
        }
        // The value of other kinds says nothing that the feed must know, and may be of any type.
        let has_value = kind == Kind::NotBefore;
        for key in keys.iter().filter(|_| has_value) {
            pipe.cmd("GET").arg(key);
        }
        let mut answers = foreign::read(pipe, &mut self.redis.shared()).await?.into_iter();
        let time: Time = number("TIME", answers.next().unwrap_or(Value::Nil))?;
        let lefts: Vec<Value> = answers.by_ref().take(keys.len()).collect();
        let mut records = Vec::with_capacity(keys.len());
        for (key, left) in keys.iter().zip(lefts) {
            let record = ending(time, number(key, left)?);
            let value = if has_value { answers.next().and_then(|value| issued_before(key, value)) } else { Some(0) };
            records.push(record.zip(value).map(|(record, floor)| Record { floor, ..record }));
        }
        Ok(records)
    }
}

#[async_trait]
impl CheckRecords for RedisRecords {
    async fn standing(&self, request: &CheckRequest) -> Result<(Standing, Position), StoreError> {
        let CheckRequest { subject, method, recent_sign_in, .. } = request;
        let (method, id) = (*method, request.token_id.as_deref());
        let mut pipe = redis::pipe();
        if *recent_sign_in {
            pipe.cmd("EXISTS").arg(format!("{SIGN_IN_RECORD}{subject}")).get(format!("{SIGNED_IN}{subject}"));
        }
        pipe.cmd("PTTL").arg(format!("{BAN_RECORD}{subject}"));
        match id {
            Some(id) => {
                let ended = if method == Method::Jwt { REVOKED_RECORD } else { ENDED_RECORD };
                pipe.cmd("EXISTS").arg(format!("{ended}{id}"));
            }
            // A token without an id cannot be on record; an answer keeps the shape.
            None => drop(pipe.cmd("ECHO").arg(0)),
        }
        match (method, id) {
            (Method::Session, Some(id)) => drop(pipe.cmd("EXISTS").arg(format!("{SESSION}{id}"))),
            // Ours have an id. Nothing else is valid only because it is on record here.
            (Method::Session, None) => drop(pipe.cmd("ECHO").arg(0)),
            // It holds for as long as oauth2-proxy keeps it.
            (Method::Oauth2Proxy, Some(id)) => match SessionId::parse(id).ok().as_ref().and_then(key_of) {
                Some(key) => drop(pipe.cmd("EXISTS").arg(key)),
                None => drop(pipe.cmd("ECHO").arg(0)),
            },
            (Method::Oauth2Proxy, None) => drop(pipe.cmd("ECHO").arg(0)),
            (Method::Jwt, _) => drop(pipe.cmd("ECHO").arg(1)),
        }
        pipe.cmd("GET").arg(format!("{NOT_BEFORE_RECORD}{subject}"));
        if method == Method::Jwt {
            // It is no token's matter: 0 is before all of them.
            pipe.cmd("ECHO").arg(0);
        } else {
            // A session that nobody listed when all of them were ended must not come back.
            pipe.cmd("GET").arg(format!("{SESSIONS_NOT_BEFORE}{subject}"));
        }
        // Redis answers a connection in order, so the position is as of after the records.
        type Moment = Option<u64>;
        type Answers = (i64, i64, i64, Moment, Moment, Option<u64>, epoch::Fields, epoch::Time, String, String);
        let mut answers: Vec<Value> = epoch::ask(&mut pipe).query_async(&mut self.redis.shared()).await?;
        let of_sign_in = if *recent_sign_in { answers.drain(..2.min(answers.len())).collect() } else { Vec::new() };
        let (sign_in_needed, signed_in) = sign_in(subject, of_sign_in)?;
        let (left, ended, present, issued_before, began_before, version, record, now, server, replication): Answers =
            redis::from_redis_value(Value::Array(answers)).map_err(redis::RedisError::from)?;
        let position = epoch::answered((version, record, now, server, replication))?;
        let banned_until = ending(now, left).map(|record| record.end);
        let credential_ended = ended != 0 || present == 0;
        // What began in that second, on this sidecar's word, came after it; so it is with what is issued.
        let issued_before = issued_before.max(began_before.filter(|moment| *moment > 0));
        Ok((Standing { banned_until, credential_ended, issued_before, sign_in_needed, signed_in }, position))
    }
}

#[async_trait]
impl Records for RedisRecords {
    async fn find(&self, kind: Kind, name: &str) -> Result<Option<Record>, StoreError> {
        let Some(prefix) = record_prefix(kind) else { return Ok(None) };
        let found = self.read(kind, &[format!("{prefix}{name}")]).await?;
        Ok(found.into_iter().flatten().next())
    }

    async fn scan(&self, kind: Kind, cursor: Option<u64>) -> Result<(Vec<FoundRecord>, Option<u64>), StoreError> {
        let Some(prefix) = record_prefix(kind) else { return Ok((Vec::new(), None)) };
        let (pattern, cursor) = (format!("{prefix}*"), cursor.unwrap_or(0));
        let (next, keys) = scan::keys(&mut self.redis.shared(), &pattern, cursor, SCAN_COUNT).await?;
        let records = self.read(kind, &keys).await?;
        let named = |key: String| key.strip_prefix(prefix).map(str::to_owned);
        let found = keys.into_iter().zip(records);
        let found = found.filter_map(|(key, record)| Some(FoundRecord { name: named(key)?, record: record? }));
        Ok((found.collect(), (next != 0).then_some(next)))
    }

    async fn sweep(&self, cursor: Option<u64>) -> Result<(usize, Option<u64>), StoreError> {
        let mut redis = self.redis.shared();
        let mut scan = redis::cmd("HSCAN");
        scan.arg(ENTRIES).arg(cursor.unwrap_or(0)).arg("COUNT").arg(SCAN_COUNT);
        let (next, fields): (u64, Vec<(Text, Text)>) = scan.query_async(&mut redis).await?;
        let fields = pairs(fields).into_iter().filter_map(|(field, value)| Some((field, value.0?)));
        let now = UnixSeconds::now().get();
        let mut forget = FORGET.key(ENTRIES);
        forget.key(BANS);
        let mut any = false;
        for (field, value) in fields {
            // What cannot be read is a newer sidecar's, and not ours to remove.
            if entry::parse(&field, &value).is_ok_and(|write| write.says.is_over(now)) {
                forget.arg(field).arg(value);
                any = true;
            }
        }
        let removed = if any { forget.invoke_async(&mut redis).await? } else { 0 };
        Ok((removed, (next != 0).then_some(next)))
    }
}

/// Whether somebody must sign in, and when they did. No answers: nobody asked.
fn sign_in(subject: &Subject, answers: Vec<Value>) -> Result<(bool, Option<u64>), StoreError> {
    if answers.is_empty() {
        return Ok((false, None));
    }
    redis::from_redis_value(Value::Array(answers))
        .map_err(|error| StoreError::corrupt(format!("{SIGNED_IN}{subject}"), error))
}

fn number<T: redis::FromRedisValue>(key: &str, answer: Value) -> Result<T, StoreError> {
    redis::from_redis_value(answer).map_err(|error| StoreError::corrupt(key, error))
}

/// The moment that a not-before says. One that cannot be read is one that is not seen to, not a walk that
/// fails; a check of that subject does fail.
fn issued_before(key: &str, value: Value) -> Option<u64> {
    match redis::from_redis_value::<Option<u64>>(value) {
        Ok(moment) => moment,
        Err(error) => {
            tracing::warn!(key, %error, "the record of a logout can't be read");
            None
        }
    }
}

/// A record with so many milliseconds left: −1 is for ever, −2 is no record.
pub(super) fn ending((seconds, micros): Time, left_ms: i64) -> Option<Record> {
    match (left_ms, u64::try_from(left_ms)) {
        (-1, _) => Some(Record::until(FOREVER)),
        (_, Ok(left)) => Some(Record::ending_after(seconds * 1_000 + micros / 1_000, left)),
        _ => None,
    }
}
