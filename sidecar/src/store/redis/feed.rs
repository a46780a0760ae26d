//! The feed in Redis: every write is one script, which numbers it, appends it to the stream and files
//! it (rule P1).

use std::sync::LazyLock;

use async_trait::async_trait;
use redis::{AsyncCommands, Script};
use sekisho_protocol::Epoch;
use sekisho_protocol::feed::Kind;

use super::keys::{BANS, ENTRIES, EPOCH, STREAM, VERSION};
use super::ranked::any_case;
use super::{RedisClient, scan};
use crate::domain::feed::position::Lineage;
use crate::domain::feed::write::{Says, Write};
use crate::domain::feed::{Mark, Stamp, Version, fold, kind_word};
use crate::domain::search::Search;
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::feed::{BanEntry, Feed, Lifted, LiveEntry, Written};

pub(super) mod entry;
pub(crate) mod epoch;

use entry::parse;

static APPEND: LazyLock<Script> =
    LazyLock::new(|| Script::new(concat!(include_str!("scripts/write.lua"), include_str!("scripts/append.lua"))));

/// How many names are looked up at once for a list.
const LIST_CHUNK: usize = 500;
/// Names that one step of a search looks at.
const SEARCH_STEP: usize = 2_000;
/// Most names that a search finds.
const FOUND_MAX: usize = 100_000;

/// Writes to the feed in Redis.
#[derive(Clone)]
pub struct RedisFeed {
    redis: RedisClient,
}

/// What must hold for a name now, for a write to be made.
#[derive(Clone, Copy)]
enum Expected {
    Anything,
    Nothing,
    Version(Version),
}

impl Expected {
    /// As `append.lua` takes it.
    fn argument(self) -> String {
        match self {
            Self::Anything => "any".to_owned(),
            Self::Nothing => "none".to_owned(),
            Self::Version(version) => version.to_string(),
        }
    }
}

impl RedisFeed {
    /// The feed in this Redis.
    #[must_use]
    pub fn new(redis: RedisClient) -> Self {
        Self { redis }
    }

    /// Makes `says` the last word about a name.
    async fn append(&self, kind: Kind, name: &str, says: Says, expected: Expected) -> Result<Written, StoreError> {
        let (until, floor, _) = entry::numbers(says);
        let mut redis = self.redis.shared();
        let mut call = APPEND.key(EPOCH);
        call.key(VERSION).key(STREAM).key(ENTRIES).key(BANS);
        call.arg(kind_word(kind)).arg(name).arg(until).arg(floor);
        call.arg(expected.argument());
        // Twice: on a Redis that is new or lost everything, the first write begins an epoch.
        for _ in 0..2 {
            let (outcome, id, version): (String, String, u64) = call.invoke_async(&mut redis).await?;
            match outcome.as_str() {
                "DONE" => {
                    return Ok(Written::Done(Stamp { epoch: entry::epoch_id(id)?, version: Version::new(version) }));
                }
                "OVERTAKEN" => return Ok(Written::Overtaken),
                _ => self.begin_epoch(id).await?,
            }
        }
        Err(StoreError::unavailable("the feed has no epoch"))
    }

    async fn begin_epoch(&self, old: String) -> Result<(), StoreError> {
        let old = if old.is_empty() { None } else { Some(entry::epoch_id(old)?) };
        let mut redis = self.redis.shared();
        let lineage: Lineage = epoch::lineage(&mut redis).await?;
        epoch::begin(&mut redis, old.as_ref(), Version::ZERO, &lineage).await?;
        Ok(())
    }

    /// The bans among `names` that hold now.
    async fn live_bans(&self, names: Vec<String>, now: u64) -> Result<Vec<BanEntry>, StoreError> {
        let fields: Vec<String> = names.iter().map(|name| entry::field(Kind::Ban, name)).collect();
        let values: Vec<Option<String>> = self.redis.shared().hmget(ENTRIES, &fields).await?;
        let mut bans = Vec::new();
        for ((name, field), value) in names.into_iter().zip(fields).zip(values) {
            let Some(value) = value else { continue };
            if let Some(entry) = live(&parse(&field, &value)?, now) {
                bans.push(BanEntry { name, entry });
            }
        }
        Ok(bans)
    }
}

