use std::collections::BTreeMap;

use proptest::prelude::*;
use sekisho_protocol::feed::Bar;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;

fn ban(raw: u64, until: u64) -> Entry {
    Entry::Ban(Bar { digest: Digest::from_raw(raw), until })
}

fn put(list: &mut Denylist, entry: &Entry) {
    list.put(entry).unwrap();
}

fn sweep_all(list: &mut Denylist, now_s: u64) {
    for _ in 0..200 {
        list.sweep(1_000, now_s);
    }
}

#[test]
fn a_bar_ends_by_itself() {
    let mut list = Denylist::default();
    put(&mut list, &ban(42, 20));
    assert_eq!(list.barred_until(Digest::from_raw(42), 19), Some(20));
    assert_eq!(list.barred_until(Digest::from_raw(42), 20), None);
    sweep_all(&mut list, 20);
    assert!(list.is_empty());
}

#[test]
fn a_bar_without_end_never_ends() {
    let mut list = Denylist::default();
    put(&mut list, &ban(42, FOREVER));
    sweep_all(&mut list, FOREVER - 1);
    assert!(list.barred_until(Digest::from_raw(42), FOREVER + 5).is_some());
}

#[test]
fn a_later_put_replaces_an_earlier_one_and_a_lift_removes_it() {
    let mut list = Denylist::default();
    put(&mut list, &ban(42, 20));
    put(&mut list, &ban(42, 90));
    assert_eq!(list.len(), 1);
    assert_eq!(list.barred_until(Digest::from_raw(42), 50), Some(90));
    list.lift(Digest::from_raw(42));
    assert!(list.is_empty());
}

#[test]
fn tokens_issued_before_a_moment_are_too_early_and_so_are_those_that_do_not_say() {
    let subject = Digest::from_raw(8);
    let mut list = Denylist::default();
    put(&mut list, &Entry::NotBefore { digest: subject, issued_before: 100, until: 500 });
    for (issued_at, now, early) in
        [(Some(99), 200, true), (Some(100), 200, false), (None, 200, true), (Some(99), 500, false)]
    {
        assert_eq!(list.issued_too_early(subject, issued_at, now), early, "{issued_at:?} at {now}");
    }
    list.lift(subject);
    assert!(!list.issued_too_early(subject, None, 200));
}

#[test]
fn p11_a_snapshot_is_merged_in_place_and_what_it_does_not_name_is_swept() {
    let mut list = Denylist::default();
    for raw in 1..=40_u64 {
        put(&mut list, &ban(raw << 58, 900));
    }
    let before = list.size_bytes();
    list.begin_snapshot(20);
    for raw in 11..=30_u64 {
        put(&mut list, &ban(raw << 58, 900));
        // Nobody is let in while a snapshot is merged: the old entries still bar.
        assert!(list.barred_until(Digest::from_raw(1 << 58), 1).is_some());
    }
    list.end_snapshot();
    sweep_all(&mut list, 1);
    assert_eq!(list.len(), 20);
    assert_eq!(list.size_bytes(), before, "no second table");
}

#[test]
fn p11_an_entry_takes_less_than_sixteen_bytes() {
    let mut list = Denylist::default();
    list.begin_snapshot(100_000);
    for raw in 1..=100_000_u64 {
        put(&mut list, &ban(raw.wrapping_mul(0x9e37_79b9_7f4a_7c15), 900));
    }
    list.end_snapshot();
    assert_eq!(list.len(), 100_000);
    assert!(list.size_bytes() / list.len() < 16, "{}", list.size_bytes() / list.len());
}

