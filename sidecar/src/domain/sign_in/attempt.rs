//! A sign-in that has begun: what must come back with the provider's answer. It is kept in a cookie of the browser that
//! began it, sealed, so that a flood of sign-ins costs no memory here, and nobody ends what another browser began (login
//! CSRF, RFC 6749 §10.12).
//!
//! Each has a cookie of its own, named after its state: two tabs do not disturb each other.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::domain::seal::{NONCE_BYTES, SealError, Sealed, SealingKey};
use crate::domain::time::UnixSeconds;

/// Bytes of everything that nobody may guess.
pub const RANDOM_BYTES: usize = 32;
/// So long somebody has to sign in at the provider, in seconds.
pub const LIFE_S: u64 = 600;
/// Most attempts that one browser keeps; the oldest go.
pub const MAX: usize = 6;
/// Characters of the state that the cookie's name has.
const NAME_CHARS: usize = 12;

/// A sign-in that has begun.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// `nonce` (OpenID Connect Core §3.1.2.1): the ID token must bear it.
    pub nonce: String,
    /// `code_verifier` (RFC 7636 §4.1): whoever steals the code has no use for it.
    pub verifier: String,
    /// Where the browser goes afterwards, a path on its host.
    pub return_to: String,
    /// When it began.
    pub begun_at: UnixSeconds,
}

/// `state` (RFC 6749 §4.1.1): what the provider's answer and the cookie have in common.
#[derive(Clone, PartialEq, Eq)]
pub struct State(String);

impl State {
    /// The state of these random bytes.
    #[must_use]
    pub fn new(random: [u8; RANDOM_BYTES]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(random))
    }

    /// What an answer says is the state; none if it was never one of ours.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        (text.len() == 43 && text.bytes().all(plain)).then(|| Self(text.to_owned()))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The end of the name of the attempt's cookie. It tells nothing of the state.
    #[must_use]
    pub fn name(&self) -> String {
        let mut name = URL_SAFE_NO_PAD.encode(Sha256::digest(self.0.as_bytes()));
        name.truncate(NAME_CHARS);
        name
    }
}

impl Attempt {
    /// Seals an attempt for one state on one host.
    ///
    /// # Errors
    /// It is too long, or none at all.
    pub fn seal(
        &self,
        key: &SealingKey,
        host: &str,
        state: &State,
        nonce: [u8; NONCE_BYTES],
    ) -> Result<Sealed, SealError> {
        let json = serde_json::to_vec(self).map_err(|_| SealError::TooLong)?;
        key.seal(&record(host, state), nonce, &json)
    }

    /// The attempt in a cookie that came to `host` with this state; none if it is not that one's, or too late.
    #[must_use]
    pub fn open(key: &SealingKey, host: &str, state: &State, cookie: &str, now: UnixSeconds) -> Option<Self> {
        let json = key.open(&record(host, state), &Sealed::of_text(cookie.to_owned())).ok()?;
        let attempt: Self = serde_json::from_slice(&json).ok()?;
        (attempt.begun_at <= now.plus(1) && now.since(attempt.begun_at) < LIFE_S).then_some(attempt)
    }

    /// `code_challenge` for the method S256 (RFC 7636 §4.2).
    #[must_use]
    pub fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.as_bytes()))
    }

    /// Whether an ID token's nonce is this attempt's, in a time that tells nothing.
    #[must_use]
    pub fn has_nonce(&self, nonce: Option<&str>) -> bool {
        nonce.is_some_and(|nonce| self.nonce.as_bytes().ct_eq(nonce.as_bytes()).into())
    }
}

/// What the seal is bound to.
fn record(host: &str, state: &State) -> String {
    format!("{host} {}", state.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(10_000);

    fn key(byte: u8) -> SealingKey {
        SealingKey::new(&[byte; 32]).unwrap()
    }

    fn attempt() -> Attempt {
        Attempt { nonce: "n".into(), verifier: "v".into(), return_to: "/a".into(), begun_at: NOW }
    }

    #[test]
    fn an_attempt_is_opened_with_its_own_state_on_its_own_host_in_time() {
        let (state, other) = (State::new([1; 32]), State::new([2; 32]));
        let sealed = attempt().seal(&key(1), "h", &state, [7; NONCE_BYTES]).unwrap();
        let open = |key: &SealingKey, host, state, late| {
            Attempt::open(key, host, state, sealed.as_text(), NOW.plus(late)).is_some()
        };
        assert!(open(&key(1), "h", &state, 0) && open(&key(1), "h", &state, 599));
        assert!(!open(&key(1), "h", &state, 600), "too late");
        assert!(!open(&key(1), "h", &other, 0), "another state");
        assert!(!open(&key(1), "g", &state, 0), "another host");
        assert!(!open(&key(2), "h", &state, 0), "another mesh");
        assert!(Attempt::open(&key(1), "h", &state, "", NOW).is_none());
        assert!(Attempt::open(&key(1), "h", &state, sealed.as_text(), UnixSeconds(9_000)).is_none(), "of the future");
    }

    #[test]
    fn a_state_is_43_characters_of_base64url_and_its_cookies_name_does_not_tell_it() {
        let state = State::new([1; 32]);
        assert!(State::read(state.as_str()).is_some_and(|read| read == state));
        assert!(!state.as_str().contains(&state.name()) && state.name().len() == NAME_CHARS);
        for bad in ["", "a", &"a".repeat(42), &"a".repeat(44), &"=".repeat(43), &"é".repeat(43)] {
            assert!(State::read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_challenge_is_that_of_rfc_7636() {
        // Appendix B.
        let attempt = Attempt { verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into(), ..attempt() };
        assert_eq!(attempt.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }
}
