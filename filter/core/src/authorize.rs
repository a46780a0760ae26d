//! What a rule requires beyond a valid credential: scopes, roles, groups, claims, addresses, times, ages.
//!
//! A requirement is a tree of tests. Those that depend on the token alone were answered when it was first seen
//! ([`facts`]), so a request costs a look at a bit. A test that cannot be answered (an address that is not
//! known, a moment that the token does not name) is neither met nor unmet, and `not` does not turn it into
//! either: whatever its place in the tree, it lets nobody in.

pub mod address;
pub mod facts;
pub mod window;

use std::net::IpAddr;
use std::rc::Rc;

use crate::identity::Identity;
use crate::route::template::Template;
use address::Addresses;
use facts::{Bit, Facts, Slot};
use window::Window;

/// One requirement, and where it stands in the configuration.
#[derive(Debug)]
pub struct Requirement {
    /// `routes[3].require.any[0].scopes`, for whoever asks why.
    pub at: Rc<str>,
    /// What is tested.
    pub test: Test,
}

/// What is tested.
#[derive(Debug)]
pub enum Test {
    /// All of these hold.
    All(Vec<Requirement>),
    /// One of these holds.
    Any(Vec<Requirement>),
    /// This does not hold.
    Not(Box<Requirement>),
    /// Something about the token.
    Token {
        /// The answer.
        bit: Bit,
        /// What it is about.
        what: About,
    },
    /// A claim of the token is what a name stands for in the path.
    Path {
        /// The claim.
        claim: Slot,
        /// What captures the name.
        template: Rc<Template>,
        /// The name.
        name: String,
    },
    /// Where the client is.
    Addresses(Addresses),
    /// The present moment lies in one of these.
    Times(Vec<Window>),
    /// Most seconds since the token was issued.
    TokenAge(u64),
    /// Most seconds since its owner last signed in.
    SignInAge(u64),
}

/// What a test of a token is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// Its scopes; the ones that would have sufficed.
    Scopes(Rc<str>),
    /// Its owner's roles.
    Roles,
    /// Its owner's groups.
    Groups,
    /// Another claim.
    Claims,
    /// Who issued it.
    Provider,
}

/// The requirement that is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    /// Where it stands in the configuration.
    pub at: Rc<str>,
    /// What it is about.
    pub what: Lack,
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lack {
    /// One of these scopes, or all of them (RFC 6750 §3.1: `insufficient_scope`).
    Scope(Rc<str>),
    /// A role.
    Role,
    /// A group.
    Group,
    /// A claim.
    Claim,
    /// A token of another provider.
    Provider,
    /// Another place: the address is not among those that may.
    Address,
    /// An address: nobody knows it.
    AddressUnknown,
    /// Another moment.
    Time,
    /// A younger token.
    TokenAge,
    /// A sign-in at most so many seconds ago (RFC 9470 §3).
    SignIn(u64),
    /// Something that must not be.
    Excluded,
}

/// What requests are judged by.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Whose request it is; nobody's if it showed no credential.
    pub identity: Option<&'a Identity>,
    /// The answers that depend on the token alone. While they are not known yet, nothing about the token is.
    pub facts: Option<&'a Facts>,
    /// The client's address, if it is known. Asked only where a rule wants it.
    pub address: &'a dyn Fn() -> Option<IpAddr>,
    /// In the form in which rules are matched.
    pub path: &'a str,
    /// How other upstreams read the path.
    pub others: &'a [String],
    /// Unix seconds.
    pub now_s: u64,
}

impl Requirement {
    /// Whether it is met; the first part of it that is not, otherwise.
    ///
    /// # Errors
    /// [`Unmet`].
    pub fn check(&self, subject: &Subject<'_>) -> Result<(), Unmet> {
        match self.holds(subject) {
            Some(true) => Ok(()),
            _ => Err(self.unmet(subject)),
        }
    }

    /// Whether it cannot be met whatever the token says, and what is missing then.
    #[must_use]
    pub fn ruled_out(&self, subject: &Subject<'_>) -> Option<Unmet> {
        (self.holds(subject) == Some(false)).then(|| self.unmet(subject))
    }

    /// Whether some test does not depend on the token alone.
    #[must_use]
    pub fn looks_around(&self) -> bool {
        match &self.test {
            Test::All(parts) | Test::Any(parts) => parts.iter().any(Self::looks_around),
            Test::Not(part) => part.looks_around(),
            Test::Addresses(_) | Test::Times(_) => true,
            Test::Token { .. } | Test::Path { .. } | Test::TokenAge(_) | Test::SignInAge(_) => false,
        }
    }

