//! The keys of those who issue tokens: `sekisho:keyset:{source}`, JSON, without an end. The braces are literal.

use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use redis::{AsyncCommands, Pipeline};
use redis::{ExistenceCheck, Script, SetExpiry, SetOptions};

use crate::domain::keyset::{KeysetRecord, SourceName};
use crate::service::error::StoreError;
use crate::service::keysets::{KeysetStore, Look, Question, Turn};
use crate::store::redis::RedisClient;
use crate::store::redis::keys::KEYSET;

static WRITE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/write_keyset.lua")));
static END_TURN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/drop_record.lua")));

/// The records, in Redis.
#[derive(Clone)]
pub struct RedisKeysets {
    client: RedisClient,
}

impl RedisKeysets {
    /// The records in this Redis.
    #[must_use]
    pub fn new(client: RedisClient) -> Self {
        Self { client }
    }
}

fn record_key(source: &SourceName) -> String {
    format!("{KEYSET}{{{source}}}")
}

fn turn_key(source: &SourceName) -> String {
    format!("{KEYSET}{{{source}}}:turn")
}

fn question_key(source: &SourceName) -> String {
    format!("{KEYSET}{{{source}}}:question")
}

#[async_trait]
impl KeysetStore for RedisKeysets {
    async fn look(&self, source: &SourceName) -> Result<Look, StoreError> {
        let mut pipe = redis::pipe();
        pipe.get(record_key(source));
        let asked = ask_last(&mut pipe, source).query_async(&mut self.client.shared()).await?;
        let (record, id, left_ms): (Option<String>, Option<String>, i64) = asked;
        let record = record.map(|text| parse(source, &text)).transpose()?;
        Ok(Look { record, question: id.map(|id| question(id, left_ms)) })
    }

    async fn take_turn(&self, source: &SourceName, life: Duration) -> Result<Option<Turn>, StoreError> {
        let turn = Turn { source: source.clone(), id: uuid::Uuid::new_v4().to_string() };
        let taken: Option<String> =
            self.client.shared().set_options(turn_key(source), &turn.id, unless_there(life)).await?;
        Ok(taken.map(|_| turn))
    }

    async fn end_turn(&self, turn: Turn) -> Result<(), StoreError> {
        let mut redis = self.client.shared();
        Ok(END_TURN.key(turn_key(&turn.source)).arg(turn.id).invoke_async::<()>(&mut redis).await?)
    }

    async fn write(&self, turn: &Turn, record: &KeysetRecord) -> Result<bool, StoreError> {
        let text =
            serde_json::to_string(record).map_err(|error| StoreError::corrupt(record_key(&turn.source), error))?;
        let mut call = WRITE.key(record_key(&turn.source));
        call.key(turn_key(&turn.source)).arg(text).arg(&turn.id);
        Ok(call.invoke_async(&mut self.client.shared()).await?)
    }

    async fn ask(&self, source: &SourceName, interval: Duration) -> Result<(Question, bool), StoreError> {
        let mine = uuid::Uuid::new_v4().to_string();
        let mut pipe = redis::pipe();
        // As one: the question must not end between the look whether there is one and the look at it.
        pipe.atomic().set_options(question_key(source), &mine, unless_there(interval)).ignore();
        let asked = ask_last(&mut pipe, source).query_async(&mut self.client.shared()).await?;
        let (id, left_ms): (String, i64) = asked;
        let is_mine = id == mine;
        Ok((question(id, left_ms), is_mine))
    }
}

fn ask_last<'a>(pipe: &'a mut Pipeline, source: &SourceName) -> &'a mut Pipeline {
    let key = question_key(source);
    pipe.get(&key).pttl(&key)
}

fn unless_there(life: Duration) -> SetOptions {
    let life_ms = u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(1);
    SetOptions::default().conditional_set(ExistenceCheck::NX).with_expiration(SetExpiry::PX(life_ms))
}

fn question(id: String, left_ms: i64) -> Question {
    Question { id, left: Duration::from_millis(u64::try_from(left_ms).unwrap_or_default()) }
}

fn parse(source: &SourceName, text: &str) -> Result<KeysetRecord, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::corrupt(record_key(source), error))
}

#[cfg(test)]
mod tests;
