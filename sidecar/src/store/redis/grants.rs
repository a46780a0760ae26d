//! What identity providers gave us: `sekisho:grant:{session id}`, sealed; and what they call sessions and people:
//! `sekisho:provider:{name}`.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use redis::{AsyncCommands, Script};
use sekisho_protocol::Subject;

use super::RedisClient;
use super::keys::{AT_PROVIDER, GRANT};
use crate::domain::seal::Sealed;
use crate::domain::session::{Session, SessionId};
use crate::domain::sign_in::grant::ProviderName;
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::sign_in::grants::GrantStore;

static RENEW_TURN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/renew_turn.lua")));
static END_TURN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/drop_record.lua")));

/// So long it is known after somebody's last sign-in what the provider calls them, in seconds: a year. Their sessions may
/// be over by then, and their tokens may not.
const NAMED_FOR_S: u64 = 31_622_400;

/// Grants in Redis.
#[derive(Clone)]
pub struct RedisGrants {
    redis: RedisClient,
}

impl RedisGrants {
    /// The grants in this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis }
    }
}

fn grant_key(id: &SessionId) -> String {
    format!("{GRANT}{id}")
}

fn turn_key(id: &SessionId) -> String {
    format!("{GRANT}{id}:turn")
}

fn name_key(name: &ProviderName, what: &str) -> String {
    format!("{AT_PROVIDER}{}{what}", name.as_str())
}

fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl GrantStore for RedisGrants {
    async fn keep(
        &self,
        session: &Session,
        grant: &Sealed,
        names: &[ProviderName],
        life: Duration,
    ) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        for name in names {
            let sessions = name_key(name, "");
            pipeline.zadd(&sessions, session.id.as_str(), session.ends_at.get()).ignore();
            // What is over by the ends of others is none any more.
            let begun = session.signed_in_at.get();
            pipeline.cmd("ZREMRANGEBYSCORE").arg(&sessions).arg("-inf").arg(begun).ignore();
            // `GT` alone would never give a life to a set that has none.
            for condition in ["NX", "GT"] {
                pipeline.cmd("PEXPIRE").arg(&sessions).arg(millis(life)).arg(condition).ignore();
            }
            if name.is_person() {
                pipeline.set_ex(name_key(name, ":is"), session.subject.as_str(), NAMED_FOR_S).ignore();
            }
        }
        pipeline.cmd("SET").arg(grant_key(&session.id)).arg(grant.as_text()).arg("PX").arg(millis(life)).ignore();
        Ok(pipeline.exec_async(&mut self.redis.shared()).await?)
    }

    async fn get(&self, id: &SessionId) -> Result<Option<Sealed>, StoreError> {
        let text: Option<String> = self.redis.shared().get(grant_key(id)).await?;
        Ok(text.map(Sealed::of_text))
    }

    async fn called(&self, name: &ProviderName) -> Result<Vec<SessionId>, StoreError> {
        let key = name_key(name, "");
        let ids: Vec<String> = self.redis.shared().zrange(&key, 0, -1).await?;
        ids.iter().map(|id| SessionId::parse(id).map_err(|error| StoreError::corrupt(&key, error))).collect()
    }

    async fn subject(&self, name: &ProviderName) -> Result<Option<Subject>, StoreError> {
        let key = name_key(name, ":is");
        let subject: Option<String> = self.redis.shared().get(&key).await?;
        subject.map(Subject::try_from).transpose().map_err(|error| StoreError::corrupt(key, error))
    }

    async fn note_logout(&self, name: &ProviderName, at: UnixSeconds, life: Duration) -> Result<(), StoreError> {
        Ok(self.redis.shared().set_ex(name_key(name, ":out"), at.get(), life.as_secs()).await?)
    }

    async fn logged_out(&self, names: &[ProviderName]) -> Result<Option<UnixSeconds>, StoreError> {
        let mut pipeline = redis::pipe();
        for name in names {
            pipeline.get(name_key(name, ":out"));
        }
        let moments: Vec<Option<u64>> = pipeline.query_async(&mut self.redis.shared()).await?;
        Ok(moments.into_iter().flatten().max().map(UnixSeconds))
    }

    async fn hear(&self, heard: &ProviderName, life: Duration) -> Result<bool, StoreError> {
        set_if_none(&self.redis, &name_key(heard, ":heard"), "1", life).await
    }

    async fn remember(&self, heard: &ProviderName, life: Duration) -> Result<(), StoreError> {
        Ok(self.redis.shared().pset_ex(name_key(heard, ":heard"), "1", millis(life)).await?)
    }

    async fn unhear(&self, heard: &ProviderName) -> Result<(), StoreError> {
        Ok(self.redis.shared().del(name_key(heard, ":heard")).await?)
    }

    async fn take_turn(&self, id: &SessionId, owner: &str, life: Duration) -> Result<bool, StoreError> {
        set_if_none(&self.redis, &turn_key(id), owner, life).await
    }

    async fn renew_turn(&self, id: &SessionId, owner: &str, life: Duration) -> Result<bool, StoreError> {
        let mut call = RENEW_TURN.key(turn_key(id));
        Ok(call.arg(owner).arg(millis(life)).invoke_async(&mut self.redis.shared()).await?)
    }

    async fn end_turn(&self, id: &SessionId, owner: &str) -> Result<(), StoreError> {
        Ok(END_TURN.key(turn_key(id)).arg(owner).invoke_async::<()>(&mut self.redis.shared()).await?)
    }
}

async fn set_if_none(redis: &RedisClient, key: &str, value: &str, life: Duration) -> Result<bool, StoreError> {
    let mut set = redis::cmd("SET");
    set.arg(key).arg(value).arg("NX").arg("PX").arg(millis(life));
    let done: Option<String> = set.query_async(&mut redis.shared()).await?;
    Ok(done.is_some())
}
