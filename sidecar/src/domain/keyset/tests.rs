//! Names, and when a revision grows.

use super::*;

fn key(kid: &str) -> Jwk {
    Jwk { kty: "EC".into(), kid: Some(kid.into()), ..Jwk::default() }
}

#[test]
fn a_name_is_short_and_plain() {
    for (text, is_fit) in [
        ("google", true),
        ("Auth0-eu_1.prod", true),
        (&"a".repeat(128), true),
        (&"a".repeat(129), false),
        ("", false),
        ("a b", false),
        ("a:b", false),
        ("a{b", false),
        ("é", false),
    ] {
        assert_eq!(SourceName::parse(text).is_ok(), is_fit, "{text:?}");
    }
    assert!(SourceName::own().is_own() && SourceName::parse(SourceName::OWN).is_ok());
}

#[test]
fn a_revision_grows_with_a_change_and_with_nothing_else() {
    let mut record = KeysetRecord::default();
    for (case, keys, announced, now_ms, expected) in [
        ("the first set", vec![key("a")], 0, 1_000, 1_000),
        ("the same again", vec![key("a")], 1_000, 2_000, 1_000),
        ("another", vec![key("b"), key("c")], 1_000, 2_500, 2_500),
        ("those in another order", vec![key("c"), key("b")], 2_500, 2_600, 2_500),
        ("fewer", vec![key("b")], 2_500, 3_000, 3_000),
        ("a clock that went back", vec![key("c")], 3_000, 10, 3_001),
        ("a record that was lost, and found again in an old copy", vec![key("c")], 9_000, 11, 9_001),
        ("none at all", Vec::new(), 9_001, 12, 9_002),
    ] {
        record.replace_keys(keys.clone(), announced, now_ms);
        assert_eq!(record.revision, expected, "{case}");
        assert!(record.has_just(&keys), "{case}");
    }
}

#[test]
fn a_set_is_cut_where_workers_would_stop_reading() {
    let mut record = KeysetRecord::default();
    record.replace_keys((0..=KEYS_MAX).map(|n| key(&n.to_string())).collect(), 0, 1);
    assert_eq!((record.keys.len(), record.has_kid("0"), record.has_kid("64")), (64, true, false));
}
