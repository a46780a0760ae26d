//! The keys of our own with which tokens are signed: add, rotate, retire.
//!
//! The ring ([`Ring`]) is the record, and what filters and others are told follows it (rule P8): as a source of
//! keys in the feed, and as a document ([`jwks`]). Whoever publishes reads the ring in their turn, so that nobody
//! publishes an older one later. What was cut off between the two, [`SigningKeys::tend`] brings to its end.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sekisho_protocol::feed::Kind;

use crate::domain::audit::{Action, By, Event};
use crate::domain::error::Failure;
use crate::domain::feed::{Mark, Stamp, signing_key_name};
use crate::domain::keyset::{KeysetRecord, SourceName};
use crate::domain::signing::ring::{Dropped, Ring, Update, When};
use crate::domain::signing::{Algorithm, Kid, SigningKey, Successor};
use crate::domain::time::UnixSeconds;
use crate::domain::token::Lifetimes;
use crate::service::audit::Deed;
use crate::service::change::{Change, Changes};
use crate::service::error::StoreError;
use crate::service::feed::Feed;
use crate::service::feed::mirror::Mirror;
use crate::service::installation::Database;
use crate::service::keysets::publish::Publisher;

pub mod jwks;
pub mod sealed;
pub mod vault;

use vault::{Closed, Vault};

/// Keeps the keys.
#[async_trait]
pub trait SigningKeyStore: Send + Sync {
    /// All keys, read at one moment.
    async fn ring(&self) -> Result<Ring, StoreError>;

    /// Takes a step, whole, if the ring still is the one that it was decided on.
    async fn step(&self, update: &Update) -> Result<Stepped, StoreError>;

    /// Notes that a key signs a token that ends at `ends`. Whether the key is still there: if not, the token must
    /// not be signed with it.
    async fn note_token(&self, kid: &Kid, ends: UnixSeconds) -> Result<bool, StoreError>;
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stepped {
    /// It is taken.
    Done,
    /// Another one came in between; nothing has changed.
    Overtaken,
    /// By the store's clock a token of a key that was to go may be valid; nothing has changed.
    TooEarly,
}

/// How long to wait while another sidecar publishes.
const TURN_WAIT: Duration = Duration::from_secs(3);
/// How long publishing may take: some round trips.
const TURN_LIFE: Duration = Duration::from_secs(2);
/// How often a step is decided anew that others overtake.
const ATTEMPTS: usize = 10;

/// Whether to wait until all filters know a key before it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It signs only then: no token of it is refused.
    UntilKnown,
    /// It signs at once. A filter that does not know it yet asks, and refuses what it cannot ask about.
    None,
}

/// A key that was added or that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The key.
    pub key: SigningKey,
    /// What the change of the published keys came to.
    pub change: Change,
}

/// What came of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The key that signs, or waits to; none if `JWT_SECRET` signs.
    pub key: Option<SigningKey>,
    /// Whether it signs. If not, filters lag, and another call goes on with the same key.
    pub signs: bool,
    /// Who knows the key.
    pub change: Change,
}

/// A key whose private part is needed and cannot be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedKey {
    /// Which.
    pub kid: Kid,
    /// Why.
    pub why: Closed,
}

/// What seals private parts, and what says whether the other sidecars can open them.
#[derive(Clone)]
pub struct Sealing {
    /// Seals.
    pub vault: Vault,
    /// Says.
    pub database: Database,
}

/// The use cases.
#[derive(Clone)]
pub struct SigningKeys {
    store: Arc<dyn SigningKeyStore>,
    vault: Vault,
    database: Database,
    publisher: Publisher,
    feed: Arc<dyn Feed>,
    mirror: Mirror,
    changes: Changes,
    lifetimes: Lifetimes,
}

