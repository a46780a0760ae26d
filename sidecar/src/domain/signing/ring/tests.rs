//! What a key may become, and when it may go.

use super::super::Successor;
use super::*;
use crate::domain::seal::{KEY_BYTES, NONCE_BYTES, Sealed, SealingKey};

const NOW: UnixSeconds = UnixSeconds(1_000_000);
/// The end of a token's life is not the end of its use: clocks and leeways differ (rule P10).
const GRACE_S: u64 = 360;

fn kid(text: &str) -> Kid {
    Kid::parse(text).unwrap()
}

fn sealed() -> Sealed {
    SealingKey::new(&[1; KEY_BYTES]).unwrap().seal("", [0; NONCE_BYTES], b"").unwrap()
}

fn next() -> State {
    State::Next { sealed: sealed() }
}

fn signing() -> State {
    State::Signing { sealed: sealed(), since: UnixSeconds(500_000) }
}

fn verifying() -> State {
    State::Verifying { since: UnixSeconds(400_000), until: UnixSeconds(500_000) }
}

fn key(name: &str, state: State, tokens_end: Option<u64>) -> SigningKey {
    SigningKey {
        kid: kid(name),
        algorithm: Algorithm::EdDsa,
        public: Jwk { kty: "OKP".into(), kid: Some(name.into()), ..Jwk::default() },
        created_at: UnixSeconds(1),
        state,
        tokens_end: tokens_end.map(UnixSeconds),
    }
}

fn version() -> RingVersion {
    RingVersion("7".into())
}

fn ring(keys: Vec<SigningKey>) -> Ring {
    Ring::new(version(), keys)
}

#[test]
fn the_key_that_waits_signs_and_the_one_that_signed_verifies_without_its_private_part() {
    let before = ring(vec![key("old", signing(), Some(9)), key("new", next(), None)]);
    let update = before.promote(&kid("new"), Some(&kid("old")), NOW).unwrap();
    assert_eq!((update.version, update.drop.len()), (version(), 0));
    let states: Vec<(&str, State)> = update.put.iter().map(|key| (key.kid.as_str(), key.state.clone())).collect();
    assert_eq!(
        states,
        [
            ("old", State::Verifying { since: UnixSeconds(500_000), until: NOW }),
            ("new", State::Signing { sealed: sealed(), since: NOW }),
        ]
    );
    assert!(update.put[0].state.sealed().is_none());
    assert_eq!(update.put[0].tokens_end, Some(UnixSeconds(9)), "its tokens are not forgotten");
}

#[test]
fn the_first_key_takes_over_from_the_secret_and_the_last_one_gives_way_to_it() {
    let update = ring(vec![key("new", next(), None)]).promote(&kid("new"), None, NOW).unwrap();
    assert_eq!(update.put.iter().map(|key| key.state.word()).collect::<Vec<_>>(), ["signing"]);
    let update = ring(vec![key("old", signing(), None)]).step_down(&kid("old"), NOW).unwrap();
    assert_eq!(update.put.iter().map(|key| key.state.word()).collect::<Vec<_>>(), ["verifying"]);
}

#[test]
fn who_decided_on_another_predecessor_is_overtaken() {
    let keys = || vec![key("old", signing(), None), key("new", next(), None), key("used", verifying(), None)];
    for (what, target, predecessor, expected) in [
        ("as it was", "new", Some("old"), Ok(())),
        ("somebody rotated", "new", Some("used"), Err(Failure::KeysOvertaken)),
        ("somebody rotated for the first time", "new", None, Err(Failure::KeysOvertaken)),
        ("the key signs already", "old", Some("old"), Err(Failure::KeysOvertaken)),
        ("the key signed once", "used", Some("old"), Err(Failure::KeysOvertaken)),
        ("the key is gone", "gone", Some("old"), Err(Failure::KeysOvertaken)),
    ] {
        let predecessor = predecessor.map(kid);
        let found = ring(keys()).promote(&kid(target), predecessor.as_ref(), NOW).map(drop);
        assert_eq!(found, expected, "{what}");
    }
    assert_eq!(ring(keys()).step_down(&kid("new"), NOW).map(drop), Err(Failure::KeysOvertaken));
    assert_eq!(ring(Vec::new()).step_down(&kid("old"), NOW).map(drop), Err(Failure::KeysOvertaken));
}

#[test]
fn who_may_go_and_when() {
    let (now, grace) = (NOW.get(), GRACE_S);
    let needed = |until: u64| Err(Failure::KeyNeeded { until: UnixSeconds(until) });
    for (what, state, tokens_end, when, expected) in [
        ("it waits", next(), None, When::Unneeded, Ok(())),
        ("it waits, now", next(), None, When::Now, Ok(())),
        ("it signs", signing(), None, When::Unneeded, Err(Failure::KeySigns)),
        ("it signs, now", signing(), Some(now), When::Now, Err(Failure::KeySigns)),
        ("it never signed a token", verifying(), None, When::Unneeded, Ok(())),
        ("its tokens live", verifying(), Some(now + 9), When::Unneeded, needed(now + 9 + grace)),
        ("its tokens live, now", verifying(), Some(now + 9), When::Now, Ok(())),
        ("its last token ended a moment ago", verifying(), Some(now), When::Unneeded, needed(now + grace)),
        ("some clock may still let it in", verifying(), Some(now - grace + 1), When::Unneeded, needed(now + 1)),
        ("no clock lets it in", verifying(), Some(now - grace), When::Unneeded, Ok(())),
    ] {
        let found = ring(vec![key("k", state, tokens_end)]).retire(&kid("k"), when, NOW).map(drop);
        assert_eq!(found, expected, "{what}");
    }
    assert_eq!(ring(Vec::new()).retire(&kid("k"), When::Now, NOW), Err(Failure::KeyNotFound));
}

