//! Secrets: never printed, compared in constant time, wiped when they go.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes that nobody may see.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The secret with these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes, for whoever must use them. Never log or print them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether `candidate` is this secret, in a time that tells nothing about either: digests of one
    /// length are compared, so that not even the secret's length shows.
    #[must_use]
    pub fn matches(&self, candidate: &[u8]) -> bool {
        Sha256::digest(self.expose()).ct_eq(&Sha256::digest(candidate)).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other.expose())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("correct horse");
        assert_eq!(format!("{secret:?} {secret}"), "Secret(…) Secret(…)");
    }

    #[test]
    fn a_secret_matches_only_itself() {
        let secret = Secret::new("correct horse");
        for (candidate, expected) in
            [("correct horse", true), ("correct horsf", false), ("correct", false), ("", false)]
        {
            assert_eq!(secret.matches(candidate.as_bytes()), expected, "{candidate:?}");
        }
    }
}
