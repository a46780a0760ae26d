//! The protocol of bans as a model, explored exhaustively: what a ban's acknowledgement promises holds in
//! every order in which polls, checks, crashes and lost messages can come, and each rule is needed for it.
//!
//! The model says what the code does: `filter/core` (`feed`, `flow`) and the sidecar's `follow`, `polls`,
//! `acknowledgement`, `bans`, `reconcile`. Start reading at [`state`], then [`explore`].

#![expect(clippy::indexing_slicing, reason = "there are two of everything, and a model may panic")]

mod action;
mod admin;
mod explore;
mod rules;
mod sidecar;
mod state;
mod worker;

use stateright::{Checker, HasDiscoveries, Model, Path};

use explore::{AT_REST, NEVER_BACK, NO_ADMISSION, NO_STREAM, Protocol};
use rules::{Budget, Rules};

/// Its name, how many workers, how much of it.
type Trouble = (&'static str, usize, Budget);
/// A rule and how it is switched off, what breaks without it, the trouble in which that shows.
type Needed = (&'static str, fn(&mut Rules), &'static str, Budget);

/// Trouble of every kind but the loss of data, in portions that can be explored to the end.
const WITHOUT_LOSS: [Trouble; 7] = [
    ("silence, polls and checks that are lost or late", 1, LATE),
    ("workers that start anew, others' writes", 1, RESTARTS),
    ("two workers, one of them silent", 2, Budget { silences: 1, ..Budget::NONE }),
    ("sidecars that lag, start anew, and miss what the stream lost", 1, TRIMMED),
    ("an admin who crashes, a lift, a reconciler", 1, CRASH),
    ("sidecars that cannot reach the registry", 1, AWAY),
    ("two requests", 1, Budget { requests: 2, silences: 1, ..Budget::NONE }),
];
/// Redis loses its last writes, or everything.
const WITH_LOSS: [Trouble; 5] = [
    ("a lost tail and a check", 1, Budget { lost_tails: 1, requests: 1, ..Budget::NONE }),
    ("a lost tail and a silence", 1, Budget { lost_tails: 1, silences: 1, ..Budget::NONE }),
    ("a lost tail and others' writes", 1, RENUMBERED),
    ("a flush and a check", 1, Budget { flushes: 1, requests: 1, ..Budget::NONE }),
    ("a flush and a silence", 1, Budget { flushes: 1, silences: 1, ..Budget::NONE }),
];
const LATE: Budget = Budget { silences: 1, lost_polls: 1, requests: 1, ..Budget::NONE };
const RESTARTS: Budget = Budget { silences: 1, worker_restarts: 1, other_writes: 1, ..Budget::NONE };
const AWAY: Budget = Budget { silences: 1, unrecorded_polls: 2, requests: 1, ..Budget::NONE };
const TRIMMED: Budget = Budget { other_writes: 1, trims: 1, sidecar_restarts: 1, ..Budget::NONE };
const CRASH: Budget = Budget { admin_crashes: 1, lifts: 1, requests: 1, ..Budget::NONE };
const RENUMBERED: Budget = Budget { lost_tails: 1, other_writes: 1, ..Budget::NONE };

#[test]
fn no_order_of_events_breaks_what_an_acknowledgement_promises() {
    for (name, workers, trouble) in WITHOUT_LOSS {
        explore(name, Protocol { rules: Rules::ALL, workers, trouble });
    }
}

#[test]
fn p2_not_even_the_loss_of_data_breaks_it_while_a_sidecar_remembers() {
    for (name, workers, trouble) in WITH_LOSS {
        explore(name, Protocol { rules: Rules::ALL, workers, trouble });
    }
}

/// Explores everything that can happen, and prints how much that is.
fn explore(name: &str, protocol: Protocol) {
    let checker = protocol.checker().threads(2).spawn_bfs().join();
    eprintln!("{name}: {} states, up to {} steps deep", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
}

/// The rules, each of which is needed.
const NEEDED: [Needed; 17] = [
    ("P1 no gap", |rules| rules.no_gap = false, NO_ADMISSION, TRIMMED),
    ("P2 new epoch on loss", |rules| rules.new_epoch_on_loss = false, NO_ADMISSION, RENUMBERED),
    ("P2 write back", |rules| rules.write_back = false, NO_ADMISSION, RENUMBERED),
    ("P2 settled epoch", |rules| rules.settled_epoch = false, NO_ADMISSION, RENUMBERED),
    ("P2 acknowledger holds", |rules| rules.acknowledger_holds = false, NO_ADMISSION, WITH_LOSS[1].2),
    ("P3 never backwards", |rules| rules.never_backwards = false, NEVER_BACK, RESTARTS),
    ("P3 oldest page counts", |rules| rules.oldest_page_counts = false, NO_ADMISSION, RESTARTS),
    ("P4 count from sent", |rules| rules.count_from_sent = false, NO_ADMISSION, LATE),
    ("P4 count from read", |rules| rules.count_from_read = false, NO_ADMISSION, AWAY),
    ("P5 old allow never wins", |rules| rules.old_allow_never_wins = false, NO_STREAM, LATE),
    ("P6 a hit bars", |rules| rules.hit_bars = false, NO_ADMISSION, LATE),
    ("P7 register before snapshot", |rules| rules.register_before_snapshot = false, NO_ADMISSION, RESTARTS),
    ("P7 answer covers record", |rules| rules.answer_covers_record = false, NO_ADMISSION, RESTARTS),
    ("P7 fenced promise", |rules| rules.fenced_promise = false, NO_ADMISSION, LATE),
    ("P7 a lost registry", |rules| rules.lost_registry_counts_nobody_out = false, NO_ADMISSION, RENUMBERED),
    ("P8 record first", |rules| rules.record_first = false, AT_REST, CRASH),
    ("P8 reconcile", |rules| rules.reconcile = false, AT_REST, CRASH),
];

#[test]
fn each_rule_is_needed() {
    for (rule, switch_off, broken, trouble) in NEEDED {
        let mut rules = Rules::ALL;
        switch_off(&mut rules);
        counterexample(rule, broken, Protocol { rules, workers: 1, trouble });
    }
}

#[test]
fn p12_a_stream_that_is_cut_after_the_acknowledgement_is_open_too_long() {
    let rules = Rules { cut_before_acknowledging: false, ..Rules::ALL };
    let trouble = Budget { requests: 1, ..Budget::NONE };
    counterexample("P12 cut before acknowledging", NO_STREAM, Protocol { rules, workers: 1, trouble });
}

/// Finds the shortest way in which `broken` breaks, and tells it.
fn counterexample(rule: &str, broken: &'static str, protocol: Protocol) {
    let wanted = HasDiscoveries::AnyOf([broken].into());
    let checker = protocol.checker().finish_when(wanted).spawn_bfs().join();
    let path = checker.discovery(broken);
    assert!(path.is_some(), "without {rule} nothing breaks");
    eprintln!("without {rule}, \u{ab}{broken}\u{bb} breaks:");
    for (number, action) in (1..).zip(path.into_iter().flat_map(Path::into_actions)) {
        eprintln!("  {number}. {action}");
    }
}
