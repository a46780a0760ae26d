//! The worker's replica of what is barred: digests with the moment at which each bar ends.
//!
//! It only ever says "barred, perhaps": a hit is confirmed by a check before anybody is refused for
//! it, so a collision of digests costs a callout, never access.
//!
//! Wasm memory never shrinks, so the table grows by whole segments and is never rebuilt beside itself
//! (rule P11): a snapshot is merged into it under a mark, and what the snapshot did not name is swept
//! afterwards in small steps.

mod segment;

use std::collections::HashMap;

use sekisho_protocol::Digest;
use sekisho_protocol::feed::{Entry, FOREVER};

use segment::Segment;

/// Slots of a segment that is added when the others are full: 192 KiB.
const SEGMENT_SLOTS: usize = 16 * 1024;

/// What is barred, as far as this worker knows.
#[derive(Debug, Default)]
pub struct Denylist {
    /// The first is sized from the first snapshot; further ones are added one by one.
    segments: Vec<Segment>,
    not_before: HashMap<Digest, NotBefore>,
    /// Where the next step of the sweep starts: segment and slot.
    cursor: (usize, usize),
    /// Slots still to visit until everything unmarked is gone; none while no snapshot was merged.
    sweep_left: usize,
}

#[derive(Debug, Clone, Copy)]
struct NotBefore {
    issued_before: u64,
    until: u64,
    marked: bool,
}

impl Denylist {
    /// Unix seconds until which `digest` is barred, if it is.
    #[must_use]
    pub fn barred_until(&self, digest: Digest, now_s: u64) -> Option<u64> {
        self.segments.iter().find_map(|segment| segment.get(digest)).map(widen).filter(|until| now_s < *until)
    }

    /// Whether a token of `subject` (its [`sekisho_protocol::feed::Kind::NotBefore`] digest) that was
    /// issued at `issued_at` is too old. A token that does not say counts as issued earlier.
    #[must_use]
    pub fn issued_too_early(&self, subject: Digest, issued_at: Option<u64>, now_s: u64) -> bool {
        // Almost always empty: then it costs one comparison.
        !self.not_before.is_empty()
            && self
                .not_before
                .get(&subject)
                .is_some_and(|rule| now_s < rule.until && issued_at.is_none_or(|at| at < rule.issued_before))
    }

    /// Whether the table holds anything under `digest`, ended or not.
    #[must_use]
    pub fn holds(&self, digest: Digest) -> bool {
        self.segments.iter().any(|segment| segment.get(digest).is_some()) || self.not_before.contains_key(&digest)
    }

    /// From now on `entry` holds.
    pub fn put(&mut self, entry: &Entry) {
        match entry {
            Entry::Ban(bar) | Entry::Token(bar) | Entry::Session(bar) | Entry::Key(bar) | Entry::Block(bar) => {
                self.put_bar(bar.digest, narrow(bar.until));
            }
            Entry::NotBefore { digest, issued_before, until } => {
                let rule = NotBefore { issued_before: *issued_before, until: *until, marked: true };
                self.not_before.insert(*digest, rule);
            }
        }
    }

    /// What was put under `digest` no longer holds.
    pub fn lift(&mut self, digest: Digest) {
        for segment in &mut self.segments {
            if segment.remove(digest) {
                return;
            }
        }
        self.not_before.remove(&digest);
    }

    /// A snapshot of `count` entries follows: make room for it at once, and forget which entries
    /// were named by an earlier one.
    pub fn begin_snapshot(&mut self, count: u64) {
        for segment in &mut self.segments {
            segment.unmark_all();
        }
        for rule in self.not_before.values_mut() {
            rule.marked = false;
        }
        self.sweep_left = 0;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let missing = count.saturating_sub(self.segments.iter().map(Segment::capacity).sum());
        if missing > 0 {
            self.segments.push(Segment::with_room_for(missing, SEGMENT_SLOTS));
        }
    }

    /// The snapshot is complete: what it did not name is swept from now on.
    pub fn end_snapshot(&mut self) {
        self.not_before.retain(|_, rule| rule.marked);
        self.cursor = (0, 0);
        self.sweep_left = self.segments.iter().map(Segment::slots).sum();
    }

    /// Visits at most `slots` slots and removes what ended or was not named by the last snapshot.
    pub fn sweep(&mut self, slots: usize, now_s: u64) {
        self.not_before.retain(|_, rule| now_s < rule.until);
        let now = narrow(now_s);
        for _ in 0..slots.min(self.segments.iter().map(Segment::slots).sum()) {
            let (at, slot) = self.cursor;
            let Some(segment) = self.segments.get_mut(at) else {
                self.cursor = (0, 0);
                continue;
            };
            if slot >= segment.slots() {
                self.cursor = (at + 1, 0);
                continue;
            }
            let unnamed = self.sweep_left > 0;
            let removed = segment.remove_if(slot, |until, marked| until <= now || (unnamed && !marked));
            // A removal moves a later entry into this slot, which must be looked at, too.
            if !removed {
                self.cursor = (at, slot + 1);
                self.sweep_left = self.sweep_left.saturating_sub(1);
            }
        }
    }

    /// How many bars the table holds, ended ones that were not swept yet included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.segments.iter().map(Segment::len).sum::<usize>() + self.not_before.len()
    }

    /// Whether the table holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the table's slots.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.segments.iter().map(Segment::slots).sum::<usize>() * Segment::SLOT_BYTES
    }

    fn put_bar(&mut self, digest: Digest, until: u32) {
        if self.segments.iter_mut().any(|segment| segment.update(digest, until)) {
            return;
        }
        if !self.segments.iter_mut().any(|segment| segment.insert(digest, until)) {
            let mut segment = Segment::with_room_for(0, SEGMENT_SLOTS);
            segment.insert(digest, until);
            self.segments.push(segment);
        }
    }
}

/// The table keeps 32 bits; `u32::MAX` has no end.
fn narrow(until: u64) -> u32 {
    u32::try_from(until).unwrap_or(u32::MAX)
}

fn widen(until: u32) -> u64 {
    if until == u32::MAX { u64::MAX } else { u64::from(until) }
}

const _: () = assert!(FOREVER == u32::MAX as u64);

#[cfg(test)]
mod tests;
