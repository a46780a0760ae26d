//! Who a request belongs to, and how its upstream is told.

pub mod assertion;
pub mod headers;
pub mod key;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use sekisho_protocol::activity::Method;
use sekisho_protocol::identity::HEADER;
use sekisho_protocol::{Digest, Email, Subject};

use crate::authorize::facts::{Facts, Questions};
use crate::denial::Inability;
use crate::upstream::UpstreamCredential;
use crate::verify::budget::Allowance;
use crate::verify::key::VerifyingKey;
use assertion::{Assertions, Target};
use headers::{HeaderValue, IdentityHeader};

/// The verified identity behind a credential, with the digests under which it could be barred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The key of everything.
    pub subject: Subject,
    /// The address that the provider vouches for, if it does for one.
    pub email: Option<Email>,
    /// What the credential is.
    pub method: Method,
    /// The token's `jti`, or the session's id.
    pub token_id: Option<String>,
    /// The name that its owner gave the token.
    pub token_name: Option<String>,
    /// The token's scopes.
    pub scopes: Vec<String>,
    /// The name of the provider that issued it; [`crate::session::PROVIDER`] of sessions.
    pub provider: Rc<str>,
    /// The token's `iat`, or when the session began, Unix seconds.
    pub issued_at: Option<u64>,
    /// When its owner last signed in: `auth_time` (OpenID Connect Core §2), Unix seconds.
    pub signed_in_at: Option<u64>,
    /// The token's `exp`, or until when what is known of the session may be kept, Unix seconds.
    pub expires_at: u64,
    /// Unix seconds from which on the credential is refused: the token's `exp` and the leeway of its provider, or the
    /// session's end.
    pub refused_from: u64,
    /// Under which a ban of the subject is filed.
    pub subject_digest: Digest,
    /// Under which a logout of the subject's earlier tokens is filed.
    pub not_before_digest: Digest,
    /// Under which the token's revocation, or the session's end, is filed.
    pub token_digest: Option<Digest>,
    /// Under which it is filed that the subject must sign in again, if the provider wants a recent sign-in.
    pub sign_in_digest: Option<Digest>,
}

/// What is kept of a credential once it was verified, shared by its cache entry and the requests
/// that carry it. There may be ten thousand of them in a worker, so nothing is in it twice.
#[derive(Debug)]
pub struct Verified {
    /// Whom it belongs to.
    pub identity: Identity,
    /// What verified it: a token is worth as much as its key (rule E8).
    pub key: Rc<VerifyingKey>,
    /// The scopes as a header has them.
    scopes: Box<str>,
    /// What stands for a token where there is none: a session's claims in a token's place.
    claims: Option<Box<str>>,
    assertions: RefCell<Assertions>,
    /// What the rules that it was last judged by want to know about it.
    facts: RefCell<Rc<Facts>>,
    was_shown: Cell<bool>,
}

impl Verified {
    /// Prepares everything that a request of this identity will need.
    #[must_use]
    pub fn new(identity: Identity, key: Rc<VerifyingKey>) -> Rc<Self> {
        Self::with_claims(identity, key, None)
    }

    /// The same of a credential that does not carry its claims itself: they stand where a token's payload does.
    #[must_use]
    pub fn with_claims(identity: Identity, key: Rc<VerifyingKey>, claims: Option<Box<str>>) -> Rc<Self> {
        let scopes = identity.scopes.join(" ").into();
        let (assertions, facts) = (RefCell::default(), RefCell::default());
        Rc::new(Self { identity, key, scopes, claims, assertions, facts, was_shown: Cell::default() })
    }

    /// What stands for a token where there is none.
    #[must_use]
    pub fn claims(&self) -> Option<&[u8]> {
        self.claims.as_deref().map(str::as_bytes)
    }

    /// The answers to `questions`, which `token` gives that was verified as this.
    #[must_use]
    pub fn facts(&self, questions: &Questions, token: &[u8]) -> Rc<Facts> {
        if let Ok(known) = self.facts.try_borrow()
            && questions.are_answered_by(&known)
        {
            return Rc::clone(&known);
        }
        let facts = Rc::new(questions.answer(token, &self.identity));
        if let Ok(mut kept) = self.facts.try_borrow_mut() {
            *kept = Rc::clone(&facts);
        }
        facts
    }

