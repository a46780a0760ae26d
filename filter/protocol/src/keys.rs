//! Keys that both sides derive from the mesh secret (HKDF-SHA256, RFC 5869), one for each purpose,
//! so that no two uses share a key.

use hkdf::Hkdf;
use sha2::Sha256;

use crate::digest::DigestKey;

/// Fewest bytes of a mesh secret: below this it could be guessed.
pub const MESH_SECRET_MIN_BYTES: usize = 32;

/// The key of the denylist's digests.
#[must_use]
pub fn digest_key(mesh_secret: &[u8]) -> DigestKey {
    DigestKey(derive(mesh_secret, b"sekisho denylist digest v1"))
}

/// The HS256 key of identity assertions for the sidecar's own app API. No upstream ever holds it.
#[must_use]
pub fn app_identity_key(mesh_secret: &[u8]) -> [u8; 32] {
    derive(mesh_secret, b"sekisho app identity v1")
}

fn derive<const N: usize>(mesh_secret: &[u8], info: &[u8]) -> [u8; N] {
    let mut key = [0; N];
    // HKDF fails only above 255 × 32 bytes of output; N is 16 or 32.
    let done = Hkdf::<Sha256>::new(None, mesh_secret).expand(info, &mut key);
    debug_assert!(done.is_ok());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_for_different_purposes_and_secrets_differ() {
        let secret = b"a mesh secret of at least thirty-two bytes";
        let app = app_identity_key(secret);
        assert_ne!(app[..16], digest_key(secret).0);
        assert_ne!(app, app_identity_key(b"another mesh secret of thirty-two bytes!"));
        assert_eq!(app, app_identity_key(secret));
    }
}
