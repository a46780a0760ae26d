//! The keys of those who issue tokens: fetched by one sidecar, on record in the store, announced in the feed.
//!
//! [`publish`] changes a record and announces it, for identity providers' keys and for our own alike.
//! [`tend`] sees to it that records are current, [`answer`] answers filters, [`attempt`] is one try to fetch a
//! set, by whichever sidecar has the turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::domain::keyset::source::Source;
use crate::domain::keyset::{KeysetRecord, SourceName};
use crate::service::error::StoreError;
use crate::service::feed::mirror::Mirror;
use crate::service::metrics::Metrics;

pub mod answer;
mod attempt;
mod flight;
pub mod origin;
pub mod overview;
pub mod publish;
pub mod tend;

use flight::Flight;
use origin::KeyOrigin;
use publish::Publisher;

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

/// Most questions of filters that wait for an attempt at a time. Each is a task of a few hundred bytes.
const WAITING_MAX: usize = 4_096;

/// The use cases. Clones share their state.
#[derive(Clone)]
pub struct Keysets(Arc<Inner>);

struct Inner {
    store: Arc<dyn KeysetStore>,
    origin: Arc<dyn KeyOrigin>,
    publisher: Publisher,
    mirror: Mirror,
    metrics: Metrics,
    tended: BTreeMap<SourceName, Arc<Tended>>,
    room: Semaphore,
}

/// A source that is looked after.
struct Tended {
    name: SourceName,
    /// None: our own keys, which are not fetched.
    source: Option<Source>,
    state: Mutex<State>,
    looks: Flight<Arc<Look>>,
    refetches: Flight<(Arc<Look>, bool)>,
    rounds: Flight<()>,
}

/// What this sidecar remembers of a source.
#[derive(Default)]
struct State {
    /// The record with the highest revision that was seen: what is answered from while the store is away, and
    /// written back if it lost the record.
    copy: Option<KeysetRecord>,
    /// Whether the place in the record was compared with the one in the configuration.
    is_settled: bool,
    /// The file as it was read last.
    file: Option<Vec<u8>>,
    /// Why the file cannot be used, if it cannot.
    trouble: Option<String>,
    /// The keys of no use that were logged last.
    left_out: Vec<String>,
}

impl Keysets {
    /// Looks after `sources` and after our own keys. Records are kept in `store` and announced by `publisher`;
    /// `mirror` is this sidecar's copy of the feed.
    #[must_use]
    pub fn new(
        sources: &[Source],
        store: Arc<dyn KeysetStore>,
        origin: Arc<dyn KeyOrigin>,
        publisher: Publisher,
        mirror: Mirror,
        metrics: Metrics,
    ) -> Self {
        let own = (SourceName::own(), None);
        let all = sources.iter().map(|source| (source.name.clone(), Some(source.clone()))).chain([own]);
        let tended = all.map(|(name, source)| (name.clone(), Arc::new(Tended::new(name, source)))).collect();
        Self(Arc::new(Inner { store, origin, publisher, mirror, metrics, tended, room: Semaphore::new(WAITING_MAX) }))
    }

    /// The names of all sources that are looked after.
    pub fn names(&self) -> impl Iterator<Item = &SourceName> {
        self.0.tended.keys()
    }
}

impl Inner {
    /// What is on record about a source. Those who ask at the same time share one look.
    async fn look(self: &Arc<Self>, tended: &Arc<Tended>) -> Result<Arc<Look>, StoreError> {
        let (this, source) = (Arc::clone(self), Arc::clone(tended));
        tended.looks.join(|| async move { this.look_alone(&source).await.map(Arc::new) }).await
    }

    async fn look_alone(&self, tended: &Tended) -> Result<Look, StoreError> {
        let look = self.store.look(&tended.name).await?;
        if let Some(record) = &look.record {
            tended.remember(record);
        }
        Ok(look)
    }

    /// The highest revision that this sidecar's copy of the feed tells of.
    fn announced(&self, tended: &Tended) -> u64 {
        publish::announced(&self.mirror, tended.name.as_str())
    }
}

impl Tended {
    fn new(name: SourceName, source: Option<Source>) -> Self {
        Self {
            name,
            source,
            state: Mutex::default(),
            looks: Flight::default(),
            refetches: Flight::default(),
            rounds: Flight::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a copy of a record, unless a newer one is kept.
    fn remember(&self, record: &KeysetRecord) {
        let mut state = self.state();
        if state.copy.as_ref().is_none_or(|copy| copy.revision <= record.revision) {
            state.copy = Some(record.clone());
        }
    }

    /// The copy, if it has at least this revision.
    fn copy(&self, revision: u64) -> Option<KeysetRecord> {
        self.state().copy.clone().filter(|copy| copy.revision > 0 && copy.revision >= revision)
    }
}

/// A number from 0 to 1, another one each time.
fn chance() -> f64 {
    let (high, _) = uuid::Uuid::new_v4().as_u64_pair();
    // The highest 32 bits of a version 4 UUID are random.
    f64::from(u32::try_from(high >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}
