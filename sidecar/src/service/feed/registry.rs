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
}

/// A worker in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// What it said with its last poll.
    pub presence: Presence,
    /// When that was, by the store's clock, Unix milliseconds.
    pub polled_at_ms: u64,
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
    /// Everybody on record.
    pub workers: Vec<Worker>,
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
    async fn record(&self, presence: &Presence) -> Result<Registered, StoreError>;

    /// Forgets a worker that said goodbye.
    async fn remove(&self, replica: &ReplicaId) -> Result<(), StoreError>;

    /// Everybody, the epoch and the store's time, read at one moment.
    async fn roll(&self) -> Result<Roll, StoreError>;

    /// Forgets workers that have been silent for longer than `patience`; how many.
    async fn forget_silent(&self, patience: Patience) -> Result<usize, StoreError>;
}
