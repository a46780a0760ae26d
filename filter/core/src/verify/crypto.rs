//! Who does the cryptography: the host, where it proved that it can, or this module itself; and how much of
//! it there was.

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

/// Where a signature was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// By the proxy, in native code.
    Host,
    /// In this module.
    Wasm,
}

impl Place {
    /// For reports and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Wasm => "wasm",
        }
    }
}

/// How many signatures were looked at, valid or not, by algorithm and place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verifications([[u64; 2]; Algorithm::ALL.len()]);

impl Verifications {
    /// One more.
    pub(crate) fn count(&mut self, algorithm: Algorithm, place: Place) {
        if let Some(count) = self.0.get_mut(algorithm.index()).and_then(|row| row.get_mut(place as usize)) {
            *count += 1;
        }
    }

    /// Those that happened.
    pub fn iter(&self) -> impl Iterator<Item = (Algorithm, Place, u64)> {
        let row = |(algorithm, row): (Algorithm, &[u64; 2])| {
            let [host, wasm] = *row;
            [(algorithm, Place::Host, host), (algorithm, Place::Wasm, wasm)]
        };
        Algorithm::ALL.into_iter().zip(&self.0).flat_map(row).filter(|(_, _, count)| *count > 0)
    }

    /// Hands the counts over and begins at 0 again.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Adds counts that could not be handed over.
    pub fn put_back(&mut self, other: &Self) {
        for (row, theirs) in self.0.iter_mut().zip(&other.0) {
            for (count, more) in row.iter_mut().zip(theirs) {
                *count += more;
            }
        }
    }
}
