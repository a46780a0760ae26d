//! Which filter workers listen to the feed, and how far each is (rule P7). All sidecars share it.

use async_trait::async_trait;
use sekisho_protocol::{Epoch, ReplicaId};

use crate::domain::feed::{Stamp, Version};
use crate::service::error::StoreError;

/// What a worker says of itself with each poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Its random id.
    pub replica: ReplicaId,
    /// Its Envoy's node id.
    pub node: String,
    /// The number of its VM within that Envoy, from 1; 0 if nobody knows.
    pub worker: u32,
    /// The filter's version.
    pub build: String,
    /// Whether it checks every request once it is stale.
    pub fences: bool,
    /// After how many milliseconds without news it counts itself as stale.
    pub staleness_ms: u32,
    /// The sidecar that it polled.
    pub sidecar: String,
    /// What it holds; none before its first snapshot, and while it reads one.
    pub holds: Option<Stamp>,
    /// Bytes of its VM's memory.
    pub memory_bytes: u64,
    /// How many entries it has.
    pub entries: u64,
    /// How old it was by its own account when it polled, in milliseconds; none without a snapshot.
    pub age_ms: Option<u64>,
}

/// What a replica that polls starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Nothing: it checks every request until it has read a whole snapshot.
    Blank,
    /// What it has, or has of a snapshot.
    Held,
}

/// A worker in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// What it said with its last poll.
    pub presence: Presence,
    /// When that was, by the store's clock, Unix milliseconds.
    pub polled_at_ms: u64,
    /// Where the feed stood when it was put on record for the first time, if it was blank then: everything
    /// that it ever heard of the feed is at least as new.
    pub joined: Option<Stamp>,
}

/// A worker counts as live for so much longer than its staleness bound, in milliseconds: its clock and
/// the store's do not run exactly alike.
pub const MARGIN_MS: u64 = 500;

impl Worker {
    /// How long ago it polled, in milliseconds by the store's clock.
    #[must_use]
    pub fn silent_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.polled_at_ms)
    }

    /// Whether it may still count itself as fresh. Its answers make it fresh from when it *sent* the
    /// polls, which was before they came on record (rule P4).
    #[must_use]
    pub fn is_live(&self, now_ms: u64) -> bool {
        self.silent_ms(now_ms) <= u64::from(self.presence.staleness_ms) + MARGIN_MS
    }

    /// Whether it has applied everything up to `stamp`.
    #[must_use]
    pub fn has_applied(&self, stamp: &Stamp) -> bool {
        self.presence.holds.as_ref().is_some_and(|holds| holds.reaches(stamp))
    }
}

/// The registry at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roll {
    /// The store's clock, Unix milliseconds.
    pub now_ms: u64,
    /// The epoch in force; none if the store lost it.
    pub epoch: Option<Epoch>,
    /// The version of the last write.
    pub version: Version,
    /// How many writes the stream still holds. It is trimmed at about 100,000.
    pub stream_length: u64,
    /// Everybody on record.
    pub workers: Vec<Worker>,
}

impl Roll {
    /// Where the feed stands; none if the store lost its epoch.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        self.epoch.clone().map(|epoch| Stamp { epoch, version: self.version })
    }
}

/// Whether a worker was taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// It counts from now on. The feed stood here at that moment; none if it has no epoch.
    At(Option<Stamp>),
    /// There are too many.
    Full,
}

/// How long the silent are kept, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Those that check every request once they are stale.
    pub fencing_ms: u64,
    /// The others, which may still admit somebody who is barred.
    pub others_ms: u64,
}

/// Keeps the registry.
#[async_trait]
pub trait Registry: Send + Sync {
    /// Notes a poll, and says where the feed stands. From now on changes wait for this worker.
    async fn record(&self, presence: &Presence, start: Start) -> Result<Registered, StoreError>;

    /// Forgets a worker that said goodbye.
    async fn remove(&self, replica: &ReplicaId) -> Result<(), StoreError>;

    /// Everybody, the epoch and the store's time, read at one moment.
    async fn roll(&self) -> Result<Roll, StoreError>;

    /// Forgets workers that have been silent for longer than `patience`; how many.
    async fn forget_silent(&self, patience: Patience) -> Result<usize, StoreError>;
}
