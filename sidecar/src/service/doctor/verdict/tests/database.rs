//! Judgements of the database, of what is sealed, and of what waits.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{backlog, database, encryption};
use super::*;
use crate::domain::seal::SealingKeyId;
use crate::service::audit::Backlog;
use crate::service::encryption::Inventory;
use crate::service::encryption::canary::State as Canary;
use crate::service::installation::{Examined, Look};

fn key_id(byte: u8) -> SealingKeyId {
    SealingKey::new(&[byte; KEY_BYTES]).unwrap().id()
}

#[test]
fn the_database_must_be_there_up_to_date_and_the_one_that_is_announced() {
    let fine = Look { exists: true, applied: vec![1, 2], id: Some("a".into()), canary: None };
    let missing = Look::default();
    let behind = Look { applied: vec![1], ..fine.clone() };
    let ahead = Look { applied: vec![1, 2, 9], ..fine.clone() };
    let blank = Look { applied: vec![], id: None, ..fine.clone() };
    let ours = Some("a".to_owned());
    for (what, look, announced, expected, text) in [
        ("all is well", &fine, &ours, vec![Health::Ok, Health::Ok], "2 of 2 migrations"),
        ("no file", &missing, &ours, vec![Health::Fail], "SEKISHO_DATA_DIR"),
        ("an older one", &behind, &ours, vec![Health::Warn, Health::Ok], "1 of 2 migrations"),
        ("a newer one", &ahead, &ours, vec![Health::Fail, Health::Ok], "migration 9"),
        ("never opened", &blank, &ours, vec![Health::Warn, Health::Fail], "0 of 2 migrations"),
        (
            "another one",
            &fine,
            &Some("b".into()),
            vec![Health::Ok, Health::Fail],
            "another database (b; this one is a)",
        ),
        ("nobody says", &fine, &None, vec![Health::Ok, Health::Warn], "none is announced"),
    ] {
        let examined = Examined { look: look.clone(), known: vec![1, 2], announced: announced.clone() };
        let verdicts = database(&examined);
        assert_eq!(verdicts.iter().map(|verdict| verdict.status).collect::<Vec<_>>(), expected, "{what}: {verdicts:?}");
        assert!(verdicts.iter().any(|verdict| verdict.detail.contains(text)), "{what}: {verdicts:?}");
    }
}

#[test]
fn keys_must_open_what_is_sealed_and_a_rotation_come_to_its_end() {
    let (old, new) = (key_id(1), key_id(2));
    let place = |under: &[(SealingKeyId, usize)], damaged| Inventory {
        name: "signing keys",
        resealed: 0,
        under: under.iter().copied().collect::<BTreeMap<_, _>>(),
        damaged,
    };
    let opens = |under, present| Canary::Opens { under, present };
    let closed = Canary::Closed { theirs: old, ours: new.to_string() };
    for (what, canary, place, expected, text) in [
        ("no key", Canary::Missing { present: None }, place(&[], 0), Health::Ok, "nothing was ever sealed".to_owned()),
        ("a first key", Canary::Missing { present: Some(new) }, place(&[], 0), Health::Warn, new.to_string()),
        ("a key elsewhere", Canary::NoKey { theirs: Some(old) }, place(&[], 0), Health::Warn, old.to_string()),
        ("all is well", opens(new, new), place(&[(new, 3)], 0), Health::Ok, new.to_string()),
        ("not begun", opens(old, new), place(&[(old, 3)], 0), Health::Warn, format!("3 signing keys ({old})")),
        ("cut off", opens(old, new), place(&[(old, 1), (new, 2)], 0), Health::Warn, "rotate-encryption".into()),
        ("only the canary is left", opens(old, new), place(&[(new, 2)], 0), Health::Warn, "unfinished".into()),
        ("a value of a lost key", opens(new, new), place(&[(old, 1), (new, 2)], 0), Health::Warn, old.to_string()),
        ("damage", opens(new, new), place(&[(new, 2)], 1), Health::Warn, "1 sealed values are damaged".into()),
        ("the wrong key", closed, place(&[], 0), Health::Fail, old.to_string()),
        ("a damaged canary", Canary::Damaged, place(&[], 0), Health::Fail, "damaged".into()),
    ] {
        let verdict = encryption(&canary, &[place]);
        assert_eq!(verdict.status, expected, "{what}: {}", verdict.detail);
        assert!(verdict.detail.contains(&text), "{what}: {}", verdict.detail);
    }
}

#[test]
fn events_that_wait_are_a_warning_when_they_are_many_or_old() {
    for (waiting, oldest_s, expected) in [
        (0, 0, Health::Ok),
        (40, 1, Health::Ok),
        (1, 31, Health::Warn),
        (5_000, 1, Health::Warn),
        (100_000, 9, Health::Fail),
    ] {
        let verdict = backlog(&Backlog { waiting, oldest: Duration::from_secs(oldest_s), open: 2 });
        assert_eq!(verdict.status, expected, "{waiting} {oldest_s}: {}", verdict.detail);
        assert!(verdict.detail.contains(&format!("{waiting} wait")), "{}", verdict.detail);
    }
}
