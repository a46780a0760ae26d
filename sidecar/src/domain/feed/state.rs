//! The feed's state at one version, and the changes that led there: what filters are served from.
//!
//! Writes are applied one by one; a gap is refused. Changes behind a version come from a bounded
//! log, everything at once in pages cut by digest range. Two names may share a digest; then the
//! filters are told of the one that lasts longest, and a lift of one never frees the other.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use sekisho_protocol::Digest;
use sekisho_protocol::digest::DigestKey;
use sekisho_protocol::feed::{Bar, Change, Effect, Entry, Kind, PAGE_MAX_ENTRIES};

use super::write::{Says, Write};
use super::{Stamp, Version};

/// Most changes that are remembered. Who is further behind gets a snapshot.
const LOG_MAX_CHANGES: usize = 10_000;
/// A write that does not follow the one before it. Applying it would skip some, and a skipped ban
/// is an open door.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the feed stands at version {have}, and version {got} does not follow it")]
pub struct Gap {
    /// The state's version.
    pub have: Version,
    /// The write's.
    pub got: Version,
}

/// What changed behind a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// These, in order and without a gap.
    Changes(Vec<Change>),
    /// More than is remembered: take a snapshot.
    TooOld,
}

/// One page of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// About how many entries the whole snapshot has; never fewer.
    pub count: u64,
    /// Where the next page starts; none after the last.
    pub next: Option<Digest>,
    /// In the order of their digests.
    pub entries: Vec<Entry>,
}

/// Ordered by digest first, so that a page is one range. A million of them are kept: a name takes no room to
/// grow.
type Slot = (Digest, Kind, Box<str>);

/// Where the slots of `digest` begin.
fn first_of(digest: Digest) -> Slot {
    (digest, Kind::Ban, Box::default())
}

#[derive(Debug, Clone, Copy)]
struct Filed {
    version: Version,
    says: Says,
}

/// The feed at one version.
#[derive(Clone)]
pub struct State {
    key: DigestKey,
    stamp: Stamp,
    filed: BTreeMap<Slot, Filed>,
    log: VecDeque<Change>,
}

impl State {
    /// An empty feed at `stamp`.
    #[must_use]
    pub fn new(key: DigestKey, stamp: Stamp) -> Self {
        Self { key, stamp, filed: BTreeMap::new(), log: VecDeque::new() }
    }

    /// The feed at `stamp`, from what the store holds. Writes above the stamp's version may be among
    /// them, since a store goes on while it is read: they are filed now and numbered when they come.
    #[must_use]
    pub fn load(key: DigestKey, stamp: Stamp, writes: impl IntoIterator<Item = Write>) -> Self {
        let mut state = Self::new(key, stamp);
        for write in writes {
            state.file(write);
        }
        state
    }

    /// Epoch and version.
    #[must_use]
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// How many names are filed, lifted ones among them.
    #[must_use]
    pub fn filed(&self) -> usize {
        self.filed.len()
    }

    /// Applies one write at the time `now` (Unix seconds). One that was applied before does nothing.
    ///
    /// # Errors
    /// The write does not follow this state's version.
    pub fn apply(&mut self, write: Write, now: u64) -> Result<(), Gap> {
        let (have, got) = (self.stamp.version, write.version);
        if got <= have {
            return Ok(());
        }
        if got != have.next() {
            return Err(Gap { have, got });
        }
        let digest = self.file(write);
        self.stamp.version = got;
        let effect = self.strongest(digest, now).map_or(Effect::Lift(digest), Effect::Put);
        if self.log.len() >= LOG_MAX_CHANGES {
            self.log.pop_front();
        }
        self.log.push_back(Change { version: got.get(), effect });
        Ok(())
    }

    /// What changed behind `since`, at most [`PAGE_MAX_ENTRIES`] changes. Nothing if `since` is ahead
    /// of this state: what it does not know yet did not change.
    #[must_use]
    pub fn delta(&self, since: Version) -> Delta {
        let Some(behind) = self.stamp.version.get().checked_sub(since.get()) else {
            return Delta::Changes(Vec::new());
        };
        let Some(skip) = usize::try_from(behind).ok().and_then(|behind| self.log.len().checked_sub(behind)) else {
            return Delta::TooOld;
        };
        Delta::Changes(self.log.iter().skip(skip).take(PAGE_MAX_ENTRIES).cloned().collect())
    }

