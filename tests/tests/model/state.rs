//! What there is in the model: one store, two sidecars, one or two workers, an admin and a user.
//!
//! Time is one bit for everything that has an age: a *silence* is the staleness bound and the margin, so
//! whatever was not renewed since is too old. Only one user matters, so the feed's state is their entry.

use crate::rules::Budget;

/// Epoch and version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    pub(crate) epoch: u8,
    pub(crate) version: u8,
}

impl Stamp {
    /// Whether whoever holds this has applied the write at `other`.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.epoch == other.epoch && self.version >= other.version
    }
}

/// The last write about the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) version: u8,
    /// False: lifted.
    pub(crate) banned: bool,
    /// The number that it had before it was written back; 0 if it was not.
    pub(crate) was: u8,
}

/// A worker in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Row {
    pub(crate) holds: Option<Stamp>,
    /// Where the feed stood when it came on record, if it held nothing then.
    pub(crate) joined: Option<Stamp>,
    /// Whether it counts as silent.
    pub(crate) is_silent: bool,
}

/// An epoch on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct EpochRecord {
    pub(crate) id: u8,
    pub(crate) lineage: u8,
    pub(crate) base: u8,
    /// Whether it began within the staleness bound: workers may be about whom the registry does not know.
    pub(crate) is_young: bool,
}

/// The store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Redis {
    pub(crate) lineage: u8,
    pub(crate) epoch: Option<EpochRecord>,
    pub(crate) version: u8,
    /// The first version that the stream still has.
    pub(crate) oldest: u8,
    pub(crate) record: bool,
    pub(crate) entry: Option<Entry>,
    pub(crate) rows: [Option<Row>; 2],
    /// How many epochs there were.
    pub(crate) epochs: u8,
}

/// A sidecar's copy of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Mirror {
    pub(crate) stamp: Stamp,
    pub(crate) entry: Option<Entry>,
    /// Changes behind this version can be told one by one.
    pub(crate) log_from: u8,
    pub(crate) is_old: bool,
}

/// What a sidecar answers to a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reply {
    /// Up to `stamp`, with what changed for the user.
    Delta { stamp: Stamp, change: Option<bool> },
    /// The first of two pages; the user's entry stands in it.
    FirstPage { stamp: Stamp, banned: bool },
    /// The other one.
    LastPage { stamp: Stamp },
}

/// Where a worker's poll is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Poll {
    None,
    /// Held by a sidecar. `at`: where the feed stood when it was put on record; none if it was not.
    Held {
        sidecar: usize,
        at: Option<Stamp>,
        wants_news: bool,
    },
    Answered {
        reply: Reply,
        is_old: bool,
    },
}

/// A snapshot that is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Loading {
    pub(crate) stamp: Stamp,
    pub(crate) named: bool,
    pub(crate) is_fresh: bool,
}

/// A live stream of the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Stream {
    None,
    Open,
    Cut,
}

/// A filter's VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    pub(crate) position: Option<Stamp>,
    pub(crate) loading: Option<Loading>,
    pub(crate) is_fresh: bool,
    pub(crate) is_barred: bool,
    pub(crate) poll: Poll,
    pub(crate) poll_is_old: bool,
    pub(crate) stream: Stream,
}

impl Worker {
    /// One that knows nothing yet.
    pub(crate) const NEW: Self = Self {
        position: None,
        loading: None,
        is_fresh: false,
        is_barred: false,
        poll: Poll::None,
        poll_is_old: false,
        stream: Stream::None,
    };

    /// What it says in its polls that it holds: nothing while it reads a snapshot.
    pub(crate) fn holds(&self) -> Option<Stamp> {
        self.position.filter(|_| self.loading.is_none())
    }

    /// Whether it would let the user in now without asking anybody.
    pub(crate) fn admits(&self) -> bool {
        self.is_fresh && self.position.is_some() && !self.is_barred
    }
}

/// How far the admin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Admin {
    Idle,
    /// One of the two writes is done.
    Half,
    Written(Stamp),
    Acknowledged,
    /// A lift is asked for; the entry had this version.
    Lifting(u8),
    RecordRemoved(u8),
    Lifted,
    Crashed,
}

/// How far somebody is who found a record without an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Reconciler {
    Idle,
    /// It saw no entry, and a record.
    Looked,
    /// It wrote the entry of this version, and looks at the record again.
    Put(u8),
}

/// A request that waits for a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Request {
    pub(crate) worker: usize,
    /// Whether it arrived after the acknowledgement.
    pub(crate) is_late: bool,
    pub(crate) check: Check,
}

/// Where its check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Check {
    Asked,
    /// The sidecar has noted its version.
    Stamped {
        sidecar: usize,
        stamp: Stamp,
    },
    Answered {
        stamp: Stamp,
        allow: bool,
    },
}

/// Everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) redis: Redis,
    pub(crate) mirrors: [Option<Mirror>; 2],
    pub(crate) workers: [Worker; 2],
    /// A poll that its worker has given up and that is still under way: whose, and what it says.
    pub(crate) stray: Option<(usize, Option<Stamp>)>,
    pub(crate) admin: Admin,
    pub(crate) reconciler: Reconciler,
    pub(crate) request: Option<Request>,
    /// A request that arrived after the acknowledgement was admitted.
    pub(crate) admitted_late: bool,
    /// A worker went to a lower version of the same epoch.
    pub(crate) went_back: bool,
    pub(crate) left: Budget,
}

impl State {
    /// Everything runs and is in step, nobody is banned.
    pub(crate) fn in_step(left: Budget) -> Self {
        let stamp = Stamp { epoch: 1, version: 1 };
        let row = Row { holds: Some(stamp), joined: None, is_silent: false };
        let worker = Worker { position: Some(stamp), is_fresh: true, ..Worker::NEW };
        let mirror = Mirror { stamp, entry: None, log_from: 1, is_old: false };
        Self {
            redis: Redis {
                lineage: 1,
                epoch: Some(EpochRecord { id: 1, lineage: 1, base: 1, is_young: false }),
                version: 1,
                oldest: 2,
                record: false,
                entry: None,
                rows: [Some(row); 2],
                epochs: 1,
            },
            mirrors: [Some(mirror); 2],
            workers: [worker; 2],
            stray: None,
            admin: Admin::Idle,
            reconciler: Reconciler::Idle,
            request: None,
            admitted_late: false,
            went_back: false,
            left,
        }
    }

    /// Whether a ban was acknowledged whose lift nobody has asked for.
    pub(crate) fn ban_is_acknowledged(&self) -> bool {
        self.admin == Admin::Acknowledged
    }

    /// Whether what is true of the store now is all there is: nobody is about to write.
    pub(crate) fn is_at_rest(&self) -> bool {
        let admin = matches!(self.admin, Admin::Idle | Admin::Acknowledged | Admin::Lifted | Admin::Crashed);
        admin && self.reconciler == Reconciler::Idle
    }
}
