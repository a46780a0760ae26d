//! What verified subjects did, in the keys of the gateway that Sekisho replaces: who is active, and when a
//! token was last used.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, Pipeline, Script};
use sekisho_protocol::activity::{ActivityReport, SubjectActivity};
use serde_json::{Map, Value, json};

use super::RedisClient;
use super::keys::{ACTIVITY, TOKEN_INFO};
use crate::failpoint::{FailPoint, reach};
use crate::service::activity::{ActivityStore, Taken};
use crate::service::error::StoreError;

static TAKE_REPORT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/take_report.lua")));

/// How long the last sequence of a replica is remembered: far longer than a report is sent again.
const SEQUENCE_LIFE_S: u64 = 3_600;
/// How long somebody counts as active, from the first request on.
const ACTIVE_LIFE_S: u64 = 86_400;
const ACTIVE_USERS: &str = "active_users";
const ACTIVE_USER: &str = "active_user:";
const ACTIVE_USER_METADATA: &str = "active_user_metadata:";

/// Activity in Redis.
#[derive(Clone)]
pub struct RedisActivity {
    redis: RedisClient,
}

impl RedisActivity {
    /// Activity in this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis }
    }
}

#[async_trait]
impl ActivityStore for RedisActivity {
    async fn take(&self, report: &ActivityReport) -> Result<Taken, StoreError> {
        let mut redis = self.redis.shared();
        let key = format!("{ACTIVITY}{}", report.replica);
        let is_new: bool =
            TAKE_REPORT.key(key).arg(report.sequence).arg(SEQUENCE_LIFE_S).invoke_async(&mut redis).await?;
        if !is_new {
            return Ok(Taken::Repeated);
        }
        reach(FailPoint::ActivityTaken);
        if report.subjects.is_empty() {
            return Ok(Taken::Applied);
        }
        let tokens =
            values(&mut redis, TOKEN_INFO, report.subjects.iter().filter_map(|row| row.token_id.as_deref())).await?;
        let people =
            values(&mut redis, ACTIVE_USER_METADATA, report.subjects.iter().map(|row| row.subject.as_str())).await?;
        let mut pipe = redis::pipe();
        for row in &report.subjects {
            let token = row.token_id.as_deref().and_then(|id| Some((id, tokens.get(id)?)));
            if let Some((id, token)) = token {
                note_use(&mut pipe, id, token, row.last_access);
            }
            let name = token.and_then(|(_, token)| token.get("token_name")).cloned();
            note_person(&mut pipe, row, people.get(row.subject.as_str()), name);
        }
        Ok(pipe.query_async(&mut redis).await.map(|()| Taken::Applied)?)
    }
}

/// The JSON objects under these keys. What is no object is as good as nothing.
async fn values<'a>(
    redis: &mut ConnectionManager,
    prefix: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<&'a str, Map<String, Value>>, StoreError> {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys: Vec<String> = names.iter().map(|name| format!("{prefix}{name}")).collect();
    let texts: Vec<Option<String>> = redis.mget(&keys).await?;
    let object = |text: Option<String>| match serde_json::from_str(&text?) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    };
    Ok(names.into_iter().zip(texts).filter_map(|(name, text)| Some((name, object(text)?))).collect())
}

/// A token was used. Its record keeps its life, and one that is gone stays so.
fn note_use(pipe: &mut Pipeline, id: &str, token: &Map<String, Value>, last_access: u64) {
    if token.get("last_used").and_then(Value::as_u64).is_some_and(|known| known >= last_access) {
        return;
    }
    let mut token = token.clone();
    token.insert("last_used".to_owned(), json!(last_access));
    let text = Value::Object(token).to_string();
    pipe.cmd("SET").arg(format!("{TOKEN_INFO}{id}")).arg(text).arg("XX").arg("KEEPTTL").ignore();
}

/// Somebody is active. Their keys live from the first request of a day on, not from the last.
fn note_person(
    pipe: &mut Pipeline,
    row: &SubjectActivity,
    known: Option<&Map<String, Value>>,
    token_name: Option<Value>,
) {
    let email = row.subject.as_str();
    let mut metadata = known.cloned().unwrap_or_default();
    let seen = metadata.get("last_access").and_then(Value::as_u64).unwrap_or(0);
    let defaults = [
        ("email", json!(email)),
        ("created_at", json!(row.last_access)),
        ("expire_at", json!(row.last_access.saturating_add(ACTIVE_LIFE_S))),
        ("expires_at", json!(row.last_access.saturating_add(ACTIVE_LIFE_S))),
        ("session_ttl", json!(ACTIVE_LIFE_S)),
        ("session_count", json!(1)),
    ];
    for (name, value) in defaults {
        metadata.entry(name).or_insert(value);
    }
    metadata.insert("last_access".to_owned(), json!(row.last_access.max(seen)));
    metadata.insert("auth_method".to_owned(), json!(row.method.as_str()));
    if let Some(name) = token_name {
        metadata.insert("token_name".to_owned(), name);
    }
    let (members, text) = (format!("{ACTIVE_USER}{email}"), Value::Object(metadata).to_string());
    let metadata_key = format!("{ACTIVE_USER_METADATA}{email}");
    pipe.cmd("SADD").arg(ACTIVE_USERS).arg(email).ignore();
    if let Some(id) = &row.token_id {
        pipe.cmd("SADD").arg(&members).arg(id).ignore();
        pipe.cmd("EXPIRE").arg(&members).arg(ACTIVE_LIFE_S).arg("NX").ignore();
    }
    let keep: &[&str] = if known.is_some() { &["XX", "KEEPTTL"] } else { &["EX", "86400"] };
    pipe.cmd("SET").arg(&metadata_key).arg(text).arg(keep).ignore();
}
