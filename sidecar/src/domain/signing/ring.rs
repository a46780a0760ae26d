//! All keys together, and every step that one of them can take. A step is an [`Update`], which holds only for
//! the ring that it was decided on: who is overtaken decides anew.

use sekisho_protocol::keyset::{Jwk, KEYS_MAX};

use super::{Algorithm, Kid, SigningKey, State, needed_until};
use crate::domain::error::Failure;
use crate::domain::seal::Sealed;
use crate::domain::time::UnixSeconds;

/// The keys, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ring {
    version: RingVersion,
    keys: Vec<SigningKey>,
}

/// Tells a ring from every other: a random id that each step changes, empty before the first. No number, since a
/// store that lost data counts on from a lower one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RingVersion(pub String);

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The ring's version that it was decided on.
    pub version: RingVersion,
    /// Keys that are new or stand elsewhere from now on.
    pub put: Vec<SigningKey>,
    /// Keys that are gone from now on.
    pub drop: Vec<Dropped>,
}

/// A key that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// Which.
    pub kid: Kid,
    /// The end of its last token on which that was decided; none if it is of no concern.
    pub decided_on: Option<TokensEnd>,
}

/// When the last token of a key ends: none if it never signed one.
pub type TokensEnd = Option<UnixSeconds>;

impl Dropped {
    /// The moment before which the key must not go, by whatever clock.
    #[must_use]
    pub fn not_before(&self) -> UnixSeconds {
        self.decided_on.flatten().map_or(UnixSeconds(0), needed_until)
    }
}

/// When a key is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At once: its tokens are refused from then on.
    Now,
    /// Only if no token of it can be valid any more.
    Unneeded,
}

impl Ring {
    /// The ring that the store holds.
    #[must_use]
    pub fn new(version: RingVersion, mut keys: Vec<SigningKey>) -> Self {
        keys.sort_by(|a, b| (a.created_at, &a.kid).cmp(&(b.created_at, &b.kid)));
        Self { version, keys }
    }

    /// The keys, the oldest first.
    #[must_use]
    pub fn keys(&self) -> &[SigningKey] {
        &self.keys
    }

    /// The key with this id.
    #[must_use]
    pub fn find(&self, kid: &Kid) -> Option<&SigningKey> {
        self.keys.iter().find(|key| key.kid == *kid)
    }

    /// The key that signs; none if `JWT_SECRET` does.
    #[must_use]
    pub fn signing(&self) -> Option<&SigningKey> {
        self.keys.iter().find(|key| matches!(key.state, State::Signing { .. }))
    }

    /// The key that has waited for longest, of those with `algorithm` if there is one.
    #[must_use]
    pub fn next(&self, algorithm: Option<Algorithm>) -> Option<&SigningKey> {
        let wanted = |key: &&SigningKey| algorithm.is_none_or(|algorithm| key.algorithm == algorithm);
        self.keys.iter().filter(wanted).find(|key| matches!(key.state, State::Next { .. }))
    }

    /// What is published: the public part of every key.
    #[must_use]
    pub fn public(&self) -> Vec<Jwk> {
        self.keys.iter().map(|key| key.public.clone()).collect()
    }

    /// Takes a new key up.
    ///
    /// # Errors
    /// [`Failure::TooManyKeys`]: filters know no more of one source.
    pub fn add(&self, key: SigningKey) -> Result<Update, Failure> {
        if self.keys.len() >= KEYS_MAX {
            return Err(Failure::TooManyKeys);
        }
        Ok(self.with(vec![key]))
    }

    /// Lets a key that waits sign, in place of `predecessor`, which goes on verifying.
    ///
    /// # Errors
    /// [`Failure::KeysOvertaken`] if something else signs than `predecessor`, or the key does not wait any more.
    pub fn promote(&self, kid: &Kid, predecessor: Option<&Kid>, now: UnixSeconds) -> Result<Update, Failure> {
        let mut put = self.resigned(predecessor, now)?;
        let key = self.find(kid).ok_or(Failure::KeysOvertaken)?;
        let State::Next { sealed } = &key.state else { return Err(Failure::KeysOvertaken) };
        put.push(SigningKey { state: State::Signing { sealed: sealed.clone(), since: now }, ..key.clone() });
        Ok(self.with(put))
    }

    /// Lets `JWT_SECRET` sign, in place of `predecessor`, which goes on verifying.
    ///
    /// # Errors
    /// [`Failure::KeysOvertaken`] if something else signs than `predecessor`.
    pub fn step_down(&self, predecessor: &Kid, now: UnixSeconds) -> Result<Update, Failure> {
        Ok(self.with(self.resigned(Some(predecessor), now)?))
    }

