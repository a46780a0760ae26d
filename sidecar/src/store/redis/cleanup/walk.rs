//! Finding leftovers, step by step.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join;
use redis::aio::ConnectionManager;
use redis::{Value, from_redis_value};

use super::{STEP, USER_TOKENS, are_active, exist, lenient, usage};
use crate::domain::cleanup::{Counts, Item, Kind};
use crate::service::cleanup::{Cursor, Step};
use crate::service::error::StoreError;
use crate::store::redis::active_users::{ACTIVE_USERS, METADATA};
use crate::store::redis::keys::TOKEN_INFO;
use crate::store::redis::scan::{self, Text, texts};
use crate::store::redis::tokens;

/// Most keys that an estimate asks for, of each kind.
const SAMPLE: usize = 100;

/// Where there may be leftovers. A new place is a row here, and a branch in [`step`].
const PLACES: [Place; 3] = [Place::Keys, Place::ActiveUsers, Place::TokenOrders];
/// Every key of [`Place::Keys`], and few others. One pattern: a walk looks at each key that there is.
const KEYS: &str = "*user*:*";

#[derive(Debug, Clone, Copy)]
enum Place {
    /// `user:tokens:{email}`, with ids of tokens, and `active_user_metadata:{email}`.
    Keys,
    /// `active_users`: e-mails.
    ActiveUsers,
    /// Our own orders of tokens: those that have an end leave by themselves with it, those that were deleted do not.
    TokenOrders,
}

/// Where the walk of each place begins.
pub(super) fn places() -> Vec<Cursor> {
    (0..PLACES.len()).map(|place| Cursor { place, at: 0 }).collect()
}

/// One step of a walk.
pub(super) async fn step(redis: &mut ConnectionManager, from: Cursor) -> Result<Step, StoreError> {
    let Some(place) = PLACES.get(from.place) else { return Ok(Step { found: Vec::new(), next: None }) };
    let (next, found) = match place {
        Place::Keys => {
            let (next, keys) = scan::keys(redis, KEYS, from.at, STEP).await?;
            // A walk may show one twice.
            let keys = keys.into_iter().collect();
            let (tokens, people) =
                try_join(ended_tokens(&mut redis.clone(), &keys), orphaned_metadata(redis, &keys)).await?;
            (next, [tokens, people].concat())
        }
        Place::ActiveUsers => {
            let (next, names) = scan::members(redis, ACTIVE_USERS, from.at, STEP).await?;
            let found = inactive(redis, names).await?;
            (next, found.into_iter().map(|name| person(Kind::InactiveUser, ACTIVE_USERS.to_owned(), name)).collect())
        }
        Place::TokenOrders => {
            let (next, members) = scan::scored(redis, tokens::CREATED, from.at, "*", STEP).await?;
            let ids = members.into_iter().map(|(id, _)| id).collect();
            let item = |id| Item {
                kind: Kind::OrphanedIndexEntry,
                user_email: None,
                token_id: Some(id),
                key: tokens::CREATED.to_owned(),
            };
            (next, ended(redis, ids).await?.into_iter().map(item).collect())
        }
    };
    Ok(Step { found, next: (next != 0).then_some(Cursor { at: next, ..from }) })
}

pub(super) fn person(kind: Kind, key: String, name: String) -> Item {
    Item { kind, user_email: Some(name), token_id: None, key }
}

/// What these keys hold of people who are not active.
async fn orphaned_metadata(redis: &mut ConnectionManager, keys: &BTreeSet<String>) -> Result<Vec<Item>, StoreError> {
    let names = keys.iter().filter_map(|key| key.strip_prefix(METADATA)).map(str::to_owned).collect();
    let item = |name| person(Kind::OrphanedMetadata, format!("{METADATA}{name}"), name);
    Ok(inactive(redis, names).await?.into_iter().map(item).collect())
}

/// Those of these people who are not active.
pub(super) async fn inactive(redis: &mut ConnectionManager, names: Vec<String>) -> Result<Vec<String>, StoreError> {
    let active = are_active(redis, &names).await?;
    Ok(names.into_iter().zip(active).filter(|(_, active)| !active).map(|(name, _)| name).collect())
}

