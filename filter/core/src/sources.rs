//! The key sets that sidecars fetched, one for each source, kept across configuration pushes.
//!
//! A set is replaced only by one of a higher revision. A key that is in the new set as well stays the same
//! key, so what it verified stays cached; one that is not is withdrawn, and all that it verified with it.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;

use sekisho_protocol::Digest;
use sekisho_protocol::digest::DigestKey;
use sekisho_protocol::feed::Kind;
use sekisho_protocol::keyset::{KEYS_MAX, KeysReply, Standing};

use crate::feed::Announced;
use crate::time::Now;
use crate::verify::Invalid;
use crate::verify::algorithm::Algorithm;
use crate::verify::key::{Origin, VerifyingKey};

/// Most sources; beyond that the one that was heard of least recently is forgotten, and asked for again.
const SOURCES_MAX: usize = 256;
/// Most keys that one token is tried with.
pub const CANDIDATES_MAX: usize = 4;
/// An outdated set, or none, is not asked for again so soon after sidecars could not give a newer one.
const RETRY_MS: u64 = 250;

/// The key sets of one worker.
#[derive(Debug)]
pub struct Sources {
    digest_key: DigestKey,
    sets: HashMap<Rc<str>, Set>,
}

#[derive(Debug)]
struct Set {
    origin: Rc<Origin>,
    standing: Standing,
    keys: Vec<Rc<VerifyingKey>>,
    /// By the monotonic clock: when an unknown `kid` is worth asking for again.
    ask_again_at_ms: u64,
    /// By the monotonic clock: when a missing or outdated set is worth asking for again …
    retry_at_ms: u64,
    /// … unless a higher revision than this one has been announced by then.
    missed: u64,
}

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The token's `kid`.
    pub kid: Option<&'a str>,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The provider's list of algorithms.
    pub listed: Option<&'a [Algorithm]>,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// The keys to try, at most [`CANDIDATES_MAX`].
    pub keys: Vec<Rc<VerifyingKey>>,
    /// What to do if none of them verifies the token.
    pub otherwise: Otherwise,
}

/// What to do with a token that no key of a set verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    /// It is nobody's.
    Refuse(Invalid),
    /// The set is missing or outdated: sidecars must be asked for it.
    AskForSet,
    /// The set is in force, but sidecars may know of a newer one that has the key.
    AskForKey,
    /// Nobody can tell at the moment.
    Unavailable,
}

/// What became of a set that sidecars sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Whether the keys are others than before.
    pub replaced: bool,
    /// Keys that this filter cannot use, for the log.
    pub unusable: usize,
}

impl Sources {
    /// None yet.
    #[must_use]
    pub fn new(digest_key: DigestKey) -> Self {
        Self { digest_key, sets: HashMap::new() }
    }

    /// Sidecars told which keys a source has.
    pub fn take(&mut self, source: &str, reply: &KeysReply, announced: &Announced, now: Now) -> Taken {
        let set = self.set(source, now);
        set.standing = reply.standing;
        set.ask_again_at_ms = now.mono_ms.saturating_add(reply.ask_again_ms);
        let replaced = reply.revision > set.origin.revision.get();
        let unusable = if replaced { set.replace(reply) } else { 0 };
        set.missed(announced, now);
        Taken { replaced, unusable }
    }

    /// No sidecar told which keys a source has.
    pub fn unanswered(&mut self, source: &str, announced: &Announced, now: Now) {
        let set = self.set(source, now);
        if set.standing == Standing::Current {
            set.standing = Standing::Unreachable;
        }
        set.ask_again_at_ms = set.ask_again_at_ms.max(now.mono_ms + RETRY_MS);
        set.missed(announced, now);
    }

    /// The keys of `source` that could have signed a token.
    #[must_use]
    pub fn lookup(&self, source: &str, wanted: &Wanted<'_>, announced: &Announced, now: Now) -> Found {
        let Some(set) = self.sets.get(source) else {
            return Found { keys: Vec::new(), otherwise: Otherwise::AskForSet };
        };
        let announced = announced.revision(set.origin.digest);
        let held = set.origin.revision.get();
        if held == 0 || held < announced {
            // None of an outdated set's keys is believed: the change may be that one was stolen.
            let asked = now.mono_ms < set.retry_at_ms && announced <= set.missed;
            let otherwise = if asked { Otherwise::Unavailable } else { Otherwise::AskForSet };
            return Found { keys: Vec::new(), otherwise };
        }
        set.lookup(wanted, now)
    }