#[async_trait]
impl Feed for RedisFeed {
    async fn put(&self, mark: &Mark) -> Result<Stamp, StoreError> {
        match self.append(mark.kind(), mark.name(), mark.into(), Expected::Anything).await? {
            Written::Done(stamp) => Ok(stamp),
            Written::Overtaken => Err(StoreError::unavailable("a write that nothing can overtake was overtaken")),
        }
    }

    async fn put_over(&self, mark: &Mark, present: Option<LiveEntry>) -> Result<Written, StoreError> {
        let expected = present.map_or(Expected::Nothing, |entry| Expected::Version(entry.version));
        self.append(mark.kind(), mark.name(), mark.into(), expected).await
    }

    async fn lift(&self, kind: Kind, name: &str, expected: Version) -> Result<Lifted, StoreError> {
        let lifted = Says::Lifted { at: 0 };
        Ok(match self.append(kind, &fold(kind, name), lifted, Expected::Version(expected)).await? {
            Written::Done(stamp) => Lifted::Done(stamp),
            Written::Overtaken => Lifted::Overtaken,
        })
    }

    async fn entry(&self, kind: Kind, name: &str) -> Result<Option<LiveEntry>, StoreError> {
        let field = entry::field(kind, &fold(kind, name));
        let value: Option<String> = self.redis.shared().hget(ENTRIES, &field).await?;
        let write = value.map(|value| parse(&field, &value)).transpose()?;
        Ok(write.and_then(|write| live(&write, UnixSeconds::now().get())))
    }

    async fn stamp(&self, kind: Kind, name: &str) -> Result<Option<Stamp>, StoreError> {
        let field = entry::field(kind, &fold(kind, name));
        let mut pipeline = redis::pipe();
        // The epoch first: if another begins in between, nobody has reached this version in the old one.
        pipeline.hget(EPOCH, "id").hget(ENTRIES, &field);
        let (epoch, value): (Option<String>, Option<String>) = pipeline.query_async(&mut self.redis.shared()).await?;
        let (Some(epoch), Some(value)) = (epoch, value) else { return Ok(None) };
        let Some(LiveEntry { version, .. }) = live(&parse(&field, &value)?, UnixSeconds::now().get()) else {
            return Ok(None);
        };
        Ok(Some(Stamp { epoch: entry::epoch_id(epoch)?, version }))
    }

    async fn find_bans(&self, search: &Search) -> Result<Vec<BanEntry>, StoreError> {
        let (now, pattern) = (UnixSeconds::now().get(), format!("*{}*", any_case(search.as_str())));
        let (mut cursor, mut names) = (0_u64, Vec::new());
        loop {
            let (next, members) = scan::scored(&mut self.redis.shared(), BANS, cursor, &pattern, SEARCH_STEP).await?;
            names.extend(members.into_iter().map(|(name, _)| name));
            if next == 0 || names.len() >= FOUND_MAX {
                break;
            }
            cursor = next;
        }
        // A walk over a set that grows meanwhile may show a member twice.
        names.sort();
        names.dedup();
        let mut bans = Vec::with_capacity(names.len());
        for names in names.chunks(LIST_CHUNK) {
            bans.extend(self.live_bans(names.to_vec(), now).await?);
        }
        Ok(bans)
    }

    async fn bans(&self, after: Option<&str>, limit: usize) -> Result<Vec<BanEntry>, StoreError> {
        let now = UnixSeconds::now().get();
        let mut start = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let mut bans = Vec::new();
        loop {
            let names: Vec<String> = redis::cmd("ZRANGEBYLEX")
                .arg(BANS)
                .arg(&start)
                .arg("+")
                .arg("LIMIT")
                .arg(0)
                .arg(LIST_CHUNK)
                .query_async(&mut self.redis.shared())
                .await?;
            // Names whose ban ended stay in the set until they are swept, so one chunk may not be enough.
            let Some(last) = names.last() else { return Ok(bans) };
            start = format!("({last}");
            bans.extend(self.live_bans(names, now).await?);
            if bans.len() >= limit {
                bans.truncate(limit);
                return Ok(bans);
            }
        }
    }
}

fn live(write: &Write, now: u64) -> Option<LiveEntry> {
    match write.says {
        Says::Holds { until, floor } if now < until => Some(LiveEntry { version: write.version, until, floor }),
        _ => None,
    }
}

/// An id that never was.
pub(super) fn new_epoch_id() -> Epoch {
    Epoch::from_bytes(*uuid::Uuid::new_v4().as_bytes())
}
