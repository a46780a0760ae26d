//! What each maker makes once for all stories of a process: a key for every algorithm, and tokens of it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::mint::{Delivery, Key, KeyOrder, Maker, Order, Origin, TokenOrder};
use crate::token::now;

/// Every algorithm that there is (RFC 7518 §3.1, RFC 8037 §3.1), and the type of its keys.
pub const ALGORITHMS: [(&str, &str); 13] = [
    ("HS256", "oct"),
    ("HS384", "oct"),
    ("HS512", "oct"),
    ("RS256", "RSA"),
    ("RS384", "RSA"),
    ("RS512", "RSA"),
    ("PS256", "RSA"),
    ("PS384", "RSA"),
    ("PS512", "RSA"),
    ("ES256", "P-256"),
    ("ES384", "P-384"),
    ("ES512", "P-521"),
    ("EdDSA", "Ed25519"),
];
/// The secrets of the HMAC algorithms: by which variable the filter gets them, and what they are. Each is as
/// long as its hash at least (RFC 7518 §3.2).
pub const SECRETS: [(&str, &str, &str); 3] = [
    ("HS256", "PEERS_HS256_SECRET", "the HS256 secret of the peers, of 32 bytes or more"),
    ("HS384", "PEERS_HS384_SECRET", "the HS384 secret of the peers, which has a length of 48 bytes or more"),
    ("HS512", "PEERS_HS512_SECRET", "the HS512 secret of the peers, which is longer still: it has 64 bytes or more"),
];
/// For whom the tokens are.
pub const AUDIENCE: &str = "peers";
/// How many tokens of each algorithm there are.
pub const TOKENS: usize = 6;
/// The name of the key of its type that nobody publishes.
const STRANGER: &str = "stranger";

/// What one maker made.
pub struct Minted {
    maker: Maker,
    delivery: Delivery,
    /// Of the algorithms in their order, [`TOKENS`] each.
    users: Vec<String>,
}

/// A token of the set.
#[derive(Debug, Clone, Copy)]
pub struct Made<'a> {
    /// Whose it is; nobody else in this process has that address.
    pub email: &'a str,
    /// The token.
    pub text: &'a str,
}

impl Minted {
    /// What `maker` made in this process.
    ///
    /// # Panics
    /// It is not installed.
    #[must_use]
    pub fn by(maker: Maker) -> &'static Self {
        static PYJWT: LazyLock<Minted> = LazyLock::new(|| made_or_panic(Maker::PyJwt));
        static JOSE: LazyLock<Minted> = LazyLock::new(|| made_or_panic(Maker::Jose));
        match maker {
            Maker::PyJwt => &PYJWT,
            Maker::Jose => &JOSE,
        }
    }

    /// Who made it.
    #[must_use]
    pub fn maker(&self) -> Maker {
        self.maker
    }

    /// The public keys as their issuer publishes them: each with a `kid` that is the name of its algorithm.
    #[must_use]
    pub fn jwks(&self) -> Value {
        let keys = ALGORITHMS.iter().filter_map(|(algorithm, _)| self.published(algorithm));
        json!({"keys": keys.collect::<Vec<_>>()})
    }

    /// The filter's configuration of a provider that issues these tokens.
    #[must_use]
    pub fn provider(&self) -> Value {
        let mut provider = json!({
            "name": self.maker.issuer(), "issuers": [self.maker.issuer()], "audiences": [AUDIENCE],
            "email_claim": "email", "email_domains": ["*"], "jwks": self.jwks(),
        });
        for (algorithm, variable, _) in SECRETS {
            provider[format!("{}_secret_env", algorithm.to_lowercase())] = variable.into();
        }
        provider
    }

    /// The tokens of `algorithm`, each of somebody else, valid for an hour.
    ///
    /// # Errors
    /// There is no such algorithm.
    pub fn tokens(&self, algorithm: &str) -> Result<Vec<Made<'_>>> {
        let number = ALGORITHMS.iter().position(|(name, _)| *name == algorithm);
        let first = number.with_context(|| format!("no algorithm is called {algorithm}"))? * TOKENS;
        let pairs = self.users.iter().zip(&self.delivery.tokens).skip(first).take(TOKENS);
        Ok(pairs.map(|(email, text)| Made { email, text }).collect())
    }

    /// The secret of HS256, which this issuer shares with the filter.
    #[must_use]
    pub fn secret(&self) -> &'static [u8] {
        SECRETS[0].2.as_bytes()
    }

    /// The key of `algorithm`.
    ///
    /// # Errors
    /// There is no such algorithm.
    pub fn key(&self, algorithm: &str) -> Result<&Key> {
        self.delivery.keys.get(algorithm).with_context(|| format!("no algorithm is called {algorithm}"))
    }

    /// A key that is not published, of the type that `algorithm` wants.
    ///
    /// # Errors
    /// There is no such algorithm.
    pub fn stranger(&self, algorithm: &str) -> Result<&Key> {
        let kind = ALGORITHMS.iter().find(|(name, _)| *name == algorithm).map(|(_, kind)| *kind);
        kind.and_then(|kind| self.delivery.keys.get(&stranger(kind)))
            .with_context(|| format!("no algorithm is called {algorithm}"))
    }

    fn published(&self, algorithm: &str) -> Option<Value> {
        let mut jwk = self.delivery.keys.get(algorithm)?.public.clone()?;
        jwk["kid"] = algorithm.into();
        jwk["alg"] = algorithm.into();
        jwk["use"] = "sig".into();
        Some(jwk)
    }
}

