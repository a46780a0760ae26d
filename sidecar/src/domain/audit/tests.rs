//! Events: bounded, clean, and found by what they say.

use serde_json::json;

use super::chain::{ChainHash, End};
use super::{Action, By, DETAILS_MAX_BYTES, Event, Origin, Outcome, Severity, TEXT_MAX_BYTES, clean};
use crate::domain::error::Failure;

fn event() -> Event {
    Event::begun("id".into(), 7, Action::BanGiven, By::caller("root@x.org"), Some("ann@x.org"))
}

#[test]
fn each_word_is_what_serde_writes_and_is_used_once() {
    let mut words = Vec::new();
    for action in Action::ALL {
        assert_eq!(json!(action), action.word());
        words.push(action.word());
    }
    for severity in [Severity::Info, Severity::Notice, Severity::Warning, Severity::Critical] {
        assert_eq!(json!(severity), severity.word());
    }
    for outcome in [Outcome::Done, Outcome::Refused, Outcome::Failed, Outcome::Interrupted] {
        assert_eq!(json!(outcome), outcome.word());
    }
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Action::ALL.len());
}

#[test]
fn a_text_from_outside_is_cut_and_has_nothing_that_acts_on_a_terminal() {
    for (text, expected) in
        [("  curl/8 ", Some("curl/8")), ("a\u{1b}[31mb\r\nc\u{0}", Some("a[31mbc")), ("\u{7}\u{8}", None), ("", None)]
    {
        assert_eq!(clean(text).as_deref(), expected, "{text:?}");
    }
    let long = "é".repeat(TEXT_MAX_BYTES);
    assert_eq!(clean(&long).map(|cut| cut.len()), Some(TEXT_MAX_BYTES));
    let origin = Origin { request_id: Some("1"), address: Some(""), user_agent: Some(&long) };
    let by = By::caller("").by_way_of(origin);
    assert_eq!((by.actor.as_str(), by.address, by.request_id.as_deref()), ("unknown", None, Some("1")));
}

#[test]
fn what_everybody_may_cause_is_told_apart_from_administration() {
    let admin = By::caller("root@x.org");
    for (action, by, target, expected) in [
        (Action::TokenRevoked, admin.clone(), "root@x.org", true),
        (Action::TokenRevoked, admin.clone(), "ann@x.org", false),
        (Action::BanGiven, admin.clone(), "ann@x.org", false),
        (Action::AccessRefused, admin, "/api/admin/bans", true),
        (Action::TokenRevoked, By::operator("root"), "root", false),
        (Action::TokenReused, By::system("refresh"), "ann@x.org", false),
    ] {
        let event = Event::begun("id".into(), 7, action, by, Some(target));
        assert_eq!(event.is_everybodys(), expected, "{event:?}");
    }
}

#[test]
fn details_that_would_be_too_long_are_left_out_and_the_event_says_so() {
    let mut event = event();
    event.tell("nothing", None::<u64>);
    event.tell("number", 7);
    event.tell("long", "x".repeat(DETAILS_MAX_BYTES));
    assert_eq!(json!(event.details), json!({"number": 7, "truncated": true}));
}

#[test]
fn what_came_of_a_failure_is_told_by_whose_fault_it_is() {
    assert_eq!(Outcome::from(&Failure::KeySigns), Outcome::Refused);
    assert_eq!(Outcome::from(&Failure::Unavailable { cause: "away".into() }), Outcome::Failed);
}

#[test]
fn an_event_is_read_back_as_it_was_written() {
    let text = serde_json::to_string(&event()).unwrap();
    let read: Event = serde_json::from_str(&text).unwrap();
    assert_eq!((read.columns(), serde_json::to_string(&read).unwrap()), (event().columns(), text));
}

#[test]
fn an_event_of_a_newer_version_is_carried_on_as_it_is() {
    let mut newer = serde_json::to_value(event()).unwrap();
    newer["action"] = json!("moon.landed");
    newer["crew"] = json!(["ann", "bob"]);
    let read: Event = serde_json::from_value(newer.clone()).unwrap();
    assert_eq!((read.columns().action.as_str(), json!(read)), ("moon.landed", newer));
    assert_ne!(read.action, Action::BanGiven);
}

#[test]
fn a_hash_covers_the_one_before_the_number_and_the_text() {
    let first = ChainHash::GENESIS.next(1, "a");
    for other in [ChainHash::GENESIS.next(2, "a"), ChainHash::GENESIS.next(1, "b"), first.next(1, "a")] {
        assert_ne!(first, other);
    }
    // As `docs/audit.md` says: any tool can walk along.
    let by_hand = {
        use sha2::Digest as _;
        let mut bytes = b"sekisho audit chain v1\0".to_vec();
        bytes.extend([0; 32]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 1]);
        bytes.extend(b"a");
        sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    assert_eq!(first.to_string(), by_hand);
}

#[test]
fn an_end_is_printed_and_read() {
    let end = End::GENESIS.after("a");
    assert_eq!(end.to_string().parse::<End>(), Ok(end));
    let hash = ChainHash::GENESIS.to_string();
    for bad in ["", "1", ":", &format!("x:{hash}"), &format!("1:{}", &hash[1..]), &format!("1:+{}", &hash[1..])] {
        assert!(bad.parse::<End>().is_err(), "{bad}");
    }
}
