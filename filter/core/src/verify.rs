//! Token → identity: signature, issuer, audience, times (RFC 7519 §7.2, RFC 8725).

pub mod cache;
mod claims;
mod jws;
mod object;

use std::hash::{Hash, Hasher};

use hmac::{Hmac, KeyInit, Mac};
use sekisho_protocol::digest::DigestKey;
use sekisho_protocol::feed::Kind;
use sekisho_protocol::{Digest, Email, Subject};
use sha2::Sha256;

use crate::identity::Identity;
use crate::secret::Secret;
use claims::Claims;
use jws::Jws;

/// Most bytes of a token. Longer ones are refused before anything is decoded.
pub const TOKEN_MAX_BYTES: usize = 16 * 1024;

/// Who may issue tokens, and how they are verified.
#[derive(Debug)]
pub struct Provider {
    /// For people.
    pub name: String,
    /// The `iss` that it may use.
    pub issuers: Vec<String>,
    /// One of these must be in `aud`.
    pub audiences: Vec<String>,
    /// Seconds by which clocks may differ.
    pub leeway_s: u64,
    /// The claim that holds the e-mail address, which a token must have.
    pub email_claim: String,
    key: Secret,
}

/// Why a token is not valid. The texts are shown to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Above [`TOKEN_MAX_BYTES`].
    #[error("token is too long")]
    TooLong,
    /// Not three parts of base64url with JSON objects in them, or claims of wrong types.
    #[error("token is malformed")]
    Malformed,
    /// Not the algorithm of the provider, or a header that this verifier must not ignore.
    #[error("algorithm is not accepted")]
    Algorithm,
    /// Nobody that the configuration names.
    #[error("issuer is not accepted")]
    Issuer,
    /// The signature does not belong to the text.
    #[error("signature is invalid")]
    Signature,
    /// For somebody else.
    #[error("audience is not accepted")]
    Audience,
    /// `exp` has passed, or there is none.
    #[error("token has expired")]
    Expired,
    /// `nbf` or `iat` lies in the future.
    #[error("token is not valid yet")]
    NotYetValid,
    /// No usable e-mail address, which this provider's tokens must have.
    #[error("user_email is missing")]
    NoEmail,
}

impl Invalid {
    /// Stable, for logs, metrics and problem details.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => "token_too_long",
            Self::Malformed => "token_malformed",
            Self::Algorithm => "token_algorithm",
            Self::Issuer => "token_issuer",
            Self::Signature => "token_signature",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid => "token_not_yet_valid",
            Self::NoEmail => "token_without_email",
        }
    }
}

impl Provider {
    /// A provider whose tokens are signed with HS256 under `key`.
    #[must_use]
    pub fn new(
        name: String,
        issuers: Vec<String>,
        audiences: Vec<String>,
        key: Secret,
        leeway_s: u32,
        email_claim: String,
    ) -> Self {
        Self { name, issuers, audiences, leeway_s: u64::from(leeway_s), email_claim, key }
    }

    /// Feeds everything that decides about a token into `hasher` (rule E8).
    pub(crate) fn fingerprint(&self, hasher: &mut impl Hasher) {
        (&self.issuers, &self.audiences, self.leeway_s, &self.email_claim, self.key.expose()).hash(hasher);
    }

    fn signature_fits(&self, jws: &Jws<'_>) -> bool {
        // HMAC takes keys of any length, so this cannot fail; if it did, nothing fits.
        Hmac::<Sha256>::new_from_slice(self.key.expose()).is_ok_and(|mac| {
            // Compares in constant time.
            mac.chain_update(jws.signed).verify_slice(&jws.signature).is_ok()
        })
    }

    fn accepts_audience(&self, claims: &Claims) -> bool {
        claims.audience.iter().any(|audience| self.audiences.contains(audience))
    }
}

/// Verifies a token among `providers` and says whom it belongs to.
///
/// # Errors
/// [`Invalid`] names the first thing that is wrong. Nothing in an unverified token decides anything
/// but which provider's key it must be signed with.
pub fn verify(token: &[u8], providers: &[Provider], digest_key: &DigestKey, now_s: u64) -> Result<Identity, Invalid> {
    if token.len() > TOKEN_MAX_BYTES {
        return Err(Invalid::TooLong);
    }
    let jws = Jws::parse(token)?;
    let claims = Claims::parse(&jws.payload)?;
    let issuer = claims.issuer.as_deref().ok_or(Invalid::Issuer)?;
    let known = |provider: &&Provider| provider.issuers.iter().any(|known| known == issuer);
    let provider = providers.iter().find(known).ok_or(Invalid::Issuer)?;
    if !provider.signature_fits(&jws) {
        return Err(Invalid::Signature);
    }
    if !provider.accepts_audience(&claims) {
        return Err(Invalid::Audience);
    }
    let expires_at = claims.expires_at.ok_or(Invalid::Expired)?;
    let refused_from = expires_at.saturating_add(provider.leeway_s);
    if now_s >= refused_from {
        return Err(Invalid::Expired);
    }
    let latest = now_s.saturating_add(provider.leeway_s);
    if [claims.not_before, claims.issued_at].into_iter().flatten().any(|moment| moment > latest) {
        return Err(Invalid::NotYetValid);
    }
    let email = claims.text(&provider.email_claim).and_then(|text| Email::parse(text).ok()).ok_or(Invalid::NoEmail)?;
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
        email,
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
