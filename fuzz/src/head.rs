//! Headers, query parameters and cookies of a request, as a client may send them.
//!
//! An input is lines of `name: value`. Whatever they hold: what a client could forge is removed, a token
//! leaves the target, and what was read twice is read the same.

use std::rc::Rc;

use sekisho_core::credential::cookie;
use sekisho_core::credential::places::{Place, Places};
use sekisho_core::credential::{Credential, NoCredential, extract, query};
use sekisho_core::denial::Malformed;
use sekisho_core::head::{Forgeable, Head, folds_to, forged_trailers};

pub(crate) fn run(input: &[u8]) {
    let pairs: Vec<(&[u8], &[u8])> = input.split(|byte| *byte == b'\n').take(64).map(pair).collect();
    let places = places();
    for trusted_hops in [0, 1] {
        let forgeable = Forgeable { trusted_hops, ours: vec![b"x-jwt-payload".as_slice().into()] };
        let head = Head::read(&pairs, &forgeable);
        for (name, _) in &pairs {
            let is_ours = folds_to(name, b"x-sekisho-identity") || folds_to(name, b"x-jwt-payload");
            assert!(!is_ours || head.forged.contains(name), "{name:?} is believed");
        }
        for name in forged_trailers(&pairs, &forgeable, std::iter::once(&places)) {
            assert!(pairs.iter().any(|(known, _)| *known == name));
        }
        target(&head, &places);
        cookies(&head);
        credential(&head, &places);
    }
}

fn pair(line: &[u8]) -> (&[u8], &[u8]) {
    let at = line.iter().skip(1).position(|byte| *byte == b':').map_or(line.len(), |at| at + 1);
    let (name, value) = line.split_at(at);
    (name, value.strip_prefix(b":").unwrap_or(value).trim_ascii())
}

fn places() -> Places {
    let header = |name: &[u8], prefix: &str| Place::Header { header: name.into(), prefix: prefix.into() };
    let scheme = Place::Scheme { header: b"authorization".as_slice().into(), scheme: "Bearer".into() };
    let from = vec![
        scheme,
        header(b"x-token", "tok-"),
        header(b"x-plain", ""),
        Place::Query("t".into()),
        Place::Cookie("jwt".into()),
    ];
    Places { from, forward: false, payload_header: Some(Rc::from("x-jwt-payload")) }
}

fn target(head: &Head<'_>, places: &Places) {
    let cleaned = query::without(head.path, places.parameters());
    let clean = cleaned.as_deref().unwrap_or(head.path);
    assert_eq!(query::values(clean, "t").count(), 0, "a token stays in {clean:?}");
    assert_eq!(cleaned.is_some(), query::values(head.path, "t").next().is_some());
    assert_eq!(query::without(clean, places.parameters()), None, "clean is clean");
}

fn cookies(head: &Head<'_>) {
    let Some(rest) = cookie::without(head, &["jwt"], None) else {
        assert_eq!(cookie::values(head, "jwt").count(), 0);
        return;
    };
    let pairs: &[(&[u8], &[u8])] = &[(b"cookie", rest.as_bytes())];
    let head = Head { pairs, ..Head::default() };
    assert_eq!(cookie::values(&head, "jwt").count(), 0, "a token stays in {rest}");
}

fn credential(head: &Head<'_>, places: &Places) {
    match extract(places, head) {
        Ok(Credential::Token(token)) => {
            assert!(!token.is_empty() && token.iter().all(|byte| byte.is_ascii_graphic() && *byte != b','));
        }
        Err(NoCredential::Missing) => {
            assert!(head.pairs.iter().all(|(name, _)| *name != b"authorization"), "a header was overlooked");
        }
        Err(
            NoCredential::Malformed(Malformed::SeveralCredentials) | NoCredential::NotBearer | NoCredential::Invalid(_),
        ) => {}
        Err(other) => panic!("{other:?}"),
    }
}
