//! The state's rules: order, gaps, pages, and names that share a digest.

use proptest::prelude::*;
use sekisho_protocol::feed::FOREVER;
use sekisho_protocol::{Epoch, keys};

use super::super::write::LIFT_MEMORY_S;
use super::*;

const NOW: u64 = 1_000_000;

fn key() -> DigestKey {
    keys::digest_key(b"a mesh secret of at least thirty-two bytes")
}

fn stamp(version: u64) -> Stamp {
    Stamp { epoch: Epoch::from_bytes([7; 16]), version: Version::new(version) }
}

fn empty() -> State {
    State::new(key(), stamp(0))
}

fn put(version: u64, name: &str, until: u64) -> Write {
    write(version, name, Says::Holds { until, floor: 0 })
}

fn lift(version: u64, name: &str) -> Write {
    write(version, name, Says::Lifted { at: NOW })
}

fn write(version: u64, name: &str, says: Says) -> Write {
    Write { version: Version::new(version), kind: Kind::Ban, name: name.to_owned(), says }
}

fn digest(name: &str) -> Digest {
    Digest::of(&key(), Kind::Ban, name)
}

fn put_effect(name: &str, until: u64) -> Effect {
    Effect::Put(Entry::Ban(Bar { digest: digest(name), until }))
}

fn changes(delta: Delta) -> Vec<Change> {
    match delta {
        Delta::Changes(changes) => changes,
        Delta::TooOld => panic!("too old"),
    }
}

#[test]
fn p1_a_gap_is_refused_and_changes_nothing() {
    let mut state = empty();
    state.apply(put(1, "ann", NOW + 10), NOW).unwrap();
    let gap = state.apply(put(3, "bob", NOW + 10), NOW).unwrap_err();
    assert_eq!(gap, Gap { have: Version::new(1), got: Version::new(3) });
    assert_eq!(state.stamp().version, Version::new(1));
    assert_eq!(state.holding(Kind::Ban, "bob", NOW), None);
}

#[test]
fn a_write_that_comes_again_does_nothing() {
    let mut state = empty();
    state.apply(put(1, "ann", NOW + 10), NOW).unwrap();
    state.apply(lift(2, "ann"), NOW).unwrap();
    state.apply(put(1, "ann", NOW + 10), NOW).unwrap();
    assert_eq!(state.holding(Kind::Ban, "ann", NOW), None);
    assert_eq!(changes(state.delta(Version::ZERO)).len(), 2);
}

#[test]
fn a_delta_starts_right_behind_what_is_known_and_is_bounded() {
    let mut state = empty();
    for version in 1..=2_000 {
        state.apply(put(version, &format!("p{version}"), NOW + 10), NOW).unwrap();
    }
    let delta = changes(state.delta(Version::new(500)));
    assert_eq!(delta.len(), PAGE_MAX_ENTRIES);
    assert_eq!(delta[0], Change { version: 501, effect: put_effect("p501", NOW + 10) });
    assert!(delta.windows(2).all(|pair| pair[1].version == pair[0].version + 1));
    assert_eq!(changes(state.delta(Version::new(2_000))), []);
}

#[test]
fn p3_whoever_is_ahead_is_told_nothing() {
    assert_eq!(changes(empty().delta(Version::new(5))), []);
}

#[test]
fn whoever_is_further_behind_than_is_remembered_needs_a_snapshot() {
    let mut state = State::load(key(), stamp(10), [put(10, "ann", NOW + 10)]);
    assert_eq!(state.delta(Version::new(9)), Delta::TooOld);
    state.apply(put(11, "bob", NOW + 10), NOW).unwrap();
    assert_eq!(changes(state.delta(Version::new(10))).len(), 1);
    for version in 12..=12 + LOG_MAX_CHANGES as u64 {
        state.apply(put(version, "bob", NOW + version), NOW).unwrap();
    }
    assert_eq!(state.delta(Version::new(10)), Delta::TooOld);
}

#[test]
fn what_was_written_while_the_store_was_read_is_not_undone_by_older_writes() {
    // The read began at version 10 and met the lift with version 12.
    let mut state = State::load(key(), stamp(10), [lift(12, "ann")]);
    state.apply(put(11, "ann", NOW + 10), NOW).unwrap();
    assert_eq!(state.holding(Kind::Ban, "ann", NOW), None);
    state.apply(lift(12, "ann"), NOW).unwrap();
    assert_eq!(state.stamp().version, Version::new(12));
}

#[test]
fn a_ban_ends_by_itself() {
    let mut state = empty();
    state.apply(put(1, "ann", NOW + 10), NOW).unwrap();
    assert!(state.holding(Kind::Ban, "ann", NOW + 9).is_some());
    assert!(state.holding(Kind::Ban, "Ann@X", NOW).is_none());
    assert_eq!(state.holding(Kind::Ban, "ann", NOW + 10), None);
    assert_eq!(state.page(Digest::MIN, NOW + 9).entries.len(), 1);
    assert_eq!(state.page(Digest::MIN, NOW + 10).entries, []);
}

#[test]
fn subjects_are_found_in_any_case() {
    let mut state = empty();
    state.apply(put(1, "ann@x.org", FOREVER), NOW).unwrap();
    assert!(state.holding(Kind::Ban, "Ann@X.org", NOW).is_some());
}

