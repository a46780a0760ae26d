//! What is kept sealed, and how it comes under another key while sidecars serve.
//!
//! During a rotation values of both keys are there, and every sidecar has both keys. Each value is taken over by itself,
//! by compare-and-set, so a rotation may be cut off anywhere, be begun again, and run twice at once: what is left is
//! under one of the two. The canary ([`canary`]) comes last, so it tells whether a rotation came to its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::domain::audit::{Action, By, Event};
use crate::domain::error::Failure;
use crate::domain::seal::{NONCE_BYTES, Sealed, SealingKeyId, SealingKeys};
use crate::failpoint::{FailPoint, reach};
use crate::service::audit::Deed;
use crate::service::change::Changes;
use crate::service::error::StoreError;

pub mod canary;

use canary::Canary;

/// Values that are sealed anew in one step.
const STEP: usize = 200;
/// Walks over everything before it is somebody's fault: each begins because of what changed during the one before.
const WALKS_MAX: usize = 10;

/// Seals `secret`, which belongs to `record`, with a nonce that is drawn for it.
///
/// # Errors
/// [`Failure::Internal`] if there is no randomness.
pub fn seal(keys: &SealingKeys, record: &str, secret: &[u8]) -> Result<Sealed, Failure> {
    let internal = |cause: &dyn std::fmt::Display| Failure::Internal { cause: cause.to_string() };
    let mut nonce = [0; NONCE_BYTES];
    getrandom::fill(&mut nonce).map_err(|error| internal(&error))?;
    keys.seal(record, nonce, secret).map_err(|error| internal(&error))
}

/// A place that keeps sealed values. What has them implements this, and is rotated with the rest.
#[async_trait]
pub trait Resealable: Send + Sync {
    /// What it keeps, for people.
    fn name(&self) -> &'static str;

    /// At most `limit` sealed values, in the order of their ids, those behind `after`.
    async fn batch(&self, after: Option<&str>, limit: usize) -> Result<Vec<SealedRecord>, StoreError>;

    /// Puts each value that is sealed anew in the place of the old one, unless that has changed meanwhile. How many.
    async fn put(&self, resealed: &[Resealed]) -> Result<usize, StoreError>;
}

/// A sealed value, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRecord {
    /// Its id within its place.
    pub id: String,
    /// What it is sealed for.
    pub sealed_for: String,
    /// The value.
    pub value: Sealed,
}

/// A value that is sealed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resealed {
    /// As it was.
    pub record: SealedRecord,
    /// What comes in its place.
    pub value: Sealed,
}

/// What to do about a canary that no key here opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Nothing: the key is somewhere, and must be given.
    Refuse,
    /// The key is lost for good: what is sealed under it stays closed, and a new canary is set.
    Accept,
}

/// What a walk found in one place, or a rotation did there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The place.
    pub name: &'static str,
    /// Values that were sealed anew.
    pub resealed: usize,
    /// Values by the key that they are sealed under now.
    pub under: BTreeMap<SealingKeyId, usize>,
    /// Values that bear no key's id: damaged.
    pub damaged: usize,
}

/// What a rotation came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// The key that everything is sealed under now that could be opened.
    pub present: SealingKeyId,
    /// Place by place.
    pub places: Vec<Inventory>,
    /// Keys of this ring that nothing is sealed under any more.
    pub unneeded: Vec<SealingKeyId>,
}

/// The use cases.
#[derive(Clone)]
pub struct Encryption {
    keys: Option<SealingKeys>,
    canary: Canary,
    places: Vec<Arc<dyn Resealable>>,
    changes: Changes,
}

impl Encryption {
    /// What is sealed in `places`, under `keys`.
    #[must_use]
    pub fn new(keys: Option<SealingKeys>, canary: Canary, places: Vec<Arc<dyn Resealable>>, changes: Changes) -> Self {
        Self { keys, canary, places, changes }
    }

    /// The canary, and the keys that are to open it.
    #[must_use]
    pub fn canary(&self) -> &Canary {
        &self.canary
    }

