//! Records of tokens: `token:info:{jti}`, `user:tokens:{email}` and `revoked:token:{jti}`, as the
//! gateway that Sekisho replaces keeps them, and `sekisho:{tokens}:…`, in which they are in order.
//!
//! The old gateway knows nothing of those orders, and kept addresses as they were typed. Its records
//! are adopted by a walk over the keys: into the orders, and under the folded address.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, Script, ScriptInvocation};
use sekisho_protocol::Email;
use sekisho_protocol::feed::FOREVER;

use crate::domain::time::UnixSeconds;
use crate::domain::token::{StoredToken, TokenId, TokenRecord};
use crate::service::error::StoreError;
use crate::service::tokens::{Reserved, TokenStore};
use crate::store::redis::keys::{NOT_BEFORE_RECORD, REVOKED_RECORD, TOKEN_INFO};
use crate::store::redis::{RedisClient, foreign, not_before, scan};

mod index;
mod rotation;

pub(super) use index::{BY_ID, CREATED, USED};

/// + e-mail: a sorted set of the ids of somebody's tokens that can be used, by their ends. What is in it takes a place.
pub(super) const PLACES: &str = "sekisho:tokens:places:";
/// How long a place is kept for a token that is being made, in seconds: if nothing comes of it, the place is free again.
const RESERVED_S: u64 = 60;
/// + e-mail: how many tokens somebody asked for within a day, which it lives.
const MADE: &str = "sekisho:tokens:made:";
/// So many may at least be asked for within a day. Each may be revoked, and filters must know of that for as long as it
/// would have lived: without a limit somebody could fill them all.
const MADE_A_DAY: usize = 1_000;
const DAY_S: u64 = 86_400;
/// So many tokens are kept on record for each that can be used.
const RECORDS_PER_PLACE: usize = 10;
/// Keys or members that one round trip asks for.
const STEP: usize = 500;

static RESERVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/reserve_token.lua")));
static HOLD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/hold_place.lua")));

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

fn places_key(email: &Email) -> String {
    format!("{PLACES}{email}")
}

#[async_trait]
impl TokenStore for RedisTokens {
    async fn reserve(&self, email: &Email, id: &TokenId, places: usize) -> Result<Reserved, StoreError> {
        // An operator is bound by none of this.
        if places < usize::MAX
            && let Some(retry_after_s) = self.make_room(email, places.saturating_mul(RECORDS_PER_PLACE)).await?
        {
            return Ok(Reserved::NotToday { retry_after_s });
        }
        let mut call = RESERVE.key(places_key(email));
        call.arg(id.as_str()).arg(RESERVED_S).arg(places);
        let is_free: bool = call.invoke_async(&mut self.client.shared()).await?;
        Ok(if is_free { Reserved::Done } else { Reserved::Full })
    }

    async fn release(&self, email: &Email, id: &TokenId) -> Result<(), StoreError> {
        Ok(self.client.shared().zrem(places_key(email), id.as_str()).await?)
    }

    async fn insert(&self, record: &TokenRecord) -> Result<(), StoreError> {
        let key = info_key(&record.token_id);
        let json = serde_json::to_string(record).map_err(|error| StoreError::corrupt(&key, error))?;
        let mut redis = self.client.shared();
        // The record first: what is in order or in a set and has no record counts as ended.
        redis::cmd("SET").arg(&key).arg(json).arg("EXAT").arg(record.expires_at).exec_async(&mut redis).await?;
        if let Some(call) = place_held(record) {
            call.invoke_async::<()>(&mut redis).await?;
        }
        index::add(&mut redis, record).await
    }

    async fn find(&self, id: &TokenId) -> Result<Option<StoredToken>, StoreError> {
        Ok(self.find_each(&[id.to_string()]).await?.into_iter().next())
    }

    async fn find_each(&self, ids: &[String]) -> Result<Vec<StoredToken>, StoreError> {
        Ok(read(&mut self.client.shared(), ids).await?.into_iter().flatten().collect())
    }

