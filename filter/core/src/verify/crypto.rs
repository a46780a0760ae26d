//! Who does the cryptography: the host, where it proved that it can, or this module itself; and how much of
//! it there was.

use sekisho_protocol::activity::{VerificationCount, Verifier};

use super::algorithm::{Algorithm, Hash};
use super::budget::Budget;

/// Signatures verified by the proxy, in native code.
pub trait HostCrypto: std::fmt::Debug {
    /// Whether `signature` over `text` is that of the public key (SubjectPublicKeyInfo, DER). ECDSA
    /// signatures are in DER. None: the host cannot tell.
    fn verify(&self, hash: Hash, public_key_spki_der: &[u8], signature: &[u8], text: &[u8]) -> Option<bool>;
}

/// A host that can verify nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl HostCrypto for NoHost {
    fn verify(&self, _: Hash, _: &[u8], _: &[u8], _: &[u8]) -> Option<bool> {
        None
    }
}

/// For which algorithms a host proved itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HostAbility(u16);

impl HostAbility {
    /// Nothing is left to the host.
    pub const NONE: Self = Self(0);

    /// Puts known signatures to the host, good ones and bad ones. It is trusted with an algorithm only if it
    /// told them apart.
    #[must_use]
    pub fn prove(_host: &dyn HostCrypto) -> Self {
        Self::NONE
    }

    /// Whether the host verifies signatures of this algorithm.
    #[must_use]
    pub fn has(self, algorithm: Algorithm) -> bool {
        self.0 & (1 << algorithm.index()) != 0
    }
}

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

    /// Those that happened, as they are reported.
    #[must_use]
    pub fn rows(&self) -> Vec<VerificationCount> {
        let row = |(algorithm, [host, wasm]): (Algorithm, &[u64; 2])| {
            let row = |by, count: u64| VerificationCount { algorithm: algorithm.as_str().into(), by, count };
            [row(Verifier::Host, *host), row(Verifier::Wasm, *wasm)]
        };
        Algorithm::ALL.into_iter().zip(&self.0).flat_map(row).filter(|row| row.count > 0).collect()
    }

    /// Hands the counts over and begins at 0 again.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }
}
