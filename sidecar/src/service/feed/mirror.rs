//! This sidecar's own copy of the feed: read by the filters' polls and by checks, written by one job.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use sekisho_protocol::Digest;
use tokio::sync::watch;

use crate::domain::feed::Stamp;
use crate::domain::feed::state::{Gap, State};
use crate::domain::feed::write::Write;

/// Most names that one step of a sweep looks at: a fraction of a millisecond.
const SWEEP_MAX: usize = 1_000;

/// The copy. Clones share it.
#[derive(Clone)]
pub struct Mirror {
    held: Arc<RwLock<Option<Held>>>,
    changed: watch::Sender<()>,
    /// Whether somebody fills it. Not so in a command, which ends before it could.
    is_kept: Arc<AtomicBool>,
}

struct Held {
    state: State,
    /// The moment as of which the state is known to be all there was (rule P4).
    read_at: Instant,
    /// When this epoch began, if another one may have been in force before it.
    succeeded_at: Option<Instant>,
}

impl Default for Mirror {
    fn default() -> Self {
        Self { held: Arc::default(), changed: watch::Sender::new(()), is_kept: Arc::default() }
    }
}

impl Mirror {
    /// From now on somebody keeps the copy.
    pub fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }

    /// Looks at the feed and at its age; none before it was first loaded. `look` must not block.
    pub fn look<T>(&self, look: impl FnOnce(&State, Duration) -> T) -> Option<T> {
        self.read().as_ref().map(|held| look(&held.state, held.read_at.elapsed()))
    }

    /// Epoch and version.
    #[must_use]
    pub fn stamp(&self) -> Option<Stamp> {
        self.look(|state, _| state.stamp().clone())
    }

    /// How long ago the store was last read with success.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.look(|_, age| age)
    }

    /// Tells of each change from now on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Puts another state in place of the one that is held, which comes back: to drop a large one takes long,
    /// and nobody is to wait for that. `succeeded_at`: when its epoch began, if it is known to have come after
    /// another one.
    #[must_use]
    pub fn replace(&self, state: State, read_at: Instant, succeeded_at: Option<Instant>) -> Option<State> {
        let mut held = self.write();
        let is_same = |before: &&Held| before.state.stamp().epoch == state.stamp().epoch;
        let known = held.as_ref().filter(is_same).and_then(|before| before.succeeded_at);
        let replaced = held.replace(Held { state, read_at, succeeded_at: succeeded_at.or(known) });
        drop(held);
        self.changed.send_replace(());
        replaced.map(|held| held.state)
    }

    /// Whether a write at `stamp` is here to stay, and nobody may still decide by what an epoch before it said.
    ///
    /// To stay, it must be held: a store that loses it gets it back from here, and whoever read it saw that it
    /// still is the store on which the epoch began. Workers decide by an earlier epoch for at most `bound` after
    /// its end. A command keeps no copy, and takes the store's word.
    #[must_use]
    pub fn has_settled(&self, stamp: &Stamp, bound: Duration) -> bool {
        self.read().as_ref().map_or(!self.is_kept.load(Ordering::Relaxed), |held| {
            held.state.stamp().reaches(stamp) && held.succeeded_at.is_none_or(|at| at.elapsed() > bound)
        })
    }

    /// Applies writes at `now` (Unix seconds). `read_at`: as of when the state is then complete, if
    /// it is. Nothing happens if nothing is held yet.
    ///
    /// # Errors
    /// A write does not follow; those before it are applied.
    pub fn apply(&self, writes: Vec<Write>, now: u64, read_at: Option<Instant>) -> Result<(), Gap> {
        let news = !writes.is_empty();
        let applied = self.write().as_mut().map_or(Ok(()), |held| {
            for write in writes {
                held.state.apply(write, now)?;
            }
            held.read_at = read_at.unwrap_or(held.read_at).max(held.read_at);
            Ok(())
        });
        if news {
            self.changed.send_replace(());
        }
        applied
    }

    /// One step of a walk that forgets what is over at `now` (Unix seconds), from `from` on: where to go on,
    /// none after the last. Polls wait for a step, not for the walk.
    #[must_use]
    pub fn sweep(&self, from: Digest, now: u64) -> Option<Digest> {
        self.write().as_mut()?.state.sweep(from, SWEEP_MAX, now)
    }

    // A panic while the lock was held left the state whole: every change to it is one call.
    fn read(&self) -> RwLockReadGuard<'_, Option<Held>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Option<Held>> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }
}