    /// Whether a set should be asked for though no request needs it yet: there is none, or a newer one was
    /// announced.
    #[must_use]
    pub fn is_due(&self, source: &str, announced: &Announced, now: Now) -> bool {
        self.sets.get(source).is_none_or(|set| {
            let (held, announced) = (set.origin.revision.get(), announced.revision(set.origin.digest));
            let is_missing = held == 0 || held < announced;
            // If nothing was ever announced there is nothing to wait for but what the sidecars named.
            let rest_ends_at_ms = if announced == 0 { set.ask_again_at_ms } else { 0 };
            is_missing && (now.mono_ms >= set.retry_at_ms.max(rest_ends_at_ms) || announced > set.missed)
        })
    }

    fn set(&mut self, source: &str, now: Now) -> &mut Set {
        if self.sets.len() >= SOURCES_MAX && !self.sets.contains_key(source) {
            let oldest = self.sets.iter().min_by_key(|(_, set)| set.retry_at_ms).map(|(name, _)| Rc::clone(name));
            if let Some(mut set) = oldest.and_then(|name| self.sets.remove(&name)) {
                set.withdraw();
            }
        }
        let name: Rc<str> = source.into();
        let digest = Digest::of(&self.digest_key, Kind::Keyset, source);
        self.sets.entry(Rc::clone(&name)).or_insert_with(|| Set::new(name, digest, now))
    }
}

impl Set {
    fn new(source: Rc<str>, digest: Digest, now: Now) -> Self {
        Self {
            origin: Rc::new(Origin { source, digest, revision: Cell::new(0) }),
            standing: Standing::Unknown,
            keys: Vec::new(),
            ask_again_at_ms: now.mono_ms,
            retry_at_ms: now.mono_ms,
            missed: 0,
        }
    }

    /// Notes what was in force when sidecars were asked: if that is not what they gave, asking again at once
    /// would give no more.
    fn missed(&mut self, announced: &Announced, now: Now) {
        self.missed = announced.revision(self.origin.digest);
        self.retry_at_ms = now.mono_ms + RETRY_MS;
    }

    /// Takes the keys of a higher revision over; how many of them are of no use.
    fn replace(&mut self, reply: &KeysReply) -> usize {
        let sent = reply.keys.get(..KEYS_MAX).unwrap_or(&reply.keys);
        let mut keys: Vec<Rc<VerifyingKey>> = Vec::with_capacity(sent.len());
        for jwk in sent {
            let Ok(key) = VerifyingKey::from_jwk(jwk, Some(&self.origin)) else { continue };
            let kept = self.keys.iter().find(|kept| ***kept == key).map(Rc::clone);
            keys.push(kept.unwrap_or_else(|| Rc::new(key)));
        }
        let gone = |key: &&Rc<VerifyingKey>| !keys.iter().any(|kept| Rc::ptr_eq(kept, key));
        self.keys.iter().filter(gone).for_each(|key| key.withdraw());
        self.keys = keys;
        self.origin.revision.set(reply.revision);
        reply.keys.len() - self.keys.len()
    }

    fn lookup(&self, wanted: &Wanted<'_>, now: Now) -> Found {
        let fits = |key: &&Rc<VerifyingKey>| key.is_for(wanted.algorithm, wanted.listed);
        let named = |key: &&Rc<VerifyingKey>| wanted.kid.is_none() || key.id() == wanted.kid;
        let is_known = self.keys.iter().any(|key| named(&key));
        let otherwise = if is_known {
            Otherwise::Refuse(if self.keys.iter().any(|key| named(&key) && fits(&key)) {
                Invalid::Signature
            } else {
                Invalid::Algorithm
            })
        } else {
            self.unknown(now)
        };
        // A key need not have a name (RFC 7517 §4.5), so one without could be meant by any.
        let candidate = |key: &&Rc<VerifyingKey>| (named(key) || key.id().is_none()) && fits(key);
        let keys: Vec<_> = self.keys.iter().filter(candidate).take(CANDIDATES_MAX + 1).map(Rc::clone).collect();
        if keys.len() > CANDIDATES_MAX {
            return Found { keys: Vec::new(), otherwise: Otherwise::Refuse(Invalid::Key) };
        }
        Found { keys, otherwise }
    }

    /// What to do about a `kid` that this set does not have.
    fn unknown(&self, now: Now) -> Otherwise {
        match self.standing {
            _ if now.mono_ms >= self.ask_again_at_ms => Otherwise::AskForKey,
            Standing::Current => Otherwise::Refuse(Invalid::Key),
            Standing::Unreachable | Standing::Unknown => Otherwise::Unavailable,
        }
    }

    fn withdraw(&mut self) {
        self.keys.iter().for_each(|key| key.withdraw());
        self.keys.clear();
    }
}
