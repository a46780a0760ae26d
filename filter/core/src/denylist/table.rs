//! A table from digests to 32-bit values that grows by whole segments and is never rebuilt beside itself.
//!
//! A snapshot is merged into it under a mark; what the snapshot did not name is swept afterwards in
//! small steps (rule P11).

use sekisho_protocol::Digest;

use super::Full;
use super::segment::Segment;

/// Fewest slots of a segment: 192 KiB.
const SEGMENT_MIN_SLOTS: usize = 16 * 1024;
/// A further segment has this part of the slots that there are, so that few of them hold many entries:
/// each look-up asks them all.
const GROWTH: usize = 4;
/// Most slots of a table: about 11 million entries, half of what a VM's memory holds. A replica that is told
/// of more has no room for them, and must not pretend that it does.
const MAX_SLOTS: usize = 128 * 1024 * 1024 / Segment::SLOT_BYTES;

#[derive(Debug)]
pub(super) struct Table {
    /// The first is sized from the first snapshot; further ones are added one by one.
    segments: Vec<Segment>,
    /// Where the next step of the sweep starts: segment and slot.
    cursor: (usize, usize),
    /// Slots still to visit until everything unmarked is gone; none while no snapshot was merged.
    sweep_left: usize,
    max_slots: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self { segments: Vec::new(), cursor: (0, 0), sweep_left: 0, max_slots: MAX_SLOTS }
    }
}

impl Table {
    pub(super) fn get(&self, digest: Digest) -> Option<u32> {
        self.segments.iter().find_map(|segment| segment.get(digest))
    }

    pub(super) fn put(&mut self, digest: Digest, value: u32) -> Result<(), Full> {
        if self.segments.iter_mut().any(|segment| segment.update(digest, value))
            || self.segments.iter_mut().any(|segment| segment.insert(digest, value))
        {
            return Ok(());
        }
        self.grow(self.slots() / GROWTH)?;
        if self.segments.last_mut().is_some_and(|segment| segment.insert(digest, value)) { Ok(()) } else { Err(Full) }
    }

    pub(super) fn remove(&mut self, digest: Digest) {
        let _ = self.segments.iter_mut().any(|segment| segment.remove(digest));
    }

    /// A snapshot of `count` entries follows: makes room for it at once, as far as there is any, and forgets
    /// which entries were named by an earlier one.
    pub(super) fn begin_snapshot(&mut self, count: u64) {
        self.segments.iter_mut().for_each(Segment::unmark_all);
        self.sweep_left = 0;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let missing = count.saturating_sub(self.segments.iter().map(Segment::capacity).sum());
        if missing > 0 {
            // If there is no room for all of it, the entry that has none says so.
            let _ = self.grow(Segment::slots_for(missing));
        }
    }

    /// The snapshot is complete: what it did not name is swept from now on.
    pub(super) fn end_snapshot(&mut self) {
        self.cursor = (0, 0);
        self.sweep_left = self.slots();
    }

    /// Visits at most `slots` slots and removes what is `gone` or was not named by the last snapshot.
    pub(super) fn sweep(&mut self, slots: usize, gone: impl Fn(Digest, u32) -> bool) {
        for _ in 0..slots.min(self.slots()) {
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
            let removed = segment.remove_if(slot, |digest, value, marked| (unnamed && !marked) || gone(digest, value));
            // A removal moves a later entry into this slot, which must be looked at, too.
            if !removed {
                self.cursor = (at, slot + 1);
                self.sweep_left = self.sweep_left.saturating_sub(1);
            }
        }
    }

    /// How many entries there are, ended ones that were not swept yet included.
    pub(super) fn len(&self) -> usize {
        self.segments.iter().map(Segment::len).sum()
    }

    pub(super) fn size_bytes(&self) -> usize {
        self.slots() * Segment::SLOT_BYTES
    }

    /// A table whose first segment is tiny, so that few entries fill it and wrap round its end.
    #[cfg(test)]
    pub(super) fn tiny() -> Self {
        Self { segments: Segment::with_slots(8).into_iter().collect(), ..Self::default() }
    }

    /// A table that is soon full.
    #[cfg(test)]
    pub(super) fn small() -> Self {
        Self { max_slots: SEGMENT_MIN_SLOTS, ..Self::default() }
    }

    #[cfg(test)]
    pub(super) fn segments(&self) -> usize {
        self.segments.len()
    }

    fn slots(&self) -> usize {
        self.segments.iter().map(Segment::slots).sum()
    }

    fn grow(&mut self, slots: usize) -> Result<(), Full> {
        let slots = slots.max(SEGMENT_MIN_SLOTS);
        if self.slots().saturating_add(slots) > self.max_slots {
            return Err(Full);
        }
        self.segments.push(Segment::with_slots(slots).ok_or(Full)?);
        Ok(())
    }
}
