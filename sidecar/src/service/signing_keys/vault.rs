//! Makes key pairs and keeps their private parts sealed. An opened pair is used once and wiped when it goes.

use std::fmt;

use jwt_simple::algorithms::{ECDSAP256KeyPairLike, ES256KeyPair, Ed25519KeyPair, EdDSAKeyPairLike};
use jwt_simple::claims::JWTClaims;
use sekisho_protocol::keyset::Jwk;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::domain::error::Failure;
use crate::domain::seal::{SealError, SealingKeys};
use crate::domain::signing::{Algorithm, Kid, SigningKey, State};
use crate::domain::time::UnixSeconds;
use crate::service::encryption;

/// Makes and opens keys, if there is a key to seal them under.
#[derive(Debug, Clone)]
pub struct Vault {
    sealing: Option<SealingKeys>,
}

/// Why the private part of a key can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// There is nothing to open it with.
    #[error("it is sealed, and REDIS_ENCRYPTION_KEY is not set")]
    NoEncryptionKey,
    /// It can't be opened.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// What is in there is not the private part of the key that is published.
    #[error("what was sealed is not the private part of the public key on record")]
    OtherPair,
    /// It is not kept any more: the key only verifies.
    #[error("it signs no more")]
    Destroyed,
}

impl Vault {
    /// Seals and opens under `sealing`. Without it no key can be made or opened.
    #[must_use]
    pub fn new(sealing: Option<SealingKeys>) -> Self {
        Self { sealing }
    }

    /// A new key, which waits to sign.
    ///
    /// # Errors
    /// [`Failure::NoEncryptionKey`]; [`Failure::Internal`] if there is no randomness.
    pub fn make(&self, algorithm: Algorithm, now: UnixSeconds) -> Result<SigningKey, Failure> {
        let sealing = self.sealing.as_ref().ok_or(Failure::NoEncryptionKey)?;
        let internal = |cause: &dyn fmt::Display| Failure::Internal { cause: cause.to_string() };
        let kid = Kid::parse(&uuid::Uuid::now_v7().to_string())?;
        let pair = KeyPair::generate(algorithm, &kid);
        let sealed = encryption::seal(sealing, &SigningKey::sealed_for(&kid, algorithm), &pair.private())?;
        let public = pair.public().map_err(|error| internal(&error))?;
        Ok(SigningKey { kid, algorithm, public, created_at: now, state: State::Next { sealed }, tokens_end: None })
    }

    /// The pair of a key that signs or will sign.
    ///
    /// # Errors
    /// It can't be had.
    pub fn open(&self, key: &SigningKey) -> Result<KeyPair, Closed> {
        let sealed = key.state.sealed().ok_or(Closed::Destroyed)?;
        let sealing = self.sealing.as_ref().ok_or(Closed::NoEncryptionKey)?;
        let private = sealing.open(&SigningKey::sealed_for(&key.kid, key.algorithm), sealed)?;
        let pair = KeyPair::from_private(key.algorithm, &key.kid, &private).ok_or(Closed::OtherPair)?;
        // Tokens that nobody could verify must never leave.
        if pair.public().is_ok_and(|public| public == key.public) { Ok(pair) } else { Err(Closed::OtherPair) }
    }
}

/// A pair that signs.
pub enum KeyPair {
    /// Ed25519.
    EdDsa(Ed25519KeyPair),
    /// P-256.
    Es256(ES256KeyPair),
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyPair(…)")
    }
}

impl KeyPair {
    fn generate(algorithm: Algorithm, kid: &Kid) -> Self {
        match algorithm {
            Algorithm::EdDsa => Self::EdDsa(Ed25519KeyPair::generate().with_key_id(kid.as_str())),
            Algorithm::Es256 => Self::Es256(ES256KeyPair::generate().with_key_id(kid.as_str())),
        }
    }

    fn from_private(algorithm: Algorithm, kid: &Kid, private: &[u8]) -> Option<Self> {
        Some(match algorithm {
            Algorithm::EdDsa => Self::EdDsa(Ed25519KeyPair::from_bytes(private).ok()?.with_key_id(kid.as_str())),
            Algorithm::Es256 => Self::Es256(ES256KeyPair::from_bytes(private).ok()?.with_key_id(kid.as_str())),
        })
    }

