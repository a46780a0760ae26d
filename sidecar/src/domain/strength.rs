//! How hard a secret is to guess, as far as its bytes show.

use std::collections::BTreeMap;

/// Below this, somebody with one token and a rented machine may find the secret.
pub const STRONG_BITS: f64 = 100.0;

/// Words that stand in examples and in passwords, never in random bytes of a sensible length.
const WORDS: [&str; 6] = ["secret", "password", "changeme", "example", "default", "sekisho"];

/// What a secret's bytes show, without the secret.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strength {
    /// How long it is.
    pub length_bytes: usize,
    /// An upper bound of its entropy: bits a byte by the frequency of its bytes, times its length.
    pub bits: f64,
    /// Whether it holds a word that nobody would find in random bytes.
    pub has_word: bool,
}

impl Strength {
    /// Measures a secret.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        let mut counts: BTreeMap<u8, u32> = BTreeMap::new();
        for byte in secret {
            *counts.entry(*byte).or_default() += 1;
        }
        #[expect(clippy::cast_precision_loss, reason = "secrets are short")]
        let length = secret.len() as f64;
        let surprise = |count: &u32| f64::from(*count) * (length / f64::from(*count)).log2();
        let text = String::from_utf8_lossy(secret).to_ascii_lowercase();
        Self {
            length_bytes: secret.len(),
            bits: counts.values().map(surprise).sum(),
            has_word: WORDS.iter().any(|word| text.contains(word)),
        }
    }

    /// Whether nothing speaks against it.
    #[must_use]
    pub fn is_strong(&self) -> bool {
        self.bits >= STRONG_BITS && !self.has_word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_secrets_are_strong_and_typed_ones_are_not() {
        for (secret, expected) in [
            ("3Jx0mQ9vT2yZ7bNcWk5RfLh8UeAs1PdGiYoXtBqMvKzCjHnE", true),
            ("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", true),
            ("", false),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("abababababababababababababababababababababababab", false),
            ("a mesh Secret of thirty-two bytes and more 1234", false),
        ] {
            assert_eq!(Strength::of(secret.as_bytes()).is_strong(), expected, "{secret:?}");
        }
    }
}
