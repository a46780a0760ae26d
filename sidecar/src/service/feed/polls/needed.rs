//! What an answer to a poll must hold, so that no replica is told less than it has (rule P3), or less
//! than there was when it was put on record (rule P7).

use std::time::Duration;

use sekisho_protocol::Epoch;

use crate::domain::feed::state::State;
use crate::domain::feed::{Stamp, Version};

/// What must be known before a poll can be answered.
pub(super) enum Needed {
    /// Anything behind `since`; the replica holds everything up to there.
    News { epoch: Epoch, since: Version, at: Recorded },
    /// At least what the store held when the replica was registered.
    Snapshot { at: Stamp },
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
        let reached = |at: &Stamp| at.epoch == stamp.epoch && stamp.version >= at.version;
        match self {
            Self::News { epoch, .. } if *epoch != stamp.epoch => Progress::OtherEpoch,
            Self::News { at: Recorded::At(at), .. } if !at.as_ref().is_some_and(reached) => Progress::Behind,
            Self::News { since, .. } if stamp.version > *since => Progress::News,
            Self::News { .. } => Progress::NothingNew,
            Self::Snapshot { at } if reached(at) => Progress::News,
            Self::Snapshot { .. } => Progress::Behind,
        }
    }
}
