//! The ring of sealing keys: it seals under one of them, and opens under whichever sealed a value. So a key can be
//! replaced while sidecars serve: some know the new one already, and values of both kinds are there for a while.

use std::fmt;

use zeroize::Zeroizing;

use super::{NONCE_BYTES, SealError, Sealed, SealingKey, SealingKeyId};

/// Most keys that open only: a rotation needs one, and nobody should keep keys for ever.
pub const OTHERS_MAX: usize = 8;

/// The present key, and others that open only.
#[derive(Debug, Clone)]
pub struct SealingKeys {
    present: SealingKey,
    others: Vec<SealingKey>,
}

impl SealingKeys {
    /// Seals under `present`, and opens under it and `others`.
    #[must_use]
    pub fn new(present: SealingKey, others: Vec<SealingKey>) -> Self {
        Self { present, others }
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn present(&self) -> SealingKeyId {
        self.present.id()
    }

    /// The ids of those that open only.
    pub fn others(&self) -> impl Iterator<Item = SealingKeyId> {
        self.others.iter().map(SealingKey::id)
    }

    /// Seals `secret`, which belongs to `record`, under the present key.
    ///
    /// # Errors
    /// [`SealError::TooLong`].
    pub fn seal(&self, record: &str, nonce: [u8; NONCE_BYTES], secret: &[u8]) -> Result<Sealed, SealError> {
        self.present.seal(record, nonce, secret)
    }

    /// Opens what was sealed for `record` under any of the keys.
    ///
    /// # Errors
    /// [`SealError::OtherKey`] if it was none of them; [`SealError::Forged`].
    pub fn open(&self, record: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let id = sealed.key_id().ok_or(SealError::Forged)?;
        // The present key names itself, if it is none of them.
        let key = self.others.iter().find(|key| key.id() == id).unwrap_or(&self.present);
        key.open(record, sealed)
    }

    /// Whether a value is sealed under the present key, by the id that it bears.
    #[must_use]
    pub fn is_under_present(&self, sealed: &Sealed) -> bool {
        sealed.key_id() == Some(self.present())
    }
}

impl From<SealingKey> for SealingKeys {
    fn from(present: SealingKey) -> Self {
        Self::new(present, Vec::new())
    }
}

/// The ids, for people: the present key's first.
impl fmt::Display for SealingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.present())?;
        self.others().try_for_each(|id| write!(f, ", {id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::seal::KEY_BYTES;

    const NONCE: [u8; NONCE_BYTES] = [7; NONCE_BYTES];

    fn key(byte: u8) -> SealingKey {
        SealingKey::new(&[byte; KEY_BYTES]).unwrap()
    }

    fn ring(present: u8, others: &[u8]) -> SealingKeys {
        SealingKeys::new(key(present), others.iter().copied().map(key).collect())
    }

    #[test]
    fn it_seals_under_the_present_key_and_opens_under_each() {
        let before = ring(1, &[]).seal("record", NONCE, b"old").unwrap();
        let after = ring(2, &[1]).seal("record", NONCE, b"new").unwrap();
        for (ring, sealed, expected) in [
            (ring(1, &[]), &before, Ok(&b"old"[..])),
            (ring(1, &[2]), &before, Ok(b"old")),
            (ring(2, &[1]), &before, Ok(b"old")),
            (ring(3, &[2, 1]), &after, Ok(b"new")),
            (ring(1, &[2]), &after, Ok(b"new")),
            (ring(2, &[]), &before, Err(SealError::OtherKey { theirs: key(1).id(), ours: key(2).id() })),
            (ring(3, &[1]), &after, Err(SealError::OtherKey { theirs: key(2).id(), ours: key(3).id() })),
        ] {
            let opened = ring.open("record", sealed);
            assert_eq!(opened.as_ref().map(|bytes| bytes.as_slice()).map_err(|error| *error), expected, "{ring}");
            assert!(ring.open("another", sealed).is_err(), "{ring}");
        }
        assert!(ring(2, &[1]).is_under_present(&after) && !ring(2, &[1]).is_under_present(&before));
    }

    #[test]
    fn what_bears_no_key_id_is_opened_by_none() {
        for text in ["", "AAAA", "not base64url!"] {
            let sealed = Sealed::of_text(text.to_owned());
            assert_eq!(ring(1, &[2]).open("record", &sealed).unwrap_err(), SealError::Forged, "{text:?}");
            assert!(!ring(1, &[2]).is_under_present(&sealed));
        }
    }
}
