//! A million live entries, filed as a sidecar would have filed them.

use anyhow::Result;
use e2e::token::now;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, cmd};

/// How many there are.
pub const ENTRIES: u64 = 1_000_000;
/// Entries written in one round trip.
const CHUNK: u64 = 10_000;

/// Files the entries in the form of `write.lua`, as of a version that is not in force yet. Gives that version.
///
/// # Errors
/// Redis is away, or no sidecar has begun a feed in it.
pub async fn file(redis: &mut MultiplexedConnection) -> Result<u64> {
    let (first, until) = (redis.get::<_, u64>("sekisho:{feed}:version").await? + 1, now() + 86_400);
    for chunk in 0..ENTRIES / CHUNK {
        let mut fields = cmd("HSET");
        fields.arg("sekisho:{feed}:entries");
        for number in chunk * CHUNK..(chunk + 1) * CHUNK {
            let version = first + number;
            fields.arg(format!("token|revoked-{number}"));
            fields.arg(format!(r#"{{"version":{version},"until":{until},"issued_before":0,"lifted_at":0,"was":0}}"#));
        }
        let _: u64 = fields.query_async(redis).await?;
    }
    Ok(first + ENTRIES - 1)
}

/// Puts the entries in force. The stream lacks all but the last of them, so that everybody loads them anew.
///
/// # Errors
/// Redis is away.
pub async fn publish(redis: &mut MultiplexedConnection, version: u64) -> Result<()> {
    let mut pipe = redis::pipe();
    pipe.atomic().set("sekisho:{feed}:version", version).ignore();
    let name = format!("revoked-{}", ENTRIES - 1);
    pipe.cmd("XADD").arg("sekisho:{feed}:stream").arg(format!("{version}-0"));
    pipe.arg(&["kind", "token", "name", &name, "until"]).arg(now() + 86_400);
    pipe.arg(&["issued_before", "0", "lifted_at", "0"]).ignore();
    Ok(pipe.query_async(redis).await?)
}
