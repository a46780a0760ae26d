//! The signing keys: `sekisho:signing_keys`, a hash. `version` is a random id, another one after each step; `key|{kid}` is a key as JSON, its
//! private part sealed; `end|{kid}` is the `exp` of whichever of its tokens ends last.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use async_trait::async_trait;
use redis::{AsyncCommands, Script};
use sekisho_protocol::keyset::Jwk;
use serde::{Deserialize, Serialize};

use crate::domain::signing::ring::{Ring, RingVersion, TokensEnd, Update};
use crate::domain::signing::{Algorithm, Kid, SigningKey, State};
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;
use crate::service::signing_keys::{SigningKeyStore, Stepped};
use crate::store::redis::RedisClient;
use crate::store::redis::keys::SIGNING_KEYS;

static STEP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/step_signing_keys.lua")));
static NOTE_TOKEN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/note_token.lua")));

const VERSION_FIELD: &str = "version";
const KEY_FIELD: &str = "key|";
const END_FIELD: &str = "end|";
/// For the script: the end of a key's last token is of no concern.
const ANY: &str = "any";

/// The keys, in Redis.
#[derive(Clone)]
pub struct RedisSigningKeys {
    client: RedisClient,
}

impl RedisSigningKeys {
    /// The keys in this Redis.
    #[must_use]
    pub fn new(client: RedisClient) -> Self {
        Self { client }
    }
}

/// A key's field.
#[derive(Serialize, Deserialize)]
struct Record {
    algorithm: Algorithm,
    public: Jwk,
    created_at: UnixSeconds,
    #[serde(flatten)]
    state: State,
}

#[async_trait]
impl SigningKeyStore for RedisSigningKeys {
    async fn ring(&self) -> Result<Ring, StoreError> {
        let fields: BTreeMap<String, String> = self.client.shared().hgetall(SIGNING_KEYS).await?;
        let version = RingVersion(fields.get(VERSION_FIELD).cloned().unwrap_or_default());
        let mut keys = Vec::new();
        for (field, text) in &fields {
            if let Some(kid) = field.strip_prefix(KEY_FIELD) {
                let tokens_end = number(&fields, &format!("{END_FIELD}{kid}"))?;
                keys.push(parse(kid, text, tokens_end.map(UnixSeconds))?);
            }
        }
        Ok(Ring::new(version, keys))
    }

    async fn step(&self, update: &Update) -> Result<Stepped, StoreError> {
        let mut call = STEP.key(SIGNING_KEYS);
        call.arg(&update.version.0).arg(uuid::Uuid::new_v4().to_string()).arg(update.put.len());
        for key in &update.put {
            call.arg(key.kid.as_str()).arg(text(key)?).arg(end_text(key.tokens_end));
        }
        for gone in &update.drop {
            let end = match gone.decided_on {
                None => ANY.to_owned(),
                Some(end) => end_text(end),
            };
            call.arg(gone.kid.as_str()).arg(end).arg(gone.not_before().get());
        }
        Ok(match call.invoke_async(&mut self.client.shared()).await? {
            1 => Stepped::Done,
            2 => Stepped::TooEarly,
            _ => Stepped::Overtaken,
        })
    }

    async fn note_token(&self, kid: &Kid, ends: UnixSeconds) -> Result<bool, StoreError> {
        let mut call = NOTE_TOKEN.key(SIGNING_KEYS);
        Ok(call.arg(kid.as_str()).arg(ends.get()).invoke_async(&mut self.client.shared()).await?)
    }
}

/// The end of a key's last token, as the script takes it.
fn end_text(end: TokensEnd) -> String {
    end.map_or_else(String::new, |end| end.to_string())
}

fn text(key: &SigningKey) -> Result<String, StoreError> {
    let SigningKey { kid, algorithm, public, created_at, state, .. } = key.clone();
    serde_json::to_string(&Record { algorithm, public, created_at, state })
        .map_err(|error| corrupt(kid.as_str(), error))
}

fn parse(kid: &str, text: &str, tokens_end: Option<UnixSeconds>) -> Result<SigningKey, StoreError> {
    let Record { algorithm, public, created_at, state } =
        serde_json::from_str(text).map_err(|error| corrupt(kid, format_args!("{error}; is another sidecar newer?")))?;
    let kid = Kid::parse(kid).map_err(|_| corrupt(kid, "is no key's id"))?;
    // What is published must be the key that is on record under this id.
    if public.kid.as_deref() != Some(kid.as_str()) || public.alg.as_deref() != Some(algorithm.name()) {
        return Err(corrupt(kid.as_str(), "its public part is another key's"));
    }
    Ok(SigningKey { kid, algorithm, public, created_at, state, tokens_end })
}

fn number(fields: &BTreeMap<String, String>, field: &str) -> Result<Option<u64>, StoreError> {
    fields.get(field).map(|text| text.parse().map_err(|_| corrupt(field, "is no number"))).transpose()
}

fn corrupt(field: &str, cause: impl std::fmt::Display) -> StoreError {
    StoreError::corrupt(format!("{SIGNING_KEYS} {field}"), cause)
}

#[cfg(test)]
mod tests;
