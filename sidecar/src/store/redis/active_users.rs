//! Who is active: `active_users`, `active_user:{email}` and `active_user_metadata:{email}`, as the gateway that Sekisho
//! replaces keeps them, `sekisho:active_user:{email}`, in which requests are counted, and `sekisho:{active_users}:…`, in
//! which people are in order.

use std::collections::HashMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{Pipeline, Script, Value, from_redis_value};
use sekisho_protocol::Subject;
use sekisho_protocol::feed::{FOREVER, Kind};
use serde_json::Map;

use super::feed::entry;
use super::keys::ENTRIES;
use super::ranked::{Ranked, any_case, whole};
use super::{RedisClient, cleanup, foreign, scan};
use crate::domain::active_user::{ACTIVE_S, ActiveUser, Place, Totals};
use crate::domain::ban::TimeLeft;
use crate::domain::feed::fold;
use crate::domain::feed::write::Says;
use crate::domain::page::Direction;
use crate::domain::search::Search;
use crate::domain::time::UnixSeconds;
use crate::service::active_users::ActiveUserStore;
use crate::service::error::StoreError;

/// Set: e-mails.
pub(super) const ACTIVE_USERS: &str = "active_users";
/// + e-mail: set of the tokens and sessions in use.
pub(super) const ACTIVE_USER: &str = "active_user:";
/// + e-mail: JSON.
pub(super) const METADATA: &str = "active_user_metadata:";
/// + e-mail: hash of what they did.
pub(super) const ACTIVITY_OF: &str = "sekisho:active_user:";
/// What of that is shown.
const ACTIVITY_FIELDS: [&str; 6] = ["first_access", "last_access", "expires_at", "method", "requests", "address"];
/// Sorted set: people by their last request.
const SEEN: &str = "sekisho:{active_users}:seen";
/// Sorted set: the same by when they count as active no more.
const ENDS: &str = "sekisho:{active_users}:ends";
/// Sorted set: what they use, by the same.
const IN_USE: &str = "sekisho:{active_users}:in_use";
/// There while it is too early to look for other programs' users again.
const NOT_DUE: &str = "sekisho:{active_users}:not_due";
/// How long it is too early, in seconds.
const DUE_EVERY_S: u64 = 60;
/// Keys or members that one round trip asks for.
const STEP: usize = 500;
/// Members that one step of a search looks at.
const SEARCH_STEP: usize = 2_000;
/// Most people that a search remembers.
const FOUND_MAX: usize = 100_000;
/// So many steps of forgetting one call makes.
const FORGET_STEPS: usize = 20;

static FORGET_ENDED: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/forget_ended.lua")));

/// Active users in Redis.
#[derive(Clone)]
pub struct RedisActiveUsers {
    redis: RedisClient,
}

impl RedisActiveUsers {
    /// Active users in this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis }
    }
}

/// Puts somebody in order, who came at `at` with `token_id` and counts as active until `until`.
pub(super) fn place(pipe: &mut Pipeline, name: &str, token_id: Option<&str>, at: u64, until: u64) {
    pipe.cmd("ZADD").arg(SEEN).arg("GT").arg(at).arg(name).ignore();
    pipe.cmd("ZADD").arg(ENDS).arg("GT").arg(until).arg(name).ignore();
    if let Some(id) = token_id {
        pipe.cmd("ZADD").arg(IN_USE).arg("GT").arg(until).arg(format!("{name}\u{1}{id}")).ignore();
    }
}

#[async_trait]
impl ActiveUserStore for RedisActiveUsers {
    async fn list(
        &self,
        search: &Search,
        after: Option<&Place>,
        limit: usize,
    ) -> Result<Vec<(Place, ActiveUser)>, StoreError> {
        let mut redis = self.redis.shared();
        let mut users = Vec::new();
        if search.is_empty() {
            let from = after.map(|after| (after.last_access, after.name.as_str()));
            let mut walk = Ranked::start(&mut redis, SEEN, Direction::Desc, from).await?;
            while users.len() < limit {
                let step = walk.take(&mut redis, STEP.min(limit - users.len())).await?;
                if step.is_empty() {
                    break;
                }
                let places: Vec<Place> =
                    step.into_iter().map(Place::from).filter(|place| is_behind(place, after)).collect();
                users.extend(read(&mut redis, &places).await?);
            }
        } else {
            let mut places = self.find(search).await?;
            places.retain(|place| is_behind(place, after));
            for step in places.chunks(STEP) {
                users.extend(read(&mut redis, step).await?);
                if users.len() >= limit {
                    break;
                }
            }
        }
        users.truncate(limit);
        Ok(users)
    }

