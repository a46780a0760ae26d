//! The plain headers that tell an upstream who asks. What a client sends under their names is taken away first.

use std::rc::Rc;

use crate::authorize::facts::Slot;

/// One header.
#[derive(Debug, Clone)]
pub struct IdentityHeader {
    /// In lower case.
    pub name: Rc<str>,
    /// What it says.
    pub value: HeaderValue,
}

/// What a header says. One that has nothing to say is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderValue {
    /// The e-mail address that the provider vouches for.
    Email,
    /// The subject: the address, or `issuer|sub`.
    Subject,
    /// How the request authenticated.
    Method,
    /// The token's id.
    TokenId,
    /// The name that its owner gave the token.
    TokenName,
    /// Its scopes, with spaces between them.
    Scopes,
    /// The name of the provider that issued it.
    Provider,
    /// A claim.
    Claim(Slot),
}

impl HeaderValue {
    /// How a configuration names them. Claims are named by themselves.
    pub const WORDS: &[(&str, Self)] = &[
        ("email", Self::Email),
        ("subject", Self::Subject),
        ("method", Self::Method),
        ("token_id", Self::TokenId),
        ("token_name", Self::TokenName),
        ("scopes", Self::Scopes),
        ("provider", Self::Provider),
    ];
}

/// What upstreams are told if the configuration says nothing else.
#[must_use]
pub fn usual() -> Rc<[IdentityHeader]> {
    let header = |(name, value): (&str, HeaderValue)| IdentityHeader { name: name.into(), value };
    [
        ("x-forwarded-email", HeaderValue::Email),
        ("x-forwarded-user", HeaderValue::Subject),
        ("x-sekisho-subject", HeaderValue::Subject),
        ("x-sekisho-method", HeaderValue::Method),
        ("x-sekisho-token-id", HeaderValue::TokenId),
        ("x-sekisho-scopes", HeaderValue::Scopes),
    ]
    .into_iter()
    .map(header)
    .collect()
}
