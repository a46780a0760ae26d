//! The private parts of the signing keys, as sealed values among others: they come under another encryption key by the
//! same compare-and-set by which keys take their steps.

use std::sync::Arc;

use async_trait::async_trait;

use super::{SigningKeyStore, Stepped};
use crate::domain::signing::SigningKey;
use crate::service::encryption::{Resealable, Resealed, SealedRecord};
use crate::service::error::StoreError;

/// The private parts that a store keeps.
#[derive(Clone)]
pub struct PrivateParts {
    store: Arc<dyn SigningKeyStore>,
}

impl PrivateParts {
    /// Those that `store` keeps.
    #[must_use]
    pub fn new(store: Arc<dyn SigningKeyStore>) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Resealable for PrivateParts {
    fn name(&self) -> &'static str {
        "signing keys"
    }

    async fn batch(&self, after: Option<&str>, limit: usize) -> Result<Vec<SealedRecord>, StoreError> {
        let ring = self.store.ring().await?;
        let mut records: Vec<SealedRecord> = ring.keys().iter().filter_map(record).collect();
        records.sort_by(|a, b| a.id.cmp(&b.id));
        records.retain(|record| after.is_none_or(|after| record.id.as_str() > after));
        records.truncate(limit);
        Ok(records)
    }

    async fn put(&self, resealed: &[Resealed]) -> Result<usize, StoreError> {
        let new = |key: &SigningKey| {
            let of_key = resealed.iter().find(|resealed| resealed.record.id == key.kid.as_str())?;
            // Nothing else than what was opened may be replaced.
            (key.state.sealed() == Some(&of_key.record.value)).then(|| of_key.value.clone())
        };
        let Some(update) = self.store.ring().await?.reseal(new) else { return Ok(0) };
        Ok(if self.store.step(&update).await? == Stepped::Done { update.put.len() } else { 0 })
    }
}

fn record(key: &SigningKey) -> Option<SealedRecord> {
    Some(SealedRecord {
        id: key.kid.to_string(),
        sealed_for: SigningKey::sealed_for(&key.kid, key.algorithm),
        value: key.state.sealed()?.clone(),
    })
}
