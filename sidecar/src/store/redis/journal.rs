//! The journal of audit events on their way to SQL: a hash of those that are open, and a stream of those in line.
//! Both share a slot, so that an event leaves the one and enters the other in one step.

use async_trait::async_trait;
use redis::{AsyncCommands, Script};
use std::sync::LazyLock;
use std::time::Duration;

use super::RedisClient;
use crate::domain::audit::{Event, Outcome};
use crate::service::audit::{Backlog, Journal, WAITING_MAX, Waiting};
use crate::service::error::StoreError;

/// Hash: the id of an open event → the event, as JSON.
const OPEN: &str = "sekisho:{audit}:open";
/// Stream: the events in line, as JSON in the field `event`.
const LINE: &str = "sekisho:{audit}:line";
/// Most open events: each belongs to a change that runs now, or was cut short a moment ago.
const OPEN_MAX: u64 = 10_000;

/// `KEYS`: open, line; `ARGV`: id, event, most open, most in line. Whether there was room.
static OPEN_EVENT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) or redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[4]) then
             return 0
         end
         redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
         return 1",
    )
});

/// `KEYS`: open, line; `ARGV`: id, event, most in line. Whether there was room, which an event that was open has. Closing
/// twice is no harm: the id is the same.
static CLOSE_EVENT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 and redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[3]) then
             return 0
         end
         redis.call('XADD', KEYS[2], '*', 'event', ARGV[2])
         return 1",
    )
});

/// `KEYS`: open, line; `ARGV`: id, event as it was, event as it is closed. Only whoever takes it out puts it in line.
static CLOSE_ABANDONED: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
         redis.call('HDEL', KEYS[1], ARGV[1])
         redis.call('XADD', KEYS[2], '*', 'event', ARGV[3])
         return 1",
    )
});

/// The journal, in Redis.
#[derive(Clone)]
pub struct RedisJournal {
    redis: RedisClient,
}

impl RedisJournal {
    /// The journal in this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis }
    }
}

fn json(event: &Event) -> Result<String, StoreError> {
    serde_json::to_string(event).map_err(|error| StoreError::corrupt(&event.id, error))
}

#[async_trait]
impl Journal for RedisJournal {
    async fn open(&self, event: &Event) -> Result<bool, StoreError> {
        let mut call = OPEN_EVENT.key(OPEN);
        call.key(LINE).arg(&event.id).arg(json(event)?).arg(OPEN_MAX).arg(WAITING_MAX);
        Ok(call.invoke_async(&mut self.redis.shared()).await?)
    }

    async fn close(&self, event: &Event) -> Result<bool, StoreError> {
        let mut call = CLOSE_EVENT.key(OPEN);
        call.key(LINE).arg(&event.id).arg(json(event)?).arg(WAITING_MAX);
        Ok(call.invoke_async(&mut self.redis.shared()).await?)
    }

    async fn close_abandoned(&self, begun_before_ms: u64) -> Result<usize, StoreError> {
        let mut redis = self.redis.shared();
        let open: Vec<(String, String)> = redis.hgetall(OPEN).await?;
        let mut closed = 0;
        for (id, was) in open {
            let Ok(mut event) = serde_json::from_str::<Event>(&was) else {
                tracing::warn!(event.id = id, "an open audit event can't be read, and is dropped");
                let _: () = redis.hdel(OPEN, &id).await?;
                continue;
            };
            if event.at_ms >= begun_before_ms {
                continue;
            }
            event.outcome = Outcome::Interrupted;
            let mut call = CLOSE_ABANDONED.key(OPEN);
            call.key(LINE).arg(&id).arg(&was).arg(json(&event)?);
            closed += call.invoke_async::<usize>(&mut redis).await?;
        }
        Ok(closed)
    }

    async fn waiting(&self, limit: usize) -> Result<Vec<Waiting>, StoreError> {
        let mut command = redis::cmd("XRANGE");
        command.arg(LINE).arg("-").arg("+").arg("COUNT").arg(limit);
        let entries: Vec<(String, Vec<(String, String)>)> = command.query_async(&mut self.redis.shared()).await?;
        Ok(entries.into_iter().map(waiting).collect())
    }

    async fn forget(&self, places: &[String]) -> Result<(), StoreError> {
        if places.is_empty() {
            return Ok(());
        }
        let mut command = redis::cmd("XDEL");
        command.arg(LINE).arg(places);
        Ok(command.exec_async(&mut self.redis.shared()).await?)
    }

    async fn backlog(&self) -> Result<Backlog, StoreError> {
        type Entry = (String, Vec<(String, String)>);
        let (open, waiting, first, (seconds, micros)): (u64, u64, Vec<Entry>, (u64, u64)) = redis::pipe()
            .hlen(OPEN)
            .xlen(LINE)
            .cmd("XRANGE")
            .arg(LINE)
            .arg("-")
            .arg("+")
            .arg("COUNT")
            .arg(1)
            .cmd("TIME")
            .query_async(&mut self.redis.shared())
            .await?;
        // An entry's id begins with the Unix millisecond in which it was put in line.
        let since = first.first().and_then(|(place, _)| place.split('-').next()?.parse::<u64>().ok());
        let now_ms = seconds * 1_000 + micros / 1_000;
        let oldest = since.map_or(Duration::ZERO, |since| Duration::from_millis(now_ms.saturating_sub(since)));
        Ok(Backlog { waiting, oldest, open })
    }
}

/// An entry of the line. One that cannot be read is nobody's, and must not hold up the others.
fn waiting((place, fields): (String, Vec<(String, String)>)) -> Waiting {
    let text = fields.into_iter().find(|(name, _)| name == "event").map(|(_, text)| text);
    let event = text.as_deref().and_then(|text| {
        serde_json::from_str(text).inspect_err(|error| tracing::warn!(%error, "an audit event can't be read")).ok()
    });
    Waiting { place, event }
}
