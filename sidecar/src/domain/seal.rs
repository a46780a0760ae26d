//! Sealing: what the store keeps but must not know, encrypted and authenticated with AES-256-GCM (NIST SP
//! 800-38D) under a key that the store never sees.
//!
//! A sealed value is the sealing key's id ‖ the nonce ‖ ciphertext and tag. What it belongs to is
//! authenticated with it, so that it opens in no other record. Nonces are the caller's: 12 random bytes each,
//! never the same twice under one key.

use std::fmt;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

pub mod keys;

pub use keys::SealingKeys;

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;
/// Bytes of a sealing key.
pub const KEY_BYTES: usize = 32;

/// Bytes of a sealing key's id: enough to tell the few keys of an installation apart.
const KEY_ID_BYTES: usize = 8;
/// What is hashed before a key to get its id, so that the hash serves no other purpose.
const KEY_ID_LABEL: &[u8] = b"sekisho sealing key id v1";

/// Which sealing key sealed a value. It tells nothing of the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SealingKeyId([u8; KEY_ID_BYTES]);

impl fmt::Display for SealingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for SealingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A sealed value: in the store, base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// What a store keeps under this text, sealed or not: only opening it tells.
    #[must_use]
    pub fn of_text(text: String) -> Self {
        Self(text)
    }

    /// As a store keeps it.
    #[must_use]
    pub fn as_text(&self) -> &str {
        &self.0
    }

    /// The key that it says it is sealed under; none if it is no sealed value.
    #[must_use]
    pub fn key_id(&self) -> Option<SealingKeyId> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).ok()?;
        bytes.first_chunk().copied().map(SealingKeyId)
    }
}

/// Why a value could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Another key sealed it.
    #[error("it is sealed under another encryption key ({theirs}) than this one ({ours})")]
    OtherKey {
        /// The key that sealed it.
        theirs: SealingKeyId,
        /// The key that was to open it.
        ours: SealingKeyId,
    },
    /// It is damaged, forged, or belongs to something else.
    #[error("it is not what was sealed here")]
    Forged,
    /// It is longer than the cipher takes.
    #[error("it is too long to be sealed")]
    TooLong,
}

/// Seals and opens.
#[derive(Clone)]
pub struct SealingKey {
    cipher: Aes256Gcm,
    id: SealingKeyId,
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SealingKey {
    /// The key with these bytes; none unless there are [`KEY_BYTES`] of them.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let cipher = Aes256Gcm::new_from_slice(bytes).ok()?;
        let digest: [u8; 32] = Sha256::new().chain_update(KEY_ID_LABEL).chain_update(bytes).finalize().into();
        let id = digest.first_chunk().copied()?;
        Some(Self { cipher, id: SealingKeyId(id) })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> SealingKeyId {
        self.id
    }

    /// Seals `secret`, which belongs to `record`.
    ///
    /// # Errors
    /// [`SealError::TooLong`].
    pub fn seal(&self, record: &str, nonce: [u8; NONCE_BYTES], secret: &[u8]) -> Result<Sealed, SealError> {
        let payload = Payload { msg: secret, aad: record.as_bytes() };
        let ciphertext = self.cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| SealError::TooLong)?;
        Ok(Sealed(URL_SAFE_NO_PAD.encode([&self.id.0[..], &nonce, &ciphertext].concat())))
    }

    /// Opens what was sealed for `record`.
    ///
    /// # Errors
    /// [`SealError::OtherKey`], [`SealError::Forged`].
    pub fn open(&self, record: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let bytes = URL_SAFE_NO_PAD.decode(&sealed.0).map_err(|_| SealError::Forged)?;
        let (id, rest) = bytes.split_first_chunk().ok_or(SealError::Forged)?;
        if *id != self.id.0 {
            return Err(SealError::OtherKey { theirs: SealingKeyId(*id), ours: self.id });
        }
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Forged)?;
        let payload = Payload { msg: ciphertext, aad: record.as_bytes() };
        let opened = self.cipher.decrypt(&Nonce::from(*nonce), payload).map_err(|_| SealError::Forged)?;
        Ok(Zeroizing::new(opened))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> SealingKey {
        SealingKey::new(&[byte; KEY_BYTES]).unwrap()
    }

    fn sealed() -> Sealed {
        key(1).seal("record a", [7; NONCE_BYTES], b"correct horse").unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_by_the_same_key_for_the_same_record() {
        assert_eq!(key(1).open("record a", &sealed()).unwrap().as_slice(), b"correct horse");
    }

    #[test]
    fn another_key_is_named_and_opens_nothing() {
        let refused = key(2).open("record a", &sealed()).unwrap_err();
        assert_eq!(refused, SealError::OtherKey { theirs: key(1).id(), ours: key(2).id() });
        let text = refused.to_string();
        assert!(text.contains(&key(1).id().to_string()) && text.contains(&key(2).id().to_string()), "{text}");
    }

    #[test]
    fn a_value_of_another_record_is_not_opened() {
        for record in ["record b", "", "record a "] {
            assert_eq!(key(1).open(record, &sealed()).unwrap_err(), SealError::Forged, "{record:?}");
        }
    }

    #[test]
    fn a_value_with_any_byte_changed_or_missing_is_not_opened() {
        let bytes = URL_SAFE_NO_PAD.decode(&sealed().0).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(key(1).open("record a", &Sealed(URL_SAFE_NO_PAD.encode(&changed))).is_err(), "byte {at}");
            let cut = Sealed(URL_SAFE_NO_PAD.encode(&bytes[..at]));
            assert_eq!(key(1).open("record a", &cut).unwrap_err(), SealError::Forged, "the first {at} bytes");
        }
        assert_eq!(key(1).open("record a", &Sealed("not base64url!".into())).unwrap_err(), SealError::Forged);
    }

    #[test]
    fn a_key_id_tells_keys_apart_and_nothing_of_the_key() {
        assert_ne!(key(1).id(), key(2).id());
        assert!(!format!("{:?}", key(0x41)).contains("4141"));
        for length in [0, 16, 31, 33] {
            assert!(SealingKey::new(&vec![1; length]).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn it_is_aes_256_gcm_in_the_order_that_is_documented() {
        // Test case 13 of "The Galois/Counter Mode of Operation": no plaintext, a zero key and nonce.
        let sealed = key(0).seal("", [0; NONCE_BYTES], b"").unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&sealed.0).unwrap();
        let hex: String = bytes[KEY_ID_BYTES..].iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "000000000000000000000000530f8afbc74536b9a963b4f1c4cb738b");
    }
}