    /// The page of the snapshot at `now` (Unix seconds) that starts at `from`.
    #[must_use]
    pub fn page(&self, from: Digest, now: u64) -> Page {
        let mut entries: Vec<Entry> = Vec::new();
        let mut next = None;
        for ((digest, kind, _), filed) in self.filed.range(first_of(from)..) {
            let Some(entry) = entry(*digest, *kind, filed.says, now) else { continue };
            if let Some(last) = entries.pop_if(|last| last.digest() == *digest) {
                entries.push(stronger(last, entry));
            } else if entries.len() == PAGE_MAX_ENTRIES {
                next = Some(*digest);
                break;
            } else {
                entries.push(entry);
            }
        }
        Page { count: u64::try_from(self.filed.len()).unwrap_or(u64::MAX), next, entries }
    }

    /// What holds for a name at `now`: until when, and for [`Kind::NotBefore`] what it concerns.
    #[must_use]
    pub fn holding(&self, kind: Kind, name: &str, now: u64) -> Option<Says> {
        let name = super::fold(kind, name);
        let slot = (Digest::of(&self.key, kind, &name), kind, name.into_boxed_str());
        self.filed.get(&slot).map(|filed| filed.says).filter(|says| says.holds(now))
    }

    /// Everything that is not over at `now`, live or lifted: what a sidecar writes back when the
    /// store lost data.
    pub fn writes(&self, now: u64) -> impl Iterator<Item = Write> + '_ {
        self.filed.iter().filter(move |(_, filed)| !filed.says.is_over(now)).map(|((_, kind, name), filed)| Write {
            version: filed.version,
            kind: *kind,
            name: name.to_string(),
            says: filed.says,
        })
    }

    /// Forgets what is over at `now` among at least `max` names from `from` on, and few more: where to go on, none
    /// after the last. The filters forget by themselves.
    #[must_use]
    pub fn sweep(&mut self, from: Digest, max: usize, now: u64) -> Option<Digest> {
        let behind = self.filed.range(first_of(from)..).skip(max).map(|((digest, ..), _)| *digest);
        // Names that share a digest are swept together, so that every step leads further.
        let next = { behind }.find(|digest| *digest > from);
        let end = next.map_or(Bound::Unbounded, |next| Bound::Excluded(first_of(next)));
        let span = (Bound::Included(first_of(from)), end);
        self.filed.extract_if(span, |_, filed| filed.says.is_over(now)).for_each(drop);
        next
    }

    fn file(&mut self, write: Write) -> Digest {
        let digest = Digest::of(&self.key, write.kind, &write.name);
        let new = Filed { version: write.version, says: write.says };
        let filed = self.filed.entry((digest, write.kind, write.name.into_boxed_str())).or_insert(new);
        // A later write may have been filed already, when the state was loaded.
        if filed.version < new.version {
            *filed = new;
        }
        digest
    }

    /// What the filters must know of a digest: of all names that share it, the strongest entry.
    fn strongest(&self, digest: Digest, now: u64) -> Option<Entry> {
        self.filed
            .range(first_of(digest)..)
            .take_while(|((other, ..), _)| *other == digest)
            .filter_map(|((_, kind, _), filed)| entry(digest, *kind, filed.says, now))
            .reduce(stronger)
    }
}

fn entry(digest: Digest, kind: Kind, says: Says, now: u64) -> Option<Entry> {
    let Says::Holds { until, floor } = says else { return None };
    if until <= now {
        return None;
    }
    let bar = Bar { digest, until };
    Some(match kind {
        Kind::Ban => Entry::Ban(bar),
        Kind::Token => Entry::Token(bar),
        Kind::Session => Entry::Session(bar),
        Kind::Key => Entry::Key(bar),
        Kind::Block => Entry::Block(bar),
        Kind::NotBefore => Entry::NotBefore { digest, issued_before: floor, until },
        Kind::SignIn => Entry::SignIn(bar),
        Kind::Keyset => Entry::Keyset { digest, revision: floor },
    })
}

/// Of two entries under one digest, the one that must not be lost. A filter keeps one entry per
/// digest and has every hit confirmed, so the one that bars more and longer is safe.
fn stronger(one: Entry, other: Entry) -> Entry {
    let strength = |entry: &Entry| (!matches!(entry, Entry::NotBefore { .. } | Entry::Keyset { .. }), entry.until());
    if strength(&other) > strength(&one) { other } else { one }
}

#[cfg(test)]
mod tests;