    async fn totals(&self, now: UnixSeconds) -> Result<Totals, StoreError> {
        let mut pipe = redis::pipe();
        let living = format!("({}", now.get());
        pipe.zcount(ENDS, &living, "+inf").zcount(IN_USE, &living, "+inf");
        let (users, in_use) = pipe.query_async(&mut self.redis.shared()).await?;
        Ok(Totals { users, in_use })
    }

    async fn count(&self, names: &[String]) -> Result<usize, StoreError> {
        if names.is_empty() {
            return Ok(0);
        }
        let scores: Vec<Option<f64>> =
            redis::cmd("ZMSCORE").arg(SEEN).arg(names).query_async(&mut self.redis.shared()).await?;
        Ok(scores.into_iter().flatten().count())
    }

    async fn clean(&self) -> Result<Vec<String>, StoreError> {
        let mut redis = self.redis.shared();
        let (mut cursor, mut cleaned) = (0_u64, Vec::new());
        loop {
            let (next, names) = scan::members(&mut redis, ACTIVE_USERS, cursor, STEP).await?;
            cleaned.extend(cleanup::forget_inactive(&mut redis, names).await?);
            if next == 0 {
                break;
            }
            cursor = next;
        }
        cleaned.sort();
        cleaned.dedup();
        Ok(cleaned)
    }

    async fn tidy(&self, now: UnixSeconds) -> Result<(), StoreError> {
        let mut redis = self.redis.shared();
        let mut set = redis::cmd("SET");
        set.arg(NOT_DUE).arg(1).arg("NX").arg("EX").arg(DUE_EVERY_S);
        if set.query_async::<Option<String>>(&mut redis).await?.is_some() {
            adopt(&mut redis).await?;
        }
        for keys in [&[ENDS, SEEN][..], &[IN_USE]] {
            for _ in 0..FORGET_STEPS {
                let mut call = FORGET_ENDED.arg(now.get());
                call.arg(STEP);
                for key in keys {
                    call.key(*key);
                }
                if call.invoke_async::<usize>(&mut redis).await? < STEP {
                    break;
                }
            }
        }
        Ok(())
    }
}

impl RedisActiveUsers {
    /// Everybody whose name holds `search`, whoever came last first.
    async fn find(&self, search: &Search) -> Result<Vec<Place>, StoreError> {
        let mut redis = self.redis.shared();
        let pattern = format!("*{}*", any_case(search.as_str()));
        let (mut cursor, mut found) = (0_u64, Vec::new());
        loop {
            let (next, members) = scan::scored(&mut redis, SEEN, cursor, &pattern, SEARCH_STEP).await?;
            found.extend(
                members.into_iter().filter_map(|(name, score)| Some(Place { last_access: whole(score)?, name })),
            );
            if next == 0 || found.len() >= FOUND_MAX {
                break;
            }
            cursor = next;
        }
        found.sort_by(|one, other| other.cmp(one));
        found.dedup();
        Ok(found)
    }
}

impl From<(u64, String)> for Place {
    fn from((last_access, name): (u64, String)) -> Self {
        Self { last_access, name }
    }
}

fn is_behind(place: &Place, after: Option<&Place>) -> bool {
    after.is_none_or(|after| place < after)
}

