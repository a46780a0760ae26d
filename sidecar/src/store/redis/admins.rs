//! Administrators and auditors that were added at run time: the sets `admin:emails`, which other programs write, too, and
//! `sekisho:auditor:emails`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use redis::{AsyncCommands, Script};
use sekisho_protocol::Email;

use crate::domain::admin::Role;
use crate::service::admins::{ADDED_MAX, AdminStore};
use crate::service::error::StoreError;
use crate::store::redis::{RedisClient, scan};

const ADMINS: &str = "admin:emails";
const AUDITORS: &str = "sekisho:auditor:emails";
/// Members that one step of a walk asks for.
const STEP: usize = 500;

/// `KEYS`: the set; `ARGV`: the address, most members. Whether there was room.
static ADD: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 and redis.call('SCARD', KEYS[1]) >= tonumber(ARGV[2]) then
             return 0
         end
         redis.call('SADD', KEYS[1], ARGV[1])
         return 1",
    )
});

/// The sets, in Redis.
#[derive(Clone)]
pub struct RedisAdmins {
    client: RedisClient,
}

impl RedisAdmins {
    /// The sets in this Redis.
    #[must_use]
    pub fn new(client: RedisClient) -> Self {
        Self { client }
    }

    /// The members of a set that are addresses, as they are written down, until `is_enough`.
    async fn walk(&self, key: &str, mut is_enough: impl FnMut(Email, String) -> bool + Send) -> Result<(), StoreError> {
        let (mut redis, mut cursor) = (self.client.shared(), 0_u64);
        loop {
            let (next, members) = scan::members(&mut redis, key, cursor, STEP).await?;
            for member in members {
                if Email::parse(&member).is_ok_and(|email| is_enough(email, member)) {
                    return Ok(());
                }
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    /// The ways in which other programs wrote an address down.
    async fn spellings(&self, key: &str, wanted: &Email) -> Result<Vec<String>, StoreError> {
        let mut spellings = vec![wanted.to_string()];
        let collect = |email: Email, member: String| {
            if email == *wanted {
                spellings.push(member);
            }
            false
        };
        self.walk(key, collect).await?;
        Ok(spellings)
    }

    async fn take_out(&self, key: &str, email: &Email) -> Result<(), StoreError> {
        let spellings = self.spellings(key, email).await?;
        Ok(self.client.shared().srem(key, spellings).await?)
    }
}

#[async_trait]
impl AdminStore for RedisAdmins {
    async fn role(&self, email: &Email) -> Result<Option<Role>, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.sismember(ADMINS, email.as_str()).sismember(AUDITORS, email.as_str());
        let (is_admin, is_auditor): (bool, bool) = pipeline.query_async(&mut self.client.shared()).await?;
        if is_admin {
            return Ok(Some(Role::Admin));
        }
        // The old gateway kept addresses as they were typed.
        let mut is_admin = false;
        let look = |found: Email, _| {
            is_admin |= found == *email;
            is_admin
        };
        self.walk(ADMINS, look).await?;
        Ok(if is_admin { Some(Role::Admin) } else { is_auditor.then_some(Role::Auditor) })
    }

    async fn all(&self) -> Result<BTreeMap<Email, Role>, StoreError> {
        let mut all = BTreeMap::new();
        for (key, role) in [(ADMINS, Role::Admin), (AUDITORS, Role::Auditor)] {
            let mut count = 0;
            let collect = |email, _| {
                count += usize::from(!all.contains_key(&email));
                all.entry(email).or_insert(role);
                count >= ADDED_MAX
            };
            self.walk(key, collect).await?;
        }
        Ok(all)
    }

    async fn add(&self, email: &Email, role: Role) -> Result<bool, StoreError> {
        let (joined, left) = if role == Role::Auditor { (AUDITORS, ADMINS) } else { (ADMINS, AUDITORS) };
        // Who is cut off between the two leaves somebody in both: the higher role counts, and the call is made again.
        let others: usize = self.client.shared().scard(left).await?;
        let mut call = ADD.key(joined);
        call.arg(email.as_str()).arg(ADDED_MAX.saturating_sub(others));
        let added: bool = call.invoke_async(&mut self.client.shared()).await?;
        if added {
            self.take_out(left, email).await?;
        }
        Ok(added)
    }

    async fn remove(&self, email: &Email) -> Result<(), StoreError> {
        self.take_out(ADMINS, email).await?;
        self.take_out(AUDITORS, email).await
    }
}
