//! Deleting leftovers: each is looked at once more, right before.

use std::collections::BTreeMap;

use redis::aio::ConnectionManager;
use redis::{Pipeline, Value, from_redis_value};

use super::{are_active, exist, lenient, usage};
use crate::domain::cleanup::{Item, Kind};
use crate::service::cleanup::Removed;
use crate::service::error::StoreError;
use crate::store::redis::active_users::ACTIVE_USERS;
use crate::store::redis::keys::TOKEN_INFO;
use crate::store::redis::tokens;

/// Deletes those of `items` that still are leftovers.
pub(super) async fn all(redis: &mut ConnectionManager, items: &[Item]) -> Result<Removed, StoreError> {
    let of = |kind: Kind| items.iter().filter(move |item| item.kind == kind).collect::<Vec<_>>();
    let mut removed = Removed::default();
    for step in [
        token_ids(redis, &of(Kind::OrphanedJwtTokenId)).await?,
        metadata(redis, &of(Kind::OrphanedMetadata)).await?,
        active_users(redis, &of(Kind::InactiveUser)).await?,
        index_entries(redis, &of(Kind::OrphanedIndexEntry)).await?,
    ] {
        removed.items.extend(step.items);
        removed.freed += step.freed;
    }
    Ok(removed)
}

/// Those whose tokens have no record, with their ids.
async fn ended<'a>(redis: &mut ConnectionManager, items: &[&'a Item]) -> Result<Vec<(&'a Item, &'a str)>, StoreError> {
    let with_ids: Vec<(&Item, &str)> =
        items.iter().filter_map(|item| Some((*item, item.token_id.as_deref()?))).collect();
    let records: Vec<String> = with_ids.iter().map(|(_, id)| format!("{TOKEN_INFO}{id}")).collect();
    let exist = exist(redis, &records).await?;
    Ok(with_ids.into_iter().zip(exist).filter(|(_, exists)| !exists).map(|(item, _)| item).collect())
}

/// Those of people who are not active, with their names.
async fn inactive<'a>(
    redis: &mut ConnectionManager,
    items: &[&'a Item],
) -> Result<Vec<(&'a Item, &'a str)>, StoreError> {
    let with_names: Vec<(&Item, &str)> =
        items.iter().filter_map(|item| Some((*item, item.user_email.as_deref()?))).collect();
    let active = are_active(redis, &names(&with_names)).await?;
    Ok(with_names.into_iter().zip(active).filter(|(_, active)| !active).map(|(item, _)| item).collect())
}

fn names(items: &[(&Item, &str)]) -> Vec<String> {
    items.iter().map(|(_, name)| (*name).to_owned()).collect()
}

/// The answers to a pipeline of removals: how many each removed.
async fn removals(redis: &mut ConnectionManager, pipe: Pipeline) -> Result<Vec<u64>, StoreError> {
    let count = |answer: Value| from_redis_value(answer).unwrap_or(0);
    Ok(lenient(pipe, redis).await?.into_iter().map(count).collect())
}

/// How many bytes less these keys take now than before.
async fn freed(redis: &mut ConnectionManager, keys: &[String], before: Vec<u64>) -> Result<u64, StoreError> {
    let after = usage(redis, keys).await?;
    Ok(before.into_iter().zip(after).map(|(before, after)| before.saturating_sub(after)).sum())
}

async fn token_ids(redis: &mut ConnectionManager, items: &[&Item]) -> Result<Removed, StoreError> {
    let gone = ended(redis, items).await?;
    let sets: BTreeMap<&str, &Item> = gone.iter().map(|(item, _)| (item.key.as_str(), *item)).collect();
    let keys: Vec<String> = sets.keys().map(|key| (*key).to_owned()).collect();
    let before = usage(redis, &keys).await?;
    let mut pipe = redis::pipe();
    for (item, id) in &gone {
        pipe.srem(&item.key, *id);
    }
    let counts = removals(redis, pipe).await?;
    let mut removed = Removed { items: taken(gone, &counts), freed: freed(redis, &keys, before).await? };
    // Redis drops a set with its last member.
    let exist = exist(redis, &keys).await?;
    let emptied = sets
        .into_values()
        .zip(exist)
        .filter(|(set, exists)| !exists && removed.items.iter().any(|item| item.key == set.key));
    let emptied: Vec<Item> =
        emptied.map(|(set, _)| Item { kind: Kind::EmptyTokenSet, token_id: None, ..set.clone() }).collect();
    removed.items.extend(emptied);
    Ok(removed)
}