/// Those of these tokens that have no record.
async fn ended(redis: &mut ConnectionManager, ids: Vec<String>) -> Result<Vec<String>, StoreError> {
    let records: Vec<String> = ids.iter().map(|id| format!("{TOKEN_INFO}{id}")).collect();
    let exist = exist(redis, &records).await?;
    Ok(ids.into_iter().zip(exist).filter(|(_, exists)| !exists).map(|(id, _)| id).collect())
}

/// The ids in these sets whose tokens have no record.
async fn ended_tokens(redis: &mut ConnectionManager, keys: &BTreeSet<String>) -> Result<Vec<Item>, StoreError> {
    let mut found = Vec::new();
    let mut open: Vec<(&String, u64)> =
        keys.iter().filter(|key| key.starts_with(USER_TOKENS)).map(|key| (key, 0)).collect();
    while !open.is_empty() {
        let mut still_open = Vec::new();
        for sets in open.chunks(STEP) {
            let mut pipe = redis::pipe();
            for (key, at) in sets {
                pipe.cmd("SSCAN").arg(*key).arg(*at).arg("COUNT").arg(STEP);
            }
            let (mut of, mut ids) = (Vec::new(), Vec::new());
            for ((key, _), answer) in sets.iter().zip(lenient(pipe, redis).await?) {
                let (next, members): (u64, Vec<Text>) = from_redis_value(answer).unwrap_or_default();
                let members = texts(members);
                if next != 0 {
                    still_open.push((*key, next));
                }
                of.extend(members.iter().map(|id| (id.clone(), *key)));
                ids.extend(members);
            }
            let ended: BTreeSet<String> = ended(redis, ids).await?.into_iter().collect();
            found.extend(of.into_iter().filter(|(id, _)| ended.contains(id)).map(|(id, key)| token(id, key)));
        }
        open = still_open;
    }
    Ok(found)
}

fn token(id: String, key: &str) -> Item {
    let email = key.strip_prefix(USER_TOKENS).unwrap_or(key).to_owned();
    Item { kind: Kind::OrphanedJwtTokenId, user_email: Some(email), token_id: Some(id), key: key.to_owned() }
}

/// Roughly how many bytes leftovers take: what a sample takes, for as many as there are.
pub(super) async fn estimate(
    redis: &mut ConnectionManager,
    sample: &[Item],
    counts: &Counts,
) -> Result<u64, StoreError> {
    let mut total = 0;
    for (kind, count) in [
        (Kind::OrphanedJwtTokenId, counts.token_ids),
        (Kind::OrphanedMetadata, counts.metadata),
        (Kind::InactiveUser, counts.active_users),
        (Kind::OrphanedIndexEntry, counts.index_entries),
    ] {
        let mut leftovers: BTreeMap<&str, u64> = BTreeMap::new();
        for item in sample.iter().filter(|item| item.kind == kind) {
            if leftovers.len() < SAMPLE || leftovers.contains_key(item.key.as_str()) {
                *leftovers.entry(&item.key).or_default() += 1;
            }
        }
        let sampled: u64 = leftovers.values().sum();
        let bytes = bytes_of(redis, &leftovers).await?;
        // A token is in several orders.
        let times = if kind == Kind::OrphanedIndexEntry { tokens::BY_ID.len() as u64 } else { 1 };
        total += (bytes * count * times).checked_div(sampled).unwrap_or(0);
    }
    Ok(total)
}

/// How many bytes so many members of each of these keys take.
async fn bytes_of(redis: &mut ConnectionManager, leftovers: &BTreeMap<&str, u64>) -> Result<u64, StoreError> {
    let keys: Vec<String> = leftovers.keys().map(|key| (*key).to_owned()).collect();
    let mut pipe = redis::pipe();
    for key in &keys {
        pipe.scard(key).zcard(key);
    }
    let number = |value: &Value| from_redis_value::<u64>(value.clone()).unwrap_or(0);
    let members = lenient(pipe, redis).await?;
    let members = members.chunks(2).map(|cards| cards.iter().map(number).max().unwrap_or(0));
    let bytes = usage(redis, &keys).await?;
    let each = bytes.into_iter().zip(members).zip(leftovers.values());
    // What has no members goes as a whole.
    Ok(each.map(|((bytes, members), left)| (bytes * left.min(&members)).checked_div(members).unwrap_or(bytes)).sum())
}
