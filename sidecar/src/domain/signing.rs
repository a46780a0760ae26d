//! The keys of its own with which the token API signs: what a key is, and what becomes of it.
//!
//! `next → signing → verifying →` retired, which means gone. A key is published from its first day on and
//! signs only once every filter knows it; when another one signs, it goes on verifying until its last token has
//! ended. Only what signs or will sign has a private part, and that is sealed ([`super::seal`]).

use std::fmt;
use std::str::FromStr;

use sekisho_protocol::keyset::Jwk;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::Failure;
use super::feed::revocation_end;
use super::seal::Sealed;
use super::time::UnixSeconds;

pub mod ring;

/// What a key of our own signs with. `JWT_SECRET` and HS256 are what signs without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037).
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA with P-256 and SHA-256 (RFC 7518 §3.4).
    #[serde(rename = "ES256")]
    Es256,
}

impl Algorithm {
    /// Its name in a token's header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
            Self::Es256 => "ES256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        match text {
            "EdDSA" => Ok(Self::EdDsa),
            "ES256" => Ok(Self::Es256),
            HS256 => Err(Failure::invalid("algorithm", "HS256 has no key pair: its key is JWT_SECRET")),
            other => Err(Failure::invalid("algorithm", format!("`{other}` is neither EdDSA nor ES256"))),
        }
    }
}

/// What `JWT_SECRET` signs with.
pub const HS256: &str = "HS256";

/// What is to sign from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Successor {
    /// The key that has waited for longest; if none waits, a new one like that which signs now.
    Next,
    /// A key with this algorithm: the one that has waited for longest, or a new one.
    With(Algorithm),
    /// No key: `JWT_SECRET`.
    Secret,
}

impl FromStr for Successor {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        match text {
            HS256 => Ok(Self::Secret),
            "EdDSA" | "ES256" => text.parse().map(Self::With),
            other => Err(Failure::invalid("algorithm", format!("`{other}` is none of EdDSA, ES256, HS256"))),
        }
    }
}

/// A key's id, as it stands in the header of its tokens: 1 to 64 letters, digits, `-`, `_`. Ours are UUIDs
/// (version 7), so that they sort by age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Kid(String);

impl Kid {
    /// Most bytes of an id.
    pub const MAX_BYTES: usize = 64;

    /// The id in `text`. What can't be an id names no key.
    ///
    /// # Errors
    /// [`Failure::KeyNotFound`].
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if text.is_empty() || text.len() > Self::MAX_BYTES || !text.bytes().all(allowed) {
            return Err(Failure::KeyNotFound);
        }
        Ok(Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Kid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a key stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// It is published and waits to sign.
    Next {
        /// Its private part.
        sealed: Sealed,
    },
    /// It signs new tokens.
    Signing {
        /// Its private part.
        sealed: Sealed,
        /// Since when.
        since: UnixSeconds,
    },
    /// It signed tokens that may still be valid. Its private part is gone for ever.
    Verifying {
        /// Since when it signed.
        since: UnixSeconds,
        /// Until when it signed.
        until: UnixSeconds,
    },
}

impl State {
    /// The stable word for answers.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Next { .. } => "next",
            Self::Signing { .. } => "signing",
            Self::Verifying { .. } => "verifying",
        }
    }

    /// The private part, if it is kept.
    #[must_use]
    pub fn sealed(&self) -> Option<&Sealed> {
        match self {
            Self::Next { sealed } | Self::Signing { sealed, .. } => Some(sealed),
            Self::Verifying { .. } => None,
        }
    }

    /// The same with its private part sealed anew; none if that is not kept.
    #[must_use]
    pub fn resealed(&self, sealed: Sealed) -> Option<Self> {
        match self {
            Self::Next { .. } => Some(Self::Next { sealed }),
            Self::Signing { since, .. } => Some(Self::Signing { sealed, since: *since }),
            Self::Verifying { .. } => None,
        }
    }

    /// Since when and until when it signed, as far as it did.
    #[must_use]
    pub fn signed(&self) -> (Option<UnixSeconds>, Option<UnixSeconds>) {
        match self {
            Self::Next { .. } => (None, None),
            Self::Signing { since, .. } => (Some(*since), None),
            Self::Verifying { since, until } => (Some(*since), Some(*until)),
        }
    }
}

/// Until when a key is needed whose last token ends at `tokens_end` (rule P10).
fn needed_until(tokens_end: UnixSeconds) -> UnixSeconds {
    UnixSeconds(revocation_end(tokens_end.get()))
}

/// A key of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Its id.
    pub kid: Kid,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Its public part, as it is published.
    pub public: Jwk,
    /// When it was made.
    pub created_at: UnixSeconds,
    /// Where it stands.
    pub state: State,
    /// The `exp` of whichever of its tokens ends last; none if it never signed one.
    pub tokens_end: Option<UnixSeconds>,
}

impl SigningKey {
    /// What is left of a key of which nothing is known but what was published: it verifies, until `tokens_end`. None
    /// if it is no key of ours.
    #[must_use]
    pub fn of_published(public: &Jwk, now: UnixSeconds, tokens_end: UnixSeconds) -> Option<Self> {
        let kid = Kid::parse(public.kid.as_deref()?).ok()?;
        let algorithm = public.alg.as_deref()?.parse().ok()?;
        let state = State::Verifying { since: now, until: now };
        Some(Self { kid, algorithm, public: public.clone(), created_at: now, state, tokens_end: Some(tokens_end) })
    }

    /// What its private part is sealed for: it opens for no other key and no other algorithm.
    #[must_use]
    pub fn sealed_for(kid: &Kid, algorithm: Algorithm) -> String {
        format!("signing key|{algorithm}|{kid}")
    }

    /// When no token of it can be accepted any more, by whatever clock and leeway (rule P10).
    #[must_use]
    pub fn needed_until(&self) -> Option<UnixSeconds> {
        self.tokens_end.map(needed_until)
    }

    /// Whether a token of it may be valid at `now`.
    #[must_use]
    pub fn has_live_tokens(&self, now: UnixSeconds) -> bool {
        self.needed_until().is_some_and(|end| now < end)
    }
}