    /// Lets a key go.
    ///
    /// # Errors
    /// [`Failure::KeyNotFound`], [`Failure::KeySigns`]; [`Failure::KeyNeeded`] if it is not to go now and a token
    /// of it may be valid.
    pub fn retire(&self, kid: &Kid, when: When, now: UnixSeconds) -> Result<Update, Failure> {
        let key = self.find(kid).ok_or(Failure::KeyNotFound)?;
        if matches!(key.state, State::Signing { .. }) {
            return Err(Failure::KeySigns);
        }
        match (when, key.needed_until().filter(|_| key.has_live_tokens(now))) {
            (When::Unneeded, Some(until)) => Err(Failure::KeyNeeded { until }),
            (When::Unneeded, None) => Ok(self.without(vec![drop_unneeded(key)])),
            (When::Now, _) => Ok(self.without(vec![Dropped { kid: kid.clone(), decided_on: None }])),
        }
    }

    /// Lets every key go that signed once and of which no token can be valid any more; none if there is none.
    #[must_use]
    pub fn retire_unneeded(&self, now: UnixSeconds) -> Option<Update> {
        let is_over = |key: &&SigningKey| matches!(key.state, State::Verifying { .. }) && !key.has_live_tokens(now);
        let over: Vec<Dropped> = self.keys.iter().filter(is_over).map(drop_unneeded).collect();
        (!over.is_empty()).then(|| self.without(over))
    }

    /// Whether no step was ever taken, or the store has lost them all.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.version == RingVersion::default()
    }

    /// Takes up again what is left of lost keys, of which `published` is remembered, so that their tokens go on:
    /// until `tokens_end`, since nobody knows better. None unless the ring is blank, or if there is nothing to take up.
    #[must_use]
    pub fn take_up_again(
        &self,
        published: &[Jwk],
        is_retired: impl Fn(&Kid) -> bool,
        now: UnixSeconds,
        tokens_end: UnixSeconds,
    ) -> Option<Update> {
        let of_ours = published.iter().filter_map(|public| SigningKey::of_published(public, now, tokens_end));
        let left: Vec<SigningKey> = of_ours.filter(|key| !is_retired(&key.kid)).collect();
        (self.is_blank() && !left.is_empty()).then(|| self.with(left))
    }

    /// Lets every key go that is known to be retired already, whatever it does: a store that lost data may have
    /// them again. None if there is none.
    #[must_use]
    pub fn retire_again(&self, is_retired: impl Fn(&Kid) -> bool) -> Option<Update> {
        let retired = self.keys.iter().filter(|key| is_retired(&key.kid));
        let back: Vec<Dropped> = retired.map(|key| Dropped { kid: key.kid.clone(), decided_on: None }).collect();
        (!back.is_empty()).then(|| self.without(back))
    }

    /// Keeps private parts as `sealed` says, which are sealed anew; none if it says nothing of any.
    #[must_use]
    pub fn reseal(&self, sealed: impl Fn(&SigningKey) -> Option<Sealed>) -> Option<Update> {
        let anew = |key: &SigningKey| Some(SigningKey { state: key.state.resealed(sealed(key)?)?, ..key.clone() });
        let put: Vec<SigningKey> = self.keys.iter().filter_map(anew).collect();
        (!put.is_empty()).then(|| self.with(put))
    }

    /// The key that signs, as it is when it does not any more; nothing if none does.
    fn resigned(&self, predecessor: Option<&Kid>, now: UnixSeconds) -> Result<Vec<SigningKey>, Failure> {
        let signing = self.signing();
        if signing.map(|key| &key.kid) != predecessor {
            return Err(Failure::KeysOvertaken);
        }
        let resigned = signing.map(|key| {
            let (since, _) = key.state.signed();
            SigningKey { state: State::Verifying { since: since.unwrap_or(now), until: now }, ..key.clone() }
        });
        Ok(resigned.into_iter().collect())
    }

    fn with(&self, put: Vec<SigningKey>) -> Update {
        Update { version: self.version.clone(), put, drop: Vec::new() }
    }

    fn without(&self, drop: Vec<Dropped>) -> Update {
        Update { version: self.version.clone(), put: Vec::new(), drop }
    }
}

/// The key goes unless it turns out meanwhile that a token of it ends later.
fn drop_unneeded(key: &SigningKey) -> Dropped {
    Dropped { kid: key.kid.clone(), decided_on: Some(key.tokens_end) }
}

#[cfg(test)]
mod tests;
