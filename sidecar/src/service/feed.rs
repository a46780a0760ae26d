//! The feed as the use cases see it: a numbered list of what the filters must know.
//!
//! [`Feed`] writes to it. [`mirror`] is this sidecar's own copy, from which filters are served;
//! [`source`] is how that copy is kept; [`registry`] knows which filters listen.

use async_trait::async_trait;

use crate::domain::feed::{Mark, Stamp, Version};
use crate::domain::search::Search;
use crate::service::error::StoreError;
use sekisho_protocol::feed::Kind;

mod attendance;
pub mod census;
pub mod mirror;
pub mod polls;
pub mod reconcile;
pub mod registry;
pub mod source;

/// Writes to the feed. Every write has a version, one above the one before (rule P1).
#[async_trait]
pub trait Feed: Send + Sync {
    /// Makes `mark` hold from now on; it replaces what held for the same kind and name. Only a
    /// [floor](Mark::floor) that holds is never lowered: the higher one, and the later end, stand.
    async fn put(&self, mark: &Mark) -> Result<Stamp, StoreError>;

    /// Makes `mark` hold, if what holds now is still `present`; none: if nothing does. Otherwise
    /// somebody wrote later, and what they wrote stands.
    async fn put_over(&self, mark: &Mark, present: Option<LiveEntry>) -> Result<Written, StoreError>;

    /// Makes nothing hold for `name` any more, if what holds still has the version `expected`.
    /// Otherwise somebody wrote later, and what they wrote stands; and so does a floor always.
    async fn lift(&self, kind: Kind, name: &str, expected: Version) -> Result<Lifted, StoreError>;

    /// What holds for `name`, if anything does now.
    async fn entry(&self, kind: Kind, name: &str) -> Result<Option<LiveEntry>, StoreError>;

    /// Where the write stands that made hold what holds for `name`, if anything does now.
    async fn stamp(&self, kind: Kind, name: &str) -> Result<Option<Stamp>, StoreError>;

    /// At most `limit` names under which a ban holds now, in byte order, those after `after`.
    async fn bans(&self, after: Option<&str>, limit: usize) -> Result<Vec<BanEntry>, StoreError>;

    /// Those that `search` finds among them, all of them up to a bound; in byte order.
    async fn find_bans(&self, search: &Search) -> Result<Vec<BanEntry>, StoreError>;
}

/// How a write ended that could be overtaken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is in force as of this version.
    Done(Stamp),
    /// Another write came in between; it stands.
    Overtaken,
}

/// How a lift ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lifted {
    /// It is lifted as of this version.
    Done(Stamp),
    /// Another write came in between; it stands.
    Overtaken,
}

/// What holds for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveEntry {
    /// The version of the write that made it hold.
    pub version: Version,
    /// Unix seconds at which it ends; [`sekisho_protocol::feed::FOREVER`] if never.
    pub until: u64,
    /// See [`Mark::floor`].
    pub floor: u64,
}

/// A ban in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BanEntry {
    /// The subject, folded.
    pub name: String,
    /// What holds for it.
    pub entry: LiveEntry,
}