impl SigningKeys {
    /// Keys kept by `store`, sealed as `sealing` says, and published by `publisher`, which sign tokens of such lives. `mirror`
    /// is the copy of `feed`.
    #[must_use]
    pub fn new(
        store: Arc<dyn SigningKeyStore>,
        Sealing { vault, database }: Sealing,
        publisher: Publisher,
        feed: Arc<dyn Feed>,
        mirror: Mirror,
        changes: Changes,
        lifetimes: Lifetimes,
    ) -> Self {
        Self { store, vault, database, publisher, feed, mirror, changes, lifetimes }
    }

    /// All keys.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn ring(&self) -> Result<Ring, StoreError> {
        self.store.ring().await
    }

    /// The keys of `ring` whose private part is needed and cannot be had.
    #[must_use]
    pub fn closed(&self, ring: &Ring) -> Vec<ClosedKey> {
        let needed = ring.keys().iter().filter(|key| key.state.sealed().is_some());
        needed.filter_map(|key| Some(ClosedKey { kid: key.kid.clone(), why: self.vault.open(key).err()? })).collect()
    }

    /// Makes a key, which is published at once and waits to sign.
    ///
    /// # Errors
    /// [`Failure::NoEncryptionKey`], [`Failure::TooManyKeys`], [`Failure::Unavailable`]; those of [`Database::may_seal`].
    pub async fn add(&self, algorithm: Algorithm, by: By, now: UnixSeconds) -> Result<Announced, Failure> {
        let (this, key) = (self.clone(), self.make(algorithm, now).await?);
        let deed = Deed::new(Action::SigningKeyAdded, by, &key.kid);
        let change = async move {
            this.step(|ring| ring.add(key.clone())).await?;
            tracing::info!(key.id = %key.kid, %algorithm, "a signing key was made");
            let change = this.changes.follow(this.publish().await?).await;
            Ok(Announced { key, change })
        };
        let tell = move |announced: &Announced, event: &mut Event| {
            event.tell("algorithm", algorithm.name());
            announced.change.tell(event);
        };
        self.changes.carry_out(deed, change, tell).await
    }

    /// Lets another key sign, or `JWT_SECRET`. What signed before goes on verifying. Of several at once one does it.
    ///
    /// # Errors
    /// [`Failure::Invalid`] if no key waits and nobody says what a new one is to be; [`Failure::KeysOvertaken`];
    /// [`Failure::KeyClosed`] if the key could not sign here; and as [`Self::add`].
    pub async fn rotate(
        &self,
        successor: Successor,
        patience: Patience,
        by: By,
        now: UnixSeconds,
    ) -> Result<Rotated, Failure> {
        let this = self.clone();
        let deed = Deed { action: Action::SigningKeyRotated, by, target: None };
        let change = async move {
            let predecessor = this.store.ring().await?.signing().cloned();
            let next = this.choose(successor, predecessor.as_ref(), now).await?;
            let stamp = this.publish().await?;
            if patience == Patience::UntilKnown {
                let change = this.changes.follow(stamp).await;
                if next.is_some() && !change.is_complete() {
                    return Ok(Rotated { key: next, signs: false, change });
                }
                let key = this.hand_over(next.as_ref(), predecessor.as_ref(), now).await?;
                return Ok(Rotated { key, signs: true, change });
            }
            let key = this.hand_over(next.as_ref(), predecessor.as_ref(), now).await?;
            Ok(Rotated { key, signs: true, change: this.changes.follow(stamp).await })
        };
        let tell = |rotated: &Rotated, event: &mut Event| {
            event.target = Some(rotated.key.as_ref().map_or("JWT_SECRET", |key| key.kid.as_str()).to_owned());
            event.tell("signs", rotated.signs);
            rotated.change.tell(event);
        };
        self.changes.carry_out(deed, change, tell).await
    }

    /// Lets a key go: no token of it is accepted any more.
    ///
    /// # Errors
    /// Those of [`Ring::retire`]; [`Failure::KeysOvertaken`], [`Failure::Unavailable`].
    pub async fn retire(&self, kid: Kid, when: When, by: By, now: UnixSeconds) -> Result<Change, Failure> {
        let this = self.clone();
        let deed = Deed::new(Action::SigningKeyRetired, by, &kid);
        let change = async move {
            match this.step(|ring| ring.retire(&kid, when, now)).await {
                // Somebody was cut off before everybody was told that the key is gone.
                Err(Failure::KeyNotFound) if this.may_be_known(&kid).await? => {}
                stepped => drop(stepped?),
            }
            tracing::info!(key.id = %kid, "a signing key was retired");
            if when == When::Now {
                // Sidecars hold this against a store that has lost the step (rule P2).
                this.feed.put(&Mark::retired_signing_key(&kid)).await?;
            }
            Ok(this.changes.follow(this.publish().await?).await)
        };
        self.changes.carry_out(deed, change, Change::tell).await
    }

    /// Lets keys go whose last token has ended, publishes what somebody could not who was cut off, and takes up what is
    /// left of keys that the store has lost (rule P2). The ring as it is now.
    ///
    /// # Errors
    /// The store cannot be used; the next call goes on.
    pub async fn tend(&self, now: UnixSeconds) -> Result<Ring, StoreError> {
        let mut ring = self.ring_as_it_should_be().await?;
        if let Some(update) = ring.retire_unneeded(now)
            && self.store.step(&update).await? == Stepped::Done
        {
            for gone in &update.drop {
                tracing::info!(key.id = %gone.kid, "a signing key was retired: its last token has ended");
            }
            ring = self.store.ring().await?;
        }
        let (record, announced) = self.publisher.published(&SourceName::own()).await?;
        if ring.is_blank() && record.is_none() && announced > 0 {
            // Both are lost. Whoever remembers the record puts it back ([`crate::service::keysets`]).
            return Ok(ring);
        }
        let record = record.unwrap_or_default();
        if self.take_up_again(&ring, &record, now).await? {
            ring = self.store.ring().await?;
        }
        if record.keys != ring.public() || record.revision != announced {
            self.publish().await?;
        }
        Ok(ring)
    }

    /// A key whose private part the other sidecars can open, too.
    async fn make(&self, algorithm: Algorithm, now: UnixSeconds) -> Result<SigningKey, Failure> {
        self.database.may_seal().await?;
        self.vault.make(algorithm, now)
    }

    /// The key that is to sign next: one that waits, or a new one; none if `JWT_SECRET` is to.
    async fn choose(
        &self,
        successor: Successor,
        predecessor: Option<&SigningKey>,
        now: UnixSeconds,
    ) -> Result<Option<SigningKey>, Failure> {
        let wanted = match successor {
            Successor::Secret if predecessor.is_none() => {
                return Err(Failure::SecretSigns);
            }
            Successor::Secret => return Ok(None),
            Successor::With(algorithm) => Some(algorithm),
            Successor::Next => None,
        };
        for _ in 0..ATTEMPTS {
            let ring = self.store.ring().await?;
            if let Some(key) = ring.next(wanted) {
                self.vault.open(key).map_err(|why| closed(key, why))?;
                return Ok(Some(key.clone()));
            }
            let like = wanted.or(predecessor.map(|key| key.algorithm));
            let algorithm = like.ok_or_else(|| Failure::invalid("algorithm", "is missing: no key waits to sign"))?;
            // If somebody else makes one in between, that one is taken.
            self.store.step(&ring.add(self.make(algorithm, now).await?)?).await?;
        }
        Err(Failure::KeysOvertaken)
    }

    /// The ring, without what is known to be retired for ever.
    async fn ring_as_it_should_be(&self) -> Result<Ring, StoreError> {
        let ring = self.store.ring().await?;
        let Some(update) = ring.retire_again(|kid| self.is_known_to_be_retired(kid)) else { return Ok(ring) };
        if self.store.step(&update).await? != Stepped::Done {
            return Err(StoreError::unavailable("the signing keys change while one is retired again"));
        }
        for back in &update.drop {
            tracing::error!(key.id = %back.kid, "Redis lost data: a signing key that was retired was there again");
        }
        self.store.ring().await
    }

    fn is_known_to_be_retired(&self, kid: &Kid) -> bool {
        let name = signing_key_name(kid);
        let held = self.mirror.look(|state, _| state.holding(Kind::Key, &name, UnixSeconds::now().get()).is_some());
        held.unwrap_or_default()
    }

    /// Lets `next` sign in place of `predecessor`.
    async fn hand_over(
        &self,
        next: Option<&SigningKey>,
        predecessor: Option<&SigningKey>,
        now: UnixSeconds,
    ) -> Result<Option<SigningKey>, Failure> {
        let predecessor = predecessor.map(|key| &key.kid);
        let step = |ring: &Ring| match (next, predecessor) {
            (Some(next), _) => ring.promote(&next.kid, predecessor, now),
            (None, Some(predecessor)) => ring.step_down(predecessor, now),
            (None, None) => Err(Failure::KeysOvertaken),
        };
        let update = self.step(step).await?;
        let kid = next.map_or("none: JWT_SECRET", |key| key.kid.as_str());
        tracing::info!(key.id = kid, "another key signs tokens from now on");
        Ok(next.and_then(|next| update.put.into_iter().find(|key| key.kid == next.kid)))
    }

    /// Takes the step that is decided on, anew each time that another one comes in between.
    async fn step(&self, decide: impl Fn(&Ring) -> Result<Update, Failure>) -> Result<Update, Failure> {
        for _ in 0..ATTEMPTS {
            let update = decide(&self.store.ring().await?)?;
            match self.store.step(&update).await? {
                Stepped::Done => return Ok(update),
                Stepped::Overtaken => {}
                Stepped::TooEarly => {
                    let until = update.drop.iter().map(Dropped::not_before).max().unwrap_or(UnixSeconds(0));
                    return Err(Failure::KeyNeeded { until });
                }
            }
        }
        Err(Failure::KeysOvertaken)
    }

    /// Tells everybody the ring as it is: where in the feed that is announced.
    async fn publish(&self) -> Result<Stamp, StoreError> {
        let turn = self.publisher.take_turn(&SourceName::own(), TURN_WAIT, TURN_LIFE).await?;
        let published = match self.ring_as_it_should_be().await {
            Ok(ring) => self.publisher.publish(&turn, ring.public()).await,
            Err(error) => Err(error),
        };
        self.publisher.end_turn(turn).await;
        published
    }

    /// Whether a filter may have been told of a key, and not that it is gone.
    async fn may_be_known(&self, kid: &Kid) -> Result<bool, StoreError> {
        let (record, announced) = self.publisher.published(&SourceName::own()).await?;
        let record = record.unwrap_or_default();
        Ok(record.has_kid(kid.as_str()) || record.revision != announced)
    }

    /// Takes up what is left of keys that the store has lost: whether there was any.
    async fn take_up_again(&self, ring: &Ring, record: &KeysetRecord, now: UnixSeconds) -> Result<bool, StoreError> {
        let tokens_end = now.plus(self.lifetimes.max_s);
        let is_retired = |kid: &Kid| self.is_known_to_be_retired(kid);
        let Some(update) = ring.take_up_again(&record.keys, is_retired, now, tokens_end) else { return Ok(false) };
        if self.store.step(&update).await? == Stepped::Done {
            let count = update.put.len();
            tracing::error!(
                keys.count = count,
                "Redis lost the signing keys: their tokens go on, and JWT_SECRET signs"
            );
        }
        Ok(true)
    }
}

/// The failure of whoever needs the private part of `key`.
pub(super) fn closed(key: &SigningKey, why: Closed) -> Failure {
    Failure::KeyClosed { cause: format!("signing key {}: {why}", key.kid) }
}

#[cfg(test)]
mod tests;
