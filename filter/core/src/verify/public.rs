//! Public keys: the same key for the host, as DER, and for this module.

use ed25519_dalek::VerifyingKey as Ed25519Key;
use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::signature::hazmat::PrehashVerifier as _;
use rsa::{BigUint, RsaPublicKey, pss};
use sha2::{Digest as _, Sha256, Sha384, Sha512};

use super::algorithm::{Algorithm, Family};
use super::der;

/// Fewest bits of an RSA modulus (RFC 7518 §3.3).
pub(super) const RSA_MIN_BITS: u32 = 2_048;
/// Most bits of an RSA modulus.
pub(super) const RSA_MAX_BITS: u32 = 8_192;
/// Most bits of an RSA modulus that this module verifies with; above, only the host does.
pub(super) const RSA_WASM_MAX_BITS: u32 = 4_096;
/// Most bytes of an RSA exponent: nearly every key has 65537, and a longer one makes each verification slower.
const EXPONENT_MAX_BYTES: usize = 3;

/// A public key that was found to be one: a point on its curve, a modulus of a sound size.
#[derive(Debug)]
pub(super) struct PublicKey {
    /// SubjectPublicKeyInfo, for the host. Empty where no host verifies with such a key.
    spki: Box<[u8]>,
    native: Native,
}

#[derive(Debug)]
enum Native {
    /// Without a key if it is too long for this module.
    Rsa(u32, Option<Box<RsaPublicKey>>),
    P256(Box<p256::ecdsa::VerifyingKey>),
    P384(Box<p384::ecdsa::VerifyingKey>),
    P521(Box<p521::ecdsa::VerifyingKey>),
    Ed25519(Box<Ed25519Key>),
}

/// Why numbers are no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// A modulus that is too short, too long, or even.
    #[error("the modulus is not an odd number of {RSA_MIN_BITS} to {RSA_MAX_BITS} bits")]
    Modulus,
    /// An exponent that no sound key has.
    #[error("the exponent is not an odd number from 3 to 16777215")]
    Exponent,
    /// A point that is not on the curve, or coordinates of another length than the curve's.
    #[error("`x` and `y` are no point of the curve")]
    Point,
    /// Not the canonical form of a point of edwards25519, or one of small order, under which anybody could sign.
    #[error("`x` is no Ed25519 public key")]
    Ed25519,
}

impl PublicKey {
    /// An RSA key from its big-endian numbers (RFC 7518 §6.3.1).
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, InvalidKey> {
        let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
        let bits = bits(modulus);
        let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
        if !(RSA_MIN_BITS..=RSA_MAX_BITS).contains(&bits) || !is_odd(modulus) {
            return Err(InvalidKey::Modulus);
        }
        if exponent.len() > EXPONENT_MAX_BYTES || !is_odd(exponent) || exponent == [1] {
            return Err(InvalidKey::Exponent);
        }
        let number = BigUint::from_bytes_be;
        let native = if bits <= RSA_WASM_MAX_BITS {
            Some(RsaPublicKey::new(number(modulus), number(exponent)).map_err(|_| InvalidKey::Modulus)?)
        } else {
            None
        };
        let spki = der::rsa_key(modulus, exponent).into();
        Ok(Self { spki, native: Native::Rsa(bits, native.map(Box::new)) })
    }