#[test]
fn names_that_share_a_digest_do_not_free_each_other() {
    let mut state = empty();
    state.apply(put(1, "ann", NOW + 10), NOW).unwrap();
    // No two names with one digest are known, so the second is filed by hand.
    let twin = Filed { version: Version::new(0), says: Says::Holds { until: NOW + 99, floor: 0 } };
    state.filed.insert((digest("ann"), Kind::Ban, "twin".into()), twin);
    let bar = |until| Entry::Ban(Bar { digest: digest("ann"), until });
    state.apply(lift(2, "ann"), NOW).unwrap();
    state.apply(put(3, "ann", NOW + 50), NOW).unwrap();
    let effects: Vec<Effect> = changes(state.delta(Version::new(1))).into_iter().map(|change| change.effect).collect();
    assert_eq!(effects, [Effect::Put(bar(NOW + 99)), Effect::Put(bar(NOW + 99))]);
    assert_eq!(state.page(Digest::MIN, NOW).entries, [bar(NOW + 99)]);
    state.apply(put(4, "ann", NOW + 100), NOW).unwrap();
    assert_eq!(state.page(Digest::MIN, NOW).entries, [bar(NOW + 100)]);
}

#[test]
fn sweeping_forgets_what_is_over_and_remembers_lifts_for_a_day() {
    let mut state = empty();
    state.apply(put(1, "ann", NOW + 10), NOW).unwrap();
    state.apply(put(2, "bob", FOREVER), NOW).unwrap();
    state.apply(lift(3, "cid"), NOW).unwrap();
    assert_eq!(state.sweep(Digest::MIN, 10, NOW + 10), None);
    assert_eq!(state.filed(), 2);
    assert_eq!(state.writes(NOW + 10).count(), 2);
    assert_eq!(state.sweep(Digest::MIN, 10, NOW + LIFT_MEMORY_S), None);
    assert_eq!(state.filed(), 1);
}

#[test]
fn a_sweep_is_done_in_steps_of_bounded_length_and_forgets_all_the_same() {
    let mut state = empty();
    for version in 1..=1_000 {
        let until = if version % 4 == 0 { FOREVER } else { NOW + 10 };
        state.apply(put(version, &format!("p{version}"), until), NOW).unwrap();
    }
    let (mut from, mut steps) = (Some(Digest::MIN), 0);
    while let Some(start) = from {
        let before = state.filed();
        from = state.sweep(start, 100, NOW + 10);
        assert!(before - state.filed() <= 100);
        assert!(from.is_none_or(|next| next > start), "every step leads further");
        steps += 1;
    }
    assert_eq!((state.filed(), steps), (250, 10));
}

#[test]
fn a_sweep_gets_past_names_that_share_a_digest() {
    let mut state = empty();
    for name in ["ann", "bob", "cid", "dan"] {
        let over = Filed { version: Version::new(0), says: Says::Holds { until: NOW, floor: 0 } };
        state.filed.insert((digest("ann"), Kind::Ban, name.into()), over);
    }
    assert_eq!(state.sweep(digest("ann"), 1, NOW), None);
    assert_eq!(state.filed(), 0);
}

fn all_pages(state: &State) -> Vec<Entry> {
    let (mut entries, mut from) = (Vec::new(), Some(Digest::MIN));
    while let Some(start) = from {
        let page = state.page(start, NOW);
        assert!(page.entries.len() <= PAGE_MAX_ENTRIES);
        assert!(page.count >= page.entries.len() as u64);
        assert!(page.entries.iter().all(|entry| entry.digest() >= start));
        entries.extend(page.entries);
        from = page.next;
    }
    entries
}

#[test]
fn p3_the_pages_of_a_snapshot_hold_every_entry_once_in_order() {
    let mut state = empty();
    for version in 1..=3_000 {
        let until = if version % 3 == 0 { NOW - 1 } else { NOW + 10 };
        state.apply(put(version, &format!("p{version}"), until), NOW).unwrap();
    }
    let entries = all_pages(&state);
    assert_eq!(entries.len(), 2_000);
    assert!(entries.windows(2).all(|pair| pair[0].digest() < pair[1].digest()));
}

/// What a filter does with an effect.
fn follow(table: &mut BTreeMap<Digest, u64>, effect: &Effect) {
    match effect {
        Effect::Put(entry) => table.insert(entry.digest(), entry.until()),
        Effect::Lift(digest) => table.remove(digest),
    };
}

proptest! {
    #[test]
    fn p1_a_snapshot_and_the_deltas_behind_it_give_the_same_as_a_later_snapshot(
        writes in prop::collection::vec((0_u8..12, 0_u64..3), 1..200),
        cut in 0_usize..200,
    ) {
        let cut = cut.min(writes.len());
        let mut state = empty();
        let mut table = BTreeMap::new();
        for (index, (name, life)) in writes.iter().enumerate() {
            if index == cut {
                table = all_pages(&state).iter().map(|entry| (entry.digest(), entry.until())).collect();
            }
            let (version, name) = (index as u64 + 1, format!("p{name}"));
            let write = if *life == 0 { lift(version, &name) } else { put(version, &name, NOW + life) };
            state.apply(write, NOW).unwrap();
        }
        if cut < writes.len() {
            let mut since = Version::new(cut as u64);
            loop {
                let delta = changes(state.delta(since));
                let Some(last) = delta.last() else { break };
                since = Version::new(last.version);
                delta.iter().for_each(|change| follow(&mut table, &change.effect));
            }
            let now: BTreeMap<_, _> = all_pages(&state).iter().map(|entry| (entry.digest(), entry.until())).collect();
            prop_assert_eq!(table, now);
        }
    }
}
