//! Sessions: `sekisho:session:{id}`, which lives for as long as the session holds, `sekisho:session:ended:{id}` of those
//! that somebody ended, `sekisho:sessions:of:{subject}`, in which the ids of somebody's are, and `sekisho:{sessions}:…`, in
//! which all are in order.

use std::collections::BTreeSet;

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::{AsyncCommands, Script};
use sekisho_protocol::Subject;
use sekisho_protocol::feed::FOREVER;

use super::feed::epoch;
use super::keys::{BAN_RECORD, ENDED_RECORD, GRANT, NOT_BEFORE_RECORD, SESSION, SESSIONS_NOT_BEFORE, SESSIONS_OF};
use super::{RedisClient, not_before, oauth2_proxy, records, scan};
use crate::domain::feed::position::Position;
use crate::domain::session::{Session, SessionId};
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::sessions::{Bars, Found, SessionStore};

mod index;

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
    async fn bars(&self, subject: &Subject) -> Result<Bars, StoreError> {
        let mut pipe = redis::pipe();
        pipe.cmd("TIME").cmd("PTTL").arg(format!("{BAN_RECORD}{subject}"));
        pipe.get(format!("{NOT_BEFORE_RECORD}{subject}")).get(format!("{SESSIONS_NOT_BEFORE}{subject}"));
        type Answers = (epoch::Time, i64, Option<u64>, Option<u64>);
        let (now, left, issued_before, began_before): Answers = pipe.query_async(&mut self.redis.shared()).await?;
        Ok(Bars {
            banned_until: records::ending(now, left).map(|record| record.end),
            valid_since: issued_before.max(began_before).map(UnixSeconds),
        })
    }

    async fn outdate(
        &self,
        subject: &Subject,
        began_before: UnixSeconds,
        until: UnixSeconds,
    ) -> Result<UnixSeconds, StoreError> {
        not_before::outdate_sessions(&mut self.redis.shared(), subject, began_before, until).await
    }

    async fn insert(&self, session: &Session, now: UnixSeconds) -> Result<(), StoreError> {
        let Session { id, subject, ends_at, .. } = session;
        let (of, kept_s) = (of_key(subject), session.kept_s(now));
        if kept_s == 0 {
            return Ok(());
        }
        let (mut redis, mut pipeline) = (self.redis.shared(), redis::pipe());
        // The id first, and the record once that is done: a session that nobody could list or end must never be.
        pipeline.zadd(&of, id.as_str(), ends_at.get()).ignore();
        // The set lives until the last of them ends. `GT` alone would never give a life to a set that has none.
        for condition in ["NX", "GT"] {
            pipeline.cmd("EXPIREAT").arg(&of).arg(ends_at.get()).arg(condition).ignore();
        }
        pipeline.cmd("ZREMRANGEBYSCORE").arg(&of).arg("-inf").arg(now.get()).ignore();
        pipeline.exec_async(&mut redis).await?;
        index::add(&mut redis, session, now.plus(kept_s)).await?;
        let mut set = redis::cmd("SET");
        set.arg(record_key(id.as_str())).arg(written(session)?).arg("EX").arg(kept_s);
        Ok(set.exec_async(&mut redis).await?)
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
        let mut redis = self.redis.shared();
        let is_replaced: bool = call.invoke_async(&mut redis).await?;
        if is_replaced {
            index::touch(&mut redis, changed, now.plus(kept_s)).await?;
        }
        Ok(is_replaced)
    }

    async fn end(&self, session: &Session, until: UnixSeconds) -> Result<(), StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(ended_key(session.id.as_str())).arg(1);
        if until.get() < FOREVER {
            set.arg("EXAT").arg(until.get());
        }
        set.exec_async(&mut self.redis.shared()).await?;
        // It is refused here from now on, and oauth2-proxy is to refuse it, too.
        oauth2_proxy::delete(&mut self.redis.shared(), session).await
    }

    async fn forget(&self, session: &Session) -> Result<(), StoreError> {
        let (mut redis, id) = (self.redis.shared(), session.id.as_str());
        let _: () = redis.zrem(of_key(&session.subject), id).await?;
        // Nobody asks an identity provider about its owner any more.
        let _: () = redis.del(format!("{GRANT}{id}")).await?;
        index::forget(&mut redis, &[id]).await.map(drop)
    }

    async fn of_subject(&self, subject: &Subject) -> Result<Vec<Session>, StoreError> {
        let mut redis = self.redis.shared();
        let (mut cursor, mut ids) = (0_u64, BTreeSet::new());
        loop {
            let (next, members) = scan::scored(&mut redis, &of_key(subject), cursor, "*", STEP).await?;
            ids.extend(members.into_iter().map(|(id, _)| id));
            if next == 0 {
                break;
            }
            cursor = next;
        }
        let (ids, mut sessions) = (ids.into_iter().collect::<Vec<_>>(), Vec::new());
        for ids in ids.chunks(STEP) {
            let mut pipeline = redis::pipe();
            for id in ids {
                // One by one: two keys need not live on one node.
                pipeline.get(record_key(id));
            }
            let records: Vec<Option<String>> = pipeline.query_async(&mut redis).await?;
            for (id, json) in ids.iter().zip(records) {
                // Nobody gets in by a record that can't be read, and it must not keep the others from being ended.
                match json.map(|json| read(id, &json)).transpose() {
                    // It may have been somebody else's before it was known whose it is.
                    Ok(session) => sessions.extend(session.filter(|session| session.subject == *subject)),
                    Err(error) => tracing::warn!(session.id = id, %error, "the record of a session can't be read"),
                }
            }
        }
        Ok(sessions)
    }
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

#[cfg(test)]
mod tests;
