//! Since when somebody's tokens are valid: `sekisho:not_before:{subject}`, a Unix second; and since when their sessions are,
//! besides: `sekisho:sessions:not_before:{subject}`. Only ever raised.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, Script, ScriptInvocation};
use sekisho_protocol::Subject;

use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::logout::NotBeforeStore;
use crate::store::redis::keys::{NOT_BEFORE_RECORD, SESSIONS_NOT_BEFORE};
use crate::store::redis::{RedisClient, foreign};

/// Raises one record.
pub(super) static RAISE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/raise_not_before.lua")));

/// By how many seconds a logout moves a moment on that is on record and not before its own.
const LATER_BY_S: u64 = 1;

/// The records, in Redis.
#[derive(Clone)]
pub struct RedisNotBefore {
    client: RedisClient,
}

impl RedisNotBefore {
    /// The records in this Redis.
    #[must_use]
    pub fn new(client: RedisClient) -> Self {
        Self { client }
    }
}

#[async_trait]
impl NotBeforeStore for RedisNotBefore {
    async fn raise(
        &self,
        subject: &Subject,
        issued_before: UnixSeconds,
        until: UnixSeconds,
    ) -> Result<UnixSeconds, StoreError> {
        let call = raise(subject.as_str(), issued_before.get(), until.get(), LATER_BY_S);
        Ok(UnixSeconds(call.invoke_async(&mut self.client.shared()).await?))
    }

    async fn issued_before(&self, subject: &Subject) -> Result<Option<UnixSeconds>, StoreError> {
        let moment: Option<u64> = self.client.shared().get(key(subject.as_str())).await?;
        Ok(moment.map(UnixSeconds))
    }
}

/// Puts on record, besides, that somebody's sessions which began before a moment are ended: as a logout does for all they
/// hold.
pub(super) async fn outdate_sessions(
    redis: &mut ConnectionManager,
    subject: &Subject,
    began_before: UnixSeconds,
    until: UnixSeconds,
) -> Result<UnixSeconds, StoreError> {
    let mut call = RAISE.key(format!("{SESSIONS_NOT_BEFORE}{subject}"));
    call.arg(began_before.get()).arg(until.get()).arg(LATER_BY_S);
    Ok(UnixSeconds(call.invoke_async(redis).await?))
}

/// The call that writes one record back.
pub(super) fn restore(subject: &str, issued_before: u64, until: u64) -> ScriptInvocation<'static> {
    raise(subject, issued_before, until, 0)
}

fn raise(subject: &str, issued_before: u64, until: u64, later_by_s: u64) -> ScriptInvocation<'static> {
    let mut call = RAISE.key(key(subject));
    call.arg(issued_before).arg(until).arg(later_by_s);
    call
}

/// What is on record about each of `subjects` under `prefix`, for a list: one that cannot be read is left out.
pub(super) async fn of_all<'a>(
    redis: &mut ConnectionManager,
    prefix: &str,
    subjects: BTreeSet<&'a str>,
) -> Result<BTreeMap<&'a str, u64>, StoreError> {
    if subjects.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut pipe = redis::pipe();
    for subject in &subjects {
        // One by one: two keys need not live on one node.
        pipe.get(format!("{prefix}{subject}"));
    }
    let answers = foreign::read(pipe, redis).await?.into_iter();
    let moment = |answer| redis::from_redis_value::<Option<u64>>(answer).ok().flatten();
    Ok(subjects.into_iter().zip(answers).filter_map(|(subject, answer)| Some((subject, moment(answer)?))).collect())
}

fn key(subject: &str) -> String {
    format!("{NOT_BEFORE_RECORD}{subject}")
}

#[cfg(test)]
mod tests;