    /// The private part: for Ed25519 the seed and the public key, for P-256 the scalar.
    fn private(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::EdDsa(pair) => pair.to_bytes(),
            Self::Es256(pair) => pair.to_bytes(),
        })
    }

    /// The public part, as it is published.
    fn public(&self) -> Result<Jwk, serde_json::Error> {
        let (algorithm, text) = match self {
            Self::EdDsa(pair) => (Algorithm::EdDsa, pair.public_key().to_jwk()),
            Self::Es256(pair) => (Algorithm::Es256, pair.public_key().to_jwk()),
        };
        let public: Jwk = serde_json::from_str(&text)?;
        Ok(Jwk { alg: Some(algorithm.name().to_owned()), usage: Some("sig".to_owned()), ..public })
    }

    /// The token with these claims; its header names the algorithm and the key.
    ///
    /// # Errors
    /// [`Failure::Internal`] if the claims can't be written as JSON.
    pub fn sign<T: Serialize>(&self, claims: JWTClaims<T>) -> Result<String, Failure> {
        let signed = match self {
            Self::EdDsa(pair) => pair.sign(claims),
            Self::Es256(pair) => pair.sign(claims),
        };
        signed.map_err(|error| Failure::Internal { cause: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jwt_simple::prelude::{Claims, Duration};
    use jwt_simple::prelude::{
        ECDSAP256PublicKeyLike, ES256PublicKey, Ed25519PublicKey, EdDSAPublicKeyLike, NoCustomClaims,
    };

    use super::*;
    use crate::domain::seal::{KEY_BYTES, SealingKey};

    const NOW: UnixSeconds = UnixSeconds(1_000_000);
    const BOTH: [Algorithm; 2] = [Algorithm::EdDsa, Algorithm::Es256];

    fn vault(byte: u8) -> Vault {
        Vault::new(SealingKey::new(&[byte; KEY_BYTES]).map(SealingKeys::from))
    }

    #[test]
    fn what_a_key_signs_is_verified_by_its_published_part_alone() {
        for algorithm in BOTH {
            let key = vault(1).make(algorithm, NOW).unwrap();
            let token = vault(1).open(&key).unwrap().sign(Claims::create(Duration::from_secs(60))).unwrap();
            let header: serde_json::Value =
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
            let expected = serde_json::json!({"alg": algorithm.name(), "kid": key.kid, "typ": "JWT"});
            assert_eq!(header, expected);
            let jwk = serde_json::to_string(&key.public).unwrap();
            match algorithm {
                Algorithm::EdDsa => {
                    let public = Ed25519PublicKey::from_jwk(&jwk).unwrap();
                    public.verify_token::<NoCustomClaims>(&token, None).unwrap();
                }
                Algorithm::Es256 => {
                    let public = ES256PublicKey::from_jwk(&jwk).unwrap();
                    public.verify_token::<NoCustomClaims>(&token, None).unwrap();
                }
            }
        }
    }

    #[test]
    fn the_published_part_holds_nothing_private_and_every_key_is_another() {
        for algorithm in BOTH {
            let (one, other) = (vault(1).make(algorithm, NOW).unwrap(), vault(1).make(algorithm, NOW).unwrap());
            assert_ne!((&one.kid, &one.public.x), (&other.kid, &other.public.x));
            let public = serde_json::to_value(&one.public).unwrap();
            assert!(public.get("d").is_none(), "{public}");
            assert_eq!(
                (&public["kid"], &public["alg"], &public["use"]),
                (&serde_json::json!(one.kid), &serde_json::json!(algorithm.name()), &serde_json::json!("sig"))
            );
        }
    }

    #[test]
    fn a_private_part_opens_only_for_its_key_its_algorithm_and_its_public_part() {
        for algorithm in BOTH {
            let (key, other) = (vault(1).make(algorithm, NOW).unwrap(), vault(1).make(algorithm, NOW).unwrap());
            let with_public = |public: Jwk| SigningKey { public, ..key.clone() };
            let forged = Jwk { kid: key.public.kid.clone(), ..other.public.clone() };
            let other_algorithm = BOTH.into_iter().find(|other| *other != algorithm).unwrap();
            for (what, vault, key, expected) in [
                (
                    "another key",
                    vault(1),
                    SigningKey { kid: other.kid.clone(), ..key.clone() },
                    SealError::Forged.into(),
                ),
                (
                    "records swapped",
                    vault(1),
                    SigningKey { state: other.state.clone(), ..key.clone() },
                    SealError::Forged.into(),
                ),
                (
                    "another algorithm",
                    vault(1),
                    SigningKey { algorithm: other_algorithm, ..key.clone() },
                    SealError::Forged.into(),
                ),
                ("another public part", vault(1), with_public(forged), Closed::OtherPair),
                ("no encryption key", Vault::new(None), key.clone(), Closed::NoEncryptionKey),
            ] {
                assert_eq!(vault.open(&key).unwrap_err(), expected, "{what}");
            }
            assert!(matches!(vault(2).open(&key).unwrap_err(), Closed::Sealed(SealError::OtherKey { .. })));
        }
    }

    #[test]
    fn a_key_that_only_verifies_has_no_private_part() {
        let key = vault(1).make(Algorithm::EdDsa, NOW).unwrap();
        let resigned = SigningKey { state: State::Verifying { since: NOW, until: NOW }, ..key };
        assert_eq!(vault(1).open(&resigned).unwrap_err(), Closed::Destroyed);
    }

    #[test]
    fn without_an_encryption_key_no_key_is_made() {
        assert_eq!(Vault::new(None).make(Algorithm::EdDsa, NOW), Err(Failure::NoEncryptionKey));
    }
}