    /// An assertion about the identity for `target`.
    ///
    /// One that is quickly made is kept from the second request on, since many credentials are shown once; a dear
    /// one from the first.
    ///
    /// # Errors
    /// [`Inability::Busy`] if the allowance is used up, [`Inability::Host`] only if it cannot be made at all.
    pub fn assertion(&self, target: &Rc<Target>, allowance: &mut Allowance<'_>) -> Result<Rc<str>, Inability> {
        if !self.was_shown.replace(true) && target.is_quick() {
            return target.sign(&self.identity, allowance);
        }
        let mut assertions = self.assertions.try_borrow_mut().map_err(|_| Inability::Host)?;
        assertions.get(target, &self.identity, allowance)
    }

    /// The value of a header about the identity; none if there is nothing to say.
    fn header<'a>(&'a self, value: HeaderValue, facts: &'a Facts) -> Option<&'a str> {
        let Identity { subject, email, token_id, token_name, provider, .. } = &self.identity;
        match value {
            HeaderValue::Email => email.as_ref().map(Email::as_str),
            HeaderValue::Subject => Some(subject.as_str()),
            HeaderValue::Method => Some(self.identity.method.as_str()),
            HeaderValue::TokenId => token_id.as_deref(),
            HeaderValue::TokenName => token_name.as_deref(),
            HeaderValue::Scopes => Some(&*self.scopes).filter(|scopes| !scopes.is_empty()),
            HeaderValue::Provider => Some(provider),
            HeaderValue::Claim(slot) => facts.value(slot),
        }
    }
}

/// A header to set.
pub type Header = (Cow<'static, str>, Rc<str>);

/// Who an upstream is told that the request is from.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Whose credential it showed.
    pub verified: Rc<Verified>,
    /// What is known about it besides.
    pub facts: Rc<Facts>,
    /// Which headers say so.
    pub headers: Rc<[IdentityHeader]>,
    /// The assertion about it, for routes that send one.
    pub assertion: Option<Rc<str>>,
}

impl Caller {
    fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let value = |header: &IdentityHeader| self.verified.header(header.value, &self.facts);
        self.headers.iter().filter_map(move |header| Some((&*header.name, value(header)?)))
    }
}

/// What becomes of a request's headers. Removals come before settings.
#[derive(Debug, Clone, Default)]
pub struct Edits {
    /// Names, as they were spelt.
    pub remove: Vec<Cow<'static, [u8]>>,
    /// Each replaces what was there.
    pub set: Vec<Header>,
    /// Whose headers are set besides.
    pub caller: Option<Caller>,
    /// What the upstream is shown as its own credential.
    pub upstream: Option<Rc<UpstreamCredential>>,
}

impl Edits {
    /// Removes a header, unless that is to be done already.
    pub fn remove_once(&mut self, name: &[u8]) {
        if !self.remove.iter().any(|known| **known == *name) {
            self.remove.push(Cow::Owned(name.to_vec()));
        }
    }

    /// Every header to set, once.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let caller = self.caller.as_ref();
        let assertion = caller.and_then(|caller| Some((HEADER, &**caller.assertion.as_ref()?)));
        let set = self.set.iter().map(|(name, value)| (&**name, &**value));
        let texts = set.chain(caller.into_iter().flat_map(Caller::headers)).chain(assertion);
        let upstream = self.upstream.as_ref().map(|credential| (credential.header.as_str(), credential.value.expose()));
        texts.map(|(name, value)| (name, value.as_bytes())).chain(upstream)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::verify::algorithm::Algorithm;

    pub(crate) fn ann() -> Identity {
        Identity {
            subject: Email::parse("ann@example.com").unwrap().into(),
            email: Email::parse("ann@example.com").ok(),
            method: Method::Jwt,
            token_id: Some("t-1".into()),
            token_name: Some("laptop".into()),
            scopes: vec!["api:read".into(), "api:write".into()],
            provider: "tokens".into(),
            issued_at: Some(1_000),
            signed_in_at: None,
            expires_at: 5_000,
            refused_from: 5_030,
            subject_digest: Digest::from_raw(100),
            not_before_digest: Digest::from_raw(102),
            token_digest: Some(Digest::from_raw(104)),
            sign_in_digest: None,
        }
    }

    /// What a token of Ann's was verified with.
    pub(crate) fn verified(identity: Identity) -> Rc<Verified> {
        let key = VerifyingKey::hmac(Secret::new(vec![7; 32]), Algorithm::Hs256);
        Verified::new(identity, Rc::new(key))
    }
}