    /// Met, unmet, or neither.
    fn holds(&self, subject: &Subject<'_>) -> Option<bool> {
        match &self.test {
            Test::All(parts) => fold(parts, subject, false),
            Test::Any(parts) => fold(parts, subject, true),
            Test::Not(part) => part.holds(subject).map(|holds| !holds),
            Test::Token { bit, .. } => Some(subject.facts?.is(*bit)),
            Test::Path { claim, template, name } => {
                let value = subject.facts?.value(*claim);
                let captured = template.capture(subject.path, name);
                // What the name stands for must not depend on the upstream.
                let is_sure = subject.others.iter().all(|path| template.capture(path, name) == captured);
                is_sure.then_some(value.is_some() && value == captured)
            }
            Test::Addresses(addresses) => (subject.address)().map(|address| addresses.admit(address)),
            Test::Times(windows) => Some(windows.iter().any(|window| window.holds(subject.now_s))),
            Test::TokenAge(most_s) => subject.is_within(*most_s, |identity| identity.issued_at),
            Test::SignInAge(most_s) => subject.is_within(*most_s, |identity| identity.signed_in_at),
        }
    }

    /// What is missing, given that it does not hold.
    fn unmet(&self, subject: &Subject<'_>) -> Unmet {
        let what = match &self.test {
            Test::All(parts) => match parts.iter().find(|part| part.holds(subject) != Some(true)) {
                Some(part) => return part.unmet(subject),
                None => Lack::Excluded,
            },
            // Which of them the client could meet nobody knows; the first is what the rule's author wrote first.
            Test::Any(parts) => match parts.first() {
                Some(part) => part.unmet(subject).what,
                None => Lack::Excluded,
            },
            Test::Not(part) if self.holds(subject).is_none() => part.unmet(subject).what,
            Test::Not(_) => Lack::Excluded,
            Test::Token { what, .. } => what.lack(),
            Test::Path { .. } => Lack::Claim,
            Test::Addresses(_) if (subject.address)().is_none() => Lack::AddressUnknown,
            Test::Addresses(_) => Lack::Address,
            Test::Times(_) => Lack::Time,
            Test::TokenAge(_) => Lack::TokenAge,
            Test::SignInAge(most_s) => Lack::SignIn(*most_s),
        };
        Unmet { at: Rc::clone(&self.at), what }
    }
}

/// Kleene's three values: one part with the value `decisive` decides, else one that is neither leaves it open.
fn fold(parts: &[Requirement], subject: &Subject<'_>, decisive: bool) -> Option<bool> {
    let mut is_open = false;
    for part in parts {
        match part.holds(subject) {
            Some(value) if value == decisive => return Some(decisive),
            Some(_) => {}
            None => is_open = true,
        }
    }
    (!is_open).then_some(!decisive)
}

impl Subject<'_> {
    /// Whether a moment that the token names lies at most so many seconds back. Nobody's token names none.
    fn is_within(&self, most_s: u64, moment: impl Fn(&Identity) -> Option<u64>) -> Option<bool> {
        self.facts?;
        Some(moment(self.identity?)?.saturating_add(most_s) >= self.now_s)
    }
}

impl About {
    fn lack(&self) -> Lack {
        match self {
            Self::Scopes(scopes) => Lack::Scope(Rc::clone(scopes)),
            Self::Roles => Lack::Role,
            Self::Groups => Lack::Group,
            Self::Claims => Lack::Claim,
            Self::Provider => Lack::Provider,
        }
    }
}

impl Lack {
    /// Stable, for logs, metrics and problem details.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Scope(_) => "scope_missing",
            Self::Role => "role_missing",
            Self::Group => "group_missing",
            Self::Claim => "claim_mismatch",
            Self::Provider => "provider_not_accepted",
            Self::Address => "address_not_allowed",
            Self::AddressUnknown => "address_unknown",
            Self::Time => "outside_hours",
            Self::TokenAge => "token_too_old",
            Self::SignIn(_) => "sign_in_too_old",
            Self::Excluded => "excluded",
        }
    }

    /// What the client is told.
    #[must_use]
    pub fn message(&self) -> &'static str {
        match self {
            Self::Scope(_) => "The credential lacks a scope that is needed here",
            Self::Role | Self::Group | Self::Claim | Self::Excluded => "You are not allowed to do this",
            Self::Provider => "Credentials of this issuer are not accepted here",
            Self::Address => "Requests from this address are not allowed",
            Self::AddressUnknown => "The address of the client is not known, and without it nothing is allowed here",
            Self::Time => "This is not allowed at this time",
            Self::TokenAge => "The token was issued too long ago for this: get a new one",
            Self::SignIn(_) => "You signed in too long ago for this: sign in again",
        }
    }
}

#[cfg(test)]
mod tests;
