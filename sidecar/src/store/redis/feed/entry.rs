//! How a write looks in Redis: as a field of the hash of entries, and as an entry of the stream.

use redis::FromRedisValue;
use redis::streams::StreamId;
use sekisho_protocol::Epoch;
use sekisho_protocol::feed::Kind;
use serde::Deserialize;

use super::super::keys::{ENTRIES, EPOCH, STREAM};
use crate::domain::feed::write::{Says, Write};
use crate::domain::feed::{Version, kind_of_word, kind_word};
use crate::service::error::StoreError;

/// The value of a field, as `write.lua` composes it.
#[derive(Deserialize)]
struct Value {
    version: u64,
    /// 0: lifted.
    until: u64,
    /// Named after the first kind that had one.
    #[serde(rename = "issued_before")]
    floor: u64,
    lifted_at: u64,
}

/// The field of a name.
pub(crate) fn field(kind: Kind, name: &str) -> String {
    format!("{}|{name}", kind_word(kind))
}

/// The write that a field and its value tell of.
pub(crate) fn parse(field: &str, value: &str) -> Result<Write, StoreError> {
    let corrupt = |what: &str| StoreError::corrupt(format!("{ENTRIES} {field}"), what);
    let (word, name) = field.split_once('|').ok_or_else(|| corrupt("the field is not kind|name"))?;
    let kind = kind_of_word(word).ok_or_else(|| corrupt("the kind is unknown; is another sidecar newer?"))?;
    let value: Value = serde_json::from_str(value).map_err(|error| corrupt(&error.to_string()))?;
    let says = says(value.until, value.floor, value.lifted_at);
    Ok(Write { version: Version::new(value.version), kind, name: name.to_owned(), says })
}

/// The write that an entry of the stream tells of.
pub(crate) fn of_stream(id: &StreamId) -> Result<Write, StoreError> {
    let corrupt = |what: &str| StoreError::corrupt(format!("{STREAM} {}", id.id), what);
    let text = |name: &str| {
        let value = id.map.get(name).ok_or_else(|| corrupt(name))?;
        String::from_redis_value(value.clone()).map_err(|error| corrupt(&error.to_string()))
    };
    let number = |name: &str| text(name)?.parse::<u64>().map_err(|_| corrupt(name));
    let version = id.id.split_once('-').and_then(|(version, _)| version.parse().ok());
    Ok(Write {
        version: Version::new(version.ok_or_else(|| corrupt("the id is no version"))?),
        kind: kind_of_word(&text("kind")?).ok_or_else(|| corrupt("the kind is unknown; is another sidecar newer?"))?,
        name: text("name")?,
        says: says(number("until")?, number("issued_before")?, number("lifted_at")?),
    })
}

/// The numbers `until`, `floor` and `lifted_at` by which scripts are told what a write says.
pub(crate) fn numbers(says: Says) -> (u64, u64, u64) {
    match says {
        Says::Holds { until, floor } => (until, floor, 0),
        Says::Lifted { at } => (0, 0, at),
    }
}

fn says(until: u64, floor: u64, lifted_at: u64) -> Says {
    if until == 0 { Says::Lifted { at: lifted_at } } else { Says::Holds { until, floor } }
}

/// The epoch with this id.
pub(crate) fn epoch_id(id: String) -> Result<Epoch, StoreError> {
    Epoch::try_from(id).map_err(|error| StoreError::corrupt(EPOCH, error))
}
