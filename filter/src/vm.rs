//! The state of one VM: its root contexts, its worker, its callouts.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use sekisho_core::config::Policy;
use sekisho_core::decision::Line;
use sekisho_core::feed::{FeedError, Promise};
use sekisho_core::head::Framing;
use sekisho_core::id_map::IdMap;
use sekisho_core::metrics::Question;
use sekisho_core::set_cookie::Guard;
use sekisho_core::time::Now;
use sekisho_core::worker::Worker;

use crate::host;
use crate::statistics::Statistics;

/// Everything that outlives a callback.
#[derive(Default)]
pub(crate) struct Vm {
    /// By context id. There are several while an old listener drains.
    pub(crate) roots: IdMap<u32, Rc<Policy>>,
    /// By context id.
    pub(crate) streams: IdMap<u32, Stream>,
    /// One for all root contexts, so that a configuration push keeps it (rule P11).
    pub(crate) worker: Option<Worker>,
    /// Callouts under way.
    pub(crate) calls: IdMap<u32, Call>,
    /// The statistics of the proxy that were written to, by name.
    pub(crate) statistics: Statistics,
    /// The replica said goodbye: a poll would put it on record again.
    pub(crate) is_leaving: bool,
    /// How the last poll failed, if it did.
    pub(crate) feed_error: Option<FeedError>,
    clock: Clock,
}

/// A request.
pub(crate) struct Stream {
    /// The root context whose policy it is under.
    pub(crate) root: u32,
    /// Nothing of it passes before this is set.
    pub(crate) allowed: bool,
    /// How it wants to be answered.
    pub(crate) framing: Framing,
    /// Headers of its answer, for whoever may know why it passes.
    pub(crate) lines: Vec<Line>,
    /// Which cookies its upstream may not set.
    pub(crate) guard: Guard,
}

/// A callout under way.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    /// The root context that made it and gets its answer.
    pub(crate) root: u32,
    pub(crate) purpose: Purpose,
    /// By the monotonic clock.
    pub(crate) sent_at_ms: u64,
}

/// What a callout is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Feed,
    Check,
    Keys,
    Session,
    Activity,
    Goodbye,
}

impl Purpose {
    /// What is counted as it; a goodbye is nobody's question.
    pub(crate) fn question(self) -> Option<Question> {
        match self {
            Self::Feed => Some(Question::Feed),
            Self::Check => Some(Question::Check),
            Self::Keys => Some(Question::Keys),
            Self::Session => Some(Question::Session),
            Self::Activity => Some(Question::Activity),
            Self::Goodbye => None,
        }
    }
}

/// The wall clock is set by less than this without anybody having slept.
const ADJUSTMENT_MS: u64 = 500;
/// What a sidecar tells on the first poll may be older than the VM.
const ROOM_BEFORE_START_MS: u64 = 86_400_000;

/// Both clocks for one host call: the wall clock is asked at each tick, and in between the monotonic
/// one tells how far it has moved.
#[derive(Default)]
struct Clock {
    started: Option<Instant>,
    /// Unix milliseconds less monotonic milliseconds.
    offset_ms: u64,
    /// What the monotonic clock slept through.
    slept_ms: u64,
}

thread_local! {
    static VM: RefCell<Vm> = RefCell::default();
}

/// Runs a callback on the state. None if one is running already: the proxy never calls back into a
/// VM during a host call, so this is a defence only, and callers fail closed.
pub(crate) fn with<T>(callback: impl FnOnce(&mut Vm) -> T) -> Option<T> {
    VM.with(|vm| vm.try_borrow_mut().ok().map(|mut vm| callback(&mut vm)))
}

impl Vm {
    /// The moment of this callback.
    pub(crate) fn now(&self) -> Now {
        let mono_ms = self.clock.mono_ms();
        Now { unix_s: (self.clock.offset_ms + mono_ms) / 1_000, mono_ms }
    }

    /// Asks the wall clock.
    pub(crate) fn set_clock(&mut self) {
        self.clock.started.get_or_insert_with(Instant::now);
        if let Ok(unix) = host::unix_time() {
            let unix_ms = u64::try_from(unix.as_millis()).unwrap_or_default();
            let offset_ms = unix_ms.saturating_sub(self.clock.mono_ms());
            let ahead_ms = offset_ms.saturating_sub(self.clock.offset_ms);
            if self.clock.offset_ms > 0 && ahead_ms > ADJUSTMENT_MS {
                // The machine may have been suspended, and its monotonic clock with it: what is known is older
                // than that clock says (rule P4). If somebody only set the clock, the next poll mends it.
                self.clock.slept_ms += ahead_ms;
            } else {
                self.clock.offset_ms = offset_ms;
            }
        }
    }

    /// The policy that a stream is under.
    pub(crate) fn policy_of(&self, stream: u32) -> Option<&Rc<Policy>> {
        self.roots.get(&self.streams.get(&stream)?.root)
    }

    /// How a stream wants to be answered.
    pub(crate) fn framing_of(&self, stream: u32) -> Framing {
        self.streams.get(&stream).map(|stream| stream.framing).unwrap_or_default()
    }

    /// What the replica can promise for all policies: the age at which the last of them counts it as stale,
    /// and whether every one then checks every request (rule P7).
    pub(crate) fn promise(&self) -> Promise {
        Promise {
            staleness_ms: self.roots.values().map(|policy| policy.mesh.staleness_ms).max().unwrap_or_default(),
            fences: self.roots.values().all(|policy| policy.fences()),
        }
    }
}

impl Clock {
    /// Milliseconds, from a start that leaves room for moments before it.
    fn mono_ms(&self) -> u64 {
        let elapsed =
            self.started.map_or(0, |started| u64::try_from(started.elapsed().as_millis()).unwrap_or_default());
        ROOM_BEFORE_START_MS + elapsed + self.slept_ms
    }
}
