//! A key that verifies signatures, and where it is from.

use std::cell::Cell;
use std::hash::{Hash as _, Hasher};
use std::rc::Rc;

use sekisho_protocol::Digest;
use sekisho_protocol::activity::Verifier;
use sekisho_protocol::keyset::KeysHeld;

use super::algorithm::{Algorithm, Family};
use super::crypto::Crypto;
use super::public::PublicKey;
use super::tag::HmacKey;
use crate::feed::Announced;
use crate::secret::Secret;
use crate::time::Now;

/// A key, shared by the set that holds it and the cached tokens that it verified.
#[derive(Debug)]
pub struct VerifyingKey {
    id: Option<Box<str>>,
    algorithm: Option<Algorithm>,
    material: Material,
    origin: Option<Rc<Origin>>,
    withdrawn: Cell<bool>,
}

/// The source whose keys sidecars fetched.
#[derive(Debug)]
pub struct Origin {
    /// Its name.
    pub source: Rc<str>,
    /// Under which the feed announces its revisions.
    pub digest: Digest,
    /// The revision of the set that is held.
    pub revision: Cell<u64>,
}

#[derive(Debug)]
enum Material {
    Hmac(HmacKey),
    Public(PublicKey),
    /// None: a sidecar's word, over a connection that is the mesh's.
    Word,
}

/// How the look at one signature ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is this key's, over this text.
    Fits,
    /// It is not.
    Differs,
    /// The budget for slow cryptography is used up.
    Busy,
    /// Neither the host nor this module verifies with such a key.
    Unable,
}

impl VerifyingKey {
    /// A shared secret, for one algorithm.
    #[must_use]
    pub fn hmac(secret: Secret, algorithm: Algorithm) -> Self {
        let material = Material::Hmac(HmacKey::new(secret, algorithm));
        Self { id: None, algorithm: Some(algorithm), material, origin: None, withdrawn: Cell::new(false) }
    }

    /// What verifies nothing, and stands for a sidecar's word.
    #[must_use]
    pub fn word() -> Self {
        Self { id: None, algorithm: None, material: Material::Word, origin: None, withdrawn: Cell::new(false) }
    }

    /// A public key.
    pub(super) fn public(
        id: Option<&str>,
        algorithm: Option<Algorithm>,
        key: PublicKey,
        origin: Option<&Rc<Origin>>,
    ) -> Self {
        let material = Material::Public(key);
        Self { id: id.map(Into::into), algorithm, material, origin: origin.cloned(), withdrawn: Cell::new(false) }
    }

    /// Its `kid`.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether what it verified may still be believed: it was not withdrawn, and no newer set was announced than
    /// the one that it is from. To be asked on each hit of the token cache (rule E8).
    #[must_use]
    pub fn is_believed(&self, announced: &Announced) -> bool {
        let current = |origin: &Rc<Origin>| announced.revision(origin.digest) <= origin.revision.get();
        !self.withdrawn.get() && self.origin.as_ref().is_none_or(current)
    }

    /// Which set it is from, for checks. None if it stands in the configuration.
    #[must_use]
    pub fn held(&self) -> Option<KeysHeld> {
        let held =
            |origin: &Rc<Origin>| KeysHeld { source: origin.source.to_string(), revision: origin.revision.get() };
        self.origin.as_ref().map(held)
    }

    /// Whether it is in no set any more.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        self.withdrawn.get()
    }

    /// From now on nothing that it verified is believed.
    pub(crate) fn withdraw(&self) {
        self.withdrawn.set(true);
    }

    /// Whether it is a key for `algorithm`. A key that names its algorithm is for no other (RFC 8725 §3.1);
    /// one that does not has the usual one of its kind, or, of RSA, those that the provider lists.
    #[must_use]
    pub fn is_for(&self, algorithm: Algorithm, listed: Option<&[Algorithm]>) -> bool {
        match (self.algorithm, self.family()) {
            (Some(own), _) => own == algorithm,
            (None, Family::Rsa) => {
                algorithm.family() == Family::Rsa
                    && listed.map_or(algorithm == Algorithm::Rs256, |listed| listed.contains(&algorithm))
            }
            (None, family) => family != Family::Hmac && family == algorithm.family(),
        }
    }

    /// Feeds what makes it this key into `hasher` (rule E8).
    pub(crate) fn fingerprint(&self, hasher: &mut impl Hasher) {
        (&self.id, self.algorithm).hash(hasher);
        match &self.material {
            Material::Hmac(key) => key.fingerprint(hasher),
            Material::Public(key) => key.identity().hash(hasher),
            Material::Word => {}
        }
    }

    fn family(&self) -> Family {
        match &self.material {
            Material::Hmac(_) | Material::Word => Family::Hmac,
            Material::Public(key) => key.family(),
        }
    }

    /// Whether `signature` is this key's over `text`.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        text: &[u8],
        signature: &[u8],
        crypto: &mut Crypto<'_>,
        now: Now,
    ) -> Outcome {
        match &self.material {
            // Kinds of keys never mix, whoever asks.
            _ if !self.is_for(algorithm, Some(&[algorithm])) => Outcome::Differs,
            Material::Hmac(key) => {
                crypto.count.count(algorithm, Verifier::Wasm);
                Outcome::of(key.fits(text, signature))
            }
            Material::Word => Outcome::Differs,
            Material::Public(key) => public_fits(algorithm, key, text, signature, crypto, now),
        }
    }
}

impl PartialEq for VerifyingKey {
    /// Whether it is the same key, with the same name and purpose, wherever it is from.
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.algorithm == other.algorithm && self.material == other.material
    }
}

impl PartialEq for Material {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Public(key), Self::Public(other)) => {
                key.family() == other.family() && key.identity() == other.identity()
            }
            // A secret is in no set whose keys are compared, and comparing it would take time that depends on it.
            _ => false,
        }
    }
}

impl Outcome {
    fn of(fits: bool) -> Self {
        if fits { Self::Fits } else { Self::Differs }
    }
}

fn public_fits(
    algorithm: Algorithm,
    key: &PublicKey,
    text: &[u8],
    signature: &[u8],
    crypto: &mut Crypto<'_>,
    now: Now,
) -> Outcome {
    if crypto.ability.has(algorithm) {
        let Some(signature) = key.host_signature(signature) else { return Outcome::Differs };
        if !crypto.budget.spend(key.host_cost_us(), crypto.budget_ms, now) {
            return Outcome::Busy;
        }
        if let Some(fits) = crypto.host.verify(algorithm.hash(), key.spki(), &signature, text) {
            crypto.count.count(algorithm, Verifier::Host);
            return Outcome::of(fits);
        }
        // It could before; so that nobody is locked out, it is done here, within the budget.
    }
    let Some(cost_us) = key.cost_us(algorithm) else { return Outcome::Unable };
    if !crypto.budget.spend(cost_us, crypto.budget_ms, now) {
        return Outcome::Busy;
    }
    crypto.count.count(algorithm, Verifier::Wasm);
    Outcome::of(key.fits(algorithm, text, signature))
}
