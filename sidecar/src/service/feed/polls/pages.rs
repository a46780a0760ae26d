//! Pages of snapshots, cut and encoded once for all replicas that read one (rule P14): when Envoys start
//! together, or the epoch changes, everybody reads the same.
//!
//! A page that was cut earlier may be used again if it is of the same epoch and at least as new as the poll
//! needs, which [`super::needed`] says and why:
//!
//! - the first page of a snapshot: what the store held when the poll was put on record;
//! - a later page: what the first page held. The worker's position becomes the first page's version, so it
//!   asks for every change behind that again, and it acknowledges nothing before it has read the last page.
//!
//! A page that the feed went on from says that it is as old as the reading that it was cut from (rule P4):
//! it is not all there is now. Entries that ended since then are still in it, and end in the replica, too.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sekisho_protocol::Digest;
use sekisho_protocol::feed::FeedBody;
use serde_json::value::to_raw_value;

use super::reply::Encoded;
use crate::domain::feed::Stamp;
use crate::domain::time::UnixSeconds;
use crate::service::feed::mirror::Mirror;
use crate::service::metrics::Metrics;

/// Most pages that are kept: 16 MiB, since none is larger than 64 KiB. Replicas that read at the same
/// time are closer to each other than that.
const MAX_PAGES: usize = 256;

/// The pages. Clones share them.
#[derive(Clone)]
pub(super) struct Pages {
    shelf: Arc<Mutex<Shelf>>,
    metrics: Metrics,
}

#[derive(Default)]
struct Shelf {
    slots: HashMap<Digest, Arc<Slot>>,
    /// The slots' digests, the oldest first.
    order: VecDeque<Digest>,
}

/// Where a page lies that starts at a certain digest. Whoever finds it empty, or its page too old, keeps it
/// locked while cutting one; the others wait.
type Slot = tokio::sync::Mutex<Option<CutPage>>;

/// A page, as it was cut.
#[derive(Debug, Clone)]
pub(super) struct CutPage {
    /// The feed's epoch and version then.
    pub(super) stamp: Stamp,
    /// The body of an answer.
    pub(super) json: Encoded,
    cut_at: Instant,
    age_when_cut: Duration,
}

impl Pages {
    /// Nothing yet; counts in `metrics` what is cut.
    pub(super) fn new(metrics: Metrics) -> Self {
        Self { shelf: Arc::default(), metrics }
    }

    /// The page of `mirror` that starts at `from`, at least as new as `least`, and how old it is; none if
    /// the mirror cannot give one.
    pub(super) async fn page(&self, mirror: &Mirror, from: Digest, least: &Stamp) -> Option<(CutPage, Duration)> {
        let slot = self.slot(from);
        let mut held = slot.lock().await;
        let is_new_enough = |page: &&CutPage| page.stamp.reaches(least);
        let page = match held.as_ref().filter(is_new_enough) {
            Some(page) => page.clone(),
            None => {
                let page = CutPage::of(mirror, from)?;
                self.metrics.page_cut();
                held.insert(page).clone()
            }
        };
        drop(held);
        let age = mirror.look(|state, age| if *state.stamp() == page.stamp { age } else { page.age() })?;
        Some((page, age)).filter(|(page, _)| is_new_enough(&page))
    }

    fn slot(&self, from: Digest) -> Arc<Slot> {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = shelf.slots.get(&from) {
            return Arc::clone(slot);
        }
        if shelf.order.len() >= MAX_PAGES
            && let Some(oldest) = shelf.order.pop_front()
        {
            shelf.slots.remove(&oldest);
        }
        shelf.order.push_back(from);
        Arc::clone(shelf.slots.entry(from).or_default())
    }
}

impl CutPage {
    fn of(mirror: &Mirror, from: Digest) -> Option<Self> {
        let now = UnixSeconds::now().get();
        // Encoded after the look: the mirror is not to be held for longer than it takes to copy the entries.
        let (stamp, age, page) = mirror.look(|state, age| (state.stamp().clone(), age, state.page(from, now)))?;
        let cut_at = Instant::now();
        let version = stamp.version.get();
        let body = FeedBody::Page { version, count: page.count, from, next: page.next, entries: page.entries };
        match to_raw_value(&body) {
            Ok(json) => Some(Self { stamp, json: Encoded(json.into()), cut_at, age_when_cut: age }),
            Err(error) => {
                tracing::error!(%error, "a page cannot be encoded");
                None
            }
        }
    }

    /// How old the reading is that it was cut from.
    fn age(&self) -> Duration {
        self.age_when_cut + self.cut_at.elapsed()
    }
}
