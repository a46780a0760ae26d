//! Which database the sidecars use: `sekisho:database`.

use async_trait::async_trait;
use redis::AsyncCommands;

use super::RedisClient;
use crate::service::error::StoreError;
use crate::service::installation::Announcements;

/// The database's id.
const KEY: &str = "sekisho:database";

/// The announcement, in Redis.
#[derive(Clone)]
pub struct RedisAnnouncements {
    redis: RedisClient,
}

impl RedisAnnouncements {
    /// The announcement in this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis }
    }
}

#[async_trait]
impl Announcements for RedisAnnouncements {
    async fn announce(&self, id: &str) -> Result<String, StoreError> {
        let mut redis = self.redis.shared();
        let _: bool = redis.set_nx(KEY, id).await?;
        Ok(redis.get(KEY).await?)
    }

    async fn announced(&self) -> Result<Option<String>, StoreError> {
        Ok(self.redis.shared().get(KEY).await?)
    }
}
