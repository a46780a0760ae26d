//! What verified subjects did, in the keys of the gateway that Sekisho replaces: who is active, and when a
//! token was last used.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{Pipeline, Script};
use sekisho_protocol::activity::{ActivityReport, SubjectActivity};
use serde_json::{Map, Value, json};

use super::active_users::{self, ACTIVE_USER, ACTIVE_USERS, ACTIVITY_OF, METADATA};
use super::keys::{ACTIVITY, TOKEN_INFO};
use super::tokens::USED;
use super::{RedisClient, foreign};
use crate::domain::active_user::ACTIVE_S;
use crate::domain::time::UnixSeconds;
use crate::failpoint::{FailPoint, reach};
use crate::service::activity::{ActivityStore, Taken};
use crate::service::error::StoreError;

static NOTE_ACTIVITY: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/note_activity.lua")));
static NOTE_PERSON: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/note_person.lua")));
static TAKE_REPORT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/take_report.lua")));

/// How long the last sequence of a replica is remembered: far longer than a report is sent again.
const SEQUENCE_LIFE_S: u64 = 3_600;
/// How seldom what is known of a token, and of its user besides the count of requests, is written anew, in seconds.
const SELDOM_S: u64 = 60;
/// Most fields of the hash of what somebody did: a few, and one for each token in use.
const MOST_FIELDS: usize = 1_000;

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
        let fresh = self.count(&mut redis, &report.subjects).await?;
        if fresh.is_empty() {
            return Ok(Taken::Applied);
        }
        let tokens = records(&mut redis, fresh.iter().filter_map(|seen| seen.row.token_id.as_deref())).await?;
        let in_use = note_in_use(&mut redis, &fresh).await?;
        NOTE_PERSON.load_async(&mut redis).await?;
        let mut pipe = redis::pipe();
        for (seen, in_use) in fresh.into_iter().zip(in_use) {
            let token = seen.row.token_id.as_deref().and_then(|id| Some((id, tokens.get(id)?)));
            if let Some((id, token)) = token {
                note_use(&mut pipe, id, token, seen.at);
            }
            note_person(&mut pipe, &seen, in_use, token.and_then(|(_, token)| token.get("token_name")));
        }
        if !pipe.is_empty() {
            pipe.exec_async(&mut redis).await?;
        }
        Ok(Taken::Applied)
    }
}

/// A row of a report, as of which more is to be written than the count.
struct Seen<'a> {
    row: &'a SubjectActivity,
    /// Unix seconds of the last request.
    at: u64,
    /// When its subject counts as active no more; none if only the use of the token is to be written.
    active_until: Option<u64>,
    /// Whether its token counts as one in use. Beyond so many of one subject they do not.
    is_in_use: bool,
}

impl<'a> Seen<'a> {
    /// From the script's answer; none if nothing is to be written.
    fn answered(row: &'a SubjectActivity, at: u64, (what, active_until): (u64, u64)) -> Option<Self> {
        let active_until = (active_until > 0).then_some(active_until);
        match (what, active_until) {
            (1 | 3, Some(_)) => Some(Self { row, at, active_until, is_in_use: what == 1 }),
            (2, _) => Some(Self { row, at, active_until: None, is_in_use: false }),
            _ => None,
        }
    }

    fn token_in_use(&self) -> Option<&'a str> {
        self.row.token_id.as_deref().filter(|_| self.is_in_use)
    }
}

impl RedisActivity {
    /// Counts the requests of each row; those as of which more is to be written.
    async fn count<'a>(
        &self,
        redis: &mut ConnectionManager,
        rows: &'a [SubjectActivity],
    ) -> Result<Vec<Seen<'a>>, StoreError> {
        NOTE_ACTIVITY.load_async(redis).await?;
        let (now, mut pipe) = (UnixSeconds::now().get(), redis::pipe());
        // A filter whose clock is ahead must not keep anybody active.
        let at = |row: &SubjectActivity| row.last_access.min(now);
        // What comes later than a day is of somebody who is active no more.
        let rows: Vec<&SubjectActivity> = rows.iter().filter(|row| at(row) + ACTIVE_S > now).collect();
        for row in &rows {
            let address = row.address.map(|address| address.to_string()).unwrap_or_default();
            let mut call = NOTE_ACTIVITY.key(format!("{ACTIVITY_OF}{}", row.subject));
            call.arg(at(row)).arg(row.requests).arg(row.method.as_str()).arg(address);
            call.arg(row.token_id.as_deref().unwrap_or_default()).arg(ACTIVE_S).arg(SELDOM_S).arg(MOST_FIELDS);
            pipe.invoke_script(&call);
        }
        let answers: Vec<(u64, u64)> = if rows.is_empty() { Vec::new() } else { pipe.query_async(redis).await? };
        let seen = rows.into_iter().zip(answers);
        Ok(seen.filter_map(|(row, answer)| Seen::answered(row, at(row), answer)).collect())
    }
}

