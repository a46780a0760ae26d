//! What this worker saw, collected in memory and reported in batches, off the request path.

use std::net::IpAddr;
use std::rc::Rc;

use sekisho_protocol::activity::{ActivityReport, OutcomeCount, REPORT_MAX_ROWS, SubjectActivity};
use sekisho_protocol::{Digest, PROTOCOL, ReplicaId};

use crate::id_map::IdMap;
use crate::identity::Verified;
use crate::time::Now;
use crate::verify::crypto::Verifications;

/// How long the host may hold a report.
pub const REPORT_TIMEOUT_MS: u32 = 1_000;
/// Between two reports.
const PERIOD_MS: u64 = 1_000;
/// A report that the host never answered (a torn-down context) is given up after this long.
const LOST_MS: u64 = 10_000;

/// The tables of one worker, bounded by [`REPORT_MAX_ROWS`] each.
#[derive(Debug, Default)]
pub struct Activity {
    /// By digest, so that a request allocates nothing.
    subjects: IdMap<(Digest, Option<Digest>), Seen>,
    /// A row is new, and nobody said where its subject is.
    is_place_wanted: bool,
    outcomes: IdMap<String, IdMap<&'static str, u64>>,
    verifications: Verifications,
    dropped: u64,
    sequence: u64,
    /// The report under way: it is sent again, unchanged, until a sidecar took it.
    pending: Option<ActivityReport>,
    sent_at_ms: Option<u64>,
    next_at_ms: u64,
}

#[derive(Debug)]
struct Seen {
    verified: Rc<Verified>,
    requests: u64,
    last_access: u64,
    address: Option<IpAddr>,
}

impl Activity {
    /// A request of a verified subject was admitted.
    pub fn admitted(&mut self, verified: &Rc<Verified>, now_s: u64) {
        let key = (verified.identity.subject_digest, verified.identity.token_digest);
        if let Some(seen) = self.subjects.get_mut(&key) {
            seen.requests += 1;
            seen.last_access = now_s;
        } else if self.subjects.len() < REPORT_MAX_ROWS {
            let seen = Seen { verified: Rc::clone(verified), requests: 1, last_access: now_s, address: None };
            self.subjects.insert(key, seen);
            self.is_place_wanted = true;
        } else {
            self.dropped += 1;
        }
    }

    /// Where the subject of a request that was admitted is. The proxy is asked once for each row, not for each request.
    pub fn locate(&mut self, verified: &Verified, address: impl FnOnce() -> Option<IpAddr>) {
        if !std::mem::take(&mut self.is_place_wanted) {
            return;
        }
        let key = (verified.identity.subject_digest, verified.identity.token_digest);
        if let Some(seen) = self.subjects.get_mut(&key).filter(|seen| seen.address.is_none()) {
            seen.address = address();
        }
    }

    /// So many requests of `route` ended in `outcome`.
    pub fn ended(&mut self, route: &str, outcome: &'static str, requests: u64) {
        // Names come from the configuration and outcomes from the code, so both are bounded.
        if let Some(outcomes) = self.outcomes.get_mut(route) {
            *outcomes.entry(outcome).or_default() += requests;
        } else if self.outcomes.len() < REPORT_MAX_ROWS {
            self.outcomes.insert(route.to_owned(), IdMap::from_iter([(outcome, requests)]));
        } else {
            self.dropped += requests;
        }
    }

    /// So many signatures were looked at.
    pub fn verified(&mut self, verifications: &Verifications) {
        self.verifications.add(verifications);
    }

    /// The report to send now, if one is due.
    pub fn report(&mut self, replica: &ReplicaId, now: Now) -> Option<&ActivityReport> {
        let lost = |sent: u64| now.mono_ms.saturating_sub(sent) > LOST_MS;
        if now.mono_ms < self.next_at_ms || self.sent_at_ms.is_some_and(|sent| !lost(sent)) {
            return None;
        }
        if self.pending.is_none() && !(self.subjects.is_empty() && self.outcomes.is_empty()) {
            self.pending = Some(self.collect(replica));
        }
        if self.pending.is_some() {
            self.sent_at_ms = Some(now.mono_ms);
            self.next_at_ms = now.mono_ms + PERIOD_MS;
        }
        self.pending.as_ref()
    }

