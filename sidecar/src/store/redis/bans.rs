//! Records of bans: `active_user_deleted:{email}`, which the gateway that Sekisho replaces reads and
//! writes too, and the details in `sekisho:ban:{subject}`. Both end with the ban.

use async_trait::async_trait;
use redis::{AsyncCommands, ExistenceCheck, Pipeline, Script, SetExpiry, SetOptions};
use sekisho_protocol::Subject;

use crate::domain::ban::{Ban, Reason};
use crate::domain::time::UnixSeconds;
use crate::service::bans::{BanStore, TURN_LIFE, Turn};
use crate::service::error::StoreError;
use crate::service::feed::BanEntry;
use crate::store::redis::keys::{BAN_DETAILS, BAN_RECORD};
use crate::store::redis::ranked::any_case;
use crate::store::redis::{RedisClient, foreign, scan};

/// Keys that one step of a walk looks at.
const STEP: usize = 1_000;
/// Bans whose details one round trip reads.
const DESCRIBE_STEP: usize = 500;

/// Ends a turn only if it still is the one that was taken.
const END_TURN: &str = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// The records, in Redis.
#[derive(Clone)]
pub struct RedisBans {
    client: RedisClient,
}

impl RedisBans {
    /// The records in this Redis.
    #[must_use]
    pub fn new(client: RedisClient) -> Self {
        Self { client }
    }
}

fn record_key(subject: &Subject) -> String {
    format!("{BAN_RECORD}{subject}")
}

fn details_key(subject: &str) -> String {
    format!("{BAN_DETAILS}{subject}")
}

fn turn_key(subject: &Subject) -> String {
    format!("sekisho:turn:ban:{subject}")
}

#[async_trait]
impl BanStore for RedisBans {
    async fn record(&self, ban: &Ban) -> Result<(), StoreError> {
        let mut redis = self.client.shared();
        // The details first: whoever sees the record finds them.
        write_details(ban).exec_async(&mut redis).await?;
        let at = ban.at.map_or(0, UnixSeconds::get);
        let mut set = redis::cmd("SET");
        set.arg(record_key(&ban.subject)).arg(at);
        if !ban.is_permanent() {
            // An absolute end: however late the command arrives, record and entry end together.
            set.arg("EXAT").arg(ban.until.get());
        }
        Ok(set.exec_async(&mut redis).await?)
    }

    async fn spellings(&self, subject: &Subject) -> Result<Vec<String>, StoreError> {
        let mut redis = self.client.shared();
        let pattern = format!("{BAN_RECORD}{}", any_case(subject.as_str()));
        let (mut cursor, mut found) = (0_u64, Vec::new());
        loop {
            let (next, keys) = scan::keys(&mut redis, &pattern, cursor, STEP).await?;
            let names = keys.iter().filter_map(|key| key.strip_prefix(BAN_RECORD));
            found.extend(
                names.filter(|name| **name != *subject.as_str() && is_spelling(name, subject)).map(str::to_owned),
            );
            if next == 0 {
                return Ok(found);
            }
            cursor = next;
        }
    }

    async fn remove(&self, subject: &Subject, spellings: &[String]) -> Result<bool, StoreError> {
        let mut redis = self.client.shared();
        let mut removed: u64 = redis.del(record_key(subject)).await?;
        for spelling in spellings {
            // One by one: two keys need not live on one node.
            removed += redis.del::<_, u64>(format!("{BAN_RECORD}{spelling}")).await?;
        }
        let _: () = redis.del(details_key(subject.as_str())).await?;
        Ok(removed > 0)
    }

    async fn has_record(&self, subject: &Subject) -> Result<bool, StoreError> {
        Ok(self.client.shared().exists(record_key(subject)).await?)
    }

