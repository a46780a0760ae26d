//! Checks under way, and the denials that a check confirmed.
//!
//! A check that confirms a denylist hit is shared by all requests of the same credential; a check of
//! a stale worker is not, since its answer may be older than the next request.

use std::collections::HashMap;

use sekisho_protocol::Digest;
use sekisho_protocol::check::DenyReason;

use crate::id_map::IdMap;
use crate::identity::Identity;

/// The host's number of a callout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallId(pub u32);

/// The host's number of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u32);

/// Which requests wait for which callout.
#[derive(Debug, Default)]
pub struct Checks {
    waiting: IdMap<CallId, Vec<RequestId>>,
    shared: HashMap<ShareKey, CallId>,
}

/// What a shared check is about: the bar that was hit, and whose credential hit it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShareKey {
    bar: Digest,
    subject: String,
    token_id: Option<String>,
}

impl ShareKey {
    /// The check that confirms that `bar` is about `identity`.
    #[must_use]
    pub fn new(bar: Digest, identity: &Identity) -> Self {
        Self { bar, subject: identity.subject.as_str().into(), token_id: identity.token_id.clone() }
    }
}

impl Checks {
    /// The callout that already asks this, if there is one: the request joins those that wait.
    pub fn join(&mut self, key: &ShareKey, request: RequestId) -> bool {
        let call = self.shared.get(key).and_then(|call| self.waiting.get_mut(call));
        call.map(|waiting| waiting.push(request)).is_some()
    }

    /// The host took a callout on. It is recorded now, not when its answer comes (rule P13).
    pub fn dispatched(&mut self, call: CallId, request: RequestId, key: Option<ShareKey>) {
        self.waiting.insert(call, vec![request]);
        if let Some(key) = key {
            self.shared.insert(key, call);
        }
    }

    /// How many callouts are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.waiting.len()
    }

    /// A request that waited is over. Its callout goes on, for others who wait for it.
    pub fn leave(&mut self, request: RequestId) {
        for waiting in self.waiting.values_mut() {
            waiting.retain(|id| *id != request);
        }
    }

    /// An answer came, or will not come: who waited for it, in the order in which they asked.
    pub fn answered(&mut self, call: CallId) -> Vec<RequestId> {
        self.shared.retain(|_, known| *known != call);
        self.waiting.remove(&call).unwrap_or_default()
    }
}

/// Most denials that a worker keeps.
const CONFIRMED_MAX: usize = 10_000;

/// Denials that a check confirmed, each until the feed changes what it is about (rule P6).
#[derive(Debug, Default)]
pub struct Confirmed(HashMap<Digest, (ShareKey, DenyReason)>);

impl Confirmed {
    /// The reason for which this identity is barred, if a check said so. The digest alone could belong to
    /// somebody else.
    #[must_use]
    pub fn get(&self, bar: Digest, identity: &Identity) -> Option<&DenyReason> {
        let (key, reason) = self.0.get(&bar)?;
        (*key == Self::key(bar, identity)).then_some(reason)
    }

    /// Keeps a denial. A full table keeps no more: the next request asks again. Nor is a reason kept that
    /// is not about what was hit: a ban's digest says nothing about a token that was revoked.
    pub fn insert(&mut self, bar: Digest, identity: &Identity, reason: DenyReason) {
        let is_of_ban = bar == identity.subject_digest;
        let fits = is_of_ban == matches!(reason, DenyReason::Banned { .. });
        if fits && (self.0.len() < CONFIRMED_MAX || self.0.contains_key(&bar)) {
            self.0.insert(bar, (Self::key(bar, identity), reason));
        }
    }

    /// A ban bars every token of its subject.
    fn key(bar: Digest, identity: &Identity) -> ShareKey {
        let mut key = ShareKey::new(bar, identity);
        if bar == identity.subject_digest {
            key.token_id = None;
        }
        key
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The feed said something new about `bar`.
    pub fn forget(&mut self, bar: Digest) {
        self.0.remove(&bar);
    }

    /// Ends what is over: bars leave the denylist by themselves at their end.
    pub fn retain(&mut self, still_barred: impl Fn(Digest) -> bool) {
        self.0.retain(|bar, _| still_barred(*bar));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tests::ann;
    use sekisho_protocol::Email;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn p13_a_check_is_recorded_when_it_is_dispatched_and_shared_by_those_who_wait() {
        let mut checks = Checks::default();
        let key = ShareKey::new(Digest::from_raw(100), &ann());
        assert!(!checks.join(&key, RequestId(1)));
        checks.dispatched(CallId(7), RequestId(1), Some(key.clone()));
        assert!(checks.join(&key, RequestId(2)));
        assert_eq!(checks.answered(CallId(7)), [RequestId(1), RequestId(2)]);
        assert!(!checks.join(&key, RequestId(3)), "an answered check is not joined");
        assert_eq!(checks.answered(CallId(7)), []);
    }

    #[test]
    fn p13_whoever_leaves_is_not_waited_for_and_the_callout_goes_on() {
        let mut checks = Checks::default();
        checks.dispatched(CallId(7), RequestId(1), None);
        checks.leave(RequestId(1));
        assert_eq!(checks.in_flight(), 1);
        assert_eq!(checks.answered(CallId(7)), []);
        assert_eq!(checks.in_flight(), 0);
    }

    #[test]
    fn p6_a_confirmed_ban_concerns_every_token_of_its_subject_and_nobody_else() {
        let (bar, reason) = (ann().subject_digest, DenyReason::Banned { until: 9 });
        let mut confirmed = Confirmed::default();
        confirmed.insert(bar, &ann(), reason.clone());
        let other_token = Identity { token_id: Some("t-2".into()), ..ann() };
        assert_eq!(confirmed.get(bar, &other_token), Some(&reason));
        let bob = Identity { subject: Email::parse("bob@example.com").unwrap().into(), ..ann() };
        assert_eq!(confirmed.get(bar, &bob), None);
        confirmed.forget(bar);
        assert_eq!(confirmed.get(bar, &ann()), None);
    }

    #[test]
    fn p6_a_reason_that_is_not_about_the_hit_is_not_kept() {
        let mut confirmed = Confirmed::default();
        confirmed.insert(ann().subject_digest, &ann(), DenyReason::TokenRevoked);
        assert_eq!(confirmed.get(ann().subject_digest, &ann()), None);
        let token = ann().token_digest.unwrap();
        confirmed.insert(token, &ann(), DenyReason::TokenRevoked);
        assert_eq!(confirmed.get(token, &ann()), Some(&DenyReason::TokenRevoked));
    }
}
