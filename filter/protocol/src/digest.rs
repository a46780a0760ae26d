//! The 64-bit keyed digest under which the filter's denylist knows a subject, a token, a session.
//!
//! The digest is keyed with a secret of the mesh, so that nobody outside can construct a collision.
//! An accidental one refuses nobody: a hit is always confirmed by a check.

use std::fmt;
use std::hash::Hasher;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use siphasher::sip::SipHasher24;

use crate::feed::Kind;

/// A keyed digest of (kind, name). On the wire: 16 lower-case hex digits. The lowest bit is always 0:
/// the filter's table keeps a mark there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(u64);

impl Digest {
    /// The smallest digest: where the first page of a snapshot starts.
    pub const MIN: Self = Self(2);

    /// The digest of `name` as a thing of `kind`. The same name has another digest for each kind,
    /// so that a revoked token never bars a subject that happens to be called like it.
    #[must_use]
    pub fn of(key: &DigestKey, kind: Kind, name: &str) -> Self {
        let mut hasher = key.hasher();
        hasher.write_u8(kind.tag());
        hasher.write(name.as_bytes());
        Self::from_raw(hasher.finish())
    }

    /// A digest from its number, even and never 0: 0 marks an empty slot in the filter's table.
    #[must_use]
    pub fn from_raw(raw: u64) -> Self {
        Self((raw & !1).max(Self::MIN.0))
    }

    /// The digest as a number, even and never 0.
    #[must_use]
    pub fn raw(self) -> u64 {
        self.0
    }

    /// The digest that follows this one, or `None` after the last.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(2).map(Self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What was not 16 lower-case hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 16 lower-case hex digits")]
pub struct InvalidDigest;

impl std::str::FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 16 || !text.bytes().all(hex) {
            return Err(InvalidDigest);
        }
        u64::from_str_radix(text, 16).map(Self::from_raw).map_err(|_| InvalidDigest)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hex;
        impl Visitor<'_> for Hex {
            type Value = Digest;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("16 lower-case hex digits")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Digest, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Hex)
    }
}

/// The key of the digest, derived from the mesh secret ([`crate::keys::digest_key`]).
#[derive(Clone, PartialEq, Eq)]
pub struct DigestKey(pub(crate) [u8; 16]);

impl DigestKey {
    /// A keyed hasher, for digests that never leave the process.
    #[must_use]
    pub fn hasher(&self) -> SipHasher24 {
        SipHasher24::new_with_key(&self.0)
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(…)")
    }
}
