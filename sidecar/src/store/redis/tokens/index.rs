//! Tokens in order: sorted sets under one hash tag, so that one script changes them together.
//!
//! By a time: the score is the time, the member the id. By a text: the score is 0, the member the text and the id, so
//! that Redis sorts by it; those by address are what a search walks over. A token's record is written before it is put in
//! order, so one that is in order and has no record has ended.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use async_trait::async_trait;
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, Pipeline, Script, ScriptInvocation};
use sekisho_protocol::Email;

use super::{HOLD, RedisTokens, STEP, info_key, parse, place_held, read, revoked_key, user_key};
use crate::domain::page::Direction;
use crate::domain::search::Search;
use crate::domain::time::UnixSeconds;
use crate::domain::token::order::{Key, Position, SEPARATOR, Sort};
use crate::domain::token::{Status, StoredToken, Summary, TokenId, TokenRecord};
use crate::service::error::StoreError;
use crate::service::tokens::listing::{Adopt, Found, Standing, TokenIndex};
use crate::store::redis::keys::TOKEN_INFO;
use crate::store::redis::ranked::{LATEST, Ranked};
use crate::store::redis::scan::{self, Overdue};
use crate::store::redis::{foreign, texts};

pub(in crate::store::redis) const CREATED: &str = "sekisho:{tokens}:created";
const EXPIRES: &str = "sekisho:{tokens}:expires";
pub(in crate::store::redis) const USED: &str = "sekisho:{tokens}:used";
const BY_EMAIL: &str = "sekisho:{tokens}:email";
const BY_NAME: &str = "sekisho:{tokens}:name";
/// By their end, those that are known to be revoked.
const REVOKED: &str = "sekisho:{tokens}:revoked";
/// Those of which the members are ids.
pub(in crate::store::redis) const BY_ID: [&str; 4] = [EXPIRES, USED, REVOKED, CREATED];
/// There while it is too early to look for other programs' tokens again.
const NOT_DUE: &str = "sekisho:{tokens}:not_due";
/// How long it is too early, in seconds.
const DUE_EVERY_S: u64 = 60;
/// So many steps of expired tokens one call prunes.
const PRUNE_STEPS: usize = 20;

/// Puts a token among those that are revoked, if it is in order. KEYS: created, revoked. ARGV: id, expires_at.
const NOTE_REVOKED: &str =
    "if redis.call('ZSCORE', KEYS[1], ARGV[1]) then redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1]) end";

static INDEX: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/index_token.lua")));
static FORGET_TEXTS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/forget_texts.lua")));

fn key(sort: Sort) -> &'static str {
    match sort {
        Sort::CreatedAt => CREATED,
        Sort::ExpiresAt => EXPIRES,
        Sort::LastUsed => USED,
        Sort::UserEmail => BY_EMAIL,
        Sort::TokenName => BY_NAME,
    }
}

/// Puts a token in order, and into its owner's set.
pub(super) async fn add(redis: &mut ConnectionManager, record: &TokenRecord) -> Result<(), StoreError> {
    if let Some(owner) = record.owner() {
        let _: () = redis.sadd(user_key(&owner), &record.token_id).await?;
    }
    Ok(ordering(record).invoke_async(redis).await?)
}

/// What puts a token in order.
fn ordering(record: &TokenRecord) -> ScriptInvocation<'static> {
    let member = |sort| Position::of(record, sort).to_string();
    let mut call = INDEX.key(CREATED);
    call.key(EXPIRES).key(USED).key(BY_EMAIL).key(BY_NAME).arg(&record.token_id);
    for time in [record.created_at, record.expires_at, record.last_used.unwrap_or(0)] {
        call.arg(time.min(LATEST));
    }
    call.arg(member(Sort::UserEmail)).arg(member(Sort::TokenName));
    call
}

/// Counts a token as revoked, if it is in order: what is not would never be forgotten, and is counted once it is adopted.
pub(super) fn note_revoked(pipeline: &mut Pipeline, record: &TokenRecord) {
    // By its text: a pipeline names scripts by their digest only.
    pipeline.cmd("EVAL").arg(NOTE_REVOKED).arg(2).arg(CREATED).arg(REVOKED);
    pipeline.arg(&record.token_id).arg(record.expires_at.min(LATEST));
}

#[async_trait]
impl TokenIndex for RedisTokens {
    async fn walk(
        &self,
        sort: Sort,
        direction: Direction,
        after: Option<&Position>,
        limit: usize,
    ) -> Result<Vec<Standing>, StoreError> {
        let mut redis = self.client.shared();
        let mut at = start(&mut redis, sort, direction, after).await?;
        let mut found = Vec::new();
        while found.len() < limit {
            let step = take(&mut redis, sort, direction, &mut at, STEP.min(limit - found.len())).await?;
            if step.is_empty() {
                break;
            }
            let is_behind = |position: &Position| match (after, direction) {
                (None, _) => true,
                (Some(after), Direction::Asc) => position > after,
                (Some(after), Direction::Desc) => position < after,
            };
            let positions: Vec<Position> = step.into_iter().filter(is_behind).collect();
            let ids: Vec<String> = positions.iter().map(|position| position.id.clone()).collect();
            let tokens = read(&mut redis, &ids).await?;
            found.extend(positions.into_iter().zip(tokens).map(|(position, row)| Standing { position, row }));
        }
        tidy(&mut redis, &found).await?;
        Ok(found)
    }

