//! The tokens that travellers bring, all made before anything is measured, by PyJWT: nobody's own code is tried
//! with its own tokens.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::peers::Maker;
use e2e::peers::mint::{KeyOrder, Order, Origin, TokenOrder};
use e2e::token::now;
use serde_json::{Value, json};

/// For whom all tokens are made.
pub(crate) const AUDIENCE: &str = "litellm-api";
/// More than Sekisho's cache holds, whatever their size: who comes in turn is never remembered.
pub(crate) const TRAVELLERS: usize = 12_000;
/// A person who is banned, and nobody else among the travellers.
pub(crate) const BANNED: usize = TRAVELLERS;

/// How a token is signed. Each algorithm has an issuer and a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Hs256,
    Rs256,
    Es256,
}

impl Algorithm {
    /// Its name (RFC 7518).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }

    /// Who issues such tokens. The one of the example configuration has a secret, the others publish keys.
    pub(crate) fn issuer(self) -> &'static str {
        match self {
            Self::Hs256 => "sekisho",
            Self::Rs256 => "https://rs256.example",
            Self::Es256 => "https://es256.example",
        }
    }

    fn key(self, secret: &str) -> Origin {
        match self {
            Self::Hs256 => Origin::Known { jwk: secret_key(secret) },
            Self::Rs256 => Origin::New { kind: "RSA", bits: None },
            Self::Es256 => Origin::New { kind: "P-256", bits: None },
        }
    }
}

/// Everybody's tokens, and the key with which they verify.
pub(crate) struct Minted {
    /// One for each traveller, and the last for one who is banned.
    tokens: Vec<String>,
    key: Value,
}

/// The tokens of all algorithms.
pub(crate) struct Tokens {
    hs256: Minted,
    rs256: Minted,
    es256: Minted,
}

impl Tokens {
    /// Makes them.
    ///
    /// # Errors
    /// PyJWT is not installed.
    pub(crate) fn mint(secret: &str) -> Result<Self> {
        let mint = |algorithm| Minted::new(algorithm, secret);
        Ok(Self { hs256: mint(Algorithm::Hs256)?, rs256: mint(Algorithm::Rs256)?, es256: mint(Algorithm::Es256)? })
    }

    /// Those of one algorithm.
    pub(crate) fn of(&self, algorithm: Algorithm) -> &Minted {
        match algorithm {
            Algorithm::Hs256 => &self.hs256,
            Algorithm::Rs256 => &self.rs256,
            Algorithm::Es256 => &self.es256,
        }
    }
}

impl Minted {
    fn new(algorithm: Algorithm, secret: &str) -> Result<Self> {
        let name = algorithm.name();
        let keys = vec![KeyOrder { name: name.into(), origin: algorithm.key(secret) }];
        let token = |number| TokenOrder {
            key: name.into(),
            algorithm: name.into(),
            header: json!({"kid": name}),
            claims: claims(algorithm, number),
            encrypt: false,
        };
        let order = Order { keys, tokens: (0..=BANNED).map(token).collect() };
        let made = Maker::PyJwt.make(&order)?;
        let public = made.keys.get(name).context("no key came back")?.public.clone();
        let mut key = public.unwrap_or_else(|| secret_key(secret));
        if let Some(key) = key.as_object_mut() {
            key.extend([("kid".to_owned(), name.into()), ("alg".to_owned(), name.into())]);
        }
        Ok(Self { tokens: made.tokens, key })
    }

    /// The issuer's keys (RFC 7517), as who verifies needs them.
    pub(crate) fn jwks(&self) -> Value {
        json!({"keys": [self.key]})
    }

    /// The token of the traveller who always comes.
    pub(crate) fn first(&self) -> &str {
        self.tokens.first().map_or("", String::as_str)
    }

    /// The token of each traveller.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().take(TRAVELLERS).map(String::as_str)
    }

    /// The token of one who is banned.
    pub(crate) fn banned(&self) -> &str {
        self.tokens.last().map_or("", String::as_str)
    }

    /// Tokens with the signature of another one. They are refused as late as any forged token can be: everything
    /// about them is right but the signature, and that is one of this key.
    pub(crate) fn forged(&self) -> impl Iterator<Item = String> {
        let signatures = self.all().skip(1).filter_map(|token| token.rsplit_once('.'));
        let signed = self.all().filter_map(|token| token.rsplit_once('.'));
        signed.zip(signatures).map(|((signed, _), (_, signature))| format!("{signed}.{signature}"))
    }
}

/// The address of one person.
pub(crate) fn email(number: usize) -> String {
    format!("traveller{number:06}@example.com")
}

/// What the token API of the product would put in.
fn claims(algorithm: Algorithm, number: usize) -> Value {
    let (now, email) = (now(), email(number));
    json!({
        "jti": format!("00000000-0000-4000-8000-{number:012}"), "user_email": email, "user_id": email,
        "token_name": "laptop", "scopes": ["api:read", "api:write"],
        "iss": algorithm.issuer(), "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 86_400,
    })
}

fn secret_key(secret: &str) -> Value {
    json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(secret)})
}