#[test]
fn a_key_goes_only_if_no_later_token_came_in_between_unless_it_goes_now() {
    let before = ring(vec![key("k", verifying(), Some(5))]);
    for (when, decided_on, not_before) in
        [(When::Unneeded, Some(Some(UnixSeconds(5))), 5 + GRACE_S), (When::Now, None, 0)]
    {
        let update = before.retire(&kid("k"), when, NOW).unwrap();
        assert_eq!(update.drop, [Dropped { kid: kid("k"), decided_on }], "{when:?}");
        assert_eq!(update.drop[0].not_before(), UnixSeconds(not_before), "{when:?}");
    }
}

#[test]
fn by_themselves_go_those_that_signed_once_and_have_no_live_token() {
    let keys = vec![
        key("waits", next(), None),
        key("signs", signing(), Some(5)),
        key("ended", verifying(), Some(5)),
        key("lives", verifying(), Some(NOW.get())),
        key("never-used", verifying(), None),
    ];
    let update = ring(keys.clone()).retire_unneeded(NOW).unwrap();
    let gone: Vec<&str> = update.drop.iter().map(|dropped| dropped.kid.as_str()).collect();
    assert_eq!((gone, update.put.len()), (vec!["ended", "never-used"], 0));
    assert!(ring(keys[..2].to_vec()).retire_unneeded(NOW).is_none());
}

#[test]
fn a_key_that_is_known_to_be_retired_goes_again_whatever_it_does() {
    let keys = ring(vec![key("a", next(), None), key("b", signing(), Some(NOW.get())), key("c", verifying(), None)]);
    for (retired, expected) in [(&["a"][..], 1), (&["b"], 1), (&["a", "c", "never was"], 2), (&[], 0)] {
        let update = keys.retire_again(|kid| retired.contains(&kid.as_str()));
        assert_eq!(update.map_or(0, |update| update.drop.len()), expected, "{retired:?}");
    }
}

#[test]
fn what_is_left_of_lost_keys_verifies_until_no_token_of_theirs_can_be_valid() {
    let public = |kid: &str, alg: &str| Jwk { kid: Some(kid.into()), alg: Some(alg.into()), ..Jwk::default() };
    let published = [public("a", "EdDSA"), public("retired", "ES256"), public("c", "ES256"), public("d", "RS256")];
    let is_retired = |kid: &Kid| kid.as_str() == "retired";
    let end = NOW.plus(90);
    let update = Ring::default().take_up_again(&published, is_retired, NOW, end).unwrap();
    let taken: Vec<_> = update.put.iter().map(|key| (key.kid.as_str(), key.algorithm, key.tokens_end)).collect();
    assert_eq!(taken, [("a", Algorithm::EdDsa, Some(end)), ("c", Algorithm::Es256, Some(end))]);
    assert!(update.put.iter().all(|key| key.state == State::Verifying { since: NOW, until: NOW }));
    assert!(ring(Vec::new()).take_up_again(&published, is_retired, NOW, end).is_none(), "nothing was lost");
    assert!(Ring::default().take_up_again(&published[1..2], is_retired, NOW, end).is_none());
}

#[test]
fn the_next_key_is_the_one_that_has_waited_for_longest() {
    let at = |name, created_at, algorithm| SigningKey {
        created_at: UnixSeconds(created_at),
        algorithm,
        ..key(name, next(), None)
    };
    let ring = ring(vec![
        at("late", 9, Algorithm::Es256),
        at("early", 3, Algorithm::EdDsa),
        at("between", 5, Algorithm::Es256),
        key("signs", signing(), None),
    ]);
    for (algorithm, expected) in
        [(None, "early"), (Some(Algorithm::EdDsa), "early"), (Some(Algorithm::Es256), "between")]
    {
        assert_eq!(ring.next(algorithm).map(|key| key.kid.as_str()), Some(expected), "{algorithm:?}");
    }
    assert_eq!(Ring::default().next(None), None);
}

#[test]
fn no_more_keys_are_taken_up_than_filters_know() {
    let full = ring((0..KEYS_MAX).map(|n| key(&format!("k{n}"), next(), None)).collect());
    assert_eq!(full.add(key("new", next(), None)), Err(Failure::TooManyKeys));
    let room = ring(full.keys()[1..].to_vec());
    assert_eq!(room.add(key("new", next(), None)).map(|update| update.put.len()), Ok(1));
}

#[test]
fn what_is_published_is_every_key_without_anything_secret() {
    let keys = ring(vec![key("a", next(), None), key("b", signing(), None), key("c", verifying(), None)]);
    let published = keys.public();
    assert_eq!(published.iter().filter_map(|key| key.kid.as_deref()).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn algorithms_and_ids_are_read_strictly() {
    for (text, pair, successor) in [
        ("EdDSA", Some(Algorithm::EdDsa), Some(Successor::With(Algorithm::EdDsa))),
        ("ES256", Some(Algorithm::Es256), Some(Successor::With(Algorithm::Es256))),
        ("HS256", None, Some(Successor::Secret)),
        ("es256", None, None),
        ("none", None, None),
        ("", None, None),
    ] {
        assert_eq!((text.parse().ok(), text.parse().ok()), (pair, successor), "{text:?}");
    }
    for bad in [String::new(), "a b".into(), "a.b".into(), "é".into(), "version|".into(), "x".repeat(65)] {
        assert_eq!(Kid::parse(&bad), Err(Failure::KeyNotFound), "{bad:?}");
    }
}
