//! The same of hosts and headers: whatever an upstream makes of their spelling, the rule that applies is the one that
//! its reading belongs to.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::head::folds_to;

const HOSTS: &[&str] =
    &["a.example", "*.example", "*.a.example", "[::1]", "b.example", "127.0.0.1", "[::ffff:127.0.0.1]"];
const PIECES: &[&str] = &[
    "a",
    "A",
    "b",
    ".",
    "..",
    "example",
    "EXAMPLE",
    ".example",
    "a.example",
    "b.example",
    ":",
    ":80",
    ":0",
    ":080",
    ":x",
    "@",
    "u@",
    "[",
    "]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::FFFF:7f00:1]",
    "127.0.0.1",
    "[::ffff:127.0.0.1]",
    "%2e",
    "%61",
    "/",
    "\\",
    "?",
    "#",
    ",",
    " ",
    "\u{e9}",
];

fn run<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let cases = if cfg!(target_arch = "wasm32") { cases / 4 } else { cases };
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config).run(strategy, test).unwrap_or_else(|error| panic!("{error}"));
}

/// What an upstream could take for the host: what follows user information, what comes before a port, however that is
/// looked for, without a trailing dot, without what is no part of a name.
fn hosts(authority: &str) -> BTreeSet<String> {
    let bare = authority.rsplit('@').next().unwrap_or_default();
    let mut read = BTreeSet::new();
    for start in [authority, bare] {
        let bracketed = start.find(']').and_then(|end| start.get(..=end));
        let before_last = start.rsplit_once(':').filter(|(host, _)| !host.contains(':')).map(|(host, _)| host);
        let first = if start.starts_with('[') { bracketed } else { start.split(':').next() };
        for host in
            [bracketed, before_last, first].into_iter().flatten().flat_map(|host| [host, host.trim_end_matches('.')])
        {
            read.extend(host.split(['/', '\\', '?', '#', ',']).take(1).map(str::to_ascii_lowercase));
        }
    }
    let addresses = read.iter().filter_map(|host| host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok());
    let addresses: Vec<_> = addresses.map(|address| format!("[{address}]")).collect();
    // Another spelling of an address is the address.
    read.retain(|host| !host.starts_with('['));
    read.extend(addresses);
    read
}

#[test]
fn no_reading_of_an_admitted_host_belongs_to_another_rule() {
    let admitted = Cell::new(0);
    let authority = prop::collection::vec(select(PIECES), 0..5).prop_map(|pieces| pieces.concat());
    let rules = prop::collection::vec(select(HOSTS), 1..5);
    run(500, &(rules, prop::collection::vec(authority, 24)), |(rules, authorities)| {
        let written: Vec<_> = rules.iter().map(|host| json!({"match": {"host": host}})).collect();
        let policy = policy_of(&written);
        for authority in authorities {
            let head = Head { method: b"GET", path: b"/", authority: authority.as_bytes(), ..Head::default() };
            let Ok(target) = Target::of(&head, policy.routes.tolerated()) else { continue };
            admitted.set(admitted.get() + 1);
            let found = policy.routes.get(policy.routes.find(&target).unwrap()).name.to_string();
            for host in hosts(&authority) {
                let is = |rule: &&str| rule.strip_prefix('*').map_or(**rule == *host, |domain| host.ends_with(domain));
                let expected = rules.iter().position(is).map_or("(unmatched)".into(), |i| i.to_string());
                prop_assert_eq!(&found, &expected, "{} as {}", authority, host);
            }
        }
        Ok(())
    });
    assert!(admitted.get() > 100, "hardly a test: {admitted:?}");
}

const NAMES: &[&str] = &["x-env", "x_env", "x.env", "x-other", "x_other"];
const VALUES: &[&str] = &["", "prod", "test", "prod,test", "test,prod", "product", "p"];

/// Which value of a header an upstream could see, if any: of the name as it is or of all that it takes for it, the
/// first, the last, any, or all in one.
fn values(headers: &[(&str, &str)], name: &str) -> Vec<Option<String>> {
    let exact = |known: &str| known == name;
    let folded = |known: &str| folds_to(known.as_bytes(), name.as_bytes());
    let mut read = Vec::new();
    for is in [&exact as &dyn Fn(&str) -> bool, &folded] {
        let all: Vec<&str> = headers.iter().filter(|(known, _)| is(known)).map(|(_, value)| *value).collect();
        if all.is_empty() {
            read.push(None);
        } else {
            read.extend([all.join(","), all.join(", ")].map(Some));
            read.extend(all.iter().map(|value| Some((*value).to_owned())));
        }
    }
    read
}

fn holds(test: &str, wanted: &str, value: Option<&str>) -> bool {
    match (test, value) {
        ("present", None) => wanted == "false",
        ("present", Some(_)) => wanted == "true",
        (_, None) => false,
        ("equals", Some(value)) => value == wanted,
        ("prefix", Some(value)) => value.starts_with(wanted),
        ("suffix", Some(value)) => value.ends_with(wanted),
        (_, Some(value)) => value.contains(wanted),
    }
}

fn header_test() -> impl Strategy<Value = (&'static str, &'static str)> {
    let of_value = (select(&["equals", "prefix", "suffix", "contains"][..]), select(&VALUES[1..]));
    prop_oneof![3 => of_value, 1 => select(&[("present", "true"), ("present", "false")][..])]
}

#[test]
fn no_spelling_of_headers_makes_a_rule_apply_that_an_upstream_would_not_apply() {
    let (admitted, several) = (Cell::new(0), Cell::new(0));
    let rules = prop::collection::vec(header_test(), 1..4);
    let headers = prop::collection::vec((select(NAMES), select(VALUES)), 0..4);
    run(500, &(rules, prop::collection::vec(headers, 24)), |(rules, requests)| {
        let written = |(test, wanted): &(&str, &str)| {
            let wanted = if *test == "present" { json!(*wanted == "true") } else { json!(wanted) };
            json!({"match": {"headers": [{"name": "x-env", *test: wanted}]}})
        };
        let policy = policy_of(&rules.iter().map(written).collect::<Vec<_>>());
        for headers in requests {
            let pairs: Vec<(&[u8], &[u8])> = headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
            let head = Head { method: b"GET", path: b"/", authority: b"h", pairs: &pairs, ..Head::default() };
            let target = Target::of(&head, policy.routes.tolerated()).unwrap();
            let Ok(id) = policy.routes.find(&target) else { continue };
            admitted.set(admitted.get() + 1);
            several.set(several.get() + u32::from(headers.len() > 1));
            for value in values(&headers, "x-env") {
                let is = |(test, wanted): &(&str, &str)| holds(test, wanted, value.as_deref());
                let expected = rules.iter().position(is).map_or("(unmatched)".into(), |index| index.to_string());
                prop_assert_eq!(&*policy.routes.get(id).name, expected, "{:?} as {:?}", headers, value);
            }
        }
        Ok(())
    });
    assert!(admitted.get() > 100 && several.get() > 100, "hardly a test: {admitted:?} {several:?}");
}
