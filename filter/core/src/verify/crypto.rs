//! Who does the cryptography: the host, where it proved that it can, or this module itself; and how much of
//! it there was.

use sekisho_protocol::activity::{VerificationCount, Verifier};

use super::algorithm::Algorithm;
use super::budget::Budget;
use super::host::{HostAbility, HostCrypto};

/// What a verification may use.
pub struct Crypto<'a> {
    /// The host's part.
    pub host: &'a dyn HostCrypto,
    /// What the host proved; [`HostAbility::NONE`] under `host_crypto: never`.
    pub ability: HostAbility,
    /// What this worker may still spend on slow verifications.
    pub budget: &'a mut Budget,
    /// Milliseconds in each second that it may spend so.
    pub budget_ms: u32,
    /// How many there were.
    pub count: &'a mut Verifications,
}

/// How many signatures were looked at, valid or not, by algorithm and by whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verifications([[u64; 2]; Algorithm::ALL.len()]);

impl Verifications {
    /// One more.
    pub(crate) fn count(&mut self, algorithm: Algorithm, by: Verifier) {
        if let Some(count) = self.0.get_mut(algorithm.index()).and_then(|row| row.get_mut(by as usize)) {
            *count += 1;
        }
    }

    /// As many more as there are in `others`.
    pub(crate) fn add(&mut self, others: &Self) {
        let counts = self.0.iter_mut().flatten().zip(others.0.iter().flatten());
        counts.for_each(|(count, more)| *count += more);
    }

    /// Those that happened.
    pub fn iter(&self) -> impl Iterator<Item = (Algorithm, Verifier, u64)> {
        let row = |(algorithm, [host, wasm]): (Algorithm, &[u64; 2])| {
            [(algorithm, Verifier::Host, *host), (algorithm, Verifier::Wasm, *wasm)]
        };
        Algorithm::ALL.into_iter().zip(&self.0).flat_map(row).filter(|(_, _, count)| *count > 0)
    }

    /// Those that happened, as they are reported.
    #[must_use]
    pub fn rows(&self) -> Vec<VerificationCount> {
        let row = |(algorithm, by, count): (Algorithm, _, _)| VerificationCount {
            algorithm: algorithm.as_str().into(),
            by,
            count,
        };
        self.iter().map(row).collect()
    }

    /// Hands the counts over and begins at 0 again.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}