    /// A key on P-256, P-384 or P-521 from its coordinates, each of the full length (RFC 7518 §6.2.1).
    pub(super) fn ec(family: Family, x: &[u8], y: &[u8]) -> Result<Self, InvalidKey> {
        let (size, oid) = match family {
            Family::P256 => (32, der::P256),
            Family::P384 => (48, der::P384),
            _ => (66, der::P521),
        };
        if x.len() != size || y.len() != size {
            return Err(InvalidKey::Point);
        }
        let point = [&[4], x, y].concat();
        // Each of these refuses what is not on the curve.
        let native = match family {
            Family::P256 => p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).map(|key| Native::P256(Box::new(key))),
            Family::P384 => p384::ecdsa::VerifyingKey::from_sec1_bytes(&point).map(|key| Native::P384(Box::new(key))),
            _ => p521::ecdsa::VerifyingKey::from_sec1_bytes(&point).map(|key| Native::P521(Box::new(key))),
        };
        let native = native.map_err(|_| InvalidKey::Point)?;
        Ok(Self { spki: der::ec_key(oid, &point).into(), native })
    }

    /// An Ed25519 key (RFC 8032 §5.1.5).
    pub(super) fn ed25519(x: &[u8]) -> Result<Self, InvalidKey> {
        let bytes: &[u8; 32] = x.try_into().map_err(|_| InvalidKey::Ed25519)?;
        let key = Ed25519Key::from_bytes(bytes).map_err(|_| InvalidKey::Ed25519)?;
        if key.is_weak() || key.to_edwards().compress().as_bytes() != bytes {
            return Err(InvalidKey::Ed25519);
        }
        Ok(Self { spki: Box::default(), native: Native::Ed25519(Box::new(key)) })
    }

    pub(super) fn family(&self) -> Family {
        match &self.native {
            Native::Rsa(..) => Family::Rsa,
            Native::P256(_) => Family::P256,
            Native::P384(_) => Family::P384,
            Native::P521(_) => Family::P521,
            Native::Ed25519(_) => Family::Ed25519,
        }
    }

    /// What makes it this key and no other.
    pub(super) fn identity(&self) -> &[u8] {
        match &self.native {
            Native::Ed25519(key) => key.as_bytes(),
            _ => &self.spki,
        }
    }

    /// The key for the host.
    pub(super) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Nominal microseconds of a verification in this module, as V8 runs it on a machine of middling speed; none
    /// if it cannot verify so with this key.
    pub(super) fn cost_us(&self, algorithm: Algorithm) -> Option<u32> {
        match &self.native {
            Native::Rsa(_, None) => None,
            // The padding would begin within a byte that the library does not look at.
            Native::Rsa(bits, _) if is_pss(algorithm) && bits % 8 != 0 => None,
            // Twice the bits take four times as long.
            Native::Rsa(bits, Some(_)) => Some(1_200 * (bits / 8) * (bits / 8) / (256 * 256)),
            Native::P256(_) => Some(1_800),
            Native::P384(_) => Some(5_500),
            Native::P521(_) => Some(7_000),
            Native::Ed25519(_) => Some(300),
        }
    }

    /// Nominal microseconds of a verification by the host; 0 if it is quick enough not to be counted. BoringSSL has
    /// fast code for P-256 and none for the longer curves.
    pub(super) fn host_cost_us(&self) -> u32 {
        match &self.native {
            Native::Rsa(bits, _) if *bits > 4_096 => 500 * (bits / 8) * (bits / 8) / (1_024 * 1_024),
            Native::P384(_) => 900,
            Native::P521(_) => 1_900,
            Native::Rsa(..) | Native::P256(_) | Native::Ed25519(_) => 0,
        }
    }

    /// The signature as the host reads it; none if it is no signature of this kind of key at all.
    pub(super) fn host_signature(&self, signature: &[u8]) -> Option<Vec<u8>> {
        match &self.native {
            Native::Rsa(bits, _) => (signature.len() == modulus_bytes(*bits)).then(|| signature.to_vec()),
            // Both numbers are from 1 to the order of the curve less 1, and each has its full length.
            Native::P256(_) => {
                p256::ecdsa::Signature::from_slice(signature).is_ok().then(|| der::ecdsa_signature(signature))
            }
            Native::P384(_) => {
                p384::ecdsa::Signature::from_slice(signature).is_ok().then(|| der::ecdsa_signature(signature))
            }
            Native::P521(_) => {
                p521::ecdsa::Signature::from_slice(signature).is_ok().then(|| der::ecdsa_signature(signature))
            }
            Native::Ed25519(_) => None,
        }
    }

    /// Whether `signature` is this key's over `text`, computed here.
    pub(super) fn fits(&self, algorithm: Algorithm, text: &[u8], signature: &[u8]) -> bool {
        match &self.native {
            Native::Rsa(_, key) => key.as_ref().is_some_and(|key| rsa_fits(algorithm, key, text, signature)),
            Native::P256(key) => p256::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(&Sha256::digest(text), &signature).is_ok()),
            Native::P384(key) => p384::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(&Sha384::digest(text), &signature).is_ok()),
            Native::P521(key) => p521::ecdsa::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_prehash(&Sha512::digest(text), &signature).is_ok()),
            Native::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(text, &signature).is_ok()),
        }
    }
}

/// Whether it is RSASSA-PSS.
pub(super) fn is_pss(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512)
}

/// RFC 7518 §3.3 and §3.5: the salt of PSS is as long as the hash, which MGF1 uses, too.
fn rsa_fits(algorithm: Algorithm, key: &RsaPublicKey, text: &[u8], signature: &[u8]) -> bool {
    use rsa::sha2::{Sha256 as Rsa256, Sha384 as Rsa384, Sha512 as Rsa512};
    match algorithm {
        Algorithm::Rs256 => key.verify(Pkcs1v15Sign::new::<Rsa256>(), &Sha256::digest(text), signature).is_ok(),
        Algorithm::Rs384 => key.verify(Pkcs1v15Sign::new::<Rsa384>(), &Sha384::digest(text), signature).is_ok(),
        Algorithm::Rs512 => key.verify(Pkcs1v15Sign::new::<Rsa512>(), &Sha512::digest(text), signature).is_ok(),
        Algorithm::Ps256 => pss_fits::<Rsa256>(key, &Sha256::digest(text), signature),
        Algorithm::Ps384 => pss_fits::<Rsa384>(key, &Sha384::digest(text), signature),
        Algorithm::Ps512 => pss_fits::<Rsa512>(key, &Sha512::digest(text), signature),
        _ => false,
    }
}

fn pss_fits<D>(key: &RsaPublicKey, digest: &[u8], signature: &[u8]) -> bool
where
    D: rsa::sha2::Digest + rsa::sha2::digest::FixedOutputReset,
{
    pss::Signature::try_from(signature)
        .is_ok_and(|signature| pss::VerifyingKey::<D>::new(key.clone()).verify_prehash(digest, &signature).is_ok())
}

fn without_zeros(number: &[u8]) -> &[u8] {
    number.iter().position(|byte| *byte != 0).and_then(|first| number.get(first..)).unwrap_or_default()
}

/// Bits of a number without leading zeros.
fn bits(number: &[u8]) -> u32 {
    let first = number.first().map_or(0, |byte| byte.leading_zeros());
    u32::try_from(number.len()).unwrap_or(u32::MAX).saturating_mul(8).saturating_sub(first)
}

fn modulus_bytes(bits: u32) -> usize {
    usize::try_from(bits.div_ceil(8)).unwrap_or_default()
}