    /// What is sealed, and under which keys.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn inventory(&self) -> Result<Vec<Inventory>, Failure> {
        let mut places = Vec::new();
        for place in &self.places {
            places.push(walk(&**place, None).await?.inventory);
        }
        Ok(places)
    }

    /// Seals under the present key what is sealed under another one, and the canary last.
    ///
    /// # Errors
    /// [`Failure::NoEncryptionKey`]; [`Failure::EncryptionKeyUnknown`] if no key here opens the canary;
    /// [`Failure::EncryptionOvertaken`] if somebody goes on sealing under another key; [`Failure::Unavailable`].
    pub async fn rotate(&self, lost: Lost, by: By) -> Result<Rotation, Failure> {
        let (this, keys) = (self.clone(), self.keys.clone().ok_or(Failure::NoEncryptionKey)?);
        let deed = Deed::new(Action::EncryptionRotated, by, keys.present());
        let change = async move {
            this.canary.must_open(lost).await?;
            let places = this.reseal(&keys).await?;
            reach(FailPoint::EncryptionResealed);
            this.canary.move_to_present(lost).await?;
            reach(FailPoint::EncryptionRotated);
            let is_needed = |id: &SealingKeyId| places.iter().any(|place| place.under.contains_key(id));
            let unneeded = keys.others().filter(|id| !is_needed(id)).collect();
            Ok(Rotation { present: keys.present(), places, unneeded })
        };
        self.changes.carry_out(deed, change, Rotation::tell).await
    }

    /// Walks until a walk finds nothing to be sealed anew: others may seal under the key before until they are restarted.
    async fn reseal(&self, keys: &SealingKeys) -> Result<Vec<Inventory>, Failure> {
        let mut resealed = vec![0; self.places.len()];
        for _ in 0..WALKS_MAX {
            let (mut places, mut is_calm) = (Vec::new(), true);
            for (place, resealed) in self.places.iter().zip(&mut resealed) {
                let walk = walk(&**place, Some(keys)).await?;
                *resealed += walk.inventory.resealed;
                is_calm &= walk.tried == 0;
                places.push(Inventory { resealed: *resealed, ..walk.inventory });
            }
            if is_calm {
                return Ok(places);
            }
        }
        Err(Failure::EncryptionOvertaken)
    }
}

impl Rotation {
    /// Values that no key here opens, by the key that does.
    #[must_use]
    pub fn closed(&self) -> BTreeMap<SealingKeyId, usize> {
        let mut closed = BTreeMap::new();
        let others = self.places.iter().flat_map(|place| &place.under).filter(|(id, _)| **id != self.present);
        for (id, count) in others {
            *closed.entry(*id).or_default() += count;
        }
        closed
    }

    fn tell(&self, event: &mut Event) {
        event.tell("resealed", self.places.iter().map(|place| place.resealed).sum::<usize>());
        event.tell("closed", self.closed().values().sum::<usize>());
        event.tell("unneeded", self.unneeded.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
}

/// What one walk over a place came to.
struct Walk {
    inventory: Inventory,
    /// Values that were to be sealed anew, whether or not somebody else came first.
    tried: usize,
}

/// Walks over a place. With `keys`, seals anew what they open and is not under the present one.
async fn walk(place: &dyn Resealable, keys: Option<&SealingKeys>) -> Result<Walk, Failure> {
    let mut inventory = Inventory { name: place.name(), resealed: 0, under: BTreeMap::new(), damaged: 0 };
    let (mut tried, mut after) = (0, None::<String>);
    loop {
        let batch = place.batch(after.as_deref(), STEP).await?;
        let Some(last) = batch.last() else { return Ok(Walk { inventory, tried }) };
        after = Some(last.id.clone());
        let mut resealed = Vec::new();
        for record in batch {
            match keys.map(|keys| sealed_anew(keys, &record)).transpose()?.flatten() {
                Some(value) => resealed.push(Resealed { record, value }),
                None => inventory.count(&record.value),
            }
        }
        if !resealed.is_empty() {
            tried += resealed.len();
            inventory.resealed += place.put(&resealed).await?;
            reach(FailPoint::EncryptionBatch);
        }
    }
}

/// The value under the present key; none if it is, or no key here opens it.
fn sealed_anew(keys: &SealingKeys, record: &SealedRecord) -> Result<Option<Sealed>, Failure> {
    if keys.is_under_present(&record.value) {
        return Ok(None);
    }
    let opened = keys.open(&record.sealed_for, &record.value).ok();
    opened.map(|secret| seal(keys, &record.sealed_for, &secret)).transpose()
}

impl Inventory {
    /// How many values there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.under.values().sum::<usize>() + self.damaged
    }

    fn count(&mut self, value: &Sealed) {
        match value.key_id() {
            Some(id) => *self.under.entry(id).or_default() += 1,
            None => self.damaged += 1,
        }
    }
}

#[cfg(test)]
mod tests;
