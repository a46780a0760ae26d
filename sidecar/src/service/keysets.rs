//! The keys of those who issue tokens: on record in the store, and announced in the feed.
//!
//! [`publish`] changes a record and announces it, for identity providers' keys and for our own alike.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::keyset::{KeysetRecord, SourceName};
use crate::service::error::StoreError;

pub mod publish;

/// Keeps the records of keysets.
#[async_trait]
pub trait KeysetStore: Send + Sync {
    /// What is on record about a source, and what was asked last about it: one round trip.
    async fn look(&self, source: &SourceName) -> Result<Look, StoreError>;

    /// Takes the turn to change the record of a source, for `life`; none while it is another's.
    async fn take_turn(&self, source: &SourceName, life: Duration) -> Result<Option<Turn>, StoreError>;

    /// Ends a turn, unless it ended by itself.
    async fn end_turn(&self, turn: Turn) -> Result<(), StoreError>;

    /// Puts `record` in place of what is on record about the turn's source, if the turn has not ended: whether it
    /// did.
    async fn write(&self, turn: &Turn, record: &KeysetRecord) -> Result<bool, StoreError>;

    /// Asks for an attempt to fetch the keys of a source because of an unknown `kid`, unless somebody asked less
    /// than `interval` ago: what was asked last, and whether it was this.
    async fn ask(&self, source: &SourceName, interval: Duration) -> Result<(Question, bool), StoreError>;
}

/// What the store holds of a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// The record; none if there never was one, or if it was lost.
    pub record: Option<KeysetRecord>,
    /// The last question about an unknown `kid`, if it was less than its interval ago.
    pub question: Option<Question>,
}

/// A question about a `kid` that is not among the keys of a source. There is one at a time in the whole mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Tells it from every other. [`crate::domain::keyset::Origin::answered`] names the last one for which an
    /// attempt was made.
    pub id: String,
    /// For how long nobody else may ask.
    pub left: Duration,
}

/// The turn to change the record of one source, on all sidecars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Whose record.
    pub source: SourceName,
    /// Tells this turn from every other.
    pub id: String,
}
