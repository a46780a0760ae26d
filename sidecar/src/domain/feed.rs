//! The feed, pure: what a numbered change is, and the state ([`state::State`]) that a run of changes
//! builds up. Nothing here knows where changes come from or who reads them.

use std::fmt;

use sekisho_protocol::LEEWAY_MAX_S;
use sekisho_protocol::feed::{FOREVER, Kind};
use sekisho_protocol::{Epoch, Subject};

use super::keyset::SourceName;
use super::session::{self, SessionId};
use super::signing::Kid;
use super::time::UnixSeconds;
use super::token::LIFE_MAX_S;

pub mod position;
pub mod record;
pub mod state;
pub mod write;

/// The number of a write to the feed. Within an epoch each is one above the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(u64);

impl Version {
    /// Before every write.
    pub const ZERO: Self = Self(0);

    /// The version with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The version of the next write.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where in the feed a write stands. Versions of different epochs cannot be compared (rule P2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The numbering.
    pub epoch: Epoch,
    /// The number.
    pub version: Version,
}

impl Stamp {
    /// Whether whoever stands here has everything up to `other`.
    #[must_use]
    pub fn reaches(&self, other: &Self) -> bool {
        self.epoch == other.epoch && self.version >= other.version
    }
}

/// Something that is to hold: what a write to the feed says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    kind: Kind,
    name: String,
    until: u64,
    floor: u64,
}

/// The largest leeway that a filter's provider may grant a token behind its `exp`.
const LARGEST_LEEWAY_S: u64 = LEEWAY_MAX_S as u64;
/// Room for clocks that differ.
const CLOCK_MARGIN_S: u64 = 60;

impl Mark {
    /// The subject is banned until this Unix second ([`FOREVER`] for a ban without end).
    #[must_use]
    pub fn ban(subject: &Subject, until: u64) -> Self {
        Self::new(Kind::Ban, subject.as_str(), until)
    }

    /// The token with this id, which expires at `exp` (Unix seconds), is revoked. It stays so until
    /// no clock and no leeway can make it valid again (rule P10).
    #[must_use]
    pub fn revoked_token(id: &str, exp: u64) -> Self {
        Self::new(Kind::Token, id, revocation_end(exp))
    }

    /// Somebody ended the session with this id, which would have ended by itself at a Unix second. Filters check sessions
    /// against their own clocks, so it stays so for as long as a token's revocation would (rule P10).
    #[must_use]
    pub fn ended_session(id: &SessionId, ends_at: UnixSeconds) -> Self {
        Self::new(Kind::Session, id.as_str(), revocation_end(ends_at.get()))
    }

    /// The subject must sign in again, before a moment or else for good.
    #[must_use]
    pub fn sign_in_needed(subject: &Subject, until: UnixSeconds) -> Self {
        Self::new(Kind::SignIn, subject.as_str(), until.get())
    }

    /// Any kind of mark, as it stands in the store. `until` is cut to [`FOREVER`].
    #[must_use]
    pub fn new(kind: Kind, name: &str, until: u64) -> Self {
        Self { kind, name: fold(kind, name), until: until.min(FOREVER), floor: 0 }
    }

    /// The subject's tokens from before a Unix second are invalid, for as long as one of them could be
    /// alive (rule P10).
    #[must_use]
    pub fn not_before(subject: &Subject, issued_before: u64) -> Self {
        let until = not_before_end(issued_before);
        Self { floor: issued_before, ..Self::new(Kind::NotBefore, subject.as_str(), until) }
    }

    /// Of the keys of a source this revision is in force.
    #[must_use]
    pub fn keyset(source: &SourceName, revision: u64) -> Self {
        Self { floor: revision, ..Self::new(Kind::Keyset, source.as_str(), FOREVER) }
    }

    /// The signing key of our own with this id was retired while its tokens could be alive. That has no end: whoever
    /// has its private part chooses how long its tokens live.
    #[must_use]
    pub fn retired_signing_key(kid: &Kid) -> Self {
        Self::new(Kind::Key, &signing_key_name(kid), FOREVER)
    }

    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The name of what it is about: a folded subject, a token's id.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Unix seconds at which it ends.
    #[must_use]
    pub fn until(&self) -> u64 {
        self.until
    }

