//! Tokens that were verified before, found by their whole bytes.
//!
//! Bounded in entries and bytes by two generations: when the young one is half full, the old one is
//! dropped and the young one takes its place. What is used survives; nothing is ever searched for a
//! victim. An entry never outlives its token's `exp`, none is found under another set of keys, and none whose
//! own key is no longer believed.

use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::rc::Rc;

use crate::feed::Announced;
use crate::identity::Verified;

/// Most entries of a worker.
pub const MAX_ENTRIES: usize = 10_000;
/// Most bytes of a worker's entries.
pub const MAX_BYTES: usize = 14 * 1024 * 1024;
/// Longer tokens are verified each time.
pub const TOKEN_MAX_BYTES: usize = 8 * 1024;
/// What an entry takes besides what grows with its token.
const ENTRY_BYTES: usize = 500;

/// About what an entry takes: the token itself, and an assertion, which is hardly longer. Measured with tokens
/// of the token API: see `vm_memory_10000_tokens` of `make bench`.
fn entry_bytes(token: &[u8], verified: &Verified) -> usize {
    ENTRY_BYTES + 2 * token.len() + verified.claims().map_or(0, <[u8]>::len)
}

/// Which set of providers a token was verified under: a keyed digest of all that decides about tokens,
/// so that the removal of a key drops what it had verified (rule E8), and a new route does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeySet(pub u64);

impl KeySet {
    /// Of sessions, which no provider's keys verify: whoever shows the cookie of one as a token does not find it.
    pub const OF_SESSIONS: Self = Self(0);
    /// Of those of oauth2-proxy: likewise, and not found by the cookie of one of our own, either.
    pub const OF_OAUTH2_PROXY: Self = Self(1);
}

/// The verified tokens of one worker.
#[derive(Debug, Default)]
pub struct TokenCache {
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    entries: HashMap<Box<[u8]>, Entry, ByTail>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    verified: Rc<Verified>,
    key_set: KeySet,
}

/// Hashes the end of a token only: that is its signature, as good as random, and every request pays for the
/// bytes. Only tokens that were verified are in the map, so nobody can fill it with equal ends; those that
/// end alike are told apart by their whole bytes.
#[derive(Debug, Default, Clone)]
struct ByTail(RandomState);

struct TailHasher(DefaultHasher);

/// More than enough of any signature.
const TAIL_BYTES: usize = 32;

impl BuildHasher for ByTail {
    type Hasher = TailHasher;

    fn build_hasher(&self) -> TailHasher {
        TailHasher(self.0.build_hasher())
    }
}

impl Hasher for TailHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes.get(bytes.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default());
    }

    fn finish(&self) -> u64 {
        self.0.finish()
    }
}

impl TokenCache {
    /// What is known of a token that was verified under `key_set`, by a key that is still believed, and has not
    /// reached its `exp`.
    pub fn get(&mut self, token: &[u8], key_set: KeySet, announced: &Announced, now_s: u64) -> Option<Rc<Verified>> {
        let usable = |entry: &Entry| {
            let verified = &entry.verified;
            entry.key_set == key_set && now_s < verified.identity.expires_at && verified.key.is_believed(announced)
        };
        if let Some(entry) = self.young.entries.get(token) {
            if usable(entry) {
                return Some(Rc::clone(&entry.verified));
            }
            self.young.remove(token);
            return None;
        }
        let (token, entry) = self.old.remove(token)?;
        usable(&entry).then(|| {
            let found = Rc::clone(&entry.verified);
            self.add(token, entry);
            found
        })
    }

    /// Keeps a token that was just verified. One that is too long or has ended is not kept.
    pub fn insert(&mut self, token: &[u8], verified: &Rc<Verified>, key_set: KeySet, now_s: u64) {
        if token.len() <= TOKEN_MAX_BYTES && now_s < verified.identity.expires_at {
            self.add(token.into(), Entry { verified: Rc::clone(verified), key_set });
        }
    }

    /// How many tokens are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.entries.len() + self.old.entries.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes are kept.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.young.bytes + self.old.bytes
    }

    fn add(&mut self, token: Box<[u8]>, entry: Entry) {
        let bytes = entry_bytes(&token, &entry.verified);
        if self.young.entries.len() >= MAX_ENTRIES / 2 || self.young.bytes + bytes > MAX_BYTES / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&token);
        self.young.remove(&token);
        self.young.entries.insert(token, entry);
        self.young.bytes += bytes;
    }
}

