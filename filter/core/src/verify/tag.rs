//! Shared secrets (RFC 2104, RFC 7518 §3.2).

use std::hash::{Hash, Hasher};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};

use super::algorithm::Algorithm;
use crate::secret::Secret;

/// A secret for one algorithm. It is worked into the hash once, which spares each token two blocks of it.
#[derive(Debug)]
pub(super) struct HmacKey {
    secret: Secret,
    keyed: Option<Keyed>,
}

/// A hash that has read the secret; wiped on drop, as the secret is.
#[derive(Debug)]
enum Keyed {
    Sha256(Box<Hmac<Sha256>>),
    Sha384(Box<Hmac<Sha384>>),
    Sha512(Box<Hmac<Sha512>>),
}

impl HmacKey {
    /// A key that no token of an algorithm other than HMAC's fits.
    pub(super) fn new(secret: Secret, algorithm: Algorithm) -> Self {
        fn keyed<M: KeyInit>(secret: &Secret) -> Option<Box<M>> {
            // HMAC takes keys of any length, so this cannot fail; if it did, nothing would fit.
            M::new_from_slice(secret.expose()).ok().map(Box::new)
        }
        let keyed = match algorithm {
            Algorithm::Hs256 => keyed(&secret).map(Keyed::Sha256),
            Algorithm::Hs384 => keyed(&secret).map(Keyed::Sha384),
            Algorithm::Hs512 => keyed(&secret).map(Keyed::Sha512),
            _ => None,
        };
        Self { secret, keyed }
    }

    /// Whether `tag` is that of `text`. Compares all of it, in constant time.
    pub(super) fn fits(&self, text: &[u8], tag: &[u8]) -> bool {
        fn fits<M: Mac + Clone>(keyed: &M, text: &[u8], tag: &[u8]) -> bool {
            keyed.clone().chain_update(text).verify_slice(tag).is_ok()
        }
        match &self.keyed {
            Some(Keyed::Sha256(keyed)) => fits(keyed.as_ref(), text, tag),
            Some(Keyed::Sha384(keyed)) => fits(keyed.as_ref(), text, tag),
            Some(Keyed::Sha512(keyed)) => fits(keyed.as_ref(), text, tag),
            None => false,
        }
    }

    /// Feeds the secret into a keyed hasher (rule E8).
    pub(super) fn fingerprint(&self, hasher: &mut impl Hasher) {
        self.secret.expose().hash(hasher);
    }
}
