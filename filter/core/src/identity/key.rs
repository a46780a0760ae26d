//! The keys that sign assertions: a secret that a target shares, or a key pair that filters and sidecars derive
//! from the mesh secret, so that filters sign and sidecars publish, and nobody sends a key to anybody.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as B64;
use ed25519_dalek::{Signer as _, SigningKey as Ed25519Key};
use hmac::{Hmac, KeyInit, Mac};
use p256::ecdsa::SigningKey as P256Key;
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use sekisho_protocol::identity::TYPE;
use sekisho_protocol::keys;
use sekisho_protocol::keyset::Jwk;
use sha2::{Digest as _, Sha256};

use crate::secret::Secret;
use crate::verify::algorithm::Algorithm;

/// What signs assertions, and what their headers say.
#[derive(Debug)]
pub struct AssertionKey {
    /// The first part of each assertion (RFC 7515 §3.1), with the dot after it.
    header: Box<str>,
    signer: Signer,
}

#[derive(Debug)]
enum Signer {
    /// The MAC once the key went in; none could not be, since HMAC takes keys of any length.
    Hs256(Option<Hmac<Sha256>>),
    Ed25519(Box<Ed25519Key>),
    /// Without a key only if none could be derived, which does not happen.
    P256(Option<Box<P256Key>>),
}

/// How assertions are signed for targets that hold no secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPair {
    /// Ed25519 (RFC 8037): quick.
    EdDsa,
    /// ECDSA on P-256 (RFC 7518 §3.4): for verifiers that know nothing newer.
    Es256,
}

impl KeyPair {
    /// Both.
    pub const ALL: [Self; 2] = [Self::EdDsa, Self::Es256];

    /// Its name as `alg`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.algorithm().as_str()
    }

    fn algorithm(self) -> Algorithm {
        match self {
            Self::EdDsa => Algorithm::EdDsa,
            Self::Es256 => Algorithm::Es256,
        }
    }
}

/// The public keys with which upstreams verify assertions of the mesh with this secret (RFC 7517). They verify no
/// token: no filter is ever told of them.
#[must_use]
pub fn published(mesh_secret: &[u8]) -> Vec<Jwk> {
    KeyPair::ALL.iter().filter_map(|pair| Signer::derived(*pair, mesh_secret).public()).collect()
}

impl AssertionKey {
    /// A secret that the target shares.
    #[must_use]
    pub fn hs256(secret: &Secret) -> Self {
        let signer = Signer::Hs256(Hmac::new_from_slice(secret.expose()).ok());
        Self { header: header(Algorithm::Hs256, None), signer }
    }

    /// The mesh's own key pair: one for all targets, which `aud` tells apart.
    #[must_use]
    pub fn derived(pair: KeyPair, mesh_secret: &[u8]) -> Self {
        let signer = Signer::derived(pair, mesh_secret);
        let id = signer.public().and_then(|key| key.kid);
        Self { header: header(pair.algorithm(), id.as_deref()), signer }
    }

    /// The first part of each assertion, with the dot after it.
    pub(super) fn header(&self) -> &str {
        &self.header
    }

    /// Appends the signature over `text`, as base64url. None only if there is no key, which does not happen.
    pub(super) fn sign(&self, text: &str, into: &mut String) -> Option<()> {
        match &self.signer {
            Signer::Hs256(keyed) => {
                let mac = keyed.clone()?.chain_update(text);
                B64.encode_string(mac.finalize().into_bytes(), into);
            }
            Signer::Ed25519(key) => B64.encode_string(key.sign(text.as_bytes()).to_bytes(), into),
            Signer::P256(key) => {
                let signature: p256::ecdsa::Signature = key.as_ref()?.sign_prehash(&Sha256::digest(text)).ok()?;
                B64.encode_string(signature.to_bytes(), into);
            }
        }
        Some(())
    }

    /// Nominal microseconds of a signature, as V8 runs it on a machine of middling speed; 0 if it is quick enough
    /// not to be counted (rule E9).
    #[must_use]
    pub fn cost_us(&self) -> u32 {
        match self.signer {
            Signer::Hs256(_) => 0,
            Signer::Ed25519(_) => 250,
            Signer::P256(_) => 1_000,
        }
    }
}

impl Signer {
    fn derived(pair: KeyPair, mesh_secret: &[u8]) -> Self {
        match pair {
            KeyPair::EdDsa => {
                Self::Ed25519(Box::new(Ed25519Key::from_bytes(&keys::identity_ed25519_seed(mesh_secret))))
            }
            KeyPair::Es256 => {
                let scalar = keys::identity_p256_scalar(mesh_secret);
                Self::P256(scalar.and_then(|scalar| P256Key::from_slice(&scalar).ok()).map(Box::new))
            }
        }
    }

