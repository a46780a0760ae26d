//! Public keys as JSON (RFC 7517, RFC 7518 §6, RFC 8037 §2) → [`VerifyingKey`].

use std::rc::Rc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sekisho_protocol::keyset::{Jwk, KID_MAX_BYTES};

use super::algorithm::{Algorithm, Family};
use super::key::{Origin, VerifyingKey};
use super::public::{InvalidKey, PublicKey, RSA_WASM_MAX_BITS, is_pss};

/// Most bytes of a number in base64url: an RSA modulus of 8192 bits, and a needless zero.
const NUMBER_MAX_CHARS: usize = 1_368;

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJwk {
    /// A `kty` that no algorithm here needs, or a secret one.
    #[error("`kty` is not one of `RSA`, `EC`, `OKP`")]
    Kind,
    /// A curve that no algorithm here needs.
    #[error("`crv` is not one of `P-256`, `P-384`, `P-521` (of `EC`), `Ed25519` (of `OKP`)")]
    Curve,
    /// An algorithm that is none of signatures, or none of this kind of key.
    #[error("`alg` is no signature algorithm of such a key")]
    Algorithm,
    /// PSS with a modulus that only the host computes with, which does not know PSS; or of part of a byte.
    #[error("`alg` wants a modulus of at most {RSA_WASM_MAX_BITS} bits, and of whole bytes")]
    Pss,
    /// A key for encryption, or for signing only.
    #[error("`use` or `key_ops` say that it verifies nothing")]
    Usage,
    /// A `kid` that no token can name.
    #[error("`kid` has more than {KID_MAX_BYTES} bytes")]
    Id,
    /// A member that this kind of key needs is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A number that cannot be read.
    #[error("`{0}` is not base64url without padding, or too long")]
    Encoding(&'static str),
    /// Its numbers are no public key.
    #[error(transparent)]
    Key(#[from] InvalidKey),
}

impl VerifyingKey {
    /// The key that `jwk` describes; `origin` is the source that it was fetched from.
    ///
    /// # Errors
    /// [`InvalidJwk`] says why it cannot verify anything.
    pub fn from_jwk(jwk: &Jwk, origin: Option<&Rc<Origin>>) -> Result<Self, InvalidJwk> {
        if jwk.kid.as_ref().is_some_and(|kid| kid.len() > KID_MAX_BYTES) {
            return Err(InvalidJwk::Id);
        }
        // RFC 7517 §4.2, §4.3: a key for encryption must not verify signatures.
        let verifies = jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
        if jwk.usage.as_ref().is_some_and(|usage| usage != "sig") || !verifies {
            return Err(InvalidJwk::Usage);
        }
        let key = public_key(jwk)?;
        let own = |name| Algorithm::from_name(name).filter(|own| own.family() == key.family());
        let algorithm = jwk.alg.as_deref().map(|name| own(name).ok_or(InvalidJwk::Algorithm)).transpose()?;
        if algorithm.is_some_and(|own| is_pss(own) && key.cost_us(own).is_none()) {
            return Err(InvalidJwk::Pss);
        }
        Ok(Self::public(jwk.kid.as_deref(), algorithm, key, origin))
    }
}

fn public_key(jwk: &Jwk) -> Result<PublicKey, InvalidJwk> {
    let family = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => Family::Rsa,
        ("EC", Some("P-256")) => Family::P256,
        ("EC", Some("P-384")) => Family::P384,
        ("EC", Some("P-521")) => Family::P521,
        ("OKP", Some("Ed25519")) => Family::Ed25519,
        ("EC" | "OKP", None) => return Err(InvalidJwk::Missing("crv")),
        ("EC" | "OKP", Some(_)) => return Err(InvalidJwk::Curve),
        _ => return Err(InvalidJwk::Kind),
    };
    let key = match family {
        Family::Rsa => PublicKey::rsa(&number("n", jwk.n.as_deref())?, &number("e", jwk.e.as_deref())?),
        Family::Ed25519 => PublicKey::ed25519(&number("x", jwk.x.as_deref())?),
        curve => PublicKey::ec(curve, &number("x", jwk.x.as_deref())?, &number("y", jwk.y.as_deref())?),
    };
    Ok(key?)
}

fn number(name: &'static str, text: Option<&str>) -> Result<Vec<u8>, InvalidJwk> {
    let text = text.ok_or(InvalidJwk::Missing(name))?;
    if text.len() > NUMBER_MAX_CHARS {
        return Err(InvalidJwk::Encoding(name));
    }
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidJwk::Encoding(name))
}
