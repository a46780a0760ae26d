//! Each judgement, without the thing that it judges.

use sekisho_protocol::{Epoch, ReplicaId};

use super::*;
use crate::domain::feed::{Stamp, Version};
use crate::domain::keyset::{KeysetRecord, SourceName};
use crate::domain::seal::{KEY_BYTES, SealingKey};
use crate::domain::signing::ring::RingVersion;
use crate::domain::signing::{Algorithm, SigningKey, State};
use crate::domain::time::UnixSeconds;
use crate::service::feed::registry::Presence;
use crate::service::signing_keys::vault::{Closed, Vault};

mod database;

const NOW: UnixSeconds = UnixSeconds(1_000_000);

fn vitals() -> Vitals {
    Vitals {
        server_version: "7.0.15".into(),
        role: "master".into(),
        durability: Durability::EverySecond,
        eviction_policy: "noeviction".into(),
        notifications: Some("g$xeK".into()),
        clock_ms: 1_000_000,
    }
}

fn status_of(verdicts: &[Verdict], name: &str) -> Health {
    verdicts.iter().find(|verdict| verdict.name == name).unwrap().status
}

#[test]
fn a_redis_that_is_as_it_should_be_gives_no_cause_for_complaint() {
    let verdicts = redis(&vitals(), 999_900, 1_000_100);
    assert!(verdicts.iter().all(|verdict| verdict.status == Health::Ok), "{verdicts:#?}");
}

#[test]
fn what_is_wrong_with_redis_is_said_and_what_to_do() {
    type Change = fn(&mut Vitals);
    let cases: [(&str, Change, Health); 12] = [
        ("redis role", |v| v.role = "slave".into(), Health::Fail),
        ("redis persistence", |v| v.durability = Durability::Always, Health::Ok),
        ("redis persistence", |v| v.durability = Durability::AppendOnly, Health::Warn),
        ("redis persistence", |v| v.durability = Durability::Snapshots, Health::Warn),
        ("redis persistence", |v| v.durability = Durability::Memory, Health::Fail),
        ("redis eviction", |v| v.eviction_policy = "allkeys-lru".into(), Health::Fail),
        ("redis notices", |v| v.notifications = Some("AK".into()), Health::Ok),
        ("redis notices", |v| v.notifications = Some("Ex".into()), Health::Warn),
        ("redis notices", |v| v.notifications = Some(String::new()), Health::Warn),
        ("redis notices", |v| v.notifications = None, Health::Warn),
        ("clock", |v| v.clock_ms += 2_000, Health::Warn),
        ("clock", |v| v.clock_ms -= 10_000, Health::Fail),
    ];
    for (name, change, expected) in cases {
        let mut vitals = vitals();
        change(&mut vitals);
        let verdicts = redis(&vitals, 1_000_000, 1_000_000);
        assert_eq!(status_of(&verdicts, name), expected, "{name}: {vitals:?}");
    }
}

#[test]
fn a_signing_key_that_cannot_be_opened_or_kept_is_named() {
    let vault = Vault::new(SealingKey::new(&[1; KEY_BYTES]).map(Into::into));
    let (signs, waits) = (vault.make(Algorithm::EdDsa, NOW).unwrap(), vault.make(Algorithm::Es256, NOW).unwrap());
    let sealed = signs.state.sealed().unwrap().clone();
    let signs = SigningKey { state: State::Signing { sealed, since: NOW }, ..signs };
    let closed = |key: &SigningKey| ClosedKey { kid: key.kid.clone(), why: Closed::NoEncryptionKey };
    let ring = Ring::new(RingVersion::default(), vec![signs.clone(), waits.clone()]);
    for (what, ring, closed, durability, expected, named) in [
        ("no keys", &Ring::default(), vec![], Durability::Memory, Health::Ok, "JWT_SECRET"),
        ("all is well", &ring, vec![], Durability::EverySecond, Health::Ok, signs.kid.as_str()),
        ("nothing is kept", &ring, vec![], Durability::Memory, Health::Warn, "appendonly yes"),
        ("the one that signs", &ring, vec![closed(&signs)], Durability::Always, Health::Fail, "REDIS_ENCRYPTION_KEY"),
        ("the one that waits", &ring, vec![closed(&waits)], Durability::Always, Health::Warn, waits.kid.as_str()),
    ] {
        let verdict = signing_keys(ring, &closed, durability);
        assert_eq!(verdict.status, expected, "{what}: {}", verdict.detail);
        assert!(verdict.detail.contains(named), "{what}: {}", verdict.detail);
    }
}

#[test]
fn a_weak_secret_is_not_praised_and_never_printed() {
    for (text, expected) in [
        ("3Jx0mQ9vT2yZ7bNcWk5RfLh8UeAs1PdGiYoXtBqMvKzCjHnE", Health::Ok),
        ("3Jx0mQ9vT2yZ7bNcWk5RfLh8UeA", Health::Warn),
        ("correct-password-of-thirty-two-bytes", Health::Warn),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Health::Warn),
    ] {
        let verdict = secret("JWT_SECRET", &Strength::of(text.as_bytes()));
        assert_eq!(verdict.status, expected, "{}", verdict.detail);
        assert!(!verdict.detail.contains(text));
    }
}

