//! Public keys as JSON (RFC 7517, RFC 7518 §6, RFC 8037 §2) → [`VerifyingKey`].

use std::rc::Rc;

use sekisho_protocol::keyset::Jwk;

use super::key::{Origin, VerifyingKey};

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwk {
    /// A `kty` that no algorithm here needs.
    #[error("`kty` is not one of `RSA`, `EC`, `OKP`")]
    Kind,
}

impl VerifyingKey {
    /// The key that `jwk` describes; `origin` is the source that it was fetched from.
    ///
    /// # Errors
    /// [`InvalidJwk`] says why it cannot verify anything.
    pub fn from_jwk(_jwk: &Jwk, _origin: Option<&Rc<Origin>>) -> Result<Self, InvalidJwk> {
        Err(InvalidJwk::Kind)
    }
}
