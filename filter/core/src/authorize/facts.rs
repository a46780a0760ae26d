//! What rules want to know about a token, answered once: when it is first seen under a configuration.
//!
//! A configuration's questions are numbered ([`Questions`]); the answers ([`Facts`]) are kept beside the verified
//! token. Another configuration may ask other questions: then the token's claims are read anew, and its
//! signature need not be verified for that, so a push costs no cached token its place.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use encoding::Encoding;
use serde_json::Value;

use crate::identity::Identity;

pub mod encoding;

/// The number of a question that is answered with yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bit(usize);

/// The number of a question that is answered with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(usize);

/// What the rules of a configuration ask about tokens.
#[derive(Debug, Default)]
pub struct Questions {
    tests: Vec<TokenTest>,
    texts: Vec<(ClaimPath, Encoding)>,
    names: Vec<ProviderNames>,
    /// Of all of the above. Answers to other questions have another one.
    fingerprint: u64,
}

/// Where a provider's tokens name roles and groups.
#[derive(Debug, Hash)]
pub struct ProviderNames {
    /// Its name.
    pub provider: Rc<str>,
    /// Where its tokens name the roles of their owner.
    pub roles: ClaimPath,
    /// Where its tokens name the groups of their owner.
    pub groups: ClaimPath,
}

/// A question about a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TokenTest {
    /// Its scopes.
    Scopes(Names),
    /// Its owner's roles.
    Roles(Names),
    /// Its owner's groups.
    Groups(Names),
    /// Who issued it.
    Provider(Vec<String>),
    /// One claim.
    Claim(ClaimPath, ClaimTest),
}

/// Names of which a token must have all, or one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Names {
    /// Every one of these.
    All(Vec<String>),
    /// One of these.
    Any(Vec<String>),
}

/// Where a claim is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ClaimPath {
    /// At the top, by its whole name.
    Name(String),
    /// Anywhere (RFC 6901).
    Pointer(String),
}

/// What a claim must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimTest {
    /// One of these values.
    OneOf(Vec<Value>),
    /// A list with this value in it.
    Contains(Value),
    /// There, and not null.
    Exists,
}

/// The answers for one token.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Facts {
    fingerprint: u64,
    bits: Box<[u64]>,
    texts: Box<[Option<Box<str>>]>,
}

impl Questions {
    /// Adds a question; one that was asked before keeps its number.
    pub fn ask(&mut self, test: TokenTest) -> Bit {
        let index = self.tests.iter().position(|known| *known == test).unwrap_or_else(|| {
            self.tests.push(test);
            self.tests.len() - 1
        });
        Bit(index)
    }

    /// Asks for the text of a claim.
    pub fn ask_for_text(&mut self, claim: ClaimPath, encoding: Encoding) -> Slot {
        let question = (claim, encoding);
        let index = self.texts.iter().position(|known| *known == question).unwrap_or_else(|| {
            self.texts.push(question);
            self.texts.len() - 1
        });
        Slot(index)
    }

    /// No more questions: the answers depend on these providers.
    #[must_use]
    pub fn complete(mut self, names: Vec<ProviderNames>) -> Self {
        self.names = names;
        // No secret is in it and nobody outside can choose it: the key need not be one.
        let mut hasher = DefaultHasher::new();
        (&self.names, &self.tests, &self.texts).hash(&mut hasher);
        self.fingerprint = hasher.finish();
        self
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty() && self.texts.is_empty()
    }

    /// Whether `facts` are the answers to these questions.
    #[must_use]
    pub fn are_answered_by(&self, facts: &Facts) -> bool {
        self.is_empty() || facts.fingerprint == self.fingerprint
    }

