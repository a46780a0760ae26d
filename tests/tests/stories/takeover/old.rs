//! What the old gateway and its oauth2-proxy kept in Redis, and whether they can still read it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use e2e::World;
use e2e::peers::oauth2_proxy::{Kept, Order, keep};
use e2e::token::{Token, now};
use redis::{Cmd, cmd};
use serde_json::{Value, json};

use super::imported::COOKIE;

/// As whom the old gateway issued tokens.
pub(super) const ISSUER: &str = "llm.example.com";
const DAY_S: u64 = 86_400;
const WEEK_S: u64 = 7 * DAY_S;

/// The tokens that it issued.
pub(super) struct Tokens {
    pub(super) anns: Token,
    /// Another one of hers.
    pub(super) revoked: Token,
    /// Of somebody banned.
    pub(super) mallorys: Token,
}

/// Fills Redis as the old gateway did.
pub(super) async fn fill(world: &World) -> Result<Tokens> {
    let tokens = Tokens {
        anns: issue(world, "ann@example.com", "laptop").await?,
        revoked: issue(world, "ann@example.com", "lost").await?,
        mallorys: issue(world, "mallory@example.com", "laptop").await?,
    };
    world.redis.set(&format!("revoked:token:{}", tokens.revoked.id()), "1", DAY_S).await?;
    world.redis.set("active_user_deleted:Mallory@Example.com", &now().to_string(), WEEK_S).await?;
    let metadata = json!({"email": "ann@example.com", "created_at": now() - 600, "last_access": now() - 60,
        "expire_at": now() + 80_000, "expires_at": now() + 80_000, "session_ttl": DAY_S, "session_count": 1,
        "auth_method": "jwt", "token_name": "laptop"});
    world.redis.set("active_user_metadata:ann@example.com", &metadata.to_string(), 80_000).await?;
    run(world, cmd("SADD").arg("active_user:ann@example.com").arg(tokens.anns.id())).await?;
    run(world, cmd("EXPIRE").arg("active_user:ann@example.com").arg(80_000)).await?;
    run(world, cmd("SADD").arg("active_users").arg("ann@example.com")).await?;
    run(world, cmd("SADD").arg("admin:emails").arg("boss@example.com")).await?;
    let log = json!({"cleanup_id": "cleanup_20260101_030000", "executed_at": now() - 1_000, "executed_by": "cron@system",
        "manual": false, "results": {"orphaned_jwt_token_ids_deleted": 1, "orphaned_metadata_deleted": 0,
        "empty_token_sets_deleted": 0}, "total_deleted": 1, "freed_memory": "1 KB", "duration_ms": 3, "deleted_items": []});
    world.redis.set("cleanup:log:cleanup_20260101_030000", &log.to_string(), 30 * DAY_S).await?;
    run(world, cmd("ZADD").arg("cleanup:logs").arg(now() - 1_000).arg("cleanup_20260101_030000")).await?;
    Ok(tokens)
}

/// A token as the old gateway issued it, on record.
async fn issue(world: &World, email: &str, name: &str) -> Result<Token> {
    let token = world.token_of(email).claim("token_name", name).claim("iss", ISSUER);
    let (id, created_at) = (token.id().to_owned(), now() - DAY_S);
    let record = json!({"token_id": id, "user_email": email, "token_name": name, "scopes": ["api:read", "api:write"],
        "created_at": created_at, "expires_at": now() + DAY_S, "last_used": null});
    world.redis.set(&format!("token:info:{id}"), &record.to_string(), DAY_S).await?;
    run(world, cmd("SADD").arg(format!("user:tokens:{email}")).arg(&id)).await?;
    Ok(token)
}

async fn run(world: &World, command: &Cmd) -> Result<()> {
    let _: redis::Value = world.redis.command(command).await?;
    Ok(())
}

/// A session of its oauth2-proxy, and what it was worth.
pub(super) struct Session {
    /// What is special about it.
    pub(super) what: &'static str,
    pub(super) kept: Kept,
    /// The status of the answer to whoever shows its cookie.
    pub(super) status: u16,
}

/// Signs people in at oauth2-proxy, which is set as its file says.
pub(super) async fn sessions(world: &World) -> Result<Vec<Session>> {
    let of = |email: &str| Order { cookie_name: COOKIE, ..Order::of(email) };
    let long_ago = now() - 3 * DAY_S;
    let (what, orders): (Vec<_>, Vec<_>) = [
        ("Ann's, whose tokens have ended: it is not refreshed", 200, of("ann@example.com").field("eo", now() - 60)),
        ("Bob's", 200, of("bob@example.com")),
        ("Mallory's, who is banned", 403, of("mallory@example.com")),
        ("of another domain", 401, of("eve@elsewhere.example")),
        ("older than two days", 401, of("late@example.com").field("ca", long_ago)),
        ("with a cookie older than two days", 401, Order { signed_at: long_ago, ..of("slow@example.com") }),
        ("under the usual name", 401, Order::of("usual@example.com")),
    ]
    .into_iter()
    .map(|(what, status, order)| ((what, status), order))
    .unzip();
    let kept = keep(&world.redis, &world.keys.cookies, orders).await?;
    Ok(what.into_iter().zip(kept).map(|((what, status), kept)| Session { what, kept, status }).collect())
}

