//! One segment of the denylist: a fixed open-addressing table, 12 bytes a slot.
//!
//! Linear probing with backward-shift deletion, so that there are no tombstones and a look-up of an
//! absent digest ends at the first empty slot. The digests are keyed hashes and serve as their own.

use sekisho_protocol::Digest;

/// The lowest bit of a slot: named by the snapshot that is being merged. Digests are even.
const MARK: u64 = 1;
const EMPTY: u64 = 0;

#[derive(Debug)]
pub(super) struct Segment {
    digests: Box<[u64]>,
    values: Box<[u32]>,
    len: usize,
}

impl Segment {
    pub(super) const SLOT_BYTES: usize = size_of::<u64>() + size_of::<u32>();

    /// How many slots `entries` need. One in eight stays empty: probes stay short, and 12 × 8/7 < 16 bytes
    /// an entry.
    pub(super) fn slots_for(entries: usize) -> usize {
        entries.saturating_add(entries / 7).saturating_add(8)
    }

    /// An empty segment; none if there is no memory for it, which must not end the VM.
    pub(super) fn with_slots(slots: usize) -> Option<Self> {
        let (mut digests, mut values) = (Vec::new(), Vec::new());
        digests.try_reserve_exact(slots).ok()?;
        values.try_reserve_exact(slots).ok()?;
        digests.resize(slots, EMPTY);
        values.resize(slots, 0);
        Some(Self { digests: digests.into_boxed_slice(), values: values.into_boxed_slice(), len: 0 })
    }

    pub(super) fn slots(&self) -> usize {
        self.digests.len()
    }

    /// How many entries fit.
    pub(super) fn capacity(&self) -> usize {
        self.slots() - self.slots() / 8
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, digest: Digest) -> Option<u32> {
        let slot = self.find(digest)?;
        self.values.get(slot).copied()
    }

    /// Sets the value of an entry that is here. False if it is not.
    pub(super) fn update(&mut self, digest: Digest, value: u32) -> bool {
        let Some(slot) = self.find(digest) else {
            return false;
        };
        self.write(slot, digest.raw() | MARK, value);
        true
    }

    /// Adds an entry that is not here. False if the segment is full.
    pub(super) fn insert(&mut self, digest: Digest, value: u32) -> bool {
        if self.len >= self.capacity() {
            return false;
        }
        let mut slot = self.home(digest.raw());
        while self.read(slot) != EMPTY {
            slot = self.after(slot);
        }
        self.write(slot, digest.raw() | MARK, value);
        self.len += 1;
        true
    }

    /// Removes an entry. False if it is not here.
    pub(super) fn remove(&mut self, digest: Digest) -> bool {
        let found = self.find(digest);
        if let Some(slot) = found {
            self.remove_at(slot);
        }
        found.is_some()
    }

    /// Removes what stands in `slot` if it is `gone(digest, value, marked)`; true if it was removed.
    pub(super) fn remove_if(&mut self, slot: usize, gone: impl Fn(Digest, u32, bool) -> bool) -> bool {
        let digest = self.read(slot);
        let value = self.values.get(slot).copied().unwrap_or_default();
        let remove = digest != EMPTY && gone(Digest::from_raw(digest), value, digest & MARK != 0);
        if remove {
            self.remove_at(slot);
        }
        remove
    }

    pub(super) fn unmark_all(&mut self) {
        for digest in &mut self.digests {
            *digest &= !MARK;
        }
    }

    fn find(&self, digest: Digest) -> Option<usize> {
        let mut slot = self.home(digest.raw());
        loop {
            match self.read(slot) {
                EMPTY => return None,
                found if found & !MARK == digest.raw() => return Some(slot),
                _ => slot = self.after(slot),
            }
        }
    }

    fn remove_at(&mut self, slot: usize) {
        let mut hole = slot;
        let mut next = self.after(hole);
        loop {
            let digest = self.read(next);
            if digest == EMPTY {
                break;
            }
            // An entry may fill the hole unless its home lies behind the hole, on its way to `next`.
            if self.distance(self.home(digest & !MARK), next) >= self.distance(hole, next) {
                let value = self.values.get(next).copied().unwrap_or_default();
                self.write(hole, digest, value);
                hole = next;
            }
            next = self.after(next);
        }
        self.write(hole, EMPTY, 0);
        self.len -= 1;
    }

    /// Where a digest would like to stand: its share of the range, without a division.
    fn home(&self, digest: u64) -> usize {
        let share = (u128::from(digest) * self.slots() as u128) >> 64;
        usize::try_from(share).unwrap_or_default()
    }

    fn after(&self, slot: usize) -> usize {
        if slot + 1 == self.slots() { 0 } else { slot + 1 }
    }

    /// Steps from one slot forward to another.
    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.slots() - from }
    }

    fn read(&self, slot: usize) -> u64 {
        self.digests.get(slot).copied().unwrap_or(EMPTY)
    }

    fn write(&mut self, slot: usize, digest: u64, value: u32) {
        if let Some(place) = self.digests.get_mut(slot) {
            *place = digest;
        }
        if let Some(place) = self.values.get_mut(slot) {
            *place = value;
        }
    }
}
