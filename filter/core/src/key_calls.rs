//! Questions for keys under way, one for each source at a time, shared by all requests that wait for its keys; and those
//! for sessions, one for each.

use std::collections::HashMap;

use crate::check::{CallId, RequestId};
use crate::id_map::IdMap;

/// Which requests wait for the keys of which source.
#[derive(Debug, Default)]
pub struct KeyCalls {
    waiting: HashMap<String, Vec<RequestId>>,
    calls: IdMap<CallId, String>,
}

impl KeyCalls {
    /// A request waits for the keys of `source`. Says whether they must be asked for; if not, they are already.
    pub fn wait(&mut self, source: &str, request: RequestId) -> bool {
        let is_new = self.begin(source);
        if let Some(waiting) = self.waiting.get_mut(source) {
            waiting.push(request);
        }
        is_new
    }

    /// Keys are asked for, and nobody waits for them yet. False if they are asked for already.
    pub fn begin(&mut self, source: &str) -> bool {
        if self.waiting.contains_key(source) {
            return false;
        }
        self.waiting.insert(source.to_owned(), Vec::new());
        true
    }

    /// How many questions are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.waiting.len()
    }

    /// The host took the callout on.
    pub fn dispatched(&mut self, source: &str, call: CallId) {
        self.calls.insert(call, source.to_owned());
    }

    /// A request that waited is over. The callout goes on: its answer is of use to everybody.
    pub fn leave(&mut self, request: RequestId) {
        self.waiting.values_mut().for_each(|waiting| waiting.retain(|id| *id != request));
    }

    /// An answer came, or will not come: of which source, and who waited, in the order in which they asked.
    pub fn answered(&mut self, call: CallId) -> Option<(String, Vec<RequestId>)> {
        let source = self.calls.remove(&call)?;
        let waiting = self.refused(&source);
        Some((source, waiting))
    }

    /// The host did not take the callout on: who waited.
    pub fn refused(&mut self, source: &str) -> Vec<RequestId> {
        self.waiting.remove(source).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn one_question_for_a_source_serves_all_who_wait() {
        let mut calls = KeyCalls::default();
        assert!(calls.wait("a", RequestId(1)), "the first one asks");
        calls.dispatched("a", CallId(7));
        assert!(!calls.wait("a", RequestId(2)) && !calls.begin("a"), "the others wait");
        assert!(calls.begin("b"), "another source is another question");
        calls.leave(RequestId(1));
        assert_eq!(calls.answered(CallId(7)), Some(("a".into(), vec![RequestId(2)])));
        assert_eq!(calls.answered(CallId(7)), None, "an answer comes once");
        assert!(calls.wait("a", RequestId(3)), "and then it is asked anew");
        assert_eq!(calls.refused("a"), [RequestId(3)]);
    }
}
