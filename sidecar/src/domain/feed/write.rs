//! One write to the feed, as it stands in the store and in a sidecar's memory.

use sekisho_protocol::feed::Kind;

use super::{Mark, Version};

/// How long a lift is remembered, in seconds: whoever held the entry for longer without a word
/// from the store does not write it back.
pub const LIFT_MEMORY_S: u64 = 86_400;

/// One write to the feed, as it stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Its number.
    pub version: Version,
    /// What kind of thing it is about.
    pub kind: Kind,
    /// The thing's name.
    pub name: String,
    /// What it says about it.
    pub says: Says,
}

/// What a write says about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// It is barred until a Unix second.
    Holds {
        /// When it ends.
        until: u64,
        /// See [`Mark::floor`].
        floor: u64,
    },
    /// It was lifted at a Unix second.
    Lifted {
        /// When.
        at: u64,
    },
}

impl Says {
    /// Whether it bars anything at `now`.
    #[must_use]
    pub fn holds(self, now: u64) -> bool {
        matches!(self, Self::Holds { until, .. } if now < until)
    }

    /// Whether it can be forgotten at `now`.
    #[must_use]
    pub fn is_over(self, now: u64) -> bool {
        match self {
            Self::Holds { until, .. } => until <= now,
            Self::Lifted { at } => at.saturating_add(LIFT_MEMORY_S) <= now,
        }
    }
}

impl From<&Mark> for Says {
    fn from(mark: &Mark) -> Self {
        Self::Holds { until: mark.until(), floor: mark.floor() }
    }
}
