//! What keeps the mirror: reading the feed as it grows, and writing back what the store lost.

use std::time::Duration;

use async_trait::async_trait;
use sekisho_protocol::Epoch;
use sekisho_protocol::feed::Kind;

use crate::domain::feed::Version;
use crate::domain::feed::position::{EpochRecord, Lineage, Position};
use crate::domain::feed::record::Record;
use crate::domain::feed::write::Write;
use crate::service::error::StoreError;

/// What a read of the feed brought.
#[derive(Debug, Clone)]
pub struct Round {
    /// The changes behind the asked version, in order.
    pub changes: Vec<Write>,
    /// Whether the feed had no more than these when it was read.
    pub complete: bool,
    /// Where the feed stood afterwards.
    pub position: Position,
}

/// Reads the feed over a connection of its own.
#[async_trait]
pub trait FeedSource: Send {
    /// Where the feed stands.
    async fn position(&mut self) -> Result<Position, StoreError>;

    /// The changes behind `after`, and where the feed stood once they were read; if there are none yet, waits
    /// for one for at most `wait`. Both are as of some moment after the call.
    async fn next(&mut self, after: Version, wait: Duration) -> Result<Round, StoreError>;

    /// Every entry, live or lifted.
    async fn entries(&mut self) -> Result<Vec<Write>, StoreError>;

    /// Begins a new epoch in place of `old`, numbered above `highest`, unless somebody else was
    /// faster; the one in force afterwards.
    async fn begin_epoch(
        &mut self,
        old: Option<&Epoch>,
        highest: Version,
        lineage: &Lineage,
    ) -> Result<EpochRecord, StoreError>;

    /// Writes back what this sidecar still holds from before `epoch`, unless the store knows something
    /// newer. Live entries get their records back, too. How many were written.
    async fn restore(&mut self, held: &[Write], epoch: &EpochRecord) -> Result<usize, StoreError>;
}

/// The records that the feed must agree with: bans and revoked tokens, which other programs may write,
/// too (rule P9), and since when somebody's tokens are valid.
#[async_trait]
pub trait Records: Send + Sync {
    /// What the record of `name`, spelled as in its key, says; none if there is no record.
    async fn find(&self, kind: Kind, name: &str) -> Result<Option<Record>, StoreError>;

    /// One step of a walk over all records of a kind: those it came by (some perhaps twice), and where
    /// to go on; none after the last.
    async fn scan(&self, kind: Kind, cursor: Option<u64>) -> Result<(Vec<FoundRecord>, Option<u64>), StoreError>;

    /// One step of a walk over all entries of the feed, which removes those that are over: how many it
    /// removed, and where to go on.
    async fn sweep(&self, cursor: Option<u64>) -> Result<(usize, Option<u64>), StoreError>;
}

/// A record that a walk came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRecord {
    /// The name, spelled as in its key.
    pub name: String,
    /// What it says.
    pub record: Record,
}

/// What another program did to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Of what kind the record is.
    pub kind: Kind,
    /// Whose record it is, as it is written in its key.
    pub name: String,
    /// What was done.
    pub deed: Deed,
}

/// What can be done to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It was written, or its life was changed.
    Written,
    /// It was deleted on purpose.
    Deleted,
}

/// The store's notices of what is done to records. They may get lost; a walk finds what they missed.
#[async_trait]
pub trait Notices: Send {
    /// Checks that the store sends notices, makes it do so if it may, and subscribes. `Ok(false)`: it does
    /// not send them, and may not be told to.
    async fn subscribe(&mut self) -> Result<bool, StoreError>;

    /// The next notice. An error means that the subscription broke.
    async fn next(&mut self) -> Result<Notice, StoreError>;
}