    /// The public key, as it is published. None of a shared secret.
    fn public(&self) -> Option<Jwk> {
        let (pair, curve, x, y) = match self {
            Self::Hs256(_) => return None,
            Self::Ed25519(key) => (KeyPair::EdDsa, "Ed25519", B64.encode(key.verifying_key().as_bytes()), None),
            Self::P256(key) => {
                let point = key.as_ref()?.verifying_key().to_sec1_point(false);
                (KeyPair::Es256, "P-256", B64.encode(point.x()?), Some(B64.encode(point.y()?)))
            }
        };
        let kty = if y.is_some() { "EC" } else { "OKP" };
        Some(Jwk {
            kty: kty.into(),
            kid: Some(thumbprint(kty, curve, &x, y.as_deref())),
            alg: Some(pair.as_str().into()),
            usage: Some("sig".into()),
            crv: Some(curve.into()),
            x: Some(x),
            y,
            ..Jwk::default()
        })
    }
}

/// The key's name: the SHA-256 of its required members, in their order and without white space (RFC 7638 §3, RFC 8037
/// §2). Nothing in them must be escaped.
fn thumbprint(kty: &str, curve: &str, x: &str, y: Option<&str>) -> String {
    let y = y.map(|y| format!(r#","y":"{y}""#)).unwrap_or_default();
    B64.encode(Sha256::digest(format!(r#"{{"crv":"{curve}","kty":"{kty}","x":"{x}"{y}}}"#)))
}

fn header(algorithm: Algorithm, id: Option<&str>) -> Box<str> {
    let id = id.map(|id| format!(r#","kid":"{id}""#)).unwrap_or_default();
    let mut header = B64.encode(format!(r#"{{"alg":"{algorithm}","typ":"{TYPE}"{id}}}"#));
    header.push('.');
    header.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    const MESH: &[u8] = b"a mesh secret of at least thirty-two bytes";

    #[test]
    fn rfc_8037_a_3_the_name_of_a_key_is_its_thumbprint() {
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        assert_eq!(thumbprint("OKP", "Ed25519", x, None), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn rfc_8037_a_4_the_signature_of_the_example_is_made_again() {
        let seed = B64.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let key = Ed25519Key::from_bytes(&seed.try_into().unwrap());
        let key = AssertionKey { header: "".into(), signer: Signer::Ed25519(Box::new(key)) };
        let mut signature = String::new();
        key.sign("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", &mut signature).unwrap();
        assert_eq!(signature, "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    }

    #[test]
    fn rfc_6979_a_2_5_the_signature_of_the_example_is_made_again() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let scalar = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
        let key = P256Key::from_slice(&scalar).unwrap();
        let key = AssertionKey { header: "".into(), signer: Signer::P256(Some(Box::new(key))) };
        let mut signature = String::new();
        key.sign("sample", &mut signature).unwrap();
        let r = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716";
        let s = "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8";
        assert_eq!(signature, B64.encode([hex(r), hex(s)].concat()));
    }

    #[test]
    fn what_is_published_is_public_named_and_the_same_for_all_who_hold_the_secret() {
        let keys = published(MESH);
        assert_eq!(keys, published(MESH));
        assert_ne!(keys, published(b"another mesh secret of thirty-two bytes!"));
        let shown: Vec<serde_json::Value> = keys.iter().map(|key| serde_json::to_value(key).unwrap()).collect();
        for (key, members) in shown
            .iter()
            .zip([vec!["alg", "crv", "kid", "kty", "use", "x"], vec!["alg", "crv", "kid", "kty", "use", "x", "y"]])
        {
            assert_eq!(key.as_object().unwrap().keys().collect::<Vec<_>>(), members);
            assert_eq!(key["use"], "sig");
        }
        assert_eq!((&shown[0]["alg"], &shown[1]["alg"]), (&"EdDSA".into(), &"ES256".into()));
    }

    #[test]
    fn a_key_shows_nothing_private_when_it_is_printed() {
        for pair in KeyPair::ALL {
            let printed = format!("{:?}", AssertionKey::derived(pair, MESH));
            let scalar = keys::identity_p256_scalar(MESH).unwrap();
            for private in [keys::identity_ed25519_seed(MESH), scalar] {
                let first: Vec<String> = private[..4].iter().map(ToString::to_string).collect();
                assert!(!printed.contains(&first.join(", ")), "{printed}");
            }
        }
    }
}