/// Claims of a token that `issuer` could have made for `email`.
#[must_use]
pub fn claims(issuer: &str, email: &str) -> Value {
    let now = now();
    json!({
        "iss": issuer, "aud": AUDIENCE, "sub": email, "email": email, "email_verified": true,
        "jti": format!("token of {email}"), "iat": now, "nbf": now, "exp": now + 3600,
    })
}

/// What a token says of its key: secrets have no names here.
#[must_use]
pub fn header(algorithm: &str) -> Value {
    if algorithm.starts_with("HS") { json!({}) } else { json!({"kid": algorithm}) }
}

/// The key that is `secret`, for an HMAC algorithm.
#[must_use]
pub fn secret_key(secret: &[u8]) -> Origin {
    Origin::Known { jwk: json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode(secret)}) }
}

#[expect(clippy::expect_used, reason = "without tokens of others there is nothing to tell")]
fn made_or_panic(maker: Maker) -> Minted {
    make(maker).expect("tokens of another implementation")
}

fn make(maker: Maker) -> Result<Minted> {
    let mut order = Order::default();
    for (algorithm, kind) in ALGORITHMS {
        let secret = SECRETS.iter().find(|(name, ..)| *name == algorithm);
        let origin = secret.map_or(new(algorithm, kind), |(_, _, secret)| secret_key(secret.as_bytes()));
        order.keys.push(KeyOrder { name: algorithm.to_owned(), origin });
    }
    let kinds: BTreeMap<&str, &str> = ALGORITHMS.iter().map(|(algorithm, kind)| (*kind, *algorithm)).collect();
    for (kind, algorithm) in kinds {
        let origin = if kind == "oct" { secret_key(&[7; 64]) } else { new(algorithm, kind) };
        order.keys.push(KeyOrder { name: stranger(kind), origin });
    }
    let mut users = Vec::new();
    for (algorithm, _) in ALGORITHMS {
        for number in 0..TOKENS {
            let email =
                format!("{algorithm}-{number}@{}", maker.issuer().trim_start_matches("https://")).to_lowercase();
            order.tokens.push(TokenOrder {
                key: algorithm.to_owned(),
                algorithm: algorithm.to_owned(),
                header: header(algorithm),
                claims: claims(maker.issuer(), &email),
                encrypt: false,
            });
            users.push(email);
        }
    }
    Ok(Minted { maker, delivery: maker.make(&order)?, users })
}

/// RSA keys are not all of one size.
fn new(algorithm: &str, kind: &'static str) -> Origin {
    let bits = if algorithm.ends_with("384") { 3072 } else { 2048 };
    Origin::New { kind, bits: (kind == "RSA").then_some(bits) }
}

fn stranger(kind: &str) -> String {
    format!("{STRANGER} {kind}")
}
