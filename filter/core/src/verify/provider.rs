//! Who may issue tokens, and what must be true of them.

use std::hash::{Hash, Hasher};
use std::rc::Rc;

use super::algorithm::Algorithm;
use super::key::VerifyingKey;
use crate::authorize::facts::ClaimPath;

/// Who may issue tokens, and how they are verified. What could not be true was refused with the configuration.
#[derive(Debug)]
pub struct Provider {
    /// How rules name it.
    pub name: Rc<str>,
    /// The `iss` that it may use.
    pub issuers: Vec<String>,
    /// The keys that stand in the configuration.
    pub(crate) keys: Vec<Rc<VerifyingKey>>,
    /// The source whose keys sidecars fetch.
    pub(crate) source: Option<Rc<str>>,
    /// The only algorithms that its tokens may use, besides what each key is for.
    pub(crate) algorithms: Option<Vec<Algorithm>>,
    /// What must be true of its tokens.
    pub(crate) rules: Rules,
    /// Where its tokens name the roles of their owner.
    pub(crate) roles_claim: ClaimPath,
    /// Where its tokens name the groups of their owner.
    pub(crate) groups_claim: ClaimPath,
}

/// What must be true of a provider's tokens once their signature is right.
#[derive(Debug, Hash)]
pub(crate) struct Rules {
    /// One of these must be in `aud`.
    pub(crate) audiences: Vec<String>,
    /// Seconds by which clocks may differ.
    pub(crate) leeway_s: u64,
    /// Most seconds since `iat`.
    pub(crate) max_age_s: Option<u64>,
    /// Most seconds from `iat` to `exp`.
    pub(crate) max_lifetime_s: Option<u64>,
    /// Claims that must be there.
    pub(crate) required_claims: Vec<String>,
    /// Claims that must have one of these values.
    pub(crate) claim_values: Vec<(String, Vec<ClaimValue>)>,
    /// The `typ` that are accepted, in lower case and without `application/`; none: the usual ones, or no `typ`.
    pub(crate) types: Option<Vec<String>>,
    /// The claim that names the subject at this issuer.
    pub(crate) subject_claim: String,
    /// When an address is the subject instead.
    pub(crate) email: Option<EmailRule>,
    /// Whether its tokens are good only while their owner has signed in recently, as sidecars say.
    pub(crate) recent_sign_in: bool,
}

/// A value that a claim must have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum ClaimValue {
    /// A text, compared byte by byte.
    Text(String),
    /// A whole number.
    Number(i64),
    /// True or false.
    Bool(bool),
}

/// When an e-mail address is an identity (rule E5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EmailRule {
    /// The claim with the address.
    pub(crate) claim: String,
    /// For which addresses the provider is authoritative.
    pub(crate) domains: Domains,
    /// Whether `email_verified` must say so.
    pub(crate) verified: bool,
    /// Whether a token without such an address is refused.
    pub(crate) required: bool,
}

/// For which domains' addresses a provider is authoritative.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Domains {
    /// Whatever it says.
    All,
    /// These, in lower case.
    Only(Vec<String>),
}

impl Provider {
    /// The source whose keys sidecars fetch for it, if there is one.
    #[must_use]
    pub fn source(&self) -> Option<&Rc<str>> {
        self.source.as_ref()
    }

    /// Seconds by which clocks may differ.
    #[must_use]
    pub fn leeway_s(&self) -> u64 {
        self.rules.leeway_s
    }

    /// Feeds everything that decides about a token into `hasher` (rule E8).
    pub(crate) fn fingerprint(&self, hasher: &mut impl Hasher) {
        (&self.name, &self.issuers, &self.source, &self.algorithms, &self.rules, self.keys.len()).hash(hasher);
        self.keys.iter().for_each(|key| key.fingerprint(hasher));
    }

    /// Whether its tokens may use `algorithm` at all.
    pub(crate) fn accepts(&self, algorithm: Algorithm) -> bool {
        self.algorithms.as_ref().is_none_or(|listed| listed.contains(&algorithm))
    }
}
