//! Sessions of our own: `sekisho:session:{id}`, which lives for as long as the session holds,
//! `sekisho:session:ended:{id}` of those that somebody ended, and `sekisho:sessions:of:{subject}`, in which the ids of
//! somebody's are.

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::{AsyncCommands, Script};
use sekisho_protocol::Subject;
use sekisho_protocol::feed::FOREVER;

use super::RedisClient;
use super::feed::epoch;
use super::keys::{ENDED_RECORD, SESSION, SESSIONS_OF};
use crate::domain::feed::position::Position;
use crate::domain::session::{Session, SessionId};
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::sessions::{Found, SessionStore};

static REPLACE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/replace.lua")));

/// Sessions that one round trip asks for.
const STEP: usize = 500;

/// Sessions in Redis.
#[derive(Clone)]
pub struct RedisSessions {
    redis: RedisClient,
}

impl RedisSessions {
    /// The sessions in this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis }
    }
}

fn record_key(id: &str) -> String {
    format!("{SESSION}{id}")
}

fn ended_key(id: &str) -> String {
    format!("{ENDED_RECORD}{id}")
}

fn of_key(subject: &Subject) -> String {
    format!("{SESSIONS_OF}{subject}")
}

#[async_trait]
impl SessionStore for RedisSessions {
    async fn insert(&self, session: &Session, now: UnixSeconds) -> Result<(), StoreError> {
        let Session { id, subject, ends_at, .. } = session;
        let (of, kept_s) = (of_key(subject), session.kept_s(now));
        if kept_s == 0 {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        // The id first: a session that nobody could list or end must never be.
        pipeline.zadd(&of, id.as_str(), ends_at.get()).ignore();
        // The set lives until the last of them ends. `GT` alone would never give a life to a set that has none.
        for condition in ["NX", "GT"] {
            pipeline.cmd("EXPIREAT").arg(&of).arg(ends_at.get()).arg(condition).ignore();
        }
        pipeline.cmd("ZREMRANGEBYSCORE").arg(&of).arg("-inf").arg(now.get()).ignore();
        pipeline.cmd("SET").arg(record_key(id.as_str())).arg(written(session)?).arg("EX").arg(kept_s).ignore();
        Ok(pipeline.exec_async(&mut self.redis.shared()).await?)
    }

    async fn look_up(&self, id: &SessionId) -> Result<(Found, Position), StoreError> {
        let mut pipe = redis::pipe();
        pipe.get(record_key(id.as_str())).exists(ended_key(id.as_str()));
        // Redis answers a connection in order, so the position is as of after the records.
        type Answers = (Option<String>, bool, Option<u64>, epoch::Fields, epoch::Time, String, String);
        let (json, is_ended, version, record, now, server, replication): Answers =
            epoch::ask(&mut pipe).query_async(&mut self.redis.shared()).await?;
        let position = epoch::answered((version, record, now, server, replication))?;
        let session = json.map(|json| read(id.as_str(), &json)).transpose()?;
        Ok((Found { session, is_ended }, position))
    }

    async fn replace(&self, seen: &Session, changed: &Session, now: UnixSeconds) -> Result<bool, StoreError> {
        let kept_s = changed.kept_s(now);
        if kept_s == 0 {
            return Ok(false);
        }
        let mut call = REPLACE.key(record_key(changed.id.as_str()));
        call.arg(written(seen)?).arg(written(changed)?).arg(kept_s);
        Ok(call.invoke_async(&mut self.redis.shared()).await?)
    }

    async fn end(&self, session: &Session, until: UnixSeconds) -> Result<(), StoreError> {
        let id = session.id.as_str();
        let mut pipeline = redis::pipe();
        pipeline.cmd("SET").arg(ended_key(id)).arg(1);
        if until.get() < FOREVER {
            pipeline.arg("EXAT").arg(until.get());
        }
        pipeline.ignore().zrem(of_key(&session.subject), id).ignore();
        Ok(pipeline.exec_async(&mut self.redis.shared()).await?)
    }

    async fn of_subject(&self, subject: &Subject) -> Result<Vec<Session>, StoreError> {
        let mut redis = self.redis.shared();
        let ids: Vec<String> = redis.zrange(of_key(subject), 0, -1).await?;
        let mut sessions = Vec::new();
        for ids in ids.chunks(STEP) {
            let mut pipeline = redis::pipe();
            for id in ids {
                pipeline.get(record_key(id)).exists(ended_key(id));
            }
            let answers: Vec<redis::Value> = pipeline.query_async(&mut redis).await?;
            for (id, answer) in ids.iter().zip(answers.chunks(2)) {
                let [json, ended] = answer else { continue };
                let json = of_answer::<Option<String>>(id, json)?;
                let is_ended = of_answer::<bool>(id, ended)?;
                // Nobody gets in by a record that can't be read, and it must not keep the others from being ended.
                match json.filter(|_| !is_ended).map(|json| read(id, &json)).transpose() {
                    Ok(session) => sessions.extend(session),
                    Err(error) => tracing::warn!(session.id = id, %error, "the record of a session can't be read"),
                }
            }
        }
        Ok(sessions)
    }
}

fn of_answer<T: redis::FromRedisValue>(id: &str, answer: &redis::Value) -> Result<T, StoreError> {
    redis::from_redis_value(answer.clone()).map_err(|error| StoreError::corrupt(record_key(id), error))
}

fn written(session: &Session) -> Result<String, StoreError> {
    serde_json::to_string(session).map_err(|error| StoreError::corrupt(record_key(session.id.as_str()), error))
}

/// A record under another session's key must never let anybody in as that one's owner.
fn read(id: &str, json: &str) -> Result<Session, StoreError> {
    let session: Session = serde_json::from_str(json).map_err(|error| StoreError::corrupt(record_key(id), error))?;
    if session.id.as_str() != id {
        return Err(StoreError::corrupt(record_key(id), "bears another session's id"));
    }
    Ok(session)
}
