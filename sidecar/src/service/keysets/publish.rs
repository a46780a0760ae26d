//! Puts a set of keys on record and announces it, in this order (rule P8). Changes of one source's record take
//! turns, on all sidecars.

use std::sync::Arc;
use std::time::Duration;

use sekisho_protocol::feed::Kind;
use sekisho_protocol::keyset::Jwk;
use tokio::time::{Instant, sleep};

use super::{KeysetStore, Turn};
use crate::domain::feed::write::Says;
use crate::domain::feed::{Mark, Stamp};
use crate::domain::keyset::{KeysetRecord, SourceName};
use crate::failpoint::{FailPoint, reach};
use crate::service::clock::now_ms;
use crate::service::error::StoreError;
use crate::service::feed::Feed;
use crate::service::feed::mirror::Mirror;

/// After so long a turn ends by itself in which nothing is done but to read and to write.
pub const TURN_LIFE: Duration = Duration::from_secs(5);
/// How often somebody who waits for their turn looks whether it has come.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Puts sets of keys on record and announces them.
#[derive(Clone)]
pub struct Publisher {
    store: Arc<dyn KeysetStore>,
    feed: Arc<dyn Feed>,
    mirror: Mirror,
}

impl Publisher {
    /// Keeps records in `store` and announces them in `feed`, of which `mirror` is the copy.
    #[must_use]
    pub fn new(store: Arc<dyn KeysetStore>, feed: Arc<dyn Feed>, mirror: Mirror) -> Self {
        Self { store, feed, mirror }
    }

    /// Waits for at most `wait` for the turn to change the record of a source, and takes it for `life`. Whoever
    /// needs to know the present keys reads them in their turn.
    ///
    /// # Errors
    /// The store cannot be reached, or somebody else's turn does not end.
    pub async fn take_turn(&self, source: &SourceName, wait: Duration, life: Duration) -> Result<Turn, StoreError> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(turn) = self.store.take_turn(source, life).await? {
                return Ok(turn);
            }
            if Instant::now() >= deadline {
                return Err(StoreError::unavailable(format_args!(
                    "another change of the keys of {source} does not end"
                )));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Ends a turn; one that cannot be ended ends by itself.
    pub async fn end_turn(&self, turn: Turn) {
        if let Err(error) = self.store.end_turn(turn).await {
            tracing::debug!(%error, "a turn could not be ended; it ends by itself");
        }
    }

    /// Makes `keys` the keys of the turn's source, and announces them: where in the feed. The same keys again are
    /// announced again, with the revision that they have.
    ///
    /// # Errors
    /// The store cannot be reached, or the turn has ended. The record may be written then; whoever looks after the
    /// source announces it later.
    pub async fn publish(&self, turn: &Turn, keys: Vec<Jwk>) -> Result<Stamp, StoreError> {
        let mut record = self.store.look(&turn.source).await?.record.unwrap_or_default();
        let announced = self.announced(&turn.source).await?;
        record.replace_keys(keys, announced, now_ms());
        self.write(turn, &record).await?;
        self.announce(&turn.source, record.revision).await
    }

    /// Puts a record in place, in one's turn.
    ///
    /// # Errors
    /// The store cannot be reached, or the turn has ended.
    pub(super) async fn write(&self, turn: &Turn, record: &KeysetRecord) -> Result<(), StoreError> {
        if !self.store.write(turn, record).await? {
            return Err(StoreError::unavailable(format_args!("the turn to change the keys of {} ended", turn.source)));
        }
        reach(FailPoint::KeysetRecorded);
        Ok(())
    }

    /// Announces the revision that is in force for a source. One that was announced is never taken back.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub(super) async fn announce(&self, source: &SourceName, revision: u64) -> Result<Stamp, StoreError> {
        let stamp = self.feed.put(&Mark::keyset(source, revision)).await?;
        reach(FailPoint::KeysetEntered);
        Ok(stamp)
    }

    /// What is on record about a source, and the highest revision that anybody was told of.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn published(&self, source: &SourceName) -> Result<(Option<KeysetRecord>, u64), StoreError> {
        let record = self.store.look(source).await?.record;
        Ok((record, self.announced(source).await?))
    }

    /// The highest revision of a source's keys that anybody was told of; 0 if none. This sidecar may remember what
    /// the store has lost.
    pub(super) async fn announced(&self, source: &SourceName) -> Result<u64, StoreError> {
        let entry = self.feed.entry(Kind::Keyset, source.as_str()).await?;
        let in_store = entry.map_or(0, |entry| entry.floor);
        Ok(in_store.max(announced(&self.mirror, source.as_str())))
    }
}

/// The highest revision of a source's keys that this sidecar's copy of the feed tells of; 0 if none.
#[must_use]
pub fn announced(mirror: &Mirror, source: &str) -> u64 {
    let held = mirror.look(|state, _| state.holding(Kind::Keyset, source, 0)).flatten();
    match held {
        Some(Says::Holds { floor, .. }) => floor,
        _ => 0,
    }
}
