//! Points in time, as they stand in Redis and on the wire.

use std::fmt;

use sekisho_protocol::feed::FOREVER;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// The moment of what has no end.
    pub const FOREVER: Self = Self(FOREVER);

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// This moment and `seconds` more; never as late as [`Self::FOREVER`], which means something else.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds).min(FOREVER - 1))
    }

    /// How many seconds after `earlier` this is; 0 if it isn't.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sum_is_ever_taken_for_forever() {
        assert_eq!(UnixSeconds(10).plus(5), UnixSeconds(15));
        assert!(UnixSeconds(10).plus(u64::MAX) < UnixSeconds::FOREVER);
    }
}
