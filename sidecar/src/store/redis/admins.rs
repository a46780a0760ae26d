//! Administrators that were added at run time: the set `admin:emails`.

use async_trait::async_trait;
use redis::AsyncCommands;
use sekisho_protocol::Email;

use crate::service::admins::AdminStore;
use crate::service::error::StoreError;
use crate::store::redis::RedisClient;

const KEY: &str = "admin:emails";
/// Members that one step of a walk asks for.
const STEP: usize = 500;

/// The set, in Redis.
#[derive(Clone)]
pub struct RedisAdmins {
    client: RedisClient,
}

impl RedisAdmins {
    /// The set in this Redis.
    #[must_use]
    pub fn new(client: RedisClient) -> Self {
        Self { client }
    }
}

#[async_trait]
impl AdminStore for RedisAdmins {
    async fn is_added(&self, email: &Email) -> Result<bool, StoreError> {
        let mut redis = self.client.shared();
        if redis.sismember(KEY, email.as_str()).await? {
            return Ok(true);
        }
        // The old gateway kept addresses as they were typed.
        let mut cursor = 0_u64;
        loop {
            let (next, members): (u64, Vec<String>) =
                redis::cmd("SSCAN").arg(KEY).arg(cursor).arg("COUNT").arg(STEP).query_async(&mut redis).await?;
            if members.iter().any(|member| Email::parse(member).is_ok_and(|member| member == *email)) {
                return Ok(true);
            }
            if next == 0 {
                return Ok(false);
            }
            cursor = next;
        }
    }
}
