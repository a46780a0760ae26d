//! Sessions of oauth2-proxy (v7), as it keeps them in Redis: MessagePack, sealed with AES-128-GCM under a secret that only the
//! browser's cookie holds.
//!
//! The cookie's value is a *ticket*: the session's Redis key and that secret. Nothing here writes: a session stays
//! oauth2-proxy's own. [`rules`] says what is made of it.

pub mod rules;

use std::fmt;

use aes_gcm::aead::Aead as _;
use aes_gcm::{Aes128Gcm, KeyInit as _, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rmpv::Value;
use zeroize::Zeroizing;

/// Most bytes of a sealed session: one with several tokens and hundreds of groups has a tenth of that.
pub const MAX_BYTES: usize = 256 * 1_024;
/// Most values within one another.
const MAX_DEPTH: usize = 16;
const NONCE_BYTES: usize = 12;
const SECRET_BYTES: usize = 16;
/// What tickets of today begin with.
const VERSION: &str = "v2.";
/// The extension type of a timestamp.
const TIMESTAMP: i8 = -1;

/// A session's key in Redis, and the secret that opens what is there.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    id: String,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
}

/// Why there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is no ticket of this cookie.
    #[error("no ticket of this cookie")]
    Ticket,
    /// Another secret sealed it, or it was changed.
    #[error("the ticket's secret does not open it")]
    Sealed,
    /// It holds something else than a session.
    #[error("what is in it is no session")]
    Record,
}

/// What a session holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Held {
    /// When its owner signed in, Unix seconds.
    pub created_at: Option<u64>,
    /// When its tokens end, Unix seconds. oauth2-proxy then refreshes them, so the session may go on.
    pub expires_at: Option<u64>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The owner's name at the provider.
    pub user: Option<String>,
    /// The groups.
    pub groups: Vec<String>,
    /// What the owner would like to be called.
    pub preferred_username: Option<String>,
    /// Of the provider.
    pub access_token: Option<Zeroizing<String>>,
    /// Of the provider.
    pub id_token: Option<Zeroizing<String>>,
    /// Of the provider.
    pub refresh_token: Option<Zeroizing<String>>,
    /// Of the sign-in: it stays when tokens are refreshed.
    pub nonce: Option<Vec<u8>>,
    /// Claims that oauth2-proxy was told to keep.
    pub claims: serde_json::Map<String, serde_json::Value>,
}

impl Ticket {
    /// Reads the ticket of a cookie of this name: `v2.` and id and secret in base64url, or, as it was before, the id as
    /// it is.
    ///
    /// # Errors
    /// [`Unreadable::Ticket`].
    pub fn parse(text: &str, cookie_name: &str) -> Result<Self, Unreadable> {
        let (id, secret) = match text.strip_prefix(VERSION).and_then(|rest| rest.split_once('.')) {
            Some((id, secret)) => {
                let id = URL_SAFE_NO_PAD.decode(id).ok().and_then(|id| String::from_utf8(id).ok());
                (id.ok_or(Unreadable::Ticket)?, secret)
            }
            // A cookie's name may hold a dot.
            None => text.rsplit_once('.').map(|(id, secret)| (id.to_owned(), secret)).ok_or(Unreadable::Ticket)?,
        };
        let secret = Zeroizing::new(URL_SAFE_NO_PAD.decode(secret).map_err(|_| Unreadable::Ticket)?);
        let secret = <[u8; SECRET_BYTES]>::try_from(secret.as_slice()).map_err(|_| Unreadable::Ticket)?;
        let ticket = Self { id, secret: Zeroizing::new(secret) };
        if is_key_of(&ticket.id, cookie_name) { Ok(ticket) } else { Err(Unreadable::Ticket) }
    }

