//! What an answer to a poll must hold, so that no replica is told less than it has (rule P3), or less
//! than there was when it was put on record (rule P7).

use std::time::Duration;

use sekisho_protocol::feed::FeedQuery;
use sekisho_protocol::{Digest, Epoch};

use crate::domain::feed::state::State;
use crate::domain::feed::{Stamp, Version};

/// What must be known before a poll can be answered.
pub(super) enum Needed {
    /// Anything behind `since`; the replica holds everything up to there.
    News { epoch: Epoch, since: Version, at: Recorded },
    /// The page that starts at `from`, at least as new as `least`.
    Snapshot { from: Digest, least: Stamp },
}

/// Where the feed stood when the poll was put on record.
///
/// A replica that was silent may have been given up as fenced by a change that came before; so its
/// answer must not be older than the record of its return, or it would count itself as fresh
/// without that change.
pub(super) enum Recorded {
    /// The store could not be asked; the replica was last put on record so long ago, and what its answer
    /// says may be no fresher than that.
    Unknown(Duration),
    /// Here; none if the store had no epoch.
    At(Option<Stamp>),
}

/// How far a state is on the way to an answer.
pub(super) enum Progress {
    /// It can be answered, with something new.
    News,
    /// It can be answered, but nothing is new.
    NothingNew,
    /// The state is not there yet.
    Behind,
    /// The state belongs to another epoch than the one that the answer began in.
    OtherEpoch,
}

impl Needed {
    /// A page for a poll that was put on record when the store stood `at`.
    ///
    /// A snapshot's first page must be as new as that: a change that was written before may have counted the
    /// replica as fenced, or not at all, and nobody waits for it again.
    ///
    /// A later page must only be as new as the first one. Its worker's position becomes that of the first
    /// page, and its freshness that of the oldest, so whatever came after the first page is neither
    /// acknowledged nor claimed to be known before the worker has asked for it as changes.
    pub(super) fn page(query: &FeedQuery, at: Stamp) -> Self {
        match (&query.from, &query.epoch) {
            (Some(from), Some(epoch)) if *epoch == at.epoch => {
                Self::Snapshot { from: *from, least: Stamp { version: Version::new(query.since), ..at } }
            }
            (from, _) => Self::Snapshot { from: from.unwrap_or(Digest::MIN), least: at },
        }
    }

    /// How old an answer is at least, whatever the state's own age.
    pub(super) fn least_age(&self) -> Duration {
        match self {
            Self::News { at: Recorded::Unknown(since_record), .. } => *since_record,
            _ => Duration::ZERO,
        }
    }

    /// Whether the poll is on record.
    pub(super) fn is_recorded(&self) -> bool {
        !matches!(self, Self::News { at: Recorded::Unknown(_), .. })
    }

    /// How far `state` is on the way to an answer.
    pub(super) fn progress(&self, state: &State) -> Progress {
        let stamp = state.stamp();
        let reached = |at: &Stamp| stamp.reaches(at);
        match self {
            Self::News { epoch, .. } if *epoch != stamp.epoch => Progress::OtherEpoch,
            Self::News { at: Recorded::At(at), .. } if !at.as_ref().is_some_and(reached) => Progress::Behind,
            Self::News { since, .. } if stamp.version > *since => Progress::News,
            Self::News { .. } => Progress::NothingNew,
            Self::Snapshot { least, .. } if reached(least) => Progress::News,
            Self::Snapshot { .. } => Progress::Behind,
        }
    }
}
