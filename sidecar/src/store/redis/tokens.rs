//! Records of tokens: `token:info:{jti}`, `user:tokens:{email}` and `revoked:token:{jti}`, as the
//! gateway that Sekisho replaces keeps them, and `sekisho:tokens`, an index of all tokens by age.
//!
//! The old gateway knows nothing of the index, and kept addresses as they were typed. Its records
//! are adopted by a walk over the keys: into the index, and under the folded address.

use std::collections::BTreeSet;

use async_trait::async_trait;
use redis::AsyncCommands;
use redis::aio::ConnectionManager;
use sekisho_protocol::Email;

use crate::domain::time::UnixSeconds;
use crate::domain::token::{StoredToken, TokenId, TokenRecord};
use crate::service::error::StoreError;
use crate::service::tokens::{Adopt, TokenStore};
use crate::store::redis::keys::{REVOKED_RECORD, TOKEN_INFO};
use crate::store::redis::{RedisClient, foreign, not_before};

/// A sorted set without scores: the members are positions ([`TokenRecord::position`]).
const INDEX: &str = "sekisho:tokens";
/// There while the last adoption is recent enough for a list.
const ADOPTED: &str = "sekisho:tokens:adopted";
/// How long it is recent enough, in seconds.
const ADOPTED_LIFE_S: u64 = 60;
/// Keys or members that one round trip asks for.
const STEP: usize = 500;

/// The records, in Redis.
#[derive(Clone)]
pub struct RedisTokens {
    client: RedisClient,
}

impl RedisTokens {
    /// The records in this Redis.
    #[must_use]
    pub fn new(client: RedisClient) -> Self {
        Self { client }
    }
}

fn info_key(id: &str) -> String {
    format!("{TOKEN_INFO}{id}")
}

fn revoked_key(id: &str) -> String {
    format!("{REVOKED_RECORD}{id}")
}

fn user_key(email: &Email) -> String {
    format!("user:tokens:{email}")
}

#[async_trait]
impl TokenStore for RedisTokens {
    async fn insert(&self, record: &TokenRecord) -> Result<(), StoreError> {
        let key = info_key(&record.token_id);
        let json = serde_json::to_string(record).map_err(|error| StoreError::corrupt(&key, error))?;
        let mut pipeline = redis::pipe();
        pipeline.cmd("SET").arg(&key).arg(json).arg("EXAT").arg(record.expires_at).ignore();
        index(&mut pipeline, record);
        Ok(pipeline.exec_async(&mut self.client.shared()).await?)
    }

    async fn find(&self, id: &TokenId) -> Result<Option<StoredToken>, StoreError> {
        let found = read(&mut self.client.shared(), &[id.to_string()]).await?;
        Ok(found.into_iter().flatten().next())
    }

    async fn of_user(&self, email: &Email) -> Result<Vec<StoredToken>, StoreError> {
        let mut redis = self.client.shared();
        let (mut cursor, mut tokens) = (0_u64, Vec::new());
        loop {
            let mut scan = redis::cmd("SSCAN");
            scan.arg(user_key(email)).arg(cursor).arg("COUNT").arg(STEP);
            let (next, ids): (u64, Vec<String>) = scan.query_async(&mut redis).await?;
            tokens.extend(read(&mut redis, &ids).await?.into_iter().flatten());
            if next == 0 {
                break;
            }
            cursor = next;
        }
        // A walk over a set that grows meanwhile may show a member twice.
        tokens.sort_by(|a, b| a.record.token_id.cmp(&b.record.token_id));
        tokens.dedup_by(|a, b| a.record.token_id == b.record.token_id);
        Ok(tokens)
    }

