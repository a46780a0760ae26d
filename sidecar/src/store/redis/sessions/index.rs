//! Sessions in order: lists under one hash tag, so that one script changes them together.
//!
//! Whoever keeps a session puts it into the lists first, so one that is listed and has no record is just beginning, or its
//! record's time is over. Only the latter is forgotten, at the time at which the record must have ended.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, Script, ScriptInvocation};

use super::{RedisSessions, STEP, ended_key, read, record_key};
use crate::domain::page::Direction;
use crate::domain::search::folded;
use crate::domain::session::{Session, SessionId};
use crate::domain::session_order::{Position, SEPARATOR, Sort, Wanted, texts};
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::sessions::listing::{Found, Review, SessionIndex, Standing, Stats};
use crate::store::redis::keys::{NOT_BEFORE_RECORD, SESSIONS_NOT_BEFORE};
use crate::store::redis::ranked::{LATEST, Ranked};
use crate::store::redis::scan::{self, Overdue};
use crate::store::redis::{not_before, texts as searched};

/// Hash: id → the owner and the member of [`TEXTS`].
const ENTRIES: &str = "sekisho:{sessions}:entries";
/// Sorted set: owners by how many sessions they have.
const USERS: &str = "sekisho:{sessions}:users";
/// Sorted set, all with score 0: the texts of a session that are looked into, and its id.
const TEXTS: &str = "sekisho:{sessions}:texts";
/// Sorted set: ids by when the session was used last.
const USED: &str = "sekisho:{sessions}:used";
/// Sorted set: ids by when its owner signed in.
const BEGUN: &str = "sekisho:{sessions}:begun";
/// Sorted set: ids by when the session's record ends, if nobody uses it.
const ENDS: &str = "sekisho:{sessions}:ends";
/// All of them, in the order in which the scripts take them.
const LISTS: [&str; 6] = [ENTRIES, USERS, TEXTS, USED, BEGUN, ENDS];
/// Sessions that one step forgets: two milliseconds for Redis.
const FORGET_STEP: usize = 250;
/// So many steps of sessions whose time is over one call forgets.
const PRUNE_STEPS: usize = 40;

static INDEX: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/index_session.lua")));
static FORGET: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/forget_sessions.lua")));

