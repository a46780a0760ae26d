//! Answers to polls, as a broken or hostile sidecar may give them.
//!
//! An input is lines, each the body of an answer. Whatever they hold: within an epoch the replica never goes
//! back and never skips a version, and what it could not read makes it no fresher.

use sekisho_core::feed::{Promise, Replica, ReplicaInfo};
use sekisho_core::time::Now;
use sekisho_protocol::ReplicaId;

pub(crate) fn run(input: &[u8]) {
    let info = ReplicaInfo { id: ReplicaId::from_bytes([7; 16]), node: "n".into(), worker: 1, build: "b".into() };
    let mut replica = Replica::new(info);
    let mut now = Now { unix_s: 1_800_000_000, mono_ms: 1_000_000 };
    for body in input.split(|byte| *byte == b'\n').take(32) {
        now.mono_ms += 2_000;
        let before = replica.position().cloned();
        let age = replica.age_ms(now);
        let promise = Promise { staleness_ms: 3_000, fences: true };
        if replica.poll(now, promise, 0).is_none() {
            panic!("no poll is due after two seconds");
        }
        let taken = replica.on_reply(now.mono_ms, 200, body, now);
        let after = replica.position();
        match (&before, after) {
            (Some(before), Some(after)) if before.epoch == after.epoch => {
                assert!(after.version >= before.version, "it went back from {before:?} to {after:?}");
            }
            (Some(_), None) => panic!("a position was forgotten"),
            _ => {}
        }
        if taken.is_err() {
            assert_eq!(before.as_ref(), after, "what could not be taken in moved it");
            let is_fresher = replica.age_ms(now).is_some_and(|now| age.is_none_or(|before| now < before));
            assert!(!is_fresher, "what could not be taken in made it fresher");
        }
        replica.denylist_mut().sweep(1_000, now.unix_s);
    }
}
