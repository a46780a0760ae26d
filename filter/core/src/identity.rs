//! Who a request belongs to, and how its upstream is told.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sekisho_protocol::activity::Method;
use sekisho_protocol::identity::{HEADER, ISSUER, IdentityClaims, MAX_LIFETIME_S};
use sekisho_protocol::{Digest, Email, Subject};
use sha2::Sha256;

use crate::authorize::facts::{Facts, Questions};
use crate::secret::Secret;
use crate::upstream::UpstreamCredential;
use crate::verify::key::VerifyingKey;
use headers::{HeaderValue, IdentityHeader};

pub mod headers;

/// The verified identity behind a credential, with the digests under which it could be barred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The key of everything.
    pub subject: Subject,
    /// The address that the provider vouches for, if it does for one.
    pub email: Option<Email>,
    /// The token's `jti`.
    pub token_id: Option<String>,
    /// The name that its owner gave the token.
    pub token_name: Option<String>,
    /// The token's scopes.
    pub scopes: Vec<String>,
    /// The name of the provider that issued it.
    pub provider: Rc<str>,
    /// The token's `iat`, Unix seconds.
    pub issued_at: Option<u64>,
    /// When its owner last signed in: `auth_time` (OpenID Connect Core §2), Unix seconds.
    pub signed_in_at: Option<u64>,
    /// The token's `exp`, Unix seconds.
    pub expires_at: u64,
    /// Unix seconds from which on the token is refused: its `exp` and the leeway of its provider.
    pub refused_from: u64,
    /// Under which a ban of the subject is filed.
    pub subject_digest: Digest,
    /// Under which a logout of the subject's earlier tokens is filed.
    pub not_before_digest: Digest,
    /// Under which the token's revocation is filed.
    pub token_digest: Option<Digest>,
}

/// Whom an assertion is for: the one audience that may believe it, and the key it verifies with.
#[derive(Debug)]
pub struct Target {
    /// How routes name it.
    pub name: String,
    /// Its `aud`.
    pub audience: String,
    /// The MAC once the key went in; none could not be, since HMAC takes keys of any length.
    keyed: Option<Hmac<Sha256>>,
}

/// A signed assertion, and until when it is worth sending.
#[derive(Debug, Clone)]
pub struct Assertion {
    jwt: Rc<str>,
    target: Rc<Target>,
    renew_at_s: u64,
}

/// Seconds before its end at which an assertion is made anew: it must outlive the way to the
/// upstream, a queue there and a small difference of clocks.
const RENEW_BEFORE_END_S: u64 = 15;

impl Target {
    /// A target whose assertions are signed with HS256 under `key`.
    #[must_use]
    pub fn new(name: String, audience: String, key: &Secret) -> Self {
        Self { name, audience, keyed: Hmac::new_from_slice(key.expose()).ok() }
    }

    /// Signs an assertion about `identity` (RFC 7515 §3.1). None only if it cannot be written as
    /// JSON or signed, which no identity that was verified can bring about.
    fn sign(&self, identity: &Identity, now_s: u64) -> Option<String> {
        let claims = IdentityClaims {
            iss: ISSUER.into(),
            aud: self.audience.clone(),
            sub: identity.subject.clone(),
            email: identity.email.as_ref().map(ToString::to_string),
            method: Method::Jwt,
            token_id: identity.token_id.clone(),
            token_issued_at: identity.issued_at,
            token_name: identity.token_name.clone(),
            scopes: identity.scopes.clone(),
            iat: now_s,
            exp: now_s + MAX_LIFETIME_S,
        };
        let mut jwt = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        jwt.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(serde_json::to_vec(&claims).ok()?, &mut jwt);
        let mac = self.keyed.clone()?.chain_update(&jwt);
        jwt.push('.');
        BASE64_URL_SAFE_NO_PAD.encode_string(mac.finalize().into_bytes(), &mut jwt);
        Some(jwt)
    }
}

/// The assertions of one credential, at most one for each audience (rule E6).
#[derive(Debug, Clone, Default)]
pub struct Assertions(Vec<Assertion>);

impl Assertions {
    /// Most audiences for which one credential keeps an assertion.
    const MAX: usize = 8;

