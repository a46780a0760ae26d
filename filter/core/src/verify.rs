//! Token → identity: signature, issuer, audience, times (RFC 7519 §7.2, RFC 8725).

pub mod algorithm;
pub mod budget;
pub mod cache;
mod claims;
pub mod crypto;
mod invalid;
pub mod jwk;
mod jws;
pub mod key;
mod object;
pub mod provider;

use std::rc::Rc;

use sekisho_protocol::digest::DigestKey;
use sekisho_protocol::feed::Kind;
use sekisho_protocol::{Digest, Email, Subject};

use crate::feed::Announced;
use crate::identity::Identity;
use crate::sources::Sources;
use crate::time::Now;
use algorithm::Algorithm;
use claims::Claims;
use crypto::Crypto;
pub use invalid::Invalid;
use jws::Jws;
use key::{Outcome, VerifyingKey};
pub use provider::Provider;

/// Most bytes of a token. Longer ones are refused before anything is decoded.
pub const TOKEN_MAX_BYTES: usize = 16 * 1024;

/// What a token is verified with.
pub struct Context<'a> {
    /// Who may issue tokens.
    pub providers: &'a [Provider],
    /// The keys that sidecars fetched.
    pub sources: &'a Sources,
    /// Which revisions of them are in force.
    pub announced: &'a Announced,
    /// Who does the cryptography.
    pub crypto: Crypto<'a>,
    /// The key of the denylist's digests.
    pub digest_key: &'a DigestKey,
    /// When.
    pub now: Now,
}

/// A token that is valid.
#[derive(Debug)]
pub struct Verification {
    /// Whom it belongs to.
    pub identity: Identity,
    /// What verified it: a cached token is worth as much as its key ([`VerifyingKey::is_believed`]).
    pub key: Rc<VerifyingKey>,
}

/// Why a token was not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unverified {
    /// It is not valid: 401.
    Invalid(Invalid),
    /// The sidecars may know the key that signed it.
    NeedsKeys {
        /// Whose keys.
        source: Rc<str>,
        /// The `kid` that the set does not have, if the set is in force and that is why it is asked for.
        kid: Option<String>,
    },
    /// No good keys of its source are known, or an unknown one while the source cannot be reached: 503.
    KeysUnavailable,
    /// The budget of slow cryptography is used up (rule E9): 503.
    Busy,
}

impl From<Invalid> for Unverified {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

/// Verifies a token and says whom it belongs to.
///
/// # Errors
/// [`Unverified`]; [`Invalid`] names the first thing that is wrong. Nothing in an unverified token decides
/// anything but which provider's keys it must be signed with.
pub fn verify(token: &[u8], context: &mut Context<'_>) -> Result<Verification, Unverified> {
    if token.len() > TOKEN_MAX_BYTES {
        return Err(Invalid::TooLong.into());
    }
    let jws = Jws::parse(token)?;
    let claims = Claims::parse(&jws.payload)?;
    let issuer = claims.issuer.as_deref().ok_or(Invalid::Issuer)?;
    let known = |provider: &&Provider| provider.issuers.iter().any(|known| known == issuer);
    let provider = context.providers.iter().find(known).ok_or(Invalid::Issuer)?;
    let key = provider.keys.iter().find(|key| key.is_for(Algorithm::Hs256, None)).ok_or(Invalid::Algorithm)?;
    match key.verify(Algorithm::Hs256, jws.signed, &jws.signature, &mut context.crypto, context.now) {
        Outcome::Fits => {}
        Outcome::Differs => return Err(Invalid::Signature.into()),
        Outcome::Busy => return Err(Unverified::Busy),
        Outcome::Unable => return Err(Unverified::KeysUnavailable),
    }
    let identity = accept(claims, provider, context.digest_key, context.now.unix_s)?;
    Ok(Verification { identity, key: Rc::clone(key) })
}

fn accept(claims: Claims, provider: &Provider, digest_key: &DigestKey, now_s: u64) -> Result<Identity, Invalid> {
    let rules = &provider.rules;
    if !claims.audience.iter().any(|audience| rules.audiences.contains(audience)) {
        return Err(Invalid::Audience);
    }
    let expires_at = claims.expires_at.ok_or(Invalid::Expired)?;
    let refused_from = expires_at.saturating_add(rules.leeway_s);
    if now_s >= refused_from {
        return Err(Invalid::Expired);
    }
    let latest = now_s.saturating_add(rules.leeway_s);
    if [claims.not_before, claims.issued_at].into_iter().flatten().any(|moment| moment > latest) {
        return Err(Invalid::NotYetValid);
    }
    let email_claim = rules.email.as_ref().map_or("user_email", |email| email.claim.as_str());
    let email = claims.text(email_claim).and_then(|text| Email::parse(text).ok()).ok_or(Invalid::NoEmail)?;
    Ok(identity(claims, email, (expires_at, refused_from), digest_key))
}

fn identity(claims: Claims, email: Email, (expires_at, refused_from): (u64, u64), digest_key: &DigestKey) -> Identity {
    let subject = Subject::from(email.clone());
    let digest = |kind, name: &str| Digest::of(digest_key, kind, name);
    Identity {
        subject_digest: digest(Kind::Ban, subject.as_str()),
        not_before_digest: digest(Kind::NotBefore, subject.as_str()),
        token_digest: claims.token_id.as_deref().map(|id| digest(Kind::Token, id)),
        subject,
        email: Some(email),
        token_id: claims.token_id,
        token_name: claims.token_name,
        scopes: claims.scopes,
        issued_at: claims.issued_at,
        expires_at,
        refused_from,
    }
}

#[cfg(test)]
pub(crate) mod tests;