impl Generation {
    fn remove(&mut self, token: &[u8]) -> Option<(Box<[u8]>, Entry)> {
        let (token, entry) = self.entries.remove_entry(token)?;
        self.bytes -= entry_bytes(&token, &entry.verified);
        Some((token, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::tests::{ann, verified};
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const KEYS: KeySet = KeySet(1);

    fn get(cache: &mut TokenCache, token: &[u8], key_set: KeySet, now_s: u64) -> Option<Rc<Verified>> {
        cache.get(token, key_set, &Announced::default(), now_s)
    }

    fn insert(cache: &mut TokenCache, token: &[u8], now_s: u64) {
        cache.insert(token, &verified(ann()), KEYS, now_s);
    }

    #[test]
    fn tokens_that_end_alike_are_told_apart_by_their_whole_bytes() {
        let mut cache = TokenCache::default();
        let tail = [b'x'; TAIL_BYTES];
        let (one, other) = ([b"1".as_slice(), &tail].concat(), [b"2".as_slice(), &tail].concat());
        insert(&mut cache, &one, 1);
        assert!(get(&mut cache, &one, KEYS, 1).is_some());
        assert!(get(&mut cache, &other, KEYS, 1).is_none());
    }

    #[test]
    fn e8_an_entry_never_outlives_its_token() {
        let mut cache = TokenCache::default();
        insert(&mut cache, b"t", 4_999);
        assert!(get(&mut cache, b"t", KEYS, 4_999).is_some());
        assert!(get(&mut cache, b"t", KEYS, 5_000).is_none());
        assert!(cache.is_empty(), "and it is gone for good");
    }

    #[test]
    fn e8_a_new_key_set_finds_nothing_of_the_old_one() {
        let mut cache = TokenCache::default();
        insert(&mut cache, b"t", 1);
        assert!(get(&mut cache, b"t", KeySet(2), 1).is_none());
        assert!(get(&mut cache, b"t", KEYS, 1).is_none());
    }

    #[test]
    fn e8_the_cache_is_bounded_in_entries_and_keeps_what_is_used() {
        let mut cache = TokenCache::default();
        insert(&mut cache, b"used", 1);
        for n in 0..30_000_u32 {
            insert(&mut cache, &n.to_be_bytes(), 1);
            if n % 1_000 == 0 {
                assert!(get(&mut cache, b"used", KEYS, 1).is_some(), "after {n}");
            }
            assert!(cache.len() <= MAX_ENTRIES);
        }
    }

    #[test]
    fn e8_the_cache_is_bounded_in_bytes_and_refuses_long_tokens() {
        let mut cache = TokenCache::default();
        for n in 0..3_000_u32 {
            let mut token = vec![0; TOKEN_MAX_BYTES];
            token[..4].copy_from_slice(&n.to_be_bytes());
            insert(&mut cache, &token, 1);
            assert!(cache.size_bytes() <= MAX_BYTES);
        }
        assert!(cache.len() > 100);
        let before = cache.len();
        insert(&mut cache, &vec![1; TOKEN_MAX_BYTES + 1], 1);
        assert_eq!(cache.len(), before);
    }

    #[test]
    fn e8_inserting_a_token_again_does_not_count_it_twice() {
        let mut cache = TokenCache::default();
        for _ in 0..5 {
            insert(&mut cache, b"t", 1);
        }
        assert_eq!((cache.len(), cache.size_bytes()), (1, entry_bytes(b"t", &verified(ann()))));
        assert!(get(&mut cache, b"t", KEYS, 9_000).is_none());
        assert_eq!(cache.size_bytes(), 0);
    }

    #[test]
    fn e8_what_a_withdrawn_key_verified_is_forgotten() {
        let (mut cache, verified) = (TokenCache::default(), verified(ann()));
        cache.insert(b"t", &verified, KEYS, 1);
        assert!(get(&mut cache, b"t", KEYS, 1).is_some());
        verified.key.withdraw();
        assert!(get(&mut cache, b"t", KEYS, 1).is_none());
        assert!(cache.is_empty());
    }
}