/// Those of which a member was removed: somebody else may have been quicker.
fn taken(items: Vec<(&Item, &str)>, counts: &[u64]) -> Vec<Item> {
    items.into_iter().zip(counts).filter(|(_, count)| **count > 0).map(|((item, _), _)| item.clone()).collect()
}

async fn metadata(redis: &mut ConnectionManager, items: &[&Item]) -> Result<Removed, StoreError> {
    let gone = inactive(redis, items).await?;
    let keys: Vec<String> = gone.iter().map(|(item, _)| item.key.clone()).collect();
    let bytes = usage(redis, &keys).await?;
    let mut pipe = redis::pipe();
    for key in &keys {
        pipe.get(key).pttl(key);
    }
    let values = lenient(pipe, redis).await?;
    let mut pipe = redis::pipe();
    for key in &keys {
        pipe.unlink(key);
    }
    let counts = removals(redis, pipe).await?;
    // Whoever came back since the look before has it back, unless there is a newer one.
    let back = are_active(redis, &names(&gone)).await?;
    let mut pipe = redis::pipe();
    for ((key, value), _) in keys.iter().zip(values.chunks(2)).zip(&back).filter(|(_, back)| **back) {
        restore(&mut pipe, key, value);
    }
    lenient(pipe, redis).await?;
    let counts: Vec<u64> = counts.into_iter().zip(back).map(|(count, back)| if back { 0 } else { count }).collect();
    let freed = bytes.into_iter().zip(&counts).map(|(bytes, count)| bytes * count).sum();
    Ok(Removed { items: taken(gone, &counts), freed })
}

/// Puts back what was deleted, with the life that it had.
fn restore(pipe: &mut Pipeline, key: &str, value: &[Value]) {
    let [value, life] = value else { return };
    let Ok(Some(text)) = from_redis_value::<Option<String>>(value.clone()) else { return };
    pipe.cmd("SET").arg(key).arg(text).arg("NX");
    // −1: it has no end.
    if let Some(life_ms) = from_redis_value::<i64>(life.clone()).ok().filter(|life_ms| *life_ms >= 0) {
        pipe.arg("PX").arg(life_ms.max(1));
    }
}

async fn active_users(redis: &mut ConnectionManager, items: &[&Item]) -> Result<Removed, StoreError> {
    let gone = inactive(redis, items).await?;
    let keys = [ACTIVE_USERS.to_owned()];
    let before = if gone.is_empty() { Vec::new() } else { usage(redis, &keys).await? };
    let mut pipe = redis::pipe();
    for (_, name) in &gone {
        pipe.srem(ACTIVE_USERS, *name);
    }
    let counts = removals(redis, pipe).await?;
    let back = are_active(redis, &names(&gone)).await?;
    let mut pipe = redis::pipe();
    for ((_, name), _) in gone.iter().zip(&back).filter(|(_, back)| **back) {
        pipe.sadd(ACTIVE_USERS, *name);
    }
    lenient(pipe, redis).await?;
    let counts: Vec<u64> = counts.into_iter().zip(back).map(|(count, back)| if back { 0 } else { count }).collect();
    let freed = if before.is_empty() { 0 } else { freed(redis, &keys, before).await? };
    Ok(Removed { items: taken(gone, &counts), freed })
}

async fn index_entries(redis: &mut ConnectionManager, items: &[&Item]) -> Result<Removed, StoreError> {
    let gone = ended(redis, items).await?;
    let keys = tokens::BY_ID.map(str::to_owned);
    let before = if gone.is_empty() { Vec::new() } else { usage(redis, &keys).await? };
    let mut pipe = redis::pipe();
    for (_, id) in &gone {
        for order in &keys {
            pipe.zrem(order, *id);
        }
    }
    let counts: Vec<u64> = removals(redis, pipe).await?.chunks(keys.len()).map(|orders| orders.iter().sum()).collect();
    let freed = if before.is_empty() { 0 } else { freed(redis, &keys, before).await? };
    Ok(Removed { items: taken(gone, &counts), freed })
}