    /// The answers for a token that was verified.
    #[must_use]
    pub fn answer(&self, token: &[u8], identity: &Identity) -> Facts {
        let claims = claims_of(token);
        let mut bits = vec![0_u64; self.tests.len().div_ceil(64)];
        for (index, test) in self.tests.iter().enumerate() {
            if self.holds(test, &claims, identity)
                && let Some(word) = bits.get_mut(index / 64)
            {
                *word |= 1 << (index % 64);
            }
        }
        let text = |(claim, encoding): &(ClaimPath, Encoding)| encoding.encode(claim.find(&claims)?);
        let texts = self.texts.iter().map(text).collect();
        Facts { fingerprint: self.fingerprint, bits: bits.into(), texts }
    }

    fn holds(&self, test: &TokenTest, claims: &Value, identity: &Identity) -> bool {
        let of_provider = |path: fn(&ProviderNames) -> &ClaimPath| {
            let names = self.names.iter().find(|names| names.provider == identity.provider);
            names_in(names.and_then(|names| path(names).find(claims)))
        };
        match test {
            TokenTest::Scopes(names) => names.are_among(&identity.scopes),
            TokenTest::Roles(names) => names.are_among(&of_provider(|names| &names.roles)),
            TokenTest::Groups(names) => names.are_among(&of_provider(|names| &names.groups)),
            TokenTest::Provider(names) => names.iter().any(|name| **name == *identity.provider),
            TokenTest::Claim(path, test) => path.find(claims).is_some_and(|value| test.holds(value)),
        }
    }
}

impl Facts {
    /// The answer to a question.
    #[must_use]
    pub fn is(&self, Bit(index): Bit) -> bool {
        self.bits.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// The text of a claim, if it has one that can be written as asked.
    #[must_use]
    pub fn value(&self, Slot(index): Slot) -> Option<&str> {
        self.texts.get(index)?.as_deref()
    }
}

impl Names {
    /// For people: what would suffice.
    #[must_use]
    pub fn list(&self) -> &[String] {
        match self {
            Self::All(names) | Self::Any(names) => names,
        }
    }

    fn are_among(&self, held: &[impl AsRef<str>]) -> bool {
        let is_held = |name: &String| held.iter().any(|held| held.as_ref() == name);
        match self {
            Self::All(names) => names.iter().all(is_held),
            Self::Any(names) => names.iter().any(is_held),
        }
    }
}

impl ClaimPath {
    /// A claim by its whole name, or by a JSON pointer, which starts with `/`.
    ///
    /// # Errors
    /// It is neither, with the reason for people.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("names no claim");
        }
        if !text.starts_with('/') {
            return Ok(Self::Name(text.to_owned()));
        }
        let mut escapes = text.split('~').skip(1);
        if !escapes.all(|escape| escape.starts_with(['0', '1'])) {
            return Err("is no JSON pointer (RFC 6901): `~` is written `~0`, and `/` in a name `~1`");
        }
        Ok(Self::Pointer(text.to_owned()))
    }

    /// The claim, if it is there and not null.
    fn find<'v>(&self, claims: &'v Value) -> Option<&'v Value> {
        let found = match self {
            Self::Name(name) => claims.get(name),
            Self::Pointer(pointer) => claims.pointer(pointer),
        };
        found.filter(|value| !value.is_null())
    }
}

impl ClaimTest {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::OneOf(accepted) => accepted.contains(value),
            Self::Contains(wanted) => value.as_array().is_some_and(|list| list.contains(wanted)),
            Self::Exists => true,
        }
    }
}

/// A list of texts, or one.
fn names_in(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The claims of a token that was verified: its payload was found to be an object without repeated members.
fn claims_of(token: &[u8]) -> Value {
    let payload = token.split(|b| *b == b'.').nth(1).and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    payload.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default()
}

impl Hash for ClaimTest {
    /// JSON values have no hash; their texts do.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        std::mem::discriminant(self).hash(hasher);
        match self {
            Self::OneOf(values) => values.iter().for_each(|value| value.to_string().hash(hasher)),
            Self::Contains(value) => value.to_string().hash(hasher),
            Self::Exists => {}
        }
    }
}

#[cfg(test)]
mod tests;
