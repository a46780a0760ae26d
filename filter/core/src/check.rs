//! Checks under way, and the denials that a check confirmed.
//!
//! A check that confirms a denylist hit is shared by all requests of the same credential; a check of
//! a stale worker is not, since its answer may be older than the next request.

use std::collections::HashMap;

use sekisho_protocol::Digest;
use sekisho_protocol::check::DenyReason;

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
    waiting: HashMap<CallId, Vec<RequestId>>,
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
    /// The reason for which this very credential is barred, if a check said so.
    #[must_use]
    pub fn get(&self, bar: Digest, identity: &Identity) -> Option<&DenyReason> {
        // The digest alone could belong to somebody else.
        let (key, reason) = self.0.get(&bar)?;
        let same = key.subject == identity.subject.as_str() && key.token_id == identity.token_id;
        same.then_some(reason)
    }

    /// Keeps a denial. A full table keeps no more: the next request asks again.
    pub fn insert(&mut self, bar: Digest, identity: &Identity, reason: DenyReason) {
        if self.0.len() < CONFIRMED_MAX || self.0.contains_key(&bar) {
            self.0.insert(bar, (ShareKey::new(bar, identity), reason));
        }
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
    fn p6_a_confirmed_denial_concerns_only_the_credential_it_was_confirmed_for() {
        let bar = Digest::from_raw(100);
        let mut confirmed = Confirmed::default();
        confirmed.insert(bar, &ann(), DenyReason::TokenRevoked);
        assert_eq!(confirmed.get(bar, &ann()), Some(&DenyReason::TokenRevoked));
        let bob = Identity { subject: Email::parse("bob@example.com").unwrap().into(), ..ann() };
        assert_eq!(confirmed.get(bar, &bob), None);
        confirmed.forget(bar);
        assert_eq!(confirmed.get(bar, &ann()), None);
    }
}
