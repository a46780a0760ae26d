//! Brings the feed into line with the records (rules P8, P9): a record without an entry gets one, an
//! entry whose record was deleted on purpose is lifted. The mere absence of a record lifts nothing, and
//! nothing at all lifts a not-before.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use sekisho_protocol::Subject;
use sekisho_protocol::feed::Kind;

use super::mirror::Mirror;
use super::source::{Deed, Records};
use super::{Feed, Lifted, LiveEntry, Written};
use crate::domain::feed::record::Record;
use crate::domain::feed::write::Says;
use crate::domain::feed::{fold, has_floor};
use crate::domain::time::UnixSeconds;
use crate::failpoint::{FailPoint, reach};
use crate::service::error::StoreError;
use crate::service::foreign::{Foreign, Seen};

mod spellings;

use spellings::Spellings;

/// Brings them into line.
#[derive(Clone)]
pub struct Reconciler {
    feed: Arc<dyn Feed>,
    records: Arc<dyn Records>,
    mirror: Mirror,
    foreign: Option<Foreign>,
    spellings: Spellings,
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
const KINDS: [Kind; 5] = [Kind::Ban, Kind::Token, Kind::NotBefore, Kind::Session, Kind::SignIn];

impl Reconciler {
    /// Compares `records` with `feed`; `mirror` spares looking up what agrees.
    #[must_use]
    pub fn new(feed: Arc<dyn Feed>, records: Arc<dyn Records>, mirror: Mirror) -> Self {
        Self { feed, records, mirror, foreign: None, spellings: Spellings::default() }
    }

    /// The same, and `foreign` records what other programs did.
    #[must_use]
    pub fn witnessed_by(self, foreign: Foreign) -> Self {
        Self { foreign: Some(foreign), ..self }
    }

    /// Settles one record, spelled as in its key, about which something was heard.
    ///
    /// # Errors
    /// The store cannot be reached; a later walk finds what is left.
    pub async fn settle(&self, kind: Kind, name: &str, deed: Deed) -> Result<Settled, StoreError> {
        // The entry is read first: if somebody writes after that, a lift is overtaken and theirs stands.
        let entry = self.feed.entry(kind, name).await?;
        match (self.longest(kind, name).await?, deed) {
            (Some(record), _) => self.settle_present(kind, name, record, entry).await,
            (None, Deed::Deleted) if can_be_lifted(kind) => self.settle_deleted(kind, name, entry).await,
            (None, Deed::Deleted | Deed::Written) => Ok(Settled::Agreed),
        }
    }

    /// Walks over one step of the records of `kind`, from `cursor` on: how many the feed was told of,
    /// and where to go on.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn walk(&self, kind: Kind, cursor: Option<u64>) -> Result<(usize, Option<u64>), StoreError> {
        let (found, next) = self.records.scan(kind, cursor).await?;
        let unknown = found.into_iter().filter(|found| !self.mirror_agrees(kind, &found.name, found.record));
        let told = stream::iter(unknown)
            .map(|found| async move { self.settle(kind, &found.name, Deed::Written).await })
            .buffer_unordered(AT_ONCE)
            .try_fold(0, |told, settled| async move { Ok(told + usize::from(settled != Settled::Agreed)) })
            .await?;
        Ok((told, next))
    }

    /// Kinds whose records are walked over.
    #[must_use]
    pub fn kinds() -> [Kind; 5] {
        KINDS
    }

    /// What the records of `name` say, in all spellings that are known: a short ban under one of them does not end a
    /// long one under another.
    async fn longest(&self, kind: Kind, name: &str) -> Result<Option<Record>, StoreError> {
        let mut longest = self.records.find(kind, name).await?;
        if kind != Kind::Ban {
            return Ok(longest);
        }
        let folded = fold(kind, name);
        if folded != name && longest.is_some() {
            self.spellings.note(&folded, name);
        }
        for other in self.spellings.of(&folded).into_iter().chain([folded.clone()]).filter(|other| other != name) {
            match self.records.find(kind, &other).await? {
                None => self.spellings.forget(&folded, &other),
                Some(record) if longest.is_none_or(|longest| longest.end < record.end) => longest = Some(record),
                Some(_) => {}
            }
        }
        Ok(longest)
    }

    async fn settle_present(
        &self,
        kind: Kind,
        name: &str,
        record: Record,
        entry: Option<LiveEntry>,
    ) -> Result<Settled, StoreError> {
        if entry.is_some_and(|entry| record.agrees_with(kind, entry.until, entry.floor)) {
            return Ok(Settled::Agreed);
        }
        let banned = self.outdate_sessions(kind, name).await?;
        // Every sidecar hears of the record; the first one writes.
        let Written::Done(stamp) = self.feed.put_over(&record.mark(kind, name), entry).await? else {
            return Ok(Settled::Agreed);
        };
        reach(FailPoint::ReconcilePut);
        self.witness(kind, name, Seen::Banned { until: record.end }).await;
        if let (Some(foreign), Some((subject, moment))) = (&self.foreign, banned) {
            foreign.end_sessions(&subject, moment).await;
        }
        // The record may have been deleted between the look and the write; then whoever deleted it found
        // no entry to lift, and this one would bar somebody whom nobody bars.
        if !can_be_lifted(kind) || self.longest(kind, name).await?.is_some() {
            return Ok(Settled::Put);
        }
        self.feed.lift(kind, name, stamp.version).await?;
        Ok(Settled::Lifted)
    }

    async fn settle_deleted(&self, kind: Kind, name: &str, entry: Option<LiveEntry>) -> Result<Settled, StoreError> {
        let Some(entry) = entry else { return Ok(Settled::Agreed) };
        match self.feed.lift(kind, name, entry.version).await? {
            Lifted::Done(_) => {
                self.witness(kind, name, Seen::Lifted).await;
                Ok(Settled::Lifted)
            }
            Lifted::Overtaken => Ok(Settled::Agreed),
        }
    }

    /// Of whom another program bans, the sessions are over, too: whose, and until when they began.
    async fn outdate_sessions(&self, kind: Kind, name: &str) -> Result<Option<(Subject, UnixSeconds)>, StoreError> {
        let (Kind::Ban, Some(foreign)) = (kind, &self.foreign) else { return Ok(None) };
        let Ok(subject) = Subject::try_from(name.to_owned()) else { return Ok(None) };
        let moment = foreign.outdate_sessions(&subject).await?;
        Ok(moment.map(|moment| (subject, moment)))
    }

    /// Records what another program did to a ban.
    async fn witness(&self, kind: Kind, name: &str, seen: Seen) {
        if let (Kind::Ban, Some(foreign)) = (kind, &self.foreign) {
            foreign.saw(&fold(kind, name), seen).await;
        }
    }

    /// At the end of a walk over all records.
    pub async fn walked(&self) {
        if let Some(foreign) = &self.foreign {
            foreign.tell_left_out().await;
        }
    }

    fn mirror_agrees(&self, kind: Kind, name: &str, record: Record) -> bool {
        let now = UnixSeconds::now().get();
        let held = self.mirror.look(|state, _| state.holding(kind, name, now)).flatten();
        matches!(held, Some(Says::Holds { until, floor }) if record.agrees_with(kind, until, floor))
    }
}

/// Whether what holds can be taken back by deleting its record.
fn can_be_lifted(kind: Kind) -> bool {
    !has_floor(kind)
}