    /// The assertion about `identity` for `target`, from the cache if it is young enough.
    pub fn get(&mut self, target: &Rc<Target>, identity: &Identity, now_s: u64) -> Option<Rc<str>> {
        // Compared by address: after a configuration push, the same name may have another key.
        if let Some(kept) = self.0.iter().find(|kept| Rc::ptr_eq(&kept.target, target) && now_s < kept.renew_at_s) {
            return Some(Rc::clone(&kept.jwt));
        }
        let jwt: Rc<str> = target.sign(identity, now_s)?.into();
        let renew_at_s = now_s + MAX_LIFETIME_S - RENEW_BEFORE_END_S;
        self.0.retain(|kept| now_s < kept.renew_at_s && !Rc::ptr_eq(&kept.target, target));
        if self.0.len() < Self::MAX {
            // Most have one target.
            self.0.reserve_exact(1);
            self.0.push(Assertion { jwt: Rc::clone(&jwt), target: Rc::clone(target), renew_at_s });
        }
        Some(jwt)
    }
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
    assertions: RefCell<Assertions>,
    /// What the rules that it was last judged by want to know about it.
    facts: RefCell<Rc<Facts>>,
    was_shown: Cell<bool>,
}

impl Verified {
    /// Prepares everything that a request of this identity will need.
    #[must_use]
    pub fn new(identity: Identity, key: Rc<VerifyingKey>) -> Rc<Self> {
        let scopes = identity.scopes.join(" ").into();
        let (assertions, facts) = (RefCell::default(), RefCell::default());
        Rc::new(Self { identity, key, scopes, assertions, facts, was_shown: Cell::default() })
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

    /// An assertion about the identity for `target`. None only if it cannot be made.
    ///
    /// It is kept from the second request on: many credentials are shown once.
    #[must_use]
    pub fn assertion(&self, target: &Rc<Target>, now_s: u64) -> Option<Rc<str>> {
        if !self.was_shown.replace(true) {
            return target.sign(&self.identity, now_s).map(Rc::from);
        }
        self.assertions.try_borrow_mut().ok()?.get(target, &self.identity, now_s)
    }

    /// The value of a header about the identity; none if there is nothing to say.
    fn header<'a>(&'a self, value: HeaderValue, facts: &'a Facts) -> Option<&'a str> {
        let Identity { subject, email, token_id, token_name, provider, .. } = &self.identity;
        match value {
            HeaderValue::Email => email.as_ref().map(Email::as_str),
            HeaderValue::Subject => Some(subject.as_str()),
            HeaderValue::Method => Some(Method::Jwt.as_str()),
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
    use crate::verify::algorithm::Algorithm;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    pub(crate) fn ann() -> Identity {
        Identity {
            subject: Email::parse("ann@example.com").unwrap().into(),
            email: Email::parse("ann@example.com").ok(),
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
        }
    }

    /// What a token of Ann's was verified with.
    pub(crate) fn verified(identity: Identity) -> Rc<Verified> {
        let key = VerifyingKey::hmac(Secret::new(vec![7; 32]), Algorithm::Hs256);
        Verified::new(identity, Rc::new(key))
    }

    fn target(name: &str, audience: &str) -> Rc<Target> {
        Rc::new(Target::new(name.into(), audience.into(), &Secret::new(name.as_bytes().repeat(32))))
    }

    fn claims(jwt: &str) -> IdentityClaims {
        let payload = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1).unwrap()).unwrap();
        serde_json::from_slice(&payload).unwrap()
    }

    #[test]
    fn e6_an_assertion_has_one_audience_and_lives_at_most_thirty_seconds() {
        let jwt = Assertions::default().get(&target("a", "llm"), &ann(), 2_000).unwrap();
        let claims = claims(&jwt);
        assert_eq!((claims.aud.as_str(), claims.iat, claims.exp), ("llm", 2_000, 2_030));
        assert_eq!((claims.sub.as_str(), claims.token_name.as_deref()), ("ann@example.com", Some("laptop")));
    }

    #[test]
    fn e6_an_assertion_is_cached_per_audience_and_renewed_before_it_ends() {
        let (llm, app) = (target("a", "llm"), target("b", "app"));
        let mut kept = Assertions::default();
        let first = kept.get(&llm, &ann(), 2_000).unwrap();
        assert!(Rc::ptr_eq(&first, &kept.get(&llm, &ann(), 2_014).unwrap()));
        assert_ne!(first, kept.get(&app, &ann(), 2_014).unwrap());
        assert_eq!(claims(&kept.get(&llm, &ann(), 2_015).unwrap()).iat, 2_015);
        let same_name_new_key = Rc::new(Target::new("a".into(), "llm".into(), &Secret::new(vec![9; 32])));
        assert_ne!(kept.get(&llm, &ann(), 2_015).unwrap(), kept.get(&same_name_new_key, &ann(), 2_015).unwrap());
    }
}
