//! Token → identity: signature, issuer, audience, times (RFC 7519 §7.2, RFC 8725).

pub mod algorithm;
pub mod budget;
pub mod cache;
mod claims;
pub mod crypto;
mod der;
pub mod host;
mod invalid;
pub(crate) mod json;
pub mod jwk;
mod jws;
pub mod key;
pub mod provider;
mod public;
mod rules;
mod signer;
mod tag;

use std::rc::Rc;

use sekisho_protocol::digest::DigestKey;

use crate::feed::Announced;
use crate::identity::Identity;
use crate::sources::Sources;
use crate::time::Now;
use claims::Claims;
use crypto::Crypto;
pub use invalid::Invalid;
use jws::Jws;
use key::VerifyingKey;
pub use provider::Provider;
use signer::Signed;

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
    judge(token, context, |signed, provider, context| signed.signer(provider, context))
}

/// Reads a token as if its signature were right: for explanations, by which nobody is let in.
///
/// # Errors
/// [`Unverified::Invalid`].
#[cfg(feature = "offline")]
pub fn believe(token: &[u8], context: &mut Context<'_>) -> Result<Verification, Unverified> {
    let nobodys = VerifyingKey::hmac(crate::secret::Secret::new(vec![0; 32]), algorithm::Algorithm::Hs256);
    judge(token, context, |_, _, _| Ok(Rc::new(nobodys)))
}

fn judge(
    token: &[u8],
    context: &mut Context<'_>,
    signer: impl FnOnce(&Signed<'_>, &Provider, &mut Context<'_>) -> Result<Rc<VerifyingKey>, Unverified>,
) -> Result<Verification, Unverified> {
    if token.len() > TOKEN_MAX_BYTES {
        return Err(Invalid::TooLong.into());
    }
    let jws = Jws::split(token)?;
    let header = jws.header()?;
    let payload = jws.payload()?;
    let claims = Claims::parse(&payload)?;
    let issuer = claims.text("iss")?.ok_or(Invalid::Issuer)?;
    let known = |provider: &&Provider| provider.issuers.iter().any(|known| known == issuer);
    let provider = context.providers.iter().find(known).ok_or(Invalid::Issuer)?;
    if !provider.rules.accepts_type(header.kind.as_deref()) {
        return Err(Invalid::Type.into());
    }
    let signature = jws.signature()?;
    let signed = Signed { header: &header, text: jws.signed, signature: &signature };
    let key = signer(&signed, provider, context)?;
    let (name, now_s) = (&provider.name, context.now.unix_s);
    let identity = provider.rules.accept(&claims, issuer, name, context.digest_key, now_s)?;
    Ok(Verification { identity, key })
}

#[cfg(test)]
pub(crate) mod tests;
