//! What time it is. Only services and the edges above them ask; the domain gets it as a parameter.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::domain::time::UnixSeconds;

impl UnixSeconds {
    /// What this machine's clock says.
    #[must_use]
    pub fn now() -> Self {
        Self(since_epoch().as_secs())
    }
}

/// What this machine's clock says, in Unix milliseconds.
#[must_use]
pub fn now_ms() -> u64 {
    u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX)
}

/// A clock before 1970 is broken; nothing counts as over then, which is the safe side for a ban.
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
