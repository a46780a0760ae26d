//! Keys and tokens made by PyJWT or jose, as somebody orders them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who makes keys and tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Maker {
    /// PyJWT, over the Python package cryptography (OpenSSL).
    PyJwt,
    /// npm's jose, over Node's Web Cryptography.
    Jose,
}

/// Both.
pub const MAKERS: [Maker; 2] = [Maker::PyJwt, Maker::Jose];

/// What is ordered.
#[derive(Debug, Default, Serialize)]
pub struct Order {
    /// The keys, each with a name of its own.
    pub keys: Vec<KeyOrder>,
    /// The tokens, signed or encrypted with these keys.
    pub tokens: Vec<TokenOrder>,
}

/// One key.
#[derive(Debug, Serialize)]
pub struct KeyOrder {
    /// Its name in this order.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub origin: Origin,
}

/// Where a key comes from.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Origin {
    /// It is made.
    New {
        /// `RSA`, `P-256`, `P-384`, `P-521` or `Ed25519`.
        #[serde(rename = "type")]
        kind: &'static str,
        /// Of an RSA key; 2048 if not said.
        #[serde(skip_serializing_if = "Option::is_none")]
        bits: Option<u16>,
    },
    /// It is known: a private or secret key.
    Known {
        /// The key (RFC 7517).
        jwk: Value,
    },
}

/// One token.
#[derive(Debug, Serialize)]
pub struct TokenOrder {
    /// The name of the key.
    pub key: String,
    /// The algorithm.
    pub algorithm: String,
    /// Members of the header besides `alg` and `typ`.
    pub header: Value,
    /// The claims.
    pub claims: Value,
    /// Encrypted to the key rather than signed with it. Only jose can.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub encrypt: bool,
}

/// What comes of an order.
#[derive(Debug, Deserialize)]
pub struct Delivery {
    /// The keys by name.
    pub keys: BTreeMap<String, Key>,
    /// The tokens in order.
    pub tokens: Vec<String>,
}

/// One key that was made or given.
#[derive(Debug, Clone, Deserialize)]
pub struct Key {
    /// As a JWK, private.
    pub private: Value,
    /// The same, public, without `kid`, `alg` and `use`; nothing of a secret key.
    pub public: Option<Value>,
    /// The public key as PEM.
    pub pem: Option<String>,
}

impl Maker {
    /// The name that this maker's tokens have for their issuer.
    #[must_use]
    pub fn issuer(self) -> &'static str {
        match self {
            Self::PyJwt => "https://pyjwt.example",
            Self::Jose => "https://jose.example",
        }
    }

    /// Makes what is ordered, in this thread.
    ///
    /// # Errors
    /// The maker is not installed, or refuses the order.
    pub fn make(self, order: &Order) -> Result<Delivery> {
        let answer = self.run("mint", &serde_json::to_vec(order)?)?;
        serde_json::from_slice(&answer).with_context(|| format!("{self:?} gave no answer"))
    }
}