    /// The sidecar took the report, or did not. What it says is wrong with it, sending it again
    /// would not mend.
    pub fn on_reply(&mut self, status: u32) {
        self.sent_at_ms = None;
        if (200..300).contains(&status) || (400..500).contains(&status) && status != 401 && status != 429 {
            self.pending = None;
        }
    }

    fn collect(&mut self, replica: &ReplicaId) -> ActivityReport {
        self.sequence += 1;
        let subject = |seen: Seen| SubjectActivity {
            subject: seen.verified.identity.subject.clone(),
            method: seen.verified.identity.method,
            token_id: seen.verified.identity.token_id.clone(),
            requests: seen.requests,
            last_access: seen.last_access,
            address: seen.address,
        };
        let outcome = |(route, outcomes): (String, IdMap<&'static str, u64>)| {
            let row = move |(outcome, requests): (&str, u64)| OutcomeCount {
                route: route.clone(),
                outcome: outcome.into(),
                requests,
            };
            outcomes.into_iter().map(row)
        };
        ActivityReport {
            protocol: PROTOCOL,
            replica: replica.clone(),
            sequence: self.sequence,
            subjects: std::mem::take(&mut self.subjects).into_values().map(subject).collect(),
            outcomes: std::mem::take(&mut self.outcomes).into_iter().flat_map(outcome).take(REPORT_MAX_ROWS).collect(),
            verifications: self.verifications.take().rows(),
            dropped: std::mem::take(&mut self.dropped),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::identity::tests::{ann, verified};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn at(mono_ms: u64) -> Now {
        Now { unix_s: 50, mono_ms }
    }

    fn report(activity: &mut Activity, now: Now) -> Option<&ActivityReport> {
        activity.report(&ReplicaId::from_bytes([7; 16]), now)
    }

    #[test]
    fn requests_of_one_credential_are_one_row() {
        let mut activity = Activity::default();
        for second in 40..43 {
            activity.admitted(&verified(ann()), second);
            activity.ended("llm", "allow", 1);
        }
        let report = report(&mut activity, at(0)).unwrap();
        assert_eq!(report.sequence, 1);
        assert_eq!((report.subjects.len(), report.subjects[0].requests, report.subjects[0].last_access), (1, 3, 42));
        assert_eq!(report.outcomes, [OutcomeCount { route: "llm".into(), outcome: "allow".into(), requests: 3 }]);
    }

    #[test]
    fn the_place_of_a_subject_is_asked_for_once_in_each_report() {
        let (mut activity, ann) = (Activity::default(), verified(ann()));
        let (mut asked, here) = (0, "192.0.2.7".parse().unwrap());
        for second in 0..4 {
            activity.admitted(&ann, second);
            activity.locate(&ann, || {
                asked += 1;
                Some(here)
            });
            if second == 1 {
                assert_eq!(report(&mut activity, at(0)).unwrap().subjects[0].address, Some(here));
                activity.on_reply(204);
            }
        }
        assert_eq!(asked, 2);
    }

    #[test]
    fn a_report_is_sent_again_unchanged_until_it_is_taken() {
        let mut activity = Activity::default();
        activity.ended("llm", "allow", 1);
        let first = report(&mut activity, at(0)).unwrap().clone();
        assert_eq!(report(&mut activity, at(5_000)), None, "one at a time");
        activity.on_reply(503);
        activity.ended("llm", "allow", 1);
        assert_eq!(report(&mut activity, at(6_000)), Some(&first));
        activity.on_reply(204);
        assert_eq!(report(&mut activity, at(6_500)), None, "not before the period is over");
        assert_eq!(report(&mut activity, at(7_000)).unwrap().sequence, 2);
    }

    #[test]
    fn a_full_table_counts_what_it_drops() {
        let mut activity = Activity::default();
        for n in 0..REPORT_MAX_ROWS as u64 + 5 {
            let identity = Identity { token_digest: Some(Digest::from_raw(2 * n + 2)), ..ann() };
            activity.admitted(&verified(identity), 1);
        }
        let report = report(&mut activity, at(0)).unwrap();
        assert_eq!((report.subjects.len(), report.dropped), (REPORT_MAX_ROWS, 5));
    }
}
