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

/// The key of the tags of session cookies.
#[must_use]
pub fn session_cookie_key(mesh_secret: &[u8]) -> [u8; 32] {
    derive(mesh_secret, b"sekisho session cookie v1")
}

/// The key under which sidecars seal what a browser keeps of a sign-in that has begun.
#[must_use]
pub fn sign_in_attempt_key(mesh_secret: &[u8]) -> [u8; 32] {
    derive(mesh_secret, b"sekisho sign-in attempt v1")
}

/// The key under which sidecars seal the tokens that identity providers give them.
#[must_use]
pub fn provider_grant_key(mesh_secret: &[u8]) -> [u8; 32] {
    derive(mesh_secret, b"sekisho provider grant v1")
}

/// The key under which sidecars seal the answers that they keep for calls with an `Idempotency-Key`: a new token is in
/// one of them, and the store must not know it.
#[must_use]
pub fn kept_answer_key(mesh_secret: &[u8]) -> [u8; 32] {
    derive(mesh_secret, b"sekisho kept answer v1")
}

/// The seed of the Ed25519 key (RFC 8032 §5.1.5) that signs assertions for upstreams which hold no secret.
#[must_use]
pub fn identity_ed25519_seed(mesh_secret: &[u8]) -> [u8; 32] {
    derive(mesh_secret, b"sekisho upstream identity EdDSA v1")
}

/// The private key on P-256, big-endian, that signs assertions for upstreams which hold no secret: from 1 to the
/// order of the curve less 1. None if 256 candidates in a row are out of range, which none are: one is once in 2³².
///
/// The first candidate in range is taken, as RFC 9180 §7.1.3 does it: to reduce one that is not would make some keys
/// likelier than others.
#[must_use]
pub fn identity_p256_scalar(mesh_secret: &[u8]) -> Option<[u8; 32]> {
    first_scalar((0..=u8::MAX).map(|count| {
        let info = [b"sekisho upstream identity ES256 v1 ".as_slice(), &[count]].concat();
        derive(mesh_secret, &info)
    }))
}

/// The order of P-256 (SP 800-186 §3.2.1.3).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The first that is a private key. Numbers of one length in big-endian order compare as their bytes do; what the
/// time of that tells is about candidates that are thrown away.
fn first_scalar(mut candidates: impl Iterator<Item = [u8; 32]>) -> Option<[u8; 32]> {
    candidates.find(|scalar| *scalar != [0; 32] && *scalar < P256_ORDER)
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
        let (seed, scalar) = (identity_ed25519_seed(secret), identity_p256_scalar(secret).unwrap());
        let (kept, cookie) = (kept_answer_key(secret), session_cookie_key(secret));
        let (attempt, grant) = (sign_in_attempt_key(secret), provider_grant_key(secret));
        let all = [app, kept, cookie, attempt, grant, seed, scalar];
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
        assert_ne!(seed, identity_ed25519_seed(b"another mesh secret of thirty-two bytes!"));
        assert_eq!(Some(scalar), identity_p256_scalar(secret));
    }

    #[test]
    fn a_private_key_on_p_256_is_the_first_candidate_between_zero_and_the_order() {
        let changed = |by: i16| {
            let mut number = P256_ORDER;
            number[31] = u8::try_from(i16::from(number[31]) + by).unwrap();
            number
        };
        let one = {
            let mut one = [0; 32];
            one[31] = 1;
            one
        };
        for (candidates, expected) in [
            (vec![[0; 32], one, [1; 32]], Some(one)),
            (vec![[0xff; 32], P256_ORDER, changed(1), changed(-1), one], Some(changed(-1))),
            (vec![[0; 32], [0xff; 32]], None),
        ] {
            assert_eq!(first_scalar(candidates.into_iter()), expected);
        }
    }
}