    async fn find_all(&self, search: &Search, most: usize) -> Result<Found, StoreError> {
        let mut redis = self.client.shared();
        let Some(ids) = texts::find(&mut redis, BY_EMAIL, search, most).await? else { return Ok(Found::TooMany) };
        Ok(Found::All(read(&mut redis, &ids).await?.into_iter().flatten().collect()))
    }

    async fn summary(&self, now: UnixSeconds) -> Result<Summary, StoreError> {
        self.prune(now).await?;
        let mut redis = self.client.shared();
        let mut pipeline = redis::pipe();
        let living = format!("({}", now.get());
        pipeline.zcard(CREATED).zcard(REVOKED).zcount(EXPIRES, &living, "+inf").zcount(REVOKED, &living, "+inf");
        let (total, revoked, living, living_revoked): (usize, usize, usize, usize) =
            pipeline.query_async(&mut redis).await?;
        let active = living.saturating_sub(living_revoked);
        Ok(Summary { total, active, revoked, expired: total.saturating_sub(active).saturating_sub(revoked) })
    }

    async fn adopt(&self, when: Adopt) -> Result<(), StoreError> {
        let mut redis = self.client.shared();
        let is_due = match when {
            Adopt::Now => true,
            Adopt::IfDue => {
                let mut set = redis::cmd("SET");
                set.arg(NOT_DUE).arg(1).arg("NX").arg("EX").arg(DUE_EVERY_S);
                set.query_async::<Option<String>>(&mut redis).await?.is_some()
            }
        };
        if !is_due {
            return Ok(());
        }
        let mut cursor = 0_u64;
        loop {
            let (next, keys) = scan::keys(&mut redis, &format!("{TOKEN_INFO}*"), cursor, STEP).await?;
            let ids = keys.iter().filter_map(|key| key.strip_prefix(TOKEN_INFO));
            let ids = ids.filter(|id| TokenId::parse(id).is_ok()).map(str::to_owned).collect();
            adopt_those(&mut redis, ids).await?;
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn count_issued(
        &self,
        email: &Email,
        issued: Range<UnixSeconds>,
        now: UnixSeconds,
    ) -> Result<usize, StoreError> {
        let mut redis = self.client.shared();
        let (mut cursor, mut ids) = (0_u64, BTreeSet::new());
        loop {
            let (next, members) = scan::members(&mut redis, &user_key(email), cursor, STEP).await?;
            ids.extend(members);
            if next == 0 {
                break;
            }
            cursor = next;
        }
        let (ids, mut count): (Vec<String>, usize) = (ids.into_iter().collect(), 0);
        for ids in ids.chunks(STEP) {
            let mut pipeline = redis::pipe();
            for id in ids {
                pipeline.get(info_key(id)).exists(revoked_key(id));
            }
            let answers = foreign::read(pipeline, &mut redis).await?;
            let tokens = ids.iter().zip(answers.chunks(2)).filter_map(|(id, answer)| parse(id, answer));
            let is_one = |token: &StoredToken| {
                issued.contains(&UnixSeconds(token.record.created_at)) && token.status(now) == Status::Active
            };
            count += tokens.filter(is_one).count();
        }
        Ok(count)
    }

    async fn prune(&self, now: UnixSeconds) -> Result<(), StoreError> {
        let mut redis = self.client.shared();
        let mut kept = 0;
        for _ in 0..PRUNE_STEPS {
            let Overdue { looked, gone } = scan::overdue(&mut redis, EXPIRES, now, (kept, STEP), info_key).await?;
            if looked == 0 {
                break;
            }
            kept += looked - gone.len();
            forget(&mut redis, &gone.iter().map(String::as_str).collect::<Vec<_>>()).await?;
        }
        Ok(())
    }

    async fn prune_texts(&self, cursor: u64) -> Result<u64, StoreError> {
        let mut redis = self.client.shared();
        let (next, members) = scan::scored(&mut redis, BY_EMAIL, cursor, "*", STEP).await?;
        let emails: Vec<String> = members.into_iter().map(|(member, _)| member).collect();
        let names: Vec<String> = emails.iter().filter_map(|member| turned(member)).collect();
        for (order, members) in [(BY_NAME, names), (BY_EMAIL, emails)] {
            if !members.is_empty() {
                let mut call = FORGET_TEXTS.key(CREATED);
                call.key(order);
                for member in members {
                    call.arg(member);
                }
                let _: usize = call.invoke_async(&mut redis).await?;
            }
        }
        Ok(next)
    }
}

/// Puts those of `ids` in order that are in none yet.
async fn adopt_those(redis: &mut ConnectionManager, ids: Vec<String>) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let known: Vec<Option<f64>> = redis::cmd("ZMSCORE").arg(CREATED).arg(&ids).query_async(redis).await?;
    let new: Vec<String> = ids.into_iter().zip(known).filter(|(_, known)| known.is_none()).map(|(id, _)| id).collect();
    let mut pipeline = redis::pipe();
    for token in read(redis, &new).await?.into_iter().flatten() {
        if let Some(owner) = token.record.owner() {
            pipeline.sadd(user_key(&owner), &token.record.token_id);
        }
        if let Some(call) = place_held(&token.record).filter(|_| !token.is_revoked) {
            pipeline.invoke_script(&call);
        }
        // What was cut short before this is done again.
        pipeline.invoke_script(&ordering(&token.record));
        if token.is_revoked {
            note_revoked(&mut pipeline, &token.record);
        }
    }
    if pipeline.is_empty() {
        return Ok(());
    }
    // A pipeline names scripts by their digest only.
    INDEX.load_async(redis).await?;
    HOLD.load_async(redis).await?;
    // One owner's set that is none must not keep everybody's tokens from being taken in.
    foreign::read(pipeline, redis).await.map(|_| ())
}

/// Where a walk is.
enum At {
    /// In an order by time.
    Time(Ranked),
    /// In an order by text: the bound from which on.
    Text(String),
}

/// Where a walk behind `after` begins.
async fn start(
    redis: &mut ConnectionManager,
    sort: Sort,
    direction: Direction,
    after: Option<&Position>,
) -> Result<At, StoreError> {
    Ok(match (sort, after) {
        (Sort::UserEmail | Sort::TokenName, None) => {
            At::Text(if direction == Direction::Asc { "-" } else { "+" }.to_owned())
        }
        (Sort::UserEmail | Sort::TokenName, Some(after)) => At::Text(format!("({after}")),
        (_, after) => {
            let time = after.and_then(|after| match after.key {
                Key::Time(time) => Some((time, after.id.as_str())),
                Key::Text(_) => None,
            });
            At::Time(Ranked::start(redis, key(sort), direction, time).await?)
        }
    })
}

/// The next positions of a walk.
async fn take(
    redis: &mut ConnectionManager,
    sort: Sort,
    direction: Direction,
    at: &mut At,
    count: usize,
) -> Result<Vec<Position>, StoreError> {
    match at {
        At::Time(walk) => {
            let members = walk.take(redis, count).await?;
            Ok(members.into_iter().map(|(time, id)| Position { key: Key::Time(time), id }).collect())
        }
        At::Text(bound) => {
            let mut range = redis::cmd("ZRANGE");
            range.arg(key(sort));
            match direction {
                Direction::Asc => range.arg(&*bound).arg("+").arg("BYLEX"),
                Direction::Desc => range.arg(&*bound).arg("-").arg("BYLEX").arg("REV"),
            };
            let members: Vec<String> = range.arg("LIMIT").arg(0).arg(count).query_async(redis).await?;
            if let Some(last) = members.last() {
                *bound = format!("({last}");
            }
            let position = |member: String| {
                let (text, id) = member.rsplit_once(SEPARATOR)?;
                Some(Position { key: Key::Text(text.to_owned()), id: id.to_owned() })
            };
            Ok(members.into_iter().filter_map(position).collect())
        }
    }
}

/// Takes out of the orders what ended, and counts what was found to be revoked.
async fn tidy(redis: &mut ConnectionManager, found: &[Standing]) -> Result<(), StoreError> {
    let gone: Vec<&str> =
        found.iter().filter(|standing| standing.row.is_none()).map(|standing| standing.position.id.as_str()).collect();
    forget(redis, &gone).await?;
    let texts = found.iter().filter(|standing| standing.row.is_none() && matches!(standing.position.key, Key::Text(_)));
    let mut members: Vec<String> = texts.map(|standing| standing.position.to_string()).collect();
    members.extend(members.iter().filter_map(|member| turned(member)).collect::<Vec<_>>());
    let mut pipeline = redis::pipe();
    if !members.is_empty() {
        // Each is in one of the two.
        pipeline.zrem(BY_EMAIL, &members).ignore().zrem(BY_NAME, &members).ignore();
    }
    for token in found.iter().filter_map(|standing| standing.row.as_ref()).filter(|token| token.is_revoked) {
        note_revoked(&mut pipeline, &token.record);
    }
    if pipeline.is_empty() { Ok(()) } else { Ok(pipeline.exec_async(redis).await?) }
}

/// Takes tokens out of the orders by time. Those by text follow: see [`TokenIndex::prune_texts`].
pub(super) async fn forget(redis: &mut ConnectionManager, ids: &[&str]) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut pipeline = redis::pipe();
    for order in BY_ID {
        pipeline.zrem(order, ids).ignore();
    }
    Ok(pipeline.exec_async(redis).await?)
}

/// The member of the order by name for one of the order by address, and the other way round.
fn turned(member: &str) -> Option<String> {
    let mut parts = member.split(SEPARATOR);
    let (one, other, id) = (parts.next()?, parts.next()?, parts.next()?);
    Some(format!("{other}{SEPARATOR}{one}{SEPARATOR}{id}"))
}
