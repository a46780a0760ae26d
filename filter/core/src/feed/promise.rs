//! What a replica has promised about its silence (rule P7).
//!
//! Changes stop waiting for a replica that was silent for longer than the bound that it announced, if
//! it announced to check every request by then. So that promise binds the replica until the sidecars
//! have heard of another one: a configuration that weakens it takes effect with the answer to the poll
//! that announces it, not when it is loaded.

/// How long a replica decides alone, and whether it then checks every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    /// After so many milliseconds without news it counts itself as stale.
    pub staleness_ms: u32,
    /// Whether it then lets no request pass unchecked.
    pub fences: bool,
}

impl Promise {
    /// The promise that keeps both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { staleness_ms: self.staleness_ms.min(other.staleness_ms), fences: self.fences || other.fences }
    }
}

/// What may be on record about a replica.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OnRecord {
    /// Everything of which nobody knows that the record has moved on from it.
    promised: Option<Promise>,
    /// What the poll under way announces.
    announced: Option<Promise>,
    /// Whether the replica was put on record at all.
    pub(super) is_known: bool,
}

impl OnRecord {
    /// A poll announces `promise`. Whether it arrives is not known yet, so both bind.
    pub(super) fn announce(&mut self, promise: Promise) {
        self.announced = Some(promise);
        self.promised = Some(self.promised.map_or(promise, |before| before.and(promise)));
    }

    /// The poll was answered: what it announced is on record, and nothing else.
    pub(super) fn confirm(&mut self) {
        self.is_known = true;
        self.promised = self.announced.or(self.promised);
    }

    /// What binds a replica whose configuration wants `wanted`.
    pub(super) fn binding(&self, wanted: Promise) -> Promise {
        self.promised.map_or(wanted, |promised| promised.and(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const STRICT: Promise = Promise { staleness_ms: 3_000, fences: true };
    const LAX: Promise = Promise { staleness_ms: 60_000, fences: false };

    #[test]
    fn p7_a_weaker_promise_binds_only_once_it_is_on_record() {
        let mut record = OnRecord::default();
        assert_eq!(record.binding(LAX), LAX, "nobody counts on a replica that never polled");
        record.announce(STRICT);
        record.confirm();
        assert_eq!(record.binding(LAX), STRICT);
        record.announce(LAX);
        assert_eq!(record.binding(LAX), STRICT, "the poll may not have arrived");
        record.announce(LAX);
        record.confirm();
        assert_eq!(record.binding(LAX), LAX);
        assert_eq!(record.binding(STRICT), STRICT, "to do more than promised is always right");
    }

    #[test]
    fn p7_a_poll_that_failed_may_be_on_record_all_the_same() {
        let mut record = OnRecord::default();
        record.announce(LAX);
        record.confirm();
        record.announce(STRICT);
        assert_eq!(record.binding(LAX), STRICT);
    }
}