    async fn newest(&self, after: Option<&str>, limit: usize) -> Result<Vec<StoredToken>, StoreError> {
        let mut redis = self.client.shared();
        let mut before = after.map_or_else(|| "+".to_owned(), |position| format!("({position}"));
        let mut tokens = Vec::new();
        while tokens.len() < limit {
            let positions: Vec<String> = redis.zrevrangebylex_limit(INDEX, &before, "-", 0, step(STEP)).await?;
            let Some(last) = positions.last() else { break };
            before = format!("({last}");
            let ids: Vec<String> = positions.iter().map(|position| id_of(position).to_owned()).collect();
            let found = read(&mut redis, &ids).await?;
            forget(&mut redis, positions.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|(p, _)| p))
                .await?;
            tokens.extend(found.into_iter().flatten());
        }
        tokens.truncate(limit);
        Ok(tokens)
    }

    async fn revoke(&self, id: &TokenId, until: UnixSeconds) -> Result<(), StoreError> {
        let mut set = redis::cmd("SET");
        set.arg(revoked_key(id.as_str())).arg(1).arg("EXAT").arg(until.get());
        Ok(set.exec_async(&mut self.client.shared()).await?)
    }

    async fn adopt(&self, when: Adopt) -> Result<(), StoreError> {
        let mut redis = self.client.shared();
        if when == Adopt::IfDue && redis.exists(ADOPTED).await? {
            return Ok(());
        }
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(format!("{TOKEN_INFO}*")).arg("COUNT").arg(STEP);
            let (next, keys): (u64, Vec<String>) = scan.query_async(&mut redis).await?;
            let ids: Vec<String> =
                keys.iter().filter_map(|key| key.strip_prefix(TOKEN_INFO)).map(str::to_owned).collect();
            let mut pipeline = redis::pipe();
            for token in read(&mut redis, &ids).await?.into_iter().flatten() {
                index(&mut pipeline, &token.record);
            }
            if !pipeline.is_empty() {
                pipeline.exec_async(&mut redis).await?;
            }
            if next == 0 {
                break;
            }
            cursor = next;
        }
        // Last, so that a walk that broke off is made again.
        Ok(redis.set_ex(ADOPTED, 1, ADOPTED_LIFE_S).await?)
    }
}

/// Puts a token into the index of all and into its owner's.
fn index(pipeline: &mut redis::Pipeline, record: &TokenRecord) {
    pipeline.zadd(INDEX, record.position(), 0).ignore();
    if let Some(owner) = record.owner() {
        pipeline.sadd(user_key(&owner), &record.token_id).ignore();
    }
}

/// What is known of these tokens, in their order. One unreadable record is one token that is not
/// shown, not a list that fails. Two round trips a step.
async fn read(redis: &mut ConnectionManager, ids: &[String]) -> Result<Vec<Option<StoredToken>>, StoreError> {
    let mut tokens = Vec::with_capacity(ids.len());
    for ids in ids.chunks(STEP) {
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.get(info_key(id)).exists(revoked_key(id));
        }
        let answers = foreign::read(pipeline, redis).await?;
        let mut step: Vec<_> = ids.iter().zip(answers.chunks(2)).map(|(id, answer)| parse(id, answer)).collect();
        revoke_outdated(redis, &mut step).await?;
        tokens.append(&mut step);
    }
    Ok(tokens)
}

/// Whose owner was logged out everywhere since it was issued, that token is revoked, too.
async fn revoke_outdated(redis: &mut ConnectionManager, tokens: &mut [Option<StoredToken>]) -> Result<(), StoreError> {
    let owners: Vec<Option<Email>> =
        tokens.iter().map(|token| token.as_ref().and_then(|token| token.record.owner())).collect();
    let distinct: BTreeSet<&str> = owners.iter().flatten().map(Email::as_str).collect();
    let valid_from = not_before::of_all(redis, distinct).await?;
    for (token, owner) in tokens.iter_mut().zip(&owners) {
        if let (Some(token), Some(owner)) = (token, owner) {
            let issued_before = valid_from.get(owner.as_str()).copied().unwrap_or(0);
            token.is_revoked |= token.record.created_at < issued_before;
        }
    }
    Ok(())
}

fn parse(id: &str, answer: &[redis::Value]) -> Option<StoredToken> {
    let [info, revoked] = answer else { return None };
    let json = redis::from_redis_value::<Option<String>>(info.clone()).ok()??;
    let is_revoked = redis::from_redis_value::<bool>(revoked.clone()).ok()?;
    match serde_json::from_str::<TokenRecord>(&json) {
        // The key names the token; a record that says otherwise must not have another one revoked.
        Ok(record) if record.token_id == id => Some(StoredToken { record, is_revoked }),
        Ok(_) => {
            tracing::warn!(token.id = id, "the record of a token bears another token's id");
            None
        }
        Err(error) => {
            tracing::warn!(token.id = id, %error, "the record of a token can't be read");
            None
        }
    }
}

/// Takes tokens out of the index whose records ended with them.
async fn forget(redis: &mut ConnectionManager, gone: impl Iterator<Item = &String>) -> Result<(), StoreError> {
    let gone: Vec<&String> = gone.collect();
    if gone.is_empty() { Ok(()) } else { Ok(redis.zrem(INDEX, gone).await?) }
}

fn id_of(position: &str) -> &str {
    position.split_once(':').map_or(position, |(_, id)| id)
}

fn step(count: usize) -> isize {
    isize::try_from(count).unwrap_or(isize::MAX)
}

#[cfg(test)]
mod tests;