fn on_lists(script: &'static Script) -> ScriptInvocation<'static> {
    let mut call = script.prepare_invoke();
    for list in LISTS {
        call.key(list);
    }
    call
}

/// Puts a session into the lists, whose record ends at `end`.
pub(super) async fn add(redis: &mut ConnectionManager, session: &Session, end: UnixSeconds) -> Result<(), StoreError> {
    let mut call = on_lists(&INDEX);
    call.arg(session.id.as_str()).arg(session.subject.as_str());
    call.arg(format!("{}{SEPARATOR}{}", texts(session), session.id));
    for time in [session.last_access, session.signed_in_at, end] {
        call.arg(time.get().min(LATEST));
    }
    Ok(call.invoke_async(redis).await?)
}

/// Tells the lists that a session was used. One that is in none stays out: it may have been ended meanwhile.
pub(super) async fn touch(
    redis: &mut ConnectionManager,
    session: &Session,
    end: UnixSeconds,
) -> Result<(), StoreError> {
    let mut pipeline = redis::pipe();
    for (list, time) in [(USED, session.last_access), (ENDS, end)] {
        pipeline
            .cmd("ZADD")
            .arg(list)
            .arg("XX")
            .arg("GT")
            .arg(time.get().min(LATEST))
            .arg(session.id.as_str())
            .ignore();
    }
    Ok(pipeline.exec_async(redis).await?)
}

/// Takes sessions out of the lists; how many were in them.
pub(super) async fn forget(redis: &mut ConnectionManager, ids: &[&str]) -> Result<usize, StoreError> {
    let mut forgotten = 0;
    for ids in ids.chunks(FORGET_STEP) {
        let mut call = on_lists(&FORGET);
        for id in ids {
            call.arg(*id);
        }
        forgotten += call.invoke_async::<usize>(redis).await?;
    }
    Ok(forgotten)
}

#[async_trait]
impl SessionIndex for RedisSessions {
    async fn walk(
        &self,
        sort: Sort,
        direction: Direction,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Vec<Standing>, StoreError> {
        let mut redis = self.redis.shared();
        let list = match sort {
            Sort::LastAccess => USED,
            Sort::CreatedAt => BEGUN,
        };
        let from = after.map(|after| (after.time, after.id.as_str()));
        let mut walk = Ranked::start(&mut redis, list, direction, from).await?;
        let mut standings = Vec::new();
        while standings.len() < limit {
            let step = walk.take(&mut redis, STEP.min(limit - standings.len())).await?;
            if step.is_empty() {
                break;
            }
            let position = |(time, id): (u64, String)| Some(Position { time, id: SessionId::parse(&id).ok()? });
            let is_behind = |position: &Position| match (after, direction) {
                (None, _) => true,
                (Some(after), Direction::Asc) => position > after,
                (Some(after), Direction::Desc) => position < after,
            };
            let positions: Vec<Position> = step.into_iter().filter_map(position).filter(is_behind).collect();
            let ids: Vec<&str> = positions.iter().map(|position| position.id.as_str()).collect();
            let known = look(&mut redis, &ids).await?;
            let sessions = known.into_iter().map(Known::holding);
            standings.extend(positions.into_iter().zip(sessions).map(|(position, row)| Standing { position, row }));
        }
        Ok(standings)
    }

    async fn find_all(&self, wanted: &Wanted, most: usize) -> Result<Found, StoreError> {
        let mut redis = self.redis.shared();
        let found = match &wanted.subject {
            Some(subject) => searched::under(&mut redis, TEXTS, &folded(subject.as_str()), most).await?,
            None => searched::find(&mut redis, TEXTS, &wanted.search, most).await?,
        };
        let Some(ids) = found else { return Ok(Found::TooMany) };
        let mut sessions = Vec::new();
        for ids in ids.chunks(STEP) {
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            sessions.extend(look(&mut redis, &ids).await?.into_iter().filter_map(Known::holding));
        }
        Ok(Found::All(sessions))
    }

    async fn count(&self, now: UnixSeconds) -> Result<usize, StoreError> {
        Ok(self.redis.shared().zcount(ENDS, format!("({}", now.get()), "+inf").await?)
    }

    async fn stats(&self, most: usize, now: UnixSeconds) -> Result<Stats, StoreError> {
        self.prune(now).await?;
        let mut pipeline = redis::pipe();
        pipeline.zcount(ENDS, format!("({}", now.get()), "+inf").zcard(USERS);
        pipeline.cmd("ZRANGE").arg(USERS).arg(0).arg(most.saturating_sub(1)).arg("REV").arg("WITHSCORES");
        let (sessions, users, of_users): (usize, usize, Vec<(String, usize)>) =
            pipeline.query_async(&mut self.redis.shared()).await?;
        Ok(Stats { sessions, users, of_users })
    }

    async fn prune(&self, now: UnixSeconds) -> Result<usize, StoreError> {
        let mut redis = self.redis.shared();
        let (mut forgotten, mut kept) = (0, 0);
        for _ in 0..PRUNE_STEPS {
            let Overdue { looked, gone } =
                scan::overdue(&mut redis, ENDS, now, (kept, FORGET_STEP), record_key).await?;
            if looked == 0 {
                break;
            }
            kept += looked - gone.len();
            forgotten += forget(&mut redis, &gone.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        }
        Ok(forgotten)
    }

    async fn review(&self, cursor: u64) -> Result<Review, StoreError> {
        let mut redis = self.redis.shared();
        let (next, members) = scan::scored(&mut redis, ENDS, cursor, "*", STEP).await?;
        let ids: Vec<&str> = members.iter().map(|(id, _)| id.as_str()).collect();
        let known = look(&mut redis, &ids).await?;
        let ended = |known: &Known| matches!(known, Known::Ended);
        let gone: Vec<&str> = ids.iter().zip(&known).filter(|(_, known)| ended(known)).map(|(id, _)| *id).collect();
        forget(&mut redis, &gone).await?;
        let outdated = known.into_iter().filter_map(|known| match known {
            Known::Outdated(session) => Some(*session),
            _ => None,
        });
        Ok(Review { outdated: outdated.collect(), next })
    }
}

/// What is known of a session that is listed.
enum Known {
    /// It holds.
    Holding(Box<Session>),
    /// It began before the moment from which on its owner's sessions are valid.
    Outdated(Box<Session>),
    /// Somebody ended it.
    Ended,
    /// There is no record of it, or none that can be read.
    Nothing,
}

impl Known {
    fn holding(self) -> Option<Session> {
        match self {
            Self::Holding(session) => Some(*session),
            _ => None,
        }
    }
}

/// What is known of each of at most [`STEP`] sessions, in their order: two round trips.
async fn look(redis: &mut ConnectionManager, ids: &[&str]) -> Result<Vec<Known>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut pipeline = redis::pipe();
    for id in ids {
        pipeline.get(record_key(id));
    }
    for id in ids {
        pipeline.exists(ended_key(id));
    }
    let answers: Vec<redis::Value> = pipeline.query_async(redis).await?;
    let (records, ended) = answers.split_at_checked(ids.len()).unwrap_or_default();
    let known = ids.iter().zip(records.iter().zip(ended)).map(|(id, (record, ended))| first_look(id, record, ended));
    let mut known: Vec<Known> = known.collect();
    outdate(redis, &mut known).await?;
    Ok(known)
}

fn first_look(id: &str, record: &redis::Value, ended: &redis::Value) -> Known {
    if redis::from_redis_value::<bool>(ended.clone()).unwrap_or(true) {
        return Known::Ended;
    }
    let Ok(Some(json)) = redis::from_redis_value::<Option<String>>(record.clone()) else { return Known::Nothing };
    match read(id, &json) {
        Ok(session) => Known::Holding(Box::new(session)),
        // One unreadable record is one session that is not shown, not a list that fails.
        Err(error) => {
            tracing::warn!(session.id = id, %error, "the record of a session can't be read");
            Known::Nothing
        }
    }
}

/// Whose owner was logged out everywhere, or banned, since it began, that session is over.
async fn outdate(redis: &mut ConnectionManager, known: &mut [Known]) -> Result<(), StoreError> {
    let owners: BTreeSet<String> = known
        .iter()
        .filter_map(|known| match known {
            Known::Holding(session) => Some(session.subject.to_string()),
            _ => None,
        })
        .collect();
    let owners = || owners.iter().map(String::as_str).collect();
    let logged_out = not_before::of_all(redis, NOT_BEFORE_RECORD, owners()).await?;
    let ended = not_before::of_all(redis, SESSIONS_NOT_BEFORE, owners()).await?;
    for known in known {
        if let Known::Holding(session) = known {
            let owner = session.subject.as_str();
            let moment = logged_out.get(owner).max(ended.get(owner)).copied().unwrap_or(0);
            if session.signed_in_at.get() < moment {
                *known = Known::Outdated(session.clone());
            }
        }
    }
    Ok(())
}
