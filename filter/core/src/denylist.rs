//! The worker's replica of what is barred: digests with the moment at which each bar ends.
//!
//! It only ever says "barred, perhaps": a hit is confirmed by a check before anybody is refused for
//! it, so a collision of digests costs a callout, never access.
//!
//! Wasm memory never shrinks, so nothing here is ever rebuilt beside itself (rule P11): 12 bytes a slot,
//! less than 16 an entry, and twice that for a logout of everything.

mod segment;
mod table;

use sekisho_protocol::Digest;
use sekisho_protocol::feed::{Entry, FOREVER};

use crate::identity::Identity;
use table::Table;

/// What is barred, as far as this worker knows.
#[derive(Debug, Default)]
pub struct Denylist {
    /// Digest → Unix second at which the entry ends; also of those in `not_before`.
    ends: Table,
    /// Digest of a subject → Unix second before which its tokens were issued that are invalid.
    not_before: Table,
}

/// There is no room for another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl Denylist {
    /// The first digest under which the identity is barred, if it is.
    #[must_use]
    pub fn bar(&self, identity: &Identity, now_s: u64) -> Option<Digest> {
        let digests = [Some(identity.subject_digest), identity.token_digest, identity.sign_in_digest];
        let barred = digests.into_iter().flatten().find(|digest| self.barred_until(*digest, now_s).is_some());
        let logout = identity.not_before_digest;
        barred.or_else(|| self.issued_too_early(logout, identity.issued_at, now_s).then_some(logout))
    }

    /// Unix seconds until which `digest` is barred, if it is.
    #[must_use]
    pub fn barred_until(&self, digest: Digest, now_s: u64) -> Option<u64> {
        self.ends.get(digest).map(widen).filter(|until| now_s < *until)
    }

    /// Whether a token of `subject` (its [`sekisho_protocol::feed::Kind::NotBefore`] digest) that was
    /// issued at `issued_at` is too old. A token that does not say counts as issued earlier.
    #[must_use]
    pub fn issued_too_early(&self, subject: Digest, issued_at: Option<u64>, now_s: u64) -> bool {
        self.not_before.get(subject).is_some_and(|before| issued_at.is_none_or(|at| at < widen(before)))
            && self.barred_until(subject, now_s).is_some()
    }

    /// Whether the table holds anything under `digest`, ended or not.
    #[must_use]
    pub fn holds(&self, digest: Digest) -> bool {
        self.ends.get(digest).is_some()
    }

    /// From now on `entry` holds.
    ///
    /// # Errors
    /// [`Full`]: then this replica knows less than there is, and may decide nothing alone.
    pub fn put(&mut self, entry: &Entry) -> Result<(), Full> {
        if let Entry::NotBefore { digest, issued_before, .. } = entry {
            self.not_before.put(*digest, narrow(*issued_before))?;
        }
        self.ends.put(entry.digest(), narrow(entry.until()))
    }

    /// What was put under `digest` no longer holds.
    pub fn lift(&mut self, digest: Digest) {
        self.ends.remove(digest);
        self.not_before.remove(digest);
    }

    /// A snapshot of `count` entries follows: make room for it at once, and forget which entries
    /// were named by an earlier one.
    pub fn begin_snapshot(&mut self, count: u64) {
        self.ends.begin_snapshot(count);
        self.not_before.begin_snapshot(0);
    }

    /// The snapshot is complete: what it did not name is swept from now on.
    pub fn end_snapshot(&mut self) {
        self.ends.end_snapshot();
        self.not_before.end_snapshot();
    }

    /// Visits at most `slots` slots and removes what ended or was not named by the last snapshot.
    pub fn sweep(&mut self, slots: usize, now_s: u64) {
        let (now, ends) = (narrow(now_s), &mut self.ends);
        ends.sweep(slots, |_, until| until <= now);
        self.not_before.sweep(slots, |digest, _| ends.get(digest).is_none());
    }

    /// How many bars the table holds, ended ones that were not swept yet included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether the table holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the table's slots.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.ends.size_bytes() + self.not_before.size_bytes()
    }
}

/// The table keeps 32 bits; `u32::MAX` has no end.
fn narrow(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

fn widen(seconds: u32) -> u64 {
    if seconds == u32::MAX { u64::MAX } else { u64::from(seconds) }
}

const _: () = assert!(FOREVER == u32::MAX as u64);

#[cfg(test)]
mod tests;