    /// What lies below is not valid any more, and the number only ever grows. For [`Kind::NotBefore`] the Unix
    /// second at which a token was issued, for [`Kind::Keyset`] the revision of a source's keys. Else 0.
    #[must_use]
    pub fn floor(&self) -> u64 {
        self.floor
    }
}

/// The name of a signing key of our own among all keys. The others' are hex, so it is nobody else's.
#[must_use]
pub fn signing_key_name(kid: &Kid) -> String {
    format!("signing|{kid}")
}

/// When the revocation of a token that expires at `exp` may be forgotten (rule P10), Unix seconds.
#[must_use]
pub fn revocation_end(exp: u64) -> u64 {
    exp.saturating_add(LARGEST_LEEWAY_S + CLOCK_MARGIN_S).min(FOREVER)
}

/// When it may be forgotten that tokens from before a Unix second are invalid, Unix seconds: none of
/// them is alive after that, whoever issued it (rule P10).
#[must_use]
pub fn not_before_end(issued_before: u64) -> u64 {
    revocation_end(issued_before.saturating_add(LIFE_MAX_S))
}

/// When it may be forgotten that sessions which began before a Unix second are ended, Unix seconds: none of them is alive
/// after that, whoever keeps it (rule P10).
#[must_use]
pub fn ended_sessions_end(began_before: UnixSeconds) -> UnixSeconds {
    UnixSeconds(revocation_end(began_before.plus(session::LIFE_MAX_S).get()))
}

/// The name under which a thing is filed: addresses are case-folded, everything else is exact.
#[must_use]
pub fn fold(kind: Kind, name: &str) -> String {
    match kind {
        Kind::Ban | Kind::NotBefore | Kind::SignIn => {
            Subject::try_from(name.to_owned()).map_or_else(|_| name.to_owned(), String::from)
        }
        Kind::Token | Kind::Session | Kind::Key | Kind::Block | Kind::Keyset => name.to_owned(),
    }
}

/// Whether the marks of a kind have a [floor](Mark::floor): a later one never lowers it, and nothing lifts it.
#[must_use]
pub fn has_floor(kind: Kind) -> bool {
    matches!(kind, Kind::NotBefore | Kind::Keyset)
}

/// The word for a kind in the store's keys and fields. Never change one.
#[must_use]
pub fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Ban => "ban",
        Kind::Token => "token",
        Kind::Session => "session",
        Kind::Key => "key",
        Kind::Block => "block",
        Kind::NotBefore => "not_before",
        Kind::Keyset => "keyset",
        Kind::SignIn => "sign_in",
    }
}

/// The kind of a word, if this version of Sekisho knows it.
#[must_use]
pub fn kind_of_word(word: &str) -> Option<Kind> {
    KINDS.into_iter().find(|kind| kind_word(*kind) == word)
}

/// All of them.
const KINDS: [Kind; 8] =
    [Kind::Ban, Kind::Token, Kind::Session, Kind::Key, Kind::Block, Kind::NotBefore, Kind::Keyset, Kind::SignIn];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p10_a_revocation_outlives_the_token_by_the_largest_leeway_and_a_minute() {
        assert_eq!(Mark::revoked_token("t", 1_000).until(), 1_360);
        assert_eq!(Mark::revoked_token("t", u64::MAX).until(), FOREVER);
    }

    #[test]
    fn p10_a_not_before_outlives_the_longest_token_from_before_it() {
        let ann = Subject::try_from("ann@x.org".to_owned()).unwrap();
        let mark = Mark::not_before(&ann, 1_000);
        assert_eq!((mark.floor(), mark.until()), (1_000, 1_000 + LIFE_MAX_S + 360));
        let longest_lived = Mark::revoked_token("t", 999 + LIFE_MAX_S);
        assert!(mark.until() > longest_lived.until());
        assert_eq!(Mark::not_before(&ann, u64::from(u32::MAX) - 1).until(), FOREVER);
    }

    #[test]
    fn subjects_are_folded_and_ids_are_not() {
        assert_eq!(Mark::new(Kind::Ban, "Ann@X.org", 1).name(), "ann@x.org");
        assert_eq!(Mark::new(Kind::Ban, "https://Idp|AbC@d", 1).name(), "https://Idp|AbC@d");
        assert_eq!(Mark::new(Kind::Token, "AbC", 1).name(), "AbC");
    }

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        for kind in KINDS {
            assert_eq!(kind_of_word(kind_word(kind)), Some(kind));
        }
        assert_eq!(kind_of_word("role"), None);
    }
}
