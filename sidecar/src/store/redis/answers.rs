//! Calls with an `Idempotency-Key` and their answers: `sekisho:answers:{caller}:{key}`, the first braces literal, and
//! the sorted set `sekisho:answers:{caller}` of a caller's calls by age.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use redis::Script;

use crate::domain::idempotency::{CALLS_OF_ONE_CALLER, Fingerprint, KEPT_FOR, Slot};
use crate::domain::seal::Sealed;
use crate::service::error::StoreError;
use crate::service::idempotency::{AnswerStore, Known};
use crate::store::redis::RedisClient;
use crate::store::redis::keys::KEPT_ANSWERS;

static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/claim_answer.lua")));
static END: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/end_claim.lua")));

/// The calls, in Redis.
#[derive(Clone)]
pub struct RedisAnswers {
    client: RedisClient,
}

impl RedisAnswers {
    /// The calls in this Redis.
    #[must_use]
    pub fn new(client: RedisClient) -> Self {
        Self { client }
    }

    async fn end(&self, slot: &Slot, claim: &str, how: &str, life: Duration, answer: &str) -> Result<(), StoreError> {
        let calls = calls_key(slot);
        let mut call = END.key(call_key(&calls, slot));
        call.key(&calls).arg(claim).arg(how).arg(millis(life)).arg(&slot.key).arg(answer);
        call.invoke_async::<()>(&mut self.client.shared()).await?;
        Ok(())
    }
}

fn calls_key(slot: &Slot) -> String {
    format!("{KEPT_ANSWERS}{{{}}}", slot.caller)
}

fn call_key(calls: &str, slot: &Slot) -> String {
    format!("{calls}:{}", slot.key)
}

fn millis(life: Duration) -> u64 {
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX)
}

#[async_trait]
impl AnswerStore for RedisAnswers {
    async fn claim(
        &self,
        slot: &Slot,
        fingerprint: &Fingerprint,
        claim: &str,
        life: Duration,
    ) -> Result<Known, StoreError> {
        let calls = calls_key(slot);
        let key = call_key(&calls, slot);
        let mut call = CLAIM.key(&key);
        call.key(&calls).arg(fingerprint.as_str()).arg(claim).arg(millis(life)).arg(millis(KEPT_FOR));
        call.arg(CALLS_OF_ONE_CALLER).arg(&slot.key);
        let answer: Vec<String> = call.invoke_async(&mut self.client.shared()).await?;
        match answer.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["claimed"] => Ok(Known::Claimed),
            ["running"] => Ok(Known::Running),
            ["another"] => Ok(Known::Another),
            ["answered", ""] => Ok(Known::Answered(None)),
            ["answered", sealed] => Ok(Known::Answered(Some(Sealed::of_text((*sealed).to_owned())))),
            other => Err(StoreError::corrupt(key, format_args!("{other:?}"))),
        }
    }

    async fn renew(&self, slot: &Slot, claim: &str, life: Duration) -> Result<(), StoreError> {
        self.end(slot, claim, "renew", life, "").await
    }

    async fn keep(&self, slot: &Slot, claim: &str, answer: Option<&Sealed>) -> Result<(), StoreError> {
        self.end(slot, claim, "keep", KEPT_FOR, answer.map_or("", Sealed::as_text)).await
    }

    async fn release(&self, slot: &Slot, claim: &str) -> Result<(), StoreError> {
        self.end(slot, claim, "release", Duration::ZERO, "").await
    }
}

#[cfg(test)]
mod tests;
