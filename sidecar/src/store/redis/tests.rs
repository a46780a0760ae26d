//! The engine's stores on a real Redis: one module a trait.

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, FromRedisValue};
use sekisho_protocol::Subject;
use sekisho_protocol::feed::FOREVER;

use crate::domain::feed::Mark;
use crate::domain::time::UnixSeconds;
use crate::testing::RedisServer;

mod activity;
mod feed;
mod grants;
mod journal;
mod notices;
mod records;
mod source;
mod vitals;
mod workers;

/// A moment well ahead, Unix seconds.
fn later() -> u64 {
    UnixSeconds::now().get() + 600
}

fn subject(text: &str) -> Subject {
    Subject::try_from(text.to_owned()).unwrap()
}

fn ban(name: &str) -> Mark {
    Mark::ban(&subject(name), later())
}

/// What another program would do.
async fn raw<T: FromRedisValue>(server: &RedisServer, command: &[&str]) -> T {
    let mut connection: MultiplexedConnection = server.client().dedicated().await.unwrap();
    let mut cmd = redis::cmd(command[0]);
    for argument in &command[1..] {
        cmd.arg(argument);
    }
    cmd.query_async(&mut connection).await.unwrap()
}

/// The life that is left to a key, in seconds.
async fn life(server: &RedisServer, key: &str) -> i64 {
    server.client().shared().ttl(key).await.unwrap()
}

#[test]
fn a_moment_ahead_is_before_forever() {
    assert!(later() < FOREVER);
}
