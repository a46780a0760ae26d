//! All sources at a glance, for people.

use std::time::Duration;

use sekisho_protocol::keyset::Standing;

use super::Keysets;
use crate::domain::keyset::{KeysetRecord, SourceName};
use crate::service::clock::now_ms;
use crate::service::error::StoreError;

/// A source, and how it is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Its name.
    pub source: SourceName,
    /// Where its keys come from.
    pub place: String,
    /// How it is doing; unknown as long as nobody has tried.
    pub standing: Standing,
    /// What is on record.
    pub record: KeysetRecord,
    /// How long ago its keys were fetched, or found unchanged; none if they never were.
    pub age: Option<Duration>,
}

impl Overview {
    /// The stable word for how it is doing.
    #[must_use]
    pub fn standing_word(&self) -> &'static str {
        match self.standing {
            Standing::Current => "current",
            Standing::Unreachable => "unreachable",
            Standing::Unknown => "unknown",
        }
    }
}

impl Keysets {
    /// All sources of the configuration, by name.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn overview(&self) -> Result<Vec<Overview>, StoreError> {
        let (mut all, now_ms) = (Vec::new(), now_ms());
        for tended in self.0.tended.values() {
            let Some(source) = &tended.source else { continue };
            let found = self.0.store.look(&tended.name).await?.record;
            let standing = found.as_ref().map_or(Standing::Unknown, KeysetRecord::standing);
            let record = found.unwrap_or_default();
            all.push(Overview {
                source: tended.name.clone(),
                place: source.place.to_string(),
                standing,
                age: record.age(now_ms),
                record,
            });
        }
        Ok(all)
    }
}
