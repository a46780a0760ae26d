//! The rules of the protocol as switches, so that each can be shown to be needed, and how much may happen.

/// Which rules hold. The tests switch one off and expect the checker to find what it was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// P1: a reader that missed a version loads the feed anew.
    pub(crate) no_gap: bool,
    /// P2: a store that may have lost data begins another epoch.
    pub(crate) new_epoch_on_loss: bool,
    /// P2: what a sidecar still holds from the epoch before is written back.
    pub(crate) write_back: bool,
    /// P2: nobody is served an epoch before everybody who holds something has written it back. (The code gives
    /// them half a second.)
    pub(crate) settled_epoch: bool,
    /// P2: the sidecar that acknowledges a ban holds it itself, so that it can write it back.
    pub(crate) acknowledger_holds: bool,
    /// P3: nobody is told less than it has, and nobody believes it.
    pub(crate) never_backwards: bool,
    /// P3: a snapshot counts as old as its first page.
    pub(crate) oldest_page_counts: bool,
    /// P4: freshness is counted from when the poll was sent.
    pub(crate) count_from_sent: bool,
    /// P4: an answer says how old the sidecar's own last read of the store is, and its last record of the poll.
    pub(crate) count_from_read: bool,
    /// P5: an old *allow* decides nothing about whom the replica bars.
    pub(crate) old_allow_never_wins: bool,
    /// P6: whoever is barred is refused if nobody can confirm it.
    pub(crate) hit_bars: bool,
    /// P7: a replica is on record before it reads its snapshot.
    pub(crate) register_before_snapshot: bool,
    /// P7: an answer is not older than the record of the poll.
    pub(crate) answer_covers_record: bool,
    /// P7: whoever is counted as fenced checks every request.
    pub(crate) fenced_promise: bool,
    /// P7: a registry that the store lost is not mistaken for one in which nobody stands.
    pub(crate) lost_registry_counts_nobody_out: bool,
    /// P8: the record is written before the entry.
    pub(crate) record_first: bool,
    /// P8: a record without an entry gets one.
    pub(crate) reconcile: bool,
    /// P12: streams are cut before the next poll acknowledges the ban.
    pub(crate) cut_before_acknowledging: bool,
}

impl Rules {
    /// Everything holds.
    pub(crate) const ALL: Self = Self {
        no_gap: true,
        new_epoch_on_loss: true,
        write_back: true,
        settled_epoch: true,
        acknowledger_holds: true,
        never_backwards: true,
        oldest_page_counts: true,
        count_from_sent: true,
        count_from_read: true,
        old_allow_never_wins: true,
        hit_bars: true,
        register_before_snapshot: true,
        answer_covers_record: true,
        fenced_promise: true,
        lost_registry_counts_nobody_out: true,
        record_first: true,
        reconcile: true,
        cut_before_acknowledging: true,
    };
}

/// How often each of these may still happen: what makes the exploration end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// The staleness bound and its margin pass.
    pub(crate) silences: u8,
    /// Somebody else's entry is written.
    pub(crate) other_writes: u8,
    /// The stream loses its oldest writes.
    pub(crate) trims: u8,
    /// A filter's VM starts anew.
    pub(crate) worker_restarts: u8,
    /// A sidecar starts anew.
    pub(crate) sidecar_restarts: u8,
    /// The store is flushed.
    pub(crate) flushes: u8,
    /// The store restarts and comes back as it was in the beginning.
    pub(crate) lost_tails: u8,
    /// A poll or its answer is lost.
    pub(crate) lost_polls: u8,
    /// A poll is answered without being put on record: the store is away from that sidecar.
    pub(crate) unrecorded_polls: u8,
    /// The user sends a request.
    pub(crate) requests: u8,
    /// The program that bans crashes in the middle.
    pub(crate) admin_crashes: u8,
    /// The ban is lifted.
    pub(crate) lifts: u8,
}

impl Budget {
    /// Nothing goes wrong.
    pub(crate) const NONE: Self = Self {
        silences: 0,
        other_writes: 0,
        trims: 0,
        worker_restarts: 0,
        sidecar_restarts: 0,
        flushes: 0,
        lost_tails: 0,
        lost_polls: 0,
        unrecorded_polls: 0,
        requests: 0,
        admin_crashes: 0,
        lifts: 0,
    };
}
