//! Where the feed stands in the store, and whether what a sidecar holds still belongs to it (rule P2).

use std::time::Duration;

use sekisho_protocol::Epoch;

use super::{Stamp, Version};

/// One incarnation of the store: another server, or the same one after a restart, has another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage(pub String);

/// An epoch as it is on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochRecord {
    /// Its random id.
    pub id: Epoch,
    /// The incarnation on which it began.
    pub lineage: Lineage,
    /// The version at which it began: entries above it were written in it.
    pub base: Version,
    /// How long ago it began, by the store's clock, at the moment in which this was asked.
    pub age: Duration,
}

impl EpochRecord {
    /// How long after its beginning an epoch is not served yet. Every sidecar is to have written back by then
    /// what it remembers of the one before: they look for a new epoch every 50 ms, and after a broken
    /// connection within 200 ms. Whoever takes longer writes back later, and what nobody else remembered
    /// holds again from then on.
    pub const SETTLING: Duration = Duration::from_millis(500);
}

/// Where the feed stands in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The epoch on record; none if it was lost.
    pub epoch: Option<EpochRecord>,
    /// The version of the last write; none if it was lost.
    pub version: Option<Version>,
    /// The incarnation that was asked.
    pub lineage: Lineage,
}

/// What follows for somebody who holds the feed as of some stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the same feed; it only grew.
    Continues,
    /// Somebody began another epoch: write back what the store lost, then load that epoch.
    Follow,
    /// The store lost data, or may have: begin another epoch first.
    Begin,
}

impl Position {
    /// What follows from this position for somebody who holds the feed as of `held`, if as of anything.
    ///
    /// A server that restarted may have lost its last writes even with an append-only file, and a
    /// replica that was promoted may never have had them; neither can be shown not to have. So only
    /// the very incarnation on which the epoch began carries it on.
    #[must_use]
    pub fn judge(&self, held: Option<&Stamp>) -> Verdict {
        let (Some(epoch), Some(version)) = (&self.epoch, self.version) else { return Verdict::Begin };
        if epoch.lineage != self.lineage || version < epoch.base {
            return Verdict::Begin;
        }
        match held {
            Some(held) if held.epoch != epoch.id => Verdict::Follow,
            Some(held) if version < held.version => Verdict::Begin,
            Some(_) => Verdict::Continues,
            None => Verdict::Follow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(byte: u8) -> Epoch {
        Epoch::from_bytes([byte; 16])
    }

    fn position(id: u8, began_on: &str, base: u64, version: u64, now_on: &str) -> Position {
        Position {
            epoch: Some(EpochRecord {
                id: epoch(id),
                lineage: Lineage(began_on.into()),
                base: Version::new(base),
                age: Duration::MAX,
            }),
            version: Some(Version::new(version)),
            lineage: Lineage(now_on.into()),
        }
    }

    #[test]
    fn p2_a_new_epoch_begins_whenever_redis_may_have_lost_data() {
        let held = Stamp { epoch: epoch(1), version: Version::new(10) };
        for (case, position, expected) in [
            ("nothing happened", position(1, "a", 0, 10, "a"), Verdict::Continues),
            ("it grew", position(1, "a", 0, 25, "a"), Verdict::Continues),
            ("its version went back", position(1, "a", 0, 9, "a"), Verdict::Begin),
            ("another server answers", position(1, "a", 0, 10, "b"), Verdict::Begin),
            ("somebody began an epoch there", position(2, "b", 1_010, 1_010, "b"), Verdict::Follow),
            ("and that server restarted, too", position(2, "b", 1_010, 1_010, "c"), Verdict::Begin),
            ("the numbers are gone, the epoch is not", position(2, "a", 1_010, 0, "a"), Verdict::Begin),
            ("its version is gone", Position { version: None, ..position(1, "a", 0, 0, "a") }, Verdict::Begin),
            ("all is gone", Position { epoch: None, ..position(1, "a", 0, 0, "a") }, Verdict::Begin),
        ] {
            assert_eq!(position.judge(Some(&held)), expected, "{case}");
        }
    }

    #[test]
    fn whoever_holds_nothing_follows_an_epoch_that_is_sound_and_begins_one_otherwise() {
        assert_eq!(position(1, "a", 0, 10, "a").judge(None), Verdict::Follow);
        assert_eq!(position(1, "a", 0, 10, "b").judge(None), Verdict::Begin);
    }
}