/// What is known of these people: one round trip.
async fn read(redis: &mut ConnectionManager, places: &[Place]) -> Result<Vec<(Place, ActiveUser)>, StoreError> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipe = redis::pipe();
    for Place { name, .. } in places {
        pipe.cmd("HMGET").arg(format!("{ACTIVITY_OF}{name}")).arg(&ACTIVITY_FIELDS).get(format!("{METADATA}{name}"));
        // Whether a ban holds is the feed's to say: other programs may spell the name of its record otherwise.
        pipe.scard(format!("{ACTIVE_USER}{name}")).hget(ENTRIES, entry::field(Kind::Ban, &fold(Kind::Ban, name)));
    }
    let answers = foreign::read(pipe, redis).await?;
    let users = places.iter().zip(answers.chunks(4));
    Ok(users.filter_map(|(place, answer)| Some((place.clone(), user(place, answer)?))).collect())
}

fn user(place: &Place, answer: &[Value]) -> Option<ActiveUser> {
    let [activity, metadata, in_use, ban] = answer else { return None };
    let activity: Vec<Option<String>> = from_redis_value(activity.clone()).unwrap_or_default();
    let activity: HashMap<&str, String> =
        ACTIVITY_FIELDS.into_iter().zip(activity).filter_map(|(field, value)| Some((field, value?))).collect();
    let metadata: Option<String> = from_redis_value(metadata.clone()).ok().flatten();
    let metadata: Map<String, serde_json::Value> =
        metadata.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let text = |name: &str| metadata.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
    let number = |ours: &str, theirs: &str| {
        let known = activity.get(ours).and_then(|value| value.parse().ok());
        known.or_else(|| metadata.get(theirs).and_then(serde_json::Value::as_u64))
    };
    let last_access = number("last_access", "last_access").map_or(UnixSeconds(place.last_access), UnixSeconds);
    let first_access = number("first_access", "created_at").map_or(last_access, UnixSeconds);
    let ban: Option<String> = from_redis_value(ban.clone()).ok().flatten();
    Some(ActiveUser {
        subject: Subject::try_from(place.name.clone()).ok()?,
        method: activity.get("method").cloned().or_else(|| text("auth_method")).unwrap_or_else(|| "unknown".to_owned()),
        in_use: from_redis_value(in_use.clone()).unwrap_or(0),
        first_access,
        last_access,
        expires_at: number("expires_at", "expires_at").map_or_else(|| first_access.plus(ACTIVE_S), UnixSeconds),
        requests: activity.get("requests").and_then(|value| value.parse().ok()),
        address: activity.get("address").and_then(|value| value.parse().ok()),
        token_name: text("token_name"),
        ban: ban.and_then(|ban| time_left(&place.name, &ban)),
    })
}

/// What is left of a ban, by its entry in the feed.
fn time_left(name: &str, ban: &str) -> Option<TimeLeft> {
    match entry::parse(&entry::field(Kind::Ban, name), ban).ok()?.says {
        Says::Holds { until: FOREVER, .. } => Some(TimeLeft::Permanent),
        Says::Holds { until, .. } => {
            let left = until.saturating_sub(UnixSeconds::now().get());
            (left > 0).then_some(TimeLeft::Seconds(left))
        }
        Says::Lifted { .. } => None,
    }
}

/// Puts people in order whom other programs saw.
async fn adopt(redis: &mut ConnectionManager) -> Result<(), StoreError> {
    let mut cursor = 0_u64;
    loop {
        let (next, names) = scan::members(redis, ACTIVE_USERS, cursor, STEP).await?;
        if !names.is_empty() {
            let known: Vec<Option<f64>> = redis::cmd("ZMSCORE").arg(SEEN).arg(&names).query_async(redis).await?;
            let new = names.into_iter().zip(known).filter(|(_, known)| known.is_none());
            let places: Vec<Place> = new.map(|(name, _)| Place { last_access: 0, name }).collect();
            let names: Vec<String> = places.iter().map(|place| place.name.clone()).collect();
            let active = cleanup::are_active(redis, &names).await?;
            let places: Vec<Place> =
                places.into_iter().zip(active).filter(|(_, active)| *active).map(|(place, _)| place).collect();
            let mut pipe = redis::pipe();
            for (found, user) in read(redis, &places).await? {
                place(&mut pipe, &found.name, None, user.last_access.get(), user.expires_at.get());
            }
            if !pipe.is_empty() {
                pipe.exec_async(redis).await?;
            }
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}
