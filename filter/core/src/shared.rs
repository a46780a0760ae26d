//! What the decisions about the requests of one VM read and write.

use std::rc::Rc;

use sekisho_protocol::Epoch;

use crate::activity::Activity;
use crate::check::Confirmed;
use crate::config::Policy;
use crate::feed::{Promise, Replica};
use crate::metrics::{Freshness, Metrics};
use crate::session::refused::Refused;
use crate::sources::Sources;
use crate::time::Now;
use crate::verify::budget::Budget;
use crate::verify::cache::TokenCache;
use crate::verify::crypto::Verifications;
use crate::verify::host::{HostAbility, HostCrypto};

/// What decisions read and write.
#[derive(Debug)]
pub struct Shared {
    /// What is barred.
    pub replica: Replica,
    /// Tokens that were verified before.
    pub tokens: TokenCache,
    /// The keys that sidecars fetched.
    pub sources: Sources,
    /// Who verifies signatures natively.
    pub host: Rc<dyn HostCrypto>,
    /// What the host proved that it can verify.
    pub ability: HostAbility,
    /// What may still be spent on slow cryptography.
    pub budget: Budget,
    /// How many signatures were looked at.
    pub verifications: Verifications,
    /// Denials that a check confirmed.
    pub confirmed: Confirmed,
    /// Cookies of oauth2-proxy whose session holds no more.
    pub refused: Refused,
    /// What happened, for the next report.
    pub activity: Activity,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether tokens are taken for signed as they should be.
    #[cfg(feature = "offline")]
    pub trusts_tokens: bool,
}

impl Shared {
    /// Whether the denylist alone may decide.
    #[must_use]
    pub fn is_fresh(&self, policy: &Policy, now: Now) -> bool {
        self.freshness(policy.mesh.staleness_ms, now) == Freshness::Fresh
    }

    /// Whether the denylist alone may decide, under the bound of a configuration.
    #[must_use]
    pub fn freshness(&self, staleness_ms: u32, now: Now) -> Freshness {
        let staleness_ms = self.replica.binding(Promise { staleness_ms, fences: false }).staleness_ms;
        if self.replica.is_fresh(now, staleness_ms) { Freshness::Fresh } else { Freshness::Stale }
    }

    /// Whether a request may pass that nobody could check, if its route says so. Not while changes still
    /// count on this worker to check every request (rule P7).
    #[must_use]
    pub fn may_pass_unchecked(&self, policy: &Policy) -> bool {
        !self.binding(policy).fences
    }

    /// Whether an answer of this version may decide what the replica has a say in (rule P5).
    #[must_use]
    pub fn is_as_new(&self, epoch: &Epoch, version: u64) -> bool {
        let position = self.replica.position();
        position.is_some_and(|position| *epoch == position.epoch && version >= position.version)
    }

    fn binding(&self, policy: &Policy) -> Promise {
        self.replica.binding(Promise { staleness_ms: policy.mesh.staleness_ms, fences: false })
    }
}
