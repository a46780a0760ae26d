//! What an upstream remembers of its requests: what they held, and how far those are that are under way.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::Received;

/// How many requests a recorder remembers; older ones are forgotten.
const REMEMBERED: usize = 20_000;

/// Counts the requests and remembers the last ones. Clones share what they remember.
#[derive(Clone, Default)]
pub struct Recorder {
    count: Arc<AtomicU64>,
    memory: Option<Arc<Mutex<Memory>>>,
}

#[derive(Default)]
struct Memory {
    visits: VecDeque<Visit>,
    received: VecDeque<Received>,
}

impl Recorder {
    /// A recorder that remembers nothing: for an upstream that runs for days.
    #[must_use]
    pub fn counting_only() -> Self {
        Self::default()
    }

    /// A recorder for stories.
    #[must_use]
    pub fn remembering() -> Self {
        Self { memory: Some(Arc::default()), ..Self::default() }
    }

    /// How many requests came so far, whole or not.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// The remembered requests whose path holds `marker` and whose body has arrived in full.
    #[must_use]
    pub fn with_path(&self, marker: &str) -> Vec<Received> {
        self.remembered(|memory| memory.received.iter().filter(|r| r.path.contains(marker)).cloned().collect())
    }

    /// The last request whose body has arrived in full.
    #[must_use]
    pub fn last(&self) -> Option<Received> {
        self.with_memory(|memory| memory.received.back().cloned()).flatten()
    }

    /// The remembered requests whose path holds `marker`, as soon as their headers are there. Empty means
    /// that nothing of such a request ever arrived.
    #[must_use]
    pub fn visits(&self, marker: &str) -> Vec<Visit> {
        self.remembered(|memory| memory.visits.iter().filter(|v| v.path.contains(marker)).cloned().collect())
    }

    /// The headers of a request to `path` are there.
    pub(super) fn enter(&self, path: String) -> Serving {
        let number = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        let visit = Visit(Arc::new(Progress {
            number,
            path,
            body_bytes: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            open: AtomicBool::new(true),
            end: Notify::new(),
        }));
        self.with_memory(|memory| push(&mut memory.visits, visit.clone()));
        Serving(visit)
    }

    pub(super) fn remember(&self, received: &Received) {
        self.with_memory(|memory| push(&mut memory.received, received.clone()));
    }

    fn remembered<T>(&self, read: impl FnOnce(&mut Memory) -> Vec<T>) -> Vec<T> {
        self.with_memory(read).unwrap_or_default()
    }

    fn with_memory<T>(&self, act: impl FnOnce(&mut Memory) -> T) -> Option<T> {
        self.memory.as_ref().map(|memory| act(&mut memory.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn push<T>(last: &mut VecDeque<T>, next: T) {
    if last.len() == REMEMBERED {
        last.pop_front();
    }
    last.push_back(next);
}

/// One request at the upstream, while it is under way and afterwards. Clones look at the same one.
#[derive(Clone)]
pub struct Visit(Arc<Progress>);

/// How far a request is.
pub struct Progress {
    /// Which request it is since the upstream started, from 1.
    pub number: u64,
    /// Path and query.
    pub path: String,
    body_bytes: AtomicU64,
    sent: AtomicU64,
    open: AtomicBool,
    end: Notify,
}

impl Deref for Visit {
    type Target = Progress;

    fn deref(&self) -> &Progress {
        &self.0
    }
}

impl Progress {
    /// How many bytes of its body have arrived so far; of a websocket, those of its messages.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes.load(Ordering::SeqCst)
    }

    /// How many events, chunks or messages the upstream has sent so far. The next one bears this number
    /// plus one, so whoever reads a higher number reads what was sent later.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// Whether the upstream is still at it: it has not answered in full, and was not left.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::SeqCst)
    }

    /// Lets a stream that would go on for ever come to its orderly end.
    pub fn end(&self) {
        self.end.notify_one();
    }

    pub(super) fn arrived(&self, bytes: usize) {
        self.body_bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Counts what is sent next, and gives its number.
    pub(super) fn next(&self) -> u64 {
        self.sent.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(super) async fn ended(&self) {
        self.end.notified().await;
    }
}

/// Held by whoever serves a request. The server drops it with the answer's last byte, or as soon as the
/// client is gone.
pub(super) struct Serving(Visit);

impl Deref for Serving {
    type Target = Progress;

    fn deref(&self) -> &Progress {
        &self.0
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.open.store(false, Ordering::SeqCst);
    }
}
