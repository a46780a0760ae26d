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
/// Stream: what was in line or open and is no event, for people to look at: its place, and as JSON what was there.
const ASIDE: &str = "sekisho:{audit}:aside";
/// Most entries that are set aside; the oldest goes for the next.
const ASIDE_MAX: u64 = 10_000;

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

/// `KEYS`: open; `ARGV`: id, event as it is touched. What is open no more stays so.
static TOUCH_EVENT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end",
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

/// `KEYS`: line, aside; `ARGV`: place, most aside.
static SET_ASIDE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])
         if #found == 0 then return 0 end
         redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[2], '*', 'place', ARGV[1], 'was', cjson.encode(found[1][2]))
         redis.call('XDEL', KEYS[1], ARGV[1])
         return 1",
    )
});

/// `KEYS`: open, aside; `ARGV`: id, what is there, most aside.
static SET_OPEN_ASIDE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
         redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[3], '*', 'place', ARGV[1], 'was', cjson.encode(ARGV[2]))
         redis.call('HDEL', KEYS[1], ARGV[1])
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

/// How much of a bound is there for an event.
fn share(event: &Event, bound: u64) -> u64 {
    if event.is_everybodys() { bound / 10 * 9 } else { bound }
}

/// An open event.
#[derive(serde::Serialize, serde::Deserialize)]
struct Open {
    /// When its change was last seen to run, in Unix milliseconds; 0 if that was when it began.
    #[serde(default)]
    touched_ms: u64,
    #[serde(flatten)]
    event: Event,
}

fn json(event: &Event) -> Result<String, StoreError> {
    serde_json::to_string(event).map_err(|error| StoreError::corrupt(&event.id, error))
}

#[async_trait]
impl Journal for RedisJournal {
    async fn open(&self, event: &Event) -> Result<bool, StoreError> {
        let mut call = OPEN_EVENT.key(OPEN);
        call.key(LINE).arg(&event.id).arg(json(event)?).arg(share(event, OPEN_MAX)).arg(share(event, WAITING_MAX));
        Ok(call.invoke_async(&mut self.redis.shared()).await?)
    }

    async fn touch(&self, event: &Event, now_ms: u64) -> Result<(), StoreError> {
        let open = Open { touched_ms: now_ms, event: event.clone() };
        let open = serde_json::to_string(&open).map_err(|error| StoreError::corrupt(&event.id, error))?;
        let mut call = TOUCH_EVENT.key(OPEN);
        Ok(call.arg(&event.id).arg(open).invoke_async(&mut self.redis.shared()).await?)
    }

    async fn close(&self, event: &Event) -> Result<bool, StoreError> {
        let mut call = CLOSE_EVENT.key(OPEN);
        call.key(LINE).arg(&event.id).arg(json(event)?).arg(share(event, WAITING_MAX));
        Ok(call.invoke_async(&mut self.redis.shared()).await?)
    }

    async fn close_abandoned(&self, begun_before_ms: u64) -> Result<usize, StoreError> {
        let mut redis = self.redis.shared();
        let open: Vec<(Vec<u8>, Vec<u8>)> = redis.hgetall(OPEN).await?;
        let mut closed = 0;
        for (id, was) in open {
            let Open { touched_ms, mut event } = match serde_json::from_slice(&was) {
                Ok(open) => open,
                Err(error) => {
                    let mut call = SET_OPEN_ASIDE.key(OPEN);
                    call.key(ASIDE).arg(&id).arg(&was).arg(ASIDE_MAX).invoke_async::<()>(&mut redis).await?;
                    tell_aside(&String::from_utf8_lossy(&id), &error);
                    continue;
                }
            };
            if event.at_ms.max(touched_ms) >= begun_before_ms {
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
        let mut redis = self.redis.shared();
        loop {
            let mut command = redis::cmd("XRANGE");
            command.arg(LINE).arg("-").arg("+").arg("COUNT").arg(limit);
            let entries: Vec<Entry> = command.query_async(&mut redis).await?;
            let (is_end, mut waiting) = (entries.is_empty(), Vec::new());
            for (place, fields) in entries {
                match event(&fields) {
                    Ok(event) => waiting.push(Waiting { place, event }),
                    // It must not hold up the others, and may be of use to somebody.
                    Err(error) => {
                        let mut call = SET_ASIDE.key(LINE);
                        call.key(ASIDE).arg(&place).arg(ASIDE_MAX).invoke_async::<()>(&mut redis).await?;
                        tell_aside(&place, &error);
                    }
                }
            }
            if is_end || !waiting.is_empty() {
                return Ok(waiting);
            }
        }
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

/// An entry of the line, and its fields.
type Entry = (String, Vec<(Vec<u8>, Vec<u8>)>);

fn event(fields: &[(Vec<u8>, Vec<u8>)]) -> Result<Event, serde_json::Error> {
    let text = fields.iter().find(|(name, _)| name == b"event").map(|(_, text)| text.as_slice());
    serde_json::from_slice(text.unwrap_or_default())
}

fn tell_aside(place: &str, error: &dyn std::fmt::Display) {
    tracing::error!(place, %error, "what is in the audit journal is no event, and is set aside in {ASIDE}");
}
