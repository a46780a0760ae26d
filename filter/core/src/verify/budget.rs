//! How much slow cryptography a worker does (rule E9): a flood of forged tokens must not keep it from
//! everybody else's requests. Assertions that are signed with a key pair are paid from it, too.
//!
//! Costs are nominal, not measured: a clock would cost a host call, and what a verification takes is
//! known well enough. HMAC, and what the host verifies in a tenth of a millisecond, is not counted.

use crate::time::Now;

/// What [`Budget`] gives in each second unless the configuration says otherwise.
pub const DEFAULT_MS: u32 = 250;

/// Microseconds left, filled up as time passes, to at most one second's worth.
#[derive(Debug, Clone, Copy, Default)]
pub struct Budget {
    /// How much of the current allowance is used up.
    used_us: u64,
    /// By the monotonic clock.
    at_ms: u64,
}

impl Budget {
    /// Takes `cost_us` if there is so much left of `per_second_ms` in each second. Nothing is taken otherwise.
    #[must_use]
    pub fn spend(&mut self, cost_us: u32, per_second_ms: u32, now: Now) -> bool {
        let (cost_us, per_second_ms) = (u64::from(cost_us), u64::from(per_second_ms));
        let elapsed_ms = now.mono_ms.saturating_sub(self.at_ms);
        // A millisecond brings as many microseconds as a second brings milliseconds.
        self.used_us = self.used_us.saturating_sub(elapsed_ms.saturating_mul(per_second_ms));
        self.at_ms = self.at_ms.max(now.mono_ms);
        let fits = cost_us == 0 || self.used_us + cost_us <= per_second_ms * 1_000;
        if fits {
            self.used_us += cost_us;
        }
        fits
    }
}

/// What may be spent at one moment.
#[derive(Debug)]
pub struct Allowance<'a> {
    /// What the worker has.
    pub budget: &'a mut Budget,
    /// Milliseconds in each second.
    pub per_second_ms: u32,
    /// When.
    pub now: Now,
}

impl Allowance<'_> {
    /// Takes `cost_us` if there is so much left.
    #[must_use]
    pub fn spend(&mut self, cost_us: u32) -> bool {
        self.budget.spend(cost_us, self.per_second_ms, self.now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn at(mono_ms: u64) -> Now {
        Now { unix_s: 0, mono_ms }
    }

    #[test]
    fn e9_a_worker_spends_so_much_in_a_second_and_no_more() {
        let mut budget = Budget::default();
        let mut spend = |now| (0..1_000).filter(|_| budget.spend(1_600, 250, at(now))).count();
        assert_eq!(spend(5_000), 156, "250 ms at once");
        assert_eq!(spend(5_000), 0);
        assert_eq!(spend(5_100), 15, "25 ms after a tenth of a second");
        assert_eq!(spend(5_050), 0, "a clock that goes back brings nothing");
        assert_eq!(spend(60_000), 156, "it is not saved up");
    }

    #[test]
    fn e9_what_costs_more_than_there_is_left_takes_nothing() {
        let mut budget = Budget::default();
        assert!(budget.spend(9_000, 10, at(1)));
        assert!(!budget.spend(2_000, 10, at(1)));
        assert!(budget.spend(1_000, 10, at(1)));
    }
}
