//! Who signed in when, and who must: `sekisho:signed_in:{subject}`, a Unix second, and `sekisho:sign_in_needed:{subject}`, which
//! says since when somebody's tokens wait for a sign-in.

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::{AsyncCommands, Script, Value, from_redis_value};
use sekisho_protocol::{Email, Subject};
use serde_json::json;

use super::keys::{SIGN_IN_RECORD, SIGNED_IN};
use super::tokens::PLACES;
use super::{RedisClient, foreign, scan};
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::recent_sign_in::{Owner, SignInStore};

/// Writes one record.
static NOTE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/note_sign_in.lua")));

/// Keys per step of a walk.
const SCAN_COUNT: usize = 500;
/// Answers about each owner.
const ANSWERS: usize = 4;

/// Sign-ins in Redis.
#[derive(Clone)]
pub struct RedisRecentSignIn {
    redis: RedisClient,
}

impl RedisRecentSignIn {
    /// The sign-ins in this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis }
    }

    /// Puts a moment on record, unless `wanted` says that the one on record stands: which one does.
    async fn keep(
        &self,
        subject: &Subject,
        moment: UnixSeconds,
        kept_s: u64,
        wanted: &str,
    ) -> Result<UnixSeconds, StoreError> {
        let mut call = NOTE.key(signed_in_key(subject.as_str()));
        call.arg(moment.get()).arg(kept_s).arg(wanted);
        Ok(UnixSeconds(call.invoke_async(&mut self.redis.shared()).await?))
    }
}

fn signed_in_key(subject: &str) -> String {
    format!("{SIGNED_IN}{subject}")
}

fn needed_key(subject: &str) -> String {
    format!("{SIGN_IN_RECORD}{subject}")
}

#[async_trait]
impl SignInStore for RedisRecentSignIn {
    async fn note(&self, subject: &Subject, moment: UnixSeconds, kept_s: u64) -> Result<(), StoreError> {
        self.keep(subject, moment, kept_s, "LATEST").await.map(|_| ())
    }

    async fn count_from(&self, subject: &Subject, moment: UnixSeconds, kept_s: u64) -> Result<UnixSeconds, StoreError> {
        self.keep(subject, moment, kept_s, "FIRST").await
    }

    async fn signed_in(&self, subject: &Subject) -> Result<Option<UnixSeconds>, StoreError> {
        let moment: Option<u64> = self.redis.shared().get(signed_in_key(subject.as_str())).await?;
        Ok(moment.map(UnixSeconds))
    }

    async fn require(&self, subject: &Subject, signed_in: UnixSeconds, until: UnixSeconds) -> Result<(), StoreError> {
        let why = json!({"reason": "no recent sign-in", "signed_in_at": signed_in, "at": UnixSeconds::now()});
        let mut set = redis::cmd("SET");
        set.arg(needed_key(subject.as_str())).arg(why.to_string()).arg("EXAT").arg(until.get());
        Ok(set.exec_async(&mut self.redis.shared()).await?)
    }

    async fn release(&self, subject: &Subject) -> Result<(), StoreError> {
        Ok(self.redis.shared().del(needed_key(subject.as_str())).await?)
    }

    async fn owners(&self, cursor: Option<u64>, now: UnixSeconds) -> Result<(Vec<Owner>, Option<u64>), StoreError> {
        let mut redis = self.redis.shared();
        let (next, keys) = scan::keys(&mut redis, &format!("{PLACES}*"), cursor.unwrap_or(0), SCAN_COUNT).await?;
        // Whoever is no address has no tokens of our own.
        let email = |key: String| Some((Email::parse(key.strip_prefix(PLACES)?).ok()?, key));
        let named: Vec<(Email, String)> = keys.into_iter().filter_map(email).collect();
        let mut pipe = redis::pipe();
        for (email, places) in &named {
            let signed_in = signed_in_key(email.as_str());
            pipe.cmd("ZCOUNT").arg(places).arg(format!("({now}")).arg("+inf");
            pipe.get(&signed_in).ttl(&signed_in).cmd("EXPIRETIME").arg(needed_key(email.as_str()));
        }
        let answers = if named.is_empty() { Vec::new() } else { foreign::read(pipe, &mut redis).await? };
        let owner = |((email, _), answers): ((Email, String), &[Value])| owner(email, answers);
        let owners = named.into_iter().zip(answers.chunks(ANSWERS)).filter_map(owner).collect();
        Ok((owners, (next != 0).then_some(next)))
    }
}

/// None if they have no token that can be used. A moment that can't be read is none: it is counted from the tokens.
fn owner(email: Email, answers: &[Value]) -> Option<Owner> {
    let [places, signed_in, kept_s, required_until] = answers else { return None };
    let number = |answer: &Value| from_redis_value::<Option<i64>>(answer.clone()).ok().flatten();
    let positive = |answer: &Value| number(answer).and_then(|number| u64::try_from(number).ok());
    number(places).filter(|places| *places > 0)?;
    Some(Owner {
        email,
        signed_in: positive(signed_in).map(UnixSeconds),
        kept_s: positive(kept_s).unwrap_or(0),
        required_until: positive(required_until).map(UnixSeconds),
    })
}