    async fn is_ours(&self, subject: &Subject) -> Result<bool, StoreError> {
        let mut pipeline = redis::pipe();
        pipeline.exists(turn_key(subject)).hget(details_key(subject.as_str()), "at").get(record_key(subject));
        let mut answers = foreign::read(pipeline, &mut self.client.shared()).await?.into_iter();
        let has_turn = answers.next() == Some(redis::Value::Int(1));
        // Another program that overwrites our record leaves our details behind, which tell of another moment.
        let mut text = || redis::from_redis_value::<Option<String>>(answers.next().unwrap_or(redis::Value::Nil)).ok();
        let (details_at, record) = (text().flatten(), text().flatten());
        Ok(has_turn || (details_at.is_some() && details_at == record))
    }

    async fn describe(&self, bans: &[BanEntry]) -> Result<Vec<Ban>, StoreError> {
        let mut redis = self.client.shared();
        let mut described = Vec::with_capacity(bans.len());
        for bans in bans.chunks(DESCRIBE_STEP) {
            let mut pipeline = redis::pipe();
            for ban in bans {
                pipeline.cmd("HMGET").arg(details_key(&ban.name)).arg(&["reason", "by", "at"]);
                pipeline.get(format!("{BAN_RECORD}{}", ban.name));
            }
            let answers = foreign::read(pipeline, &mut redis).await?;
            for (ban, answer) in bans.iter().zip(answers.chunks(2)) {
                described.extend(describe_one(ban, answer));
            }
        }
        Ok(described)
    }

    async fn take_turn(&self, subject: &Subject) -> Result<Option<Turn>, StoreError> {
        let turn = Turn { subject: subject.clone(), id: uuid::Uuid::new_v4().to_string() };
        let life = u64::try_from(TURN_LIFE.as_millis()).unwrap_or(u64::MAX);
        let options = SetOptions::default().conditional_set(ExistenceCheck::NX).with_expiration(SetExpiry::PX(life));
        let taken: Option<String> = self.client.shared().set_options(turn_key(subject), &turn.id, options).await?;
        Ok(taken.map(|_| turn))
    }

    async fn end_turn(&self, turn: Turn) -> Result<(), StoreError> {
        let script = Script::new(END_TURN);
        let ended =
            script.key(turn_key(&turn.subject)).arg(turn.id).invoke_async::<()>(&mut self.client.shared()).await;
        Ok(ended?)
    }
}

/// Whether `name` means `subject`. What holds an issuer is exact, and has no other spellings.
fn is_spelling(name: &str, subject: &Subject) -> bool {
    Subject::try_from(name.to_owned()).is_ok_and(|named| named == *subject)
}

fn write_details(ban: &Ban) -> Pipeline {
    let key = details_key(ban.subject.as_str());
    let mut pipeline = redis::pipe();
    pipeline.atomic();
    let fields = [
        ("reason", ban.reason.as_ref().map_or_else(String::new, |reason| reason.as_str().to_owned())),
        ("by", ban.by.clone().unwrap_or_default()),
        ("at", ban.at.map_or(0, UnixSeconds::get).to_string()),
        ("until", ban.until.to_string()),
    ];
    pipeline.hset_multiple(&key, &fields).ignore();
    if ban.is_permanent() {
        pipeline.persist(&key).ignore();
    } else {
        pipeline.cmd("EXPIREAT").arg(&key).arg(ban.until.get()).ignore();
    }
    pipeline
}

/// A ban from its entry and the answers about its details and its record. Nothing if the name can't be
/// a subject's.
fn describe_one(entry: &BanEntry, answers: &[redis::Value]) -> Option<Ban> {
    let subject = Subject::try_from(entry.name.clone()).ok()?;
    let details = answers.first().cloned().unwrap_or(redis::Value::Nil);
    let record = answers.get(1).cloned().unwrap_or(redis::Value::Nil);
    let (reason, by, at) =
        redis::from_redis_value::<(Option<String>, Option<String>, Option<String>)>(details).unwrap_or_default();
    let at = at.or_else(|| redis::from_redis_value::<Option<String>>(record).unwrap_or_default());
    Some(Ban {
        subject,
        reason: reason.and_then(Reason::recorded),
        by: by.filter(|by| !by.is_empty()),
        at: at.and_then(|at| at.parse().ok()).filter(|at| *at > 0).map(UnixSeconds),
        until: UnixSeconds(entry.entry.until),
    })
}

#[cfg(test)]
mod tests;
