//! For how long the slowest worker has been behind.

use sekisho_protocol::ReplicaId;

use super::*;
use crate::service::feed::registry::Presence;

fn stamp(epoch: u8, version: u64) -> Stamp {
    Stamp { epoch: Epoch::from_bytes([epoch; 16]), version: Version::new(version) }
}

/// A roll at `at`, with one worker for each of `holds`, all of which polled just now.
fn roll(at: Stamp, holds: &[Option<Stamp>]) -> Roll {
    let worker = |holds: &Option<Stamp>| Worker {
        presence: Presence {
            replica: ReplicaId::from_bytes([1; 16]),
            node: "n".into(),
            worker: 1,
            build: "b".into(),
            fences: true,
            staleness_ms: 3_000,
            sidecar: "s".into(),
            holds: holds.clone(),
            memory_bytes: 0,
            entries: 0,
            age_ms: None,
        },
        polled_at_ms: 9_000,
        joined: None,
    };
    Roll {
        now_ms: 10_000,
        epoch: Some(at.epoch),
        version: at.version,
        stream_length: 0,
        workers: holds.iter().map(worker).collect(),
    }
}

#[test]
fn the_lag_is_how_long_the_feed_has_been_ahead_of_the_slowest_worker() {
    let (mut history, begun) = (History::default(), Instant::now());
    let mut lag = |second: u64, at: Stamp, holds: &[Option<Stamp>]| {
        history.lag(&roll(at, holds), begun + Duration::from_secs(second)).as_secs()
    };
    let of = |version| Some(stamp(1, version));
    assert_eq!(lag(0, stamp(1, 5), &[of(5), of(5)]), 0, "nobody is behind");
    assert_eq!(lag(10, stamp(1, 7), &[of(7), of(5)]), 0, "seen for the first time");
    assert_eq!(lag(12, stamp(1, 9), &[of(9), of(5)]), 2, "since version 7 was seen");
    assert_eq!(lag(15, stamp(1, 9), &[of(9), of(8)]), 3, "it goes on, and is behind version 9 only");
    assert_eq!(lag(16, stamp(1, 9), &[of(9), None]), 0, "whoever reads a snapshot is counted apart");
    assert_eq!(lag(20, stamp(2, 1_009), &[of(9)]), 0, "another epoch begins");
    assert_eq!(lag(21, stamp(2, 1_009), &[of(9_999)]), 1, "versions of another epoch are behind, however high");
    assert_eq!(lag(22, stamp(2, 1_009), &[Some(stamp(2, 1_009))]), 0);
}

#[test]
fn what_is_remembered_of_the_feed_is_bounded_and_who_is_further_behind_is_so_for_at_least_as_long() {
    let (mut history, begun) = (History::default(), Instant::now());
    for version in 1..=5_000 {
        history.lag(&roll(stamp(1, version), &[]), begun + Duration::from_secs(version));
    }
    assert_eq!(history.marks.len(), MAX_MARKS);
    let lag = history.lag(&roll(stamp(1, 5_000), &[Some(stamp(1, 1))]), begun + Duration::from_secs(5_000));
    assert_eq!(lag.as_secs(), MAX_MARKS as u64 - 1);
}

#[test]
fn every_condition_is_counted_also_if_nobody_is_in_it() {
    let counts = count(&roll(stamp(1, 5), &[Some(stamp(1, 5)), Some(stamp(1, 4)), None]));
    let numbers: Vec<(&str, usize)> = counts.iter().map(|(condition, count)| (condition.word(), *count)).collect();
    assert_eq!(numbers, [("live", 1), ("loading", 1), ("lagging", 1), ("fenced", 0), ("silent", 0)]);
}
