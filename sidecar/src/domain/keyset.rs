//! Sets of public keys, pure: whose they are, what is on record about a set, and when it counts as changed.
//! Nothing here knows where keys come from.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use sekisho_protocol::keyset::{Jwk, KEYS_MAX, SOURCE_MAX_BYTES, Standing};
use serde::{Deserialize, Serialize};

pub mod discovery;
pub mod schedule;
pub mod set;
pub mod source;

/// The name of a source of keys: 1 to 128 ASCII letters, digits, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceName(String);

/// Why a text names no source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a source's name has 1 to {SOURCE_MAX_BYTES} ASCII letters, digits, `.`, `_` or `-`")]
pub struct InvalidSourceName;

impl SourceName {
    /// The source of the keys with which Sekisho signs itself; no configuration may define it.
    pub const OWN: &str = "sekisho";

    /// The source with this name.
    ///
    /// # Errors
    /// [`InvalidSourceName`].
    pub fn parse(text: &str) -> Result<Self, InvalidSourceName> {
        let is_fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > SOURCE_MAX_BYTES || !text.bytes().all(is_fit) {
            return Err(InvalidSourceName);
        }
        Ok(Self(text.to_owned()))
    }

    /// [`Self::OWN`].
    #[must_use]
    pub fn own() -> Self {
        Self(Self::OWN.to_owned())
    }

    /// Whether it is [`Self::OWN`].
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.0 == Self::OWN
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SourceName {
    type Error = InvalidSourceName;
    fn try_from(text: String) -> Result<Self, InvalidSourceName> {
        Self::parse(&text)
    }
}

impl From<SourceName> for String {
    fn from(name: SourceName) -> Self {
        name.0
    }
}

/// What is on record about the keys of a source. It has no end: the last good keys stay for as long as nothing
/// better is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct KeysetRecord {
    /// Grows with every change of the keys, and with nothing else; 0 as long as there never was a set.
    pub revision: u64,
    /// The last good set: only public keys that can be used, at most [`KEYS_MAX`].
    pub keys: Vec<Jwk>,
    /// Where the set came from, and how it is doing. Own keys come from nowhere.
    #[serde(default)]
    pub origin: Origin,
}

/// Where a set came from, and how its source is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Origin {
    /// Where the configuration said that the set is, when an attempt was made last: [`source::Place::identity`].
    pub place: Option<String>,
    /// When the set was last fetched, or found unchanged: Unix milliseconds; 0 if never.
    pub fetched_at_ms: u64,
    /// From when on it is to be fetched again, Unix milliseconds.
    pub refresh_at_ms: u64,
    /// How many attempts have failed since.
    pub failures: u32,
    /// Why the last attempt failed, if it did: a sentence for people, without secrets.
    pub failure: Option<String>,
    /// The last question about an unknown `kid` that an attempt was made for.
    pub answered: Option<String>,
    /// Where the set was published. Without the query if the configuration says it, which may hold a secret.
    pub location: Option<String>,
    /// The `ETag` that came with it from there.
    pub etag: Option<String>,
    /// When the file with it was changed, Unix milliseconds.
    pub modified_at_ms: Option<u64>,
    /// How many keys of the set are of no use here.
    pub left_out: usize,
}

impl KeysetRecord {
    /// How the source is doing.
    #[must_use]
    pub fn standing(&self) -> Standing {
        if self.origin.failure.is_some() { Standing::Unreachable } else { Standing::Current }
    }

    /// How long ago the set was fetched, or found unchanged; none if it never was.
    #[must_use]
    pub fn age(&self, now_ms: u64) -> Option<Duration> {
        let fetched_at_ms = self.origin.fetched_at_ms;
        (fetched_at_ms > 0).then(|| Duration::from_millis(now_ms.saturating_sub(fetched_at_ms)))
    }

    /// Whether one of the keys has this `kid`.
    #[must_use]
    pub fn has_kid(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// Whether these are the present keys, in whatever order.
    #[must_use]
    pub fn has_just(&self, keys: &[Jwk]) -> bool {
        self.revision > 0 && self.keys.iter().collect::<HashSet<_>>() == keys.iter().collect::<HashSet<_>>()
    }

    /// Puts `keys` in place of the present ones. The revision becomes a higher one if they differ, or if the feed
    /// `announced` one that is not on record.
    pub fn replace_keys(&mut self, mut keys: Vec<Jwk>, announced: u64, now_ms: u64) {
        keys.truncate(KEYS_MAX);
        if !self.has_just(&keys) || self.revision < announced {
            self.revision = now_ms.max(self.revision.max(announced).saturating_add(1));
            self.keys = keys;
        }
    }
}

impl Origin {
    /// An attempt succeeded at `now_ms`; the next one is to be made `next_in` later.
    pub fn succeeded(&mut self, now_ms: u64, next_in: Duration) {
        (self.failure, self.failures) = (None, 0);
        self.fetched_at_ms = now_ms;
        self.refresh_at_ms = after(now_ms, next_in);
    }

    /// An attempt failed at `now_ms`, because of what the sentence `why` says. `chance`: see [`schedule`].
    pub fn failed(&mut self, now_ms: u64, why: String, chance: f64) {
        self.failures = self.failures.saturating_add(1);
        self.failure = Some(why);
        self.refresh_at_ms = after(now_ms, schedule::after_failures(self.failures, chance));
    }
}

fn after(now_ms: u64, wait: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