/// The records of these tokens. What is no object is as good as nothing.
async fn records<'a>(
    redis: &mut ConnectionManager,
    ids: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<&'a str, Map<String, Value>>, StoreError> {
    let ids: Vec<&str> = ids.collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut pipe = redis::pipe();
    for id in &ids {
        pipe.get(format!("{TOKEN_INFO}{id}"));
    }
    let object = |answer: redis::Value| {
        let text: Option<String> = redis::from_redis_value(answer).ok()?;
        match serde_json::from_str(&text?) {
            Ok(Value::Object(object)) => Some(object),
            _ => None,
        }
    };
    let answers = foreign::read(pipe, redis).await?;
    Ok(ids.into_iter().zip(answers).filter_map(|(id, answer)| Some((id, object(answer)?))).collect())
}

/// A token was used, which is written once in a while. Its record keeps its life, and one that is gone stays so.
fn note_use(pipe: &mut Pipeline, id: &str, token: &Map<String, Value>, last_access: u64) {
    if token.get("last_used").and_then(Value::as_u64).is_some_and(|known| known.saturating_add(SELDOM_S) > last_access)
    {
        return;
    }
    let mut token = token.clone();
    token.insert("last_used".to_owned(), json!(last_access));
    let text = Value::Object(token).to_string();
    pipe.cmd("SET").arg(format!("{TOKEN_INFO}{id}")).arg(text).arg("XX").arg("KEEPTTL").ignore();
    pipe.cmd("ZADD").arg(USED).arg("XX").arg("GT").arg(last_access).arg(id).ignore();
}

/// Puts what people came with among what they use; how much each of them uses then. It lives from the first request of a
/// day on, not from the last.
async fn note_in_use(redis: &mut ConnectionManager, seen: &[Seen<'_>]) -> Result<Vec<usize>, StoreError> {
    let mut pipe = redis::pipe();
    for one in seen {
        let key = format!("{ACTIVE_USER}{}", one.row.subject);
        if let (Some(id), Some(active_until)) = (one.token_in_use(), one.active_until) {
            pipe.cmd("SADD").arg(&key).arg(id).ignore();
            pipe.cmd("EXPIREAT").arg(&key).arg(active_until).arg("NX").ignore();
        }
        pipe.cmd("SCARD").arg(&key);
    }
    Ok(pipe.query_async(redis).await?)
}

/// Somebody is active. What is known of them lives as long as what they use.
fn note_person(pipe: &mut Pipeline, seen: &Seen<'_>, in_use: usize, token_name: Option<&Value>) {
    let Seen { row, at, active_until: Some(active_until), .. } = *seen else { return };
    let email = row.subject.as_str();
    let unless_known = json!({"email": email, "created_at": at, "expire_at": active_until, "expires_at": active_until,
        "session_ttl": ACTIVE_S});
    let mut new = json!({"last_access": at, "session_count": in_use, "auth_method": row.method.as_str()});
    if let (Some(new), Some(name)) = (new.as_object_mut(), token_name) {
        new.insert("token_name".to_owned(), name.clone());
    }
    pipe.cmd("SADD").arg(ACTIVE_USERS).arg(email).ignore();
    let mut call = NOTE_PERSON.key(format!("{METADATA}{email}"));
    call.arg(new.to_string()).arg(unless_known.to_string()).arg(active_until);
    pipe.invoke_script(&call).ignore();
    active_users::place(pipe, email, seen.token_in_use(), at, active_until);
}
