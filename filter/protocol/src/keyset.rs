//! The keys of those who issue tokens: `GET /v1/keys`. The sidecars fetch them from where a *source*
//! publishes them, give each change of a source's set a higher revision, and announce it in the feed
//! ([`crate::feed::Entry::Keyset`]). A worker that holds an older revision, or meets a `kid` that its revision
//! does not have, asks here; requests wait for the answer, so that a rotation loses none.

use serde::{Deserialize, Serialize};

use crate::ReplicaId;

/// Most keys of a set. Sidecars keep the first ones of a larger set that they can use.
pub const KEYS_MAX: usize = 64;
/// Most bytes of a source's name.
pub const SOURCE_MAX_BYTES: usize = 128;
/// Most bytes of a `kid`: what is longer is no key's.
pub const KID_MAX_BYTES: usize = 256;

/// The query, as `application/x-www-form-urlencoded`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysQuery {
    /// Who asks.
    pub replica: ReplicaId,
    /// Whose keys: the name of a source in the sidecars' configuration.
    pub source: String,
    /// The `kid` that the asker's revision does not have, if that is why it asks. The sidecars then fetch the
    /// set anew, at most once in their refetch interval, all of them together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
}

/// The answer, with status 200.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysReply {
    /// [`crate::PROTOCOL`].
    pub protocol: u16,
    /// How the source is doing.
    pub standing: Standing,
    /// The set's revision; 0 if there never was one. A higher one replaces a lower one, never the other way round.
    pub revision: u64,
    /// The last good set.
    pub keys: Vec<Jwk>,
    /// For so many milliseconds nobody will fetch the set because of an unknown `kid`: until then the asker
    /// need not ask again, unless the feed announces a higher revision.
    pub ask_again_ms: u64,
}

/// How a source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The last attempt to fetch its keys succeeded: a `kid` that is not among them is nobody's.
    Current,
    /// The last attempt failed: a `kid` that is not among the last good keys may be a new one.
    Unreachable,
    /// No sidecar's configuration names it.
    Unknown,
}

/// A public key (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2); other members are ignored. A secret or private key
/// never travels so.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Jwk {
    /// `RSA`, `EC`, `OKP`.
    pub kty: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The one algorithm that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// `sig`, or nothing.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub usage: Option<String>,
    /// What it may be used for; one of them must be `verify`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_ops: Option<Vec<String>>,
    /// Modulus of an RSA key, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// Exponent of an RSA key, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    /// Curve of an EC or OKP key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// First coordinate, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// Second coordinate of an EC key, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
}

/// Which keys a worker verified a token with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeysHeld {
    /// Whose.
    pub source: String,
    /// Of which revision.
    pub revision: u64,
}