    /// The session's key in Redis.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Opens what Redis holds under that key.
    ///
    /// # Errors
    /// [`Unreadable::Sealed`], [`Unreadable::Record`].
    pub fn open(&self, value: &[u8]) -> Result<Held, Unreadable> {
        let sealed = value.split_at_checked(NONCE_BYTES).filter(|_| value.len() <= MAX_BYTES);
        let (nonce, ciphertext) = sealed.ok_or(Unreadable::Sealed)?;
        let nonce = Nonce::try_from(nonce).map_err(|_| Unreadable::Sealed)?;
        let plain = Aes128Gcm::new(&(*self.secret).into()).decrypt(&nonce, ciphertext);
        Held::read(&Zeroizing::new(plain.map_err(|_| Unreadable::Sealed)?))
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Whether a session of this cookie may have this key: its name, a hyphen and 32 hex digits. What has another one is
/// something else, which nobody is to read or delete as a session.
#[must_use]
pub fn is_key_of(key: &str, cookie_name: &str) -> bool {
    key.strip_prefix(cookie_name).and_then(|rest| rest.strip_prefix('-')).is_some_and(is_number)
}

/// Whether a session of some cookie may have this key.
fn is_key(key: &str) -> bool {
    key.rsplit_once('-').is_some_and(|(cookie_name, number)| !cookie_name.is_empty() && is_number(number))
}

fn is_number(hex: &str) -> bool {
    hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

impl Held {
    fn read(mut plain: &[u8]) -> Result<Self, Unreadable> {
        let value = rmpv::decode::read_value_with_max_depth(&mut plain, MAX_DEPTH).map_err(|_| Unreadable::Record)?;
        let Value::Map(members) = value else { return Err(Unreadable::Record) };
        if !plain.is_empty() {
            return Err(Unreadable::Record);
        }
        let mut held = Self::default();
        for (name, value) in members {
            // A newer oauth2-proxy may know more members.
            match name.as_str() {
                Some("ca") => held.created_at = moment(&value)?,
                Some("eo") => held.expires_at = moment(&value)?,
                Some("e") => held.email = text(value)?,
                Some("u") => held.user = text(value)?,
                Some("g") => held.groups = texts(value)?,
                Some("pu") => held.preferred_username = text(value)?,
                Some("at") => held.access_token = text(value)?.map(Zeroizing::new),
                Some("it") => held.id_token = text(value)?.map(Zeroizing::new),
                Some("rt") => held.refresh_token = text(value)?.map(Zeroizing::new),
                Some("n") => held.nonce = bytes(value)?,
                Some("ac") => held.claims = claims(value)?,
                _ => {}
            }
        }
        Ok(held)
    }
}

fn text(value: Value) -> Result<Option<String>, Unreadable> {
    match value {
        Value::Nil => Ok(None),
        Value::String(text) => text.into_str().map(Some).ok_or(Unreadable::Record),
        _ => Err(Unreadable::Record),
    }
}

fn bytes(value: Value) -> Result<Option<Vec<u8>>, Unreadable> {
    match value {
        Value::Nil => Ok(None),
        Value::Binary(bytes) => Ok(Some(bytes)),
        Value::String(text) => Ok(Some(text.into_bytes())),
        _ => Err(Unreadable::Record),
    }
}

fn texts(value: Value) -> Result<Vec<String>, Unreadable> {
    match value {
        Value::Nil => Ok(Vec::new()),
        Value::Array(values) => values.into_iter().map(|value| text(value)?.ok_or(Unreadable::Record)).collect(),
        _ => Err(Unreadable::Record),
    }
}

fn claims(value: Value) -> Result<serde_json::Map<String, serde_json::Value>, Unreadable> {
    match value {
        Value::Nil => Ok(serde_json::Map::new()),
        value => match serde_json::to_value(value) {
            Ok(serde_json::Value::Object(claims)) => Ok(claims),
            _ => Err(Unreadable::Record),
        },
    }
}

/// A timestamp, as Unix seconds; none before 1970, as Go's zero time is.
fn moment(value: &Value) -> Result<Option<u64>, Unreadable> {
    let bytes = match value {
        Value::Nil => return Ok(None),
        Value::Ext(TIMESTAMP, bytes) => bytes.as_slice(),
        _ => return Err(Unreadable::Record),
    };
    let seconds = if let Ok(seconds) = <[u8; 4]>::try_from(bytes) {
        i64::from(u32::from_be_bytes(seconds))
    } else if let Ok(both) = <[u8; 8]>::try_from(bytes) {
        // 30 bits of nanoseconds, 34 of seconds.
        i64::try_from(u64::from_be_bytes(both) & ((1 << 34) - 1)).map_err(|_| Unreadable::Record)?
    } else {
        let seconds = bytes.split_at_checked(4).map(|(_nanoseconds, seconds)| seconds).unwrap_or_default();
        i64::from_be_bytes(seconds.try_into().map_err(|_| Unreadable::Record)?)
    };
    Ok(u64::try_from(seconds).ok().filter(|seconds| *seconds > 0))
}

#[cfg(test)]
mod tests;
