//! What the figures are held against: ratios within one run, so that the machine does not matter.

use bench::figures::Target;

use crate::flood::Flood;
use crate::rounds::{Course, Slice};
use crate::rows::{Row, difference, of_name};
use crate::statistics::{Times, median};
use crate::variant as name;

/// The most that a cached request may add, as a part of what another filter adds: of time, and of the processor.
const CACHED: [(&str, &str, f64, f64); 3] = [
    ("empty_wasm", name::EMPTY_WASM, 1.6, 1.6),
    ("jwt_authn", name::JWT_AUTHN, 1.0, 1.0),
    ("ext_authz", name::EXT_AUTHZ, 1.0 / 9.0, 1.0 / 8.0),
];
/// The most that a token that was never seen may add, as a part of what `jwt_authn` without its cache adds.
const COLD: [(&str, &str, &str, f64); 6] = [
    ("cold_hs256", name::COLD_HS256, name::JWT_AUTHN, 1.2),
    ("cold_rs256", name::COLD_RS256, name::JWT_AUTHN_RS256, 1.0),
    ("cold_es256", name::COLD_ES256, name::JWT_AUTHN_ES256, 1.0),
    // Like for like: `jwt_authn` signs no assertion either.
    ("cold_hs256_plain", name::PLAIN_HS256, name::JWT_AUTHN, 1.2),
    ("cold_rs256_plain", name::PLAIN_RS256, name::JWT_AUTHN_RS256, 1.0),
    ("cold_es256_plain", name::PLAIN_ES256, name::JWT_AUTHN_ES256, 1.0),
];
/// The most that a forged token may cost, as a part of what it costs `jwt_authn`.
const FORGED: f64 = 1.1;
/// The most that a request with a session that is known may add, as a part of what one with a token that is known adds in the
/// same VM.
const SESSION: f64 = 1.2;
/// The most that good requests may wait beside a flood of made-up cookies, as a part of how long they wait without.
const BESIDE_COOKIES: f64 = 2.0;
/// The most questions about sessions while made-up cookies come: those about the good one, once a minute and worker.
const QUESTIONS: f64 = 2.0;
/// A million entries may change a cached request by this part of what it adds, or by as much as the measurement is
/// unsure of, whichever is more.
const UNCHANGED: f64 = 0.05;
/// The most that a request under the last of a hundred rules may add, as a part of what it adds under one alone.
const RULES: f64 = 1.1;
/// Standard errors within which a difference is none.
const SURE: f64 = 2.0;

/// Those of the slices in turn. What was not measured is not judged.
pub(crate) fn of_rows(rows: &[Row]) -> Vec<Target> {
    let row = |name: &str| rows.iter().find(|row| row.name == name);
    let mut targets = Vec::new();
    for (of, other, time, cpu) in CACHED {
        if let (Some(ours), Some(theirs)) = (row(name::CACHED), row(other)) {
            targets.push(ratio(&format!("cached_time_to_{of}"), ours.added_time, theirs.added_time, time));
            targets.push(ratio(&format!("cached_cpu_to_{of}"), ours.added_cpu(), theirs.added_cpu(), cpu));
        }
    }
    for (of, ours, theirs, limit) in COLD {
        if let (Some(ours), Some(theirs)) = (row(ours), row(theirs)) {
            targets.push(ratio(&format!("{of}_time_to_jwt_authn"), ours.added_time, theirs.added_time, limit));
            targets.push(ratio(&format!("{of}_cpu_to_jwt_authn"), ours.added_cpu(), theirs.added_cpu(), limit));
        }
    }
    if let (Some(session), Some(token)) = (row(name::SESSION), row(name::BESIDE_SESSION)) {
        targets.push(ratio("session_time_to_token", session.added_time, token.added_time, SESSION));
        targets.push(ratio("session_cpu_to_token", session.added_cpu(), token.added_cpu(), SESSION));
    }
    targets
}

/// What a cached request adds, as a part of what its calls to Envoy add alone: no target, since no code can make it
/// less than 1. What was not measured is not told.
pub(crate) fn to_same_calls(rows: &[Row]) -> Vec<(&'static str, f64)> {
    let row = |name: &str| rows.iter().find(|row| row.name == name);
    let (Some(cached), Some(calls)) = (row(name::CACHED), row(name::SAME_CALLS)) else { return Vec::new() };
    vec![
        ("cached_time_to_same_calls", cached.added_time / calls.added_time),
        ("cached_cpu_to_same_calls", cached.added_cpu() / calls.added_cpu()),
    ]
}

/// Whether a million entries change anything.
pub(crate) fn of_million(courses: &[Course]) -> Vec<Target> {
    let named = |name| of_name(courses, name);
    let (Some(million), Some(cached), Some(bare)) = (named(name::MILLION), named(name::CACHED), named(name::BARE))
    else {
        return Vec::new();
    };
    let target = |name: &str, of: fn(&Slice) -> f64| {
        let added = difference(cached, bare, of).median;
        let change = difference(million, cached, of);
        let limit = (added * UNCHANGED).max(change.error * SURE);
        Target::new(name, change.median, limit, "µs")
    };
    vec![
        target("million_change_of_time", |slice| slice.time_us),
        target("million_change_of_cpu", |slice| slice.envoy_us),
    ]
}

/// What a hundred rules make of the cost of one: of what that adds, and what they take more in the same rounds.
pub(crate) fn of_rules(courses: &[Course]) -> Vec<Target> {
    let named = |name| of_name(courses, name);
    let (Some(many), Some(one), Some(bare)) = (named(name::RULES_100), named(name::RULES_1), named(name::BARE)) else {
        return Vec::new();
    };
    let target = |name: &str, of: fn(&Slice) -> f64| {
        let added = difference(one, bare, of).median;
        ratio(name, added + difference(many, one, of).median, added, RULES)
    };
    vec![target("rules_100_to_1_time", |slice| slice.time_us), target("rules_100_to_1_cpu", |slice| slice.envoy_us)]
}

/// Whether a flood costs more than it costs `jwt_authn`. The first flood is theirs, the second ours.
pub(crate) fn of_floods(floods: &[Flood]) -> Vec<Target> {
    match floods {
        [theirs, ours] => {
            vec![ratio("forged_rs256_cpu_to_jwt_authn", median(&ours.envoy_us), median(&theirs.envoy_us), FORGED)]
        }
        _ => Vec::new(),
    }
}

/// What a flood of made-up cookies does to good requests, and how often a sidecar was asked about sessions meanwhile.
pub(crate) fn of_cookies(floods: &[Flood], questions: u64) -> Vec<Target> {
    let [flood] = floods else { return Vec::new() };
    let p99 = |times: &[std::time::Duration]| Times::of(times).p99;
    vec![
        ratio("cookies_good_p99_beside_to_calm", p99(&flood.beside), p99(&flood.calm), BESIDE_COOKIES),
        Target::new("cookies_questions", questions as f64, QUESTIONS, "questions"),
    ]
}

fn ratio(name: &str, ours: f64, theirs: f64, limit: f64) -> Target {
    Target::new(name, ours / theirs, limit, "×")
}