/// What stands under a key, as far as the old gateway looks.
#[derive(Debug, PartialEq, Eq)]
enum Content {
    /// A record that it reads, and that is written anew.
    Json(Value),
    /// A set that only grows.
    Set(BTreeSet<String>),
    /// What nobody has a reason to touch.
    Untouched(Vec<u8>),
}

/// A key that is not ours.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) key: String,
    content: Content,
    /// When Redis forgets it, Unix seconds; negative: never.
    ends_at: i64,
}

/// The beginnings of keys whose records are written by both, the members of these, and of those the ones that change.
const WRITTEN_BY_BOTH: [(&str, &[&str], &[&str]); 2] = [
    (
        "token:info:",
        &["token_id", "user_email", "token_name", "scopes", "created_at", "expires_at", "last_used"],
        &["last_used"],
    ),
    (
        "active_user_metadata:",
        &[
            "email",
            "created_at",
            "last_access",
            "expire_at",
            "expires_at",
            "session_ttl",
            "session_count",
            "auth_method",
        ],
        &["last_access", "session_count", "auth_method", "token_name"],
    ),
];
/// Those of sets.
const SETS: [&str; 3] = ["user:tokens:", "active_user:", "active_users"];

/// All keys that are not ours.
pub(super) async fn records(world: &World) -> Result<Vec<Record>> {
    let mut keys: Vec<String> = world.redis.command(cmd("KEYS").arg("*")).await?;
    keys.retain(|key| !key.starts_with("sekisho:"));
    let mut found = Vec::new();
    for key in keys {
        let content = if WRITTEN_BY_BOTH.iter().any(|(begin, ..)| key.starts_with(begin)) {
            let text: String = world.redis.command(cmd("GET").arg(&key)).await?;
            Content::Json(serde_json::from_str(&text).with_context(|| key.clone())?)
        } else if SETS.iter().any(|begin| key.starts_with(begin)) {
            Content::Set(world.redis.command(cmd("SMEMBERS").arg(&key)).await?)
        } else {
            Content::Untouched(world.redis.command(cmd("DUMP").arg(&key)).await?)
        };
        let ends_at = world.redis.command(cmd("EXPIRETIME").arg(&key)).await?;
        found.push(Record { key, content, ends_at });
    }
    Ok(found)
}

/// Whether `before` is still there for the old gateway in what there is `now`: each record with the same members, values
/// and end, but for what is known to change.
pub(super) fn still_holds(before: &Record, now: &[Record]) -> Result<()> {
    let key = &before.key;
    let is = now.iter().find(|record| record.key == *key).with_context(|| format!("{key} is gone"))?;
    ensure!(is.ends_at == before.ends_at, "{key} ends at {}, and not at {}", is.ends_at, before.ends_at);
    match (&before.content, &is.content) {
        (Content::Json(was), Content::Json(is)) => same_members(key, was, is),
        (Content::Set(was), Content::Set(is)) => {
            ensure!(is.is_superset(was), "{key}: {is:?} and not {was:?}");
            Ok(())
        }
        (was, is) => {
            ensure!(was == is, "{key} is not what it was");
            Ok(())
        }
    }
}

fn same_members(key: &str, was: &Value, is: &Value) -> Result<()> {
    let changing = WRITTEN_BY_BOTH.iter().find(|(begin, ..)| key.starts_with(begin)).map_or(&[][..], |known| known.2);
    let (Some(was), Some(is)) = (was.as_object(), is.as_object()) else { bail!("{key} is no object: {is}") };
    let names = |of: &serde_json::Map<String, Value>| of.keys().cloned().collect::<BTreeSet<_>>();
    ensure!(names(was) == names(is), "{key} has other members: {is:?}");
    for (name, before) in was {
        let now = &is[name];
        let is_good = if changing.contains(&name.as_str()) { is_later(before, now) } else { before == now };
        ensure!(is_good, "{key}: {name} was {before} and is {now}");
    }
    Ok(())
}

/// Whether a value may come after another one: numbers grow, and what else there is stays of its kind.
fn is_later(before: &Value, now: &Value) -> bool {
    match (before, now) {
        (Value::Null, Value::Null | Value::Number(_)) | (Value::String(_), Value::String(_)) => true,
        (Value::Number(before), Value::Number(now)) => now.as_u64() >= before.as_u64(),
        _ => false,
    }
}

/// Whether the old gateway can read a record that it has not written itself.
pub(super) fn is_readable(record: &Record) -> Result<()> {
    let key = &record.key;
    match &record.content {
        Content::Json(object) => {
            let known =
                WRITTEN_BY_BOTH.iter().find(|(begin, ..)| key.starts_with(begin)).map_or(&[][..], |known| known.1);
            let missing: Vec<_> = known.iter().filter(|name| object.get(**name).is_none()).collect();
            ensure!(missing.is_empty() && record.ends_at > 0, "{key} lacks {missing:?} or an end: {object}");
        }
        Content::Set(members) => ensure!(!members.is_empty(), "{key} is empty"),
        Content::Untouched(_) => bail!("{key} is nothing that the old gateway knows"),
    }
    Ok(())
}
