//! Whoever publishes keys, as the use cases see them.

use std::time::Duration;

use async_trait::async_trait;

use crate::domain::keyset::Origin;
use crate::domain::keyset::source::Place;

/// Fetches sets of keys.
#[async_trait]
pub trait KeyOrigin: Send + Sync {
    /// What is published at `place` now; `known` is what is on record about it, and `effort` what need not be
    /// looked up again. The caller bounds the time.
    async fn fetch(&self, place: &Place, known: &Origin, effort: Effort) -> Result<Fetched, Unfetched>;
}

/// What an attempt looks up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Where the keys are, and the keys.
    Whole,
    /// The keys, where they were the last time: requests wait for them.
    KeysOnly,
}

/// What is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// The same as was fetched before.
    Unchanged {
        /// For how long it counts as current, if the answer says so.
        max_age: Option<Duration>,
    },
    /// This.
    Document(Document),
}

/// A set of keys as it was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Document {
    /// Its bytes, of which there are not too many.
    pub body: Vec<u8>,
    /// Where it was.
    pub location: Option<String>,
    /// Its `ETag`.
    pub etag: Option<String>,
    /// For how long it counts as current, if the answer says so.
    pub max_age: Option<Duration>,
    /// When the file with it was changed, Unix milliseconds.
    pub modified_at_ms: Option<u64>,
}

/// Why nothing could be fetched: a sentence for people, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfetched(pub String);