    async fn of_user(&self, email: &Email) -> Result<Vec<StoredToken>, StoreError> {
        let mut redis = self.client.shared();
        let (mut cursor, mut tokens) = (0_u64, Vec::new());
        loop {
            let (next, ids) = scan::members(&mut redis, &user_key(email), cursor, STEP).await?;
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

    async fn revoke(&self, record: &TokenRecord, until: UnixSeconds) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("SET").arg(revoked_key(&record.token_id)).arg(1).arg("EXAT").arg(until.get()).ignore();
        index::note_revoked(&mut pipeline, record);
        if let Some(owner) = record.owner() {
            pipeline.zrem(places_key(&owner), &record.token_id).ignore();
        }
        Ok(pipeline.exec_async(&mut self.client.shared()).await?)
    }

    async fn note_revoked(&self, email: &Email) -> Result<(), StoreError> {
        let mut pipeline = redis::pipe();
        for token in self.of_user(email).await?.into_iter().filter(|token| token.is_revoked) {
            index::note_revoked(&mut pipeline, &token.record);
            pipeline.zrem(places_key(email), &token.record.token_id);
        }
        if pipeline.is_empty() {
            return Ok(());
        }
        foreign::read(pipeline, &mut self.client.shared()).await.map(|_| ())
    }
}

impl RedisTokens {
    /// Counts a request for a token, and makes room for it among so many records; if there were too many requests, in how
    /// many seconds there may be another one.
    async fn make_room(&self, email: &Email, records: usize) -> Result<Option<u32>, StoreError> {
        let made = format!("{MADE}{email}");
        let mut pipeline = redis::pipe();
        pipeline.scard(user_key(email)).incr(&made, 1);
        pipeline.cmd("EXPIRE").arg(&made).arg(DAY_S).arg("NX").ignore();
        pipeline.ttl(&made);
        let (kept, made, left_s): (usize, usize, i64) = pipeline.query_async(&mut self.client.shared()).await?;
        if made > records.max(MADE_A_DAY) {
            return Ok(Some(u32::try_from(left_s.max(1)).unwrap_or(u32::MAX)));
        }
        if kept >= records {
            self.forget_oldest(email, records).await?;
        }
        Ok(None)
    }

    /// Lets somebody have fewer than so many records: forgets tokens that ended and, if that does not do, the oldest of those
    /// that are revoked. What revokes them stays.
    async fn forget_oldest(&self, email: &Email, records: usize) -> Result<(), StoreError> {
        let left = self.sweep(email).await?;
        if left < records {
            return Ok(());
        }
        let mut revoked: Vec<TokenRecord> =
            self.of_user(email).await?.into_iter().filter(|token| token.is_revoked).map(|token| token.record).collect();
        revoked.sort_by_key(|record| record.created_at);
        // A few more than is needed, so that not each new token makes for such a walk.
        revoked.truncate(left - records + 1 + records / RECORDS_PER_PLACE);
        let mut redis = self.client.shared();
        for step in revoked.chunks(STEP) {
            let ids: Vec<&str> = step.iter().map(|record| record.token_id.as_str()).collect();
            let mut pipeline = redis::pipe();
            for id in &ids {
                pipeline.del(info_key(id)).ignore();
            }
            pipeline.srem(user_key(email), &ids).ignore();
            pipeline.exec_async(&mut redis).await?;
            index::forget(&mut redis, &ids).await?;
        }
        Ok(())
    }

    /// Takes the ids of tokens that ended out of somebody's set; how many are left.
    async fn sweep(&self, email: &Email) -> Result<usize, StoreError> {
        let mut redis = self.client.shared();
        let (mut cursor, mut left) = (0_u64, 0);
        loop {
            let (next, ids) = scan::members(&mut redis, &user_key(email), cursor, STEP).await?;
            let mut pipeline = redis::pipe();
            for id in &ids {
                pipeline.exists(info_key(id));
            }
            let exist: Vec<bool> = if ids.is_empty() { Vec::new() } else { pipeline.query_async(&mut redis).await? };
            let gone: Vec<&String> = ids.iter().zip(&exist).filter(|(_, exists)| !**exists).map(|(id, _)| id).collect();
            left += ids.len() - gone.len();
            if !gone.is_empty() {
                let _: () = redis.srem(user_key(email), gone).await?;
            }
            if next == 0 {
                return Ok(left);
            }
            cursor = next;
        }
    }
}

/// Gives a token its place until it ends, be it beyond how many there are; none to a token that is nobody's.
fn place_held(record: &TokenRecord) -> Option<ScriptInvocation<'static>> {
    // Another program may have recorded an end that no clock can reach.
    let ends = record.expires_at.min(FOREVER);
    let mut call = HOLD.key(places_key(&record.owner()?));
    call.arg(&record.token_id).arg(ends);
    Some(call)
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
    let valid_from = not_before::of_all(redis, NOT_BEFORE_RECORD, distinct).await?;
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
    // What is no id names no token: no call could look it up or revoke it, and no cursor goes on behind it.
    TokenId::parse(id).ok()?;
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

#[cfg(test)]
mod tests;