#[test]
fn p11_deltas_beyond_the_announced_count_find_room_in_further_segments() {
    let mut list = Denylist::default();
    list.begin_snapshot(10);
    list.end_snapshot();
    for raw in 1..=50_000_u64 {
        put(&mut list, &ban(raw.wrapping_mul(0x9e37_79b9_7f4a_7c15), 900));
    }
    assert_eq!(list.len(), 50_000);
    for raw in 1..=50_000_u64 {
        let digest = Digest::from_raw(raw.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        assert!(list.barred_until(digest, 1).is_some());
    }
}

#[test]
fn an_entry_is_found_after_a_removal_even_if_its_mark_lies_beyond_its_slot() {
    const SLOTS: u64 = 7;
    // The last digest of a slot whose end is odd: with the mark it would belong to the next one.
    let end = |slot: u64| u64::try_from((u128::from(slot) << 64).div_ceil(u128::from(SLOTS))).unwrap();
    let last = (1..SLOTS).map(end).find(|end| end % 2 == 1).unwrap() - 1;
    let (entry, before) = (Digest::from_raw(last), Digest::from_raw(last - 2));
    let mut segment = segment::Segment::with_slots(7).unwrap();
    assert!(segment.insert(before, 1) && segment.insert(entry, 2));
    assert!(segment.remove(before));
    assert_eq!(segment.get(entry), Some(2));
}

#[test]
fn p11_many_deltas_make_few_segments_and_little_slack() {
    let mut list = Denylist::default();
    for raw in 1..=300_000_u64 {
        put(&mut list, &ban(raw.wrapping_mul(0x9e37_79b9_7f4a_7c15), 900));
    }
    assert!(list.ends.segments() <= 16, "each look-up asks all {}", list.ends.segments());
    assert!(list.size_bytes() / list.len() <= 18, "{}", list.size_bytes() / list.len());
}

#[test]
fn p11_a_snapshot_that_claims_too_much_is_no_reason_to_fail() {
    let mut list = Denylist::default();
    list.begin_snapshot(u64::MAX);
    put(&mut list, &ban(42, 900));
    list.end_snapshot();
    assert_eq!(list.len(), 1);
}

#[test]
fn a_table_that_is_full_says_so() {
    let mut list = Denylist { ends: Table::small(), ..Denylist::default() };
    let spread = |raw: u64| raw.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let full = (1..=20_000).find(|raw| list.put(&ban(spread(*raw), 900)) == Err(Full)).unwrap();
    assert_eq!(list.len() as u64, full - 1);
    assert!(list.barred_until(Digest::from_raw(spread(1)), 1).is_some(), "what it holds still bars");
    assert_eq!(list.put(&ban(spread(1), 950)), Ok(()), "and can be changed");
}

#[test]
fn a_logout_leaves_with_its_end() {
    let mut list = Denylist::default();
    put(&mut list, &Entry::NotBefore { digest: Digest::from_raw(8), issued_before: 100, until: 500 });
    sweep_all(&mut list, 500);
    assert_eq!((list.len(), list.not_before.len()), (0, 0));
}

#[derive(Debug, Clone)]
enum Op {
    Put(u64, u64),
    Lift(u64),
    Sweep(u64),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    // Few distinct digests at both ends of the range, so that clusters wrap round the table's end.
    #[test]
    fn the_table_agrees_with_an_ordinary_map(ops in prop::collection::vec(op(), 1..400)) {
        let mut list = Denylist { ends: Table::tiny(), ..Denylist::default() };
        let mut model = BTreeMap::new();
        for op in ops {
            match op {
                Op::Put(raw, until) => { put(&mut list, &ban(raw, until)); model.insert(Digest::from_raw(raw), until); }
                Op::Lift(raw) => { list.lift(Digest::from_raw(raw)); model.remove(&Digest::from_raw(raw)); }
                Op::Sweep(now) => { list.sweep(64, now); }
            }
            for (digest, until) in &model {
                let expected = Some(*until).filter(|until| 5 < *until);
                prop_assert_eq!(list.barred_until(*digest, 5), expected);
            }
        }
    }
}

fn op() -> impl Strategy<Value = Op> {
    let raw =
        prop_oneof![(0..12_u64).prop_map(|n| u64::MAX - n * 2), (0..12_u64).prop_map(|n| n * 2 + 2), any::<u64>()];
    prop_oneof![
        4 => (raw.clone(), 1..9_u64).prop_map(|(raw, until)| Op::Put(raw, until)),
        2 => raw.prop_map(Op::Lift),
        1 => (0..6_u64).prop_map(Op::Sweep),
    ]
}
