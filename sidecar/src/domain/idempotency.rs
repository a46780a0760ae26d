//! Calls that carry an `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): what makes two of them the
//! same, and the answer that is kept for the second.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::domain::admin::Role;
use crate::domain::caller::Caller;
use crate::domain::error::Failure;

/// How long an answer is kept.
pub const KEPT_FOR: Duration = Duration::from_secs(86_400);
/// Most bytes of an answer's body that is kept. Of a larger one it is kept that there was one.
pub const BODY_MAX_BYTES: usize = 64 * 1024;
/// Of the calls of one caller so many are remembered; the oldest goes for the next.
pub const CALLS_OF_ONE_CALLER: usize = 1_000;

/// A key: 1 to 255 printable ASCII characters, compared as they stand.
///
/// The draft makes it a quoted string; what most clients send has no quotes. Quotes count as characters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Most characters of a key.
    pub const MAX_CHARS: usize = 255;

    /// The key in a header's value.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(value: &[u8]) -> Result<Self, Failure> {
        let wrong = || Failure::invalid("Idempotency-Key", "must have 1 to 255 printable ASCII characters");
        let text = std::str::from_utf8(value).map_err(|_| wrong())?;
        let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if text.trim().is_empty() || text.len() > Self::MAX_CHARS || !is_printable {
            return Err(wrong());
        }
        Ok(Self(text.to_owned()))
    }
}

/// Where a call is remembered: whose it is, and by which key. Digests, since both may hold anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Of the caller: 64 hex digits.
    pub caller: String,
    /// Of the key: 64 hex digits.
    pub key: String,
}

impl Slot {
    /// The slot of `caller` for `key`.
    #[must_use]
    pub fn new(caller: &Caller, key: &IdempotencyKey) -> Self {
        Self { caller: digest_of(caller.name()), key: hex(&[key.0.as_bytes()]) }
    }
}

/// The name in stores of what is counted or kept for a caller or the like: 64 hex digits.
#[must_use]
pub fn digest_of(name: &str) -> String {
    hex(&[name.as_bytes()])
}

/// What a call is, so that another one with its key is noticed: 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Of a call to `target` (path and query) with `body`. What the caller's credential may do counts, too, and the `role` for
    /// which they may make the call: an answer that somebody stronger got is not for somebody weaker.
    #[must_use]
    pub fn of(caller: &Caller, role: Option<Role>, method: &str, target: &str, body: &[u8]) -> Self {
        let mut scopes: Vec<&str> = caller.scopes().iter().map(String::as_str).collect();
        scopes.sort_unstable();
        let scopes = scopes.join("\n");
        let role = role.map_or("", Role::word);
        Self(hex(&[method.as_bytes(), target.as_bytes(), scopes.as_bytes(), role.as_bytes(), body]))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands for a call in tests of stores.
    #[cfg(test)]
    pub(crate) fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// SHA-256 over `parts`, each behind its length, so that no two lists of parts are the same bytes.
fn hex(parts: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// An answer, to be told again. It may hold a new token, so it is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// The status.
    pub status: u16,
    /// What the call's own headers were.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for KeptAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptAnswer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The same as JSON, which is what is sealed.
#[derive(Serialize, Deserialize)]
struct Written {
    status: u16,
    headers: Vec<(String, String)>,
    /// In base64.
    body: String,
}

impl KeptAnswer {
    /// Whether an answer is worth keeping: one to a call that failed, that may be made again later, or that the caller was
    /// not let in with, is not. Who may do what changes.
    #[must_use]
    pub fn is_final(status: u16, says_when_to_retry: bool) -> bool {
        status < 500 && !matches!(status, 401 | 403) && !says_when_to_retry
    }

    /// The bytes to seal.
    ///
    /// # Errors
    /// They can't be written as JSON.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, serde_json::Error> {
        let mut written =
            Written { status: self.status, headers: self.headers.clone(), body: STANDARD.encode(&*self.body) };
        let bytes = serde_json::to_vec(&written).map(Zeroizing::new);
        written.body.zeroize();
        bytes
    }

    /// The answer in such bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let Written { status, headers, mut body } = serde_json::from_slice(bytes).ok()?;
        let decoded = STANDARD.decode(body.as_bytes()).map(Zeroizing::new).ok();
        body.zeroize();
        Some(Self { status, headers, body: decoded? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_1_to_255_printable_characters() {
        for (value, expected) in [
            (&b"8e03978e-40d5-43dd-bc93-6894a57f9324"[..], true),
            (b"\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", true),
            (b"a", true),
            (b"~ !", true),
            (&[b'k'; 255], true),
            (&[b'k'; 256], false),
            (b"", false),
            (b"   ", false),
            (b"a\tb", false),
            (b"a\x7f", false),
            ("schlüssel".as_bytes(), false),
            (&[0xff, 0xfe], false),
        ] {
            assert_eq!(IdempotencyKey::parse(value).is_ok(), expected, "{value:?}");
        }
    }

    #[test]
    fn parts_are_told_apart_wherever_they_are_cut() {
        assert_ne!(hex(&[b"ab", b"c"]), hex(&[b"a", b"bc"]));
        assert_ne!(hex(&[b"ab"]), hex(&[b"ab", b""]));
        assert_eq!(hex(&[b"ab", b"c"]), hex(&[b"ab", b"c"]));
        assert_eq!(hex(&[]).len(), 64);
    }

    #[test]
    fn an_answer_survives_being_written_and_is_not_printed() {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let answer = KeptAnswer { status: 200, headers, body: Zeroizing::new(b"a secret \xff".to_vec()) };
        assert_eq!(KeptAnswer::from_bytes(&answer.to_bytes().unwrap()), Some(answer.clone()));
        assert!(!format!("{answer:?}").contains("secret"));
        assert_eq!(KeptAnswer::from_bytes(b"{}"), None);
    }

    #[test]
    fn what_failed_or_says_when_to_retry_is_not_kept() {
        for (status, says_when, expected) in [
            (200, false, true),
            (202, false, true),
            (404, false, true),
            (401, false, false),
            (403, false, false),
            (429, true, false),
            (500, false, false),
        ] {
            assert_eq!(KeptAnswer::is_final(status, says_when), expected, "{status}");
        }
    }
}
