//! Cookies that somebody signed and whose session holds no more. A browser goes on showing one for days, beside a token or
//! another session, or as fast as somebody likes: a sidecar must not be asked with each request.
//!
//! Whoever signs in anew gets another cookie, so nobody is kept out by what is remembered here.

use std::collections::HashMap;

use super::Standing;

/// For how long it is remembered, in seconds.
const KEPT_S: u64 = 10;
/// Most cookies that are remembered. Only what we, or oauth2-proxy, signed can be one of them.
const MAX: usize = 1_024;

/// Those that are remembered.
#[derive(Debug, Default)]
pub struct Refused(HashMap<Box<[u8]>, (Standing, u64)>);

impl Refused {
    /// What is remembered of this one.
    #[must_use]
    pub fn get(&self, key: &[u8], now_s: u64) -> Option<Standing> {
        self.0.get(key).filter(|(_, until)| now_s < *until).map(|(standing, _)| standing.clone())
    }

    /// Remembers that there is no such session, or that it was ended; nothing else.
    pub fn insert(&mut self, key: &[u8], standing: &Standing, now_s: u64) {
        if !matches!(standing, Standing::Unknown | Standing::Ended) {
            return;
        }
        if self.0.len() >= MAX {
            self.0.retain(|_, (_, until)| now_s < *until);
        }
        if self.0.len() < MAX {
            self.0.insert(key.into(), (standing.clone(), now_s.saturating_add(KEPT_S)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn what_is_remembered_is_bounded_in_number_and_time() {
        let mut refused = Refused::default();
        for n in 0..5_000_u32 {
            refused.insert(&n.to_be_bytes(), &Standing::Unknown, 100);
        }
        assert_eq!(refused.0.len(), MAX);
        assert!(refused.get(&0_u32.to_be_bytes(), 109).is_some() && refused.get(&0_u32.to_be_bytes(), 110).is_none());
        refused.insert(b"later", &Standing::Ended, 110);
        assert_eq!(refused.0.len(), 1, "what is over makes room");
        refused.insert(b"banned", &Standing::Banned { until: 9, email: None }, 110);
        assert!(refused.get(b"banned", 110).is_none(), "a ban may be lifted at any time");
    }
}