fn worker(number: u8, polled_at_ms: u64, version: u64) -> Worker {
    Worker {
        presence: Presence {
            replica: ReplicaId::from_bytes([number; 16]),
            node: "envoy".into(),
            worker: u32::from(number),
            build: "0.1.0".into(),
            fences: true,
            staleness_ms: 3_000,
            sidecar: "a".into(),
            holds: Some(Stamp { epoch: Epoch::from_bytes([1; 16]), version: Version::new(version) }),
            memory_bytes: 0,
            entries: 0,
            age_ms: None,
        },
        polled_at_ms,
        joined: None,
    }
}

fn roll(workers: Vec<Worker>) -> Roll {
    Roll {
        now_ms: 100_000,
        epoch: Some(Epoch::from_bytes([1; 16])),
        version: Version::new(7),
        stream_length: 7,
        workers,
    }
}

#[test]
fn filters_must_poll_and_be_at_the_present_version() {
    for (what, workers, expected) in [
        ("nobody", vec![], Health::Fail),
        ("only a silent one", vec![worker(1, 90_000, 7)], Health::Fail),
        ("two at the version", vec![worker(1, 99_000, 7), worker(2, 99_000, 8)], Health::Ok),
        ("one behind", vec![worker(1, 99_000, 7), worker(2, 99_000, 6)], Health::Warn),
        ("one silent", vec![worker(1, 99_000, 7), worker(2, 90_000, 7)], Health::Warn),
    ] {
        assert_eq!(super::workers(&roll(workers)).status, expected, "{what}");
    }
    let behind = super::workers(&roll(vec![worker(1, 99_000, 7), worker(2, 99_000, 6), worker(3, 90_000, 7)]));
    for name in ["1 behind (worker 2 of envoy)", "1 silent (worker 3 of envoy)"] {
        assert!(behind.detail.contains(name), "{}", behind.detail);
    }
    let many = super::workers(&roll((0..30).map(|number| worker(number, 90_000, 7)).collect()));
    assert!(many.detail.contains("30 silent") && many.detail.contains("and 20 more"), "{}", many.detail);
    let mut other_epoch = roll(vec![worker(1, 99_000, 7)]);
    other_epoch.epoch = Some(Epoch::from_bytes([2; 16]));
    assert_eq!(super::workers(&other_epoch).status, Health::Warn, "a version of another epoch is none");
}

#[test]
fn envoy_must_be_ready() {
    for (answer, expected) in [
        (Ok((200, "LIVE\n".to_owned())), Health::Ok),
        (Ok((503, "INITIALIZING\n".to_owned())), Health::Fail),
        (Err("Connection refused".to_owned()), Health::Fail),
    ] {
        assert_eq!(envoy("http://127.0.0.1:9901", answer).status, expected);
    }
}

#[test]
fn a_sidecar_must_be_ready_and_of_our_version() {
    let ready = |ready| {
        let checks = r#"[{"name":"feed","ok":false,"required":true,"detail":"is old"}]"#;
        Ok((200, format!(r#"{{"ready":{ready},"checks":{checks}}}"#)))
    };
    let alive = |version: &str| Ok((200, format!(r#"{{"status":"ok","version":"{version}","node":"a"}}"#)));
    let ours = env!("CARGO_PKG_VERSION");
    for (what, ready, alive, expected) in [
        ("all well", ready(true), alive(ours), Health::Ok),
        ("another version", ready(true), alive("0.0.1"), Health::Warn),
        ("not ready", ready(false), alive(ours), Health::Fail),
        ("not there", Err("refused".into()), alive(ours), Health::Fail),
        ("something else", Ok((200, "<html>".into())), alive(ours), Health::Fail),
    ] {
        let verdict = sidecar("http://127.0.0.1:9402", ready, alive);
        assert_eq!(verdict.status, expected, "{what}");
        assert!(what != "not ready" || verdict.detail.contains("feed: is old"), "{}", verdict.detail);
    }
}

#[test]
fn each_providers_keys_are_judged_by_whether_there_are_any_and_whether_they_can_be_fetched() {
    let key = sekisho_protocol::keyset::Jwk::default();
    for (standing, keys, failure, left_out, expected, text) in [
        (Standing::Current, 2, None, 0, Health::Ok, "idp (issuer https://idp): 2 keys, fetched 7 s ago"),
        (
            Standing::Current,
            1,
            None,
            3,
            Health::Ok,
            "1 keys, and 3 that cannot be used: see the sidecars' logs, fetched",
        ),
        (Standing::Unreachable, 2, Some("no answer"), 0, Health::Warn, "7 s ago; the last attempt failed: no answer"),
        (Standing::Unreachable, 0, Some("no answer"), 0, Health::Fail, "has no keys: no answer"),
        (Standing::Unknown, 0, None, 0, Health::Fail, "was never asked; start `sekisho serve` with it"),
    ] {
        let mut record = KeysetRecord { keys: vec![key.clone(); keys], ..KeysetRecord::default() };
        record.origin.failure = failure.map(str::to_owned);
        record.origin.left_out = left_out;
        let (source, place) = (SourceName::parse("idp").unwrap(), "issuer https://idp".to_owned());
        let age = Some(std::time::Duration::from_secs(7));
        let verdict = provider_keys(&Overview { source, place, standing, record, age });
        assert_eq!((verdict.name, verdict.status), ("provider keys", expected), "{verdict:?}");
        assert!(verdict.detail.contains(text), "{verdict:?}");
    }
}
