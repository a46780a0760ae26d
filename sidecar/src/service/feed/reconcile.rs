//! Brings the feed into line with the records (rules P8, P9): a record without an entry gets one, an
//! entry whose record was deleted on purpose is lifted. The mere absence of a record lifts nothing.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use sekisho_protocol::feed::Kind;

use super::mirror::Mirror;
use super::source::{Deed, Records};
use super::{Feed, Lifted, LiveEntry, Written};
use crate::domain::feed::fold;
use crate::domain::feed::record::RecordEnd;
use crate::domain::feed::write::Says;
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;

/// Brings them into line.
#[derive(Clone)]
pub struct Reconciler {
    feed: Arc<dyn Feed>,
    records: Arc<dyn Records>,
    mirror: Mirror,
}

/// What was done about a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// The feed already said what the record says.
    Agreed,
    /// The feed was told what the record says.
    Put,
    /// The feed was told that nothing holds any more.
    Lifted,
}

/// How many records are settled at the same time: the first walk over an old installation may meet
/// a hundred thousand.
const AT_ONCE: usize = 32;
/// The kinds of things that have records.
const KINDS: [Kind; 2] = [Kind::Ban, Kind::Token];

impl Reconciler {
    /// Compares `records` with `feed`; `mirror` spares looking up what agrees.
    #[must_use]
    pub fn new(feed: Arc<dyn Feed>, records: Arc<dyn Records>, mirror: Mirror) -> Self {
        Self { feed, records, mirror }
    }

    /// Settles one record, spelled as in its key, about which something was heard.
    ///
    /// # Errors
    /// The store cannot be reached; a later walk finds what is left.
    pub async fn settle(&self, kind: Kind, name: &str, deed: Deed) -> Result<Settled, StoreError> {
        // The entry is read first: if somebody writes after that, a lift is overtaken and theirs stands.
        let entry = self.feed.entry(kind, name).await?;
        match (self.records.end(kind, name).await?, deed) {
            (Some(end), _) => self.settle_present(kind, name, end, entry).await,
            (None, Deed::Deleted) => self.settle_deleted(kind, name, entry).await,
            (None, Deed::Written) => Ok(Settled::Agreed),
        }
    }

    /// Walks over one step of the records of `kind`, from `cursor` on: how many the feed was told of,
    /// and where to go on.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn walk(&self, kind: Kind, cursor: Option<u64>) -> Result<(usize, Option<u64>), StoreError> {
        let (found, next) = self.records.scan(kind, cursor).await?;
        let unknown = found.into_iter().filter(|record| !self.mirror_agrees(kind, &record.name, record.end));
        let told = stream::iter(unknown)
            .map(|record| async move { self.settle(kind, &record.name, Deed::Written).await })
            .buffer_unordered(AT_ONCE)
            .try_fold(0, |told, settled| async move { Ok(told + usize::from(settled != Settled::Agreed)) })
            .await?;
        Ok((told, next))
    }

    /// Kinds whose records are walked over.
    #[must_use]
    pub fn kinds() -> [Kind; 2] {
        KINDS
    }

    async fn settle_present(
        &self,
        kind: Kind,
        name: &str,
        end: RecordEnd,
        entry: Option<LiveEntry>,
    ) -> Result<Settled, StoreError> {
        if entry.is_some_and(|entry| end.agrees_with(kind, entry.until)) {
            return Ok(Settled::Agreed);
        }
        // Every sidecar hears of the record; the first one writes.
        let Written::Done(stamp) = self.feed.put_over(&end.mark(kind, name), entry).await? else {
            return Ok(Settled::Agreed);
        };
        // The record may have been deleted between the look and the write; then whoever deleted it found
        // no entry to lift, and this one would bar somebody whom nobody bars.
        if self.records.end(kind, name).await?.is_some() {
            return Ok(Settled::Put);
        }
        self.feed.lift(kind, name, stamp.version).await?;
        Ok(Settled::Lifted)
    }

    async fn settle_deleted(&self, kind: Kind, name: &str, entry: Option<LiveEntry>) -> Result<Settled, StoreError> {
        let Some(entry) = entry else { return Ok(Settled::Agreed) };
        // Old programs wrote addresses as they came: the same person may have another record.
        let folded = fold(kind, name);
        if folded != name && self.records.end(kind, &folded).await?.is_some() {
            return Ok(Settled::Agreed);
        }
        match self.feed.lift(kind, name, entry.version).await? {
            Lifted::Done(_) => Ok(Settled::Lifted),
            Lifted::Overtaken => Ok(Settled::Agreed),
        }
    }

    fn mirror_agrees(&self, kind: Kind, name: &str, end: RecordEnd) -> bool {
        let now = UnixSeconds::now().get();
        let held = self.mirror.look(|state, _| state.holding(kind, name, now)).flatten();
        matches!(held, Some(Says::Holds { until, .. }) if end.agrees_with(kind, until))
    }
}
