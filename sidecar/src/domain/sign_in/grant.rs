//! What the identity provider gave us with somebody's sign-in: with it we ask later whether it would still let them in.
//! The store keeps it sealed.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Testimony;
use crate::domain::seal::{NONCE_BYTES, SealError, Sealed, SealingKey};
use crate::domain::session::SessionId;

/// Most bytes of a refresh token or an ID token that is kept.
pub const TOKEN_MAX_BYTES: usize = 16 * 1024;

/// What begins the name of a person.
const SUB: &str = "sub";

/// A grant.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// With it we ask again (RFC 6749 §6), if the provider gave one.
    pub refresh_token: Option<String>,
    /// Whom to sign out (`id_token_hint`, OpenID Connect RP-Initiated Logout 1.0 §2).
    pub id_token: Option<String>,
    /// Who gave it.
    pub issuer: String,
    /// To whom.
    pub sub: String,
    /// In which session of theirs.
    pub sid: Option<String>,
}

impl Grant {
    /// Seals it for one session.
    ///
    /// # Errors
    /// It is too long.
    pub fn seal(&self, key: &SealingKey, id: &SessionId, nonce: [u8; NONCE_BYTES]) -> Result<Sealed, SealError> {
        let json = serde_json::to_vec(self).map_err(|_| SealError::TooLong)?;
        key.seal(id.as_str(), nonce, &json)
    }

    /// What was sealed for a session; none if it can't be opened.
    #[must_use]
    pub fn open(key: &SealingKey, id: &SessionId, sealed: &Sealed) -> Option<Self> {
        serde_json::from_slice(&key.open(id.as_str(), sealed).ok()?).ok()
    }

    /// The names by which the provider may call this session, or all of its owner.
    #[must_use]
    pub fn names(&self) -> Vec<ProviderName> {
        let sid = self.sid.as_ref().map(|sid| ProviderName::sid(&self.issuer, sid));
        sid.into_iter().chain([ProviderName::sub(&self.issuer, &self.sub)]).collect()
    }

    /// Whether somebody else is spoken of now: that must never become a session's owner (OpenID Connect Core §12.2).
    #[must_use]
    pub fn is_of(&self, said: &Testimony) -> bool {
        self.issuer == said.issuer && self.sub == said.sub
    }
}

/// By what a provider calls sessions: a digest, since `sid` and `sub` may be of any length and hold anything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProviderName(String);

impl ProviderName {
    /// One session of the provider's own.
    #[must_use]
    pub fn sid(issuer: &str, sid: &str) -> Self {
        Self::new("sid", issuer, sid)
    }

    /// All sessions of one person.
    #[must_use]
    pub fn sub(issuer: &str, sub: &str) -> Self {
        Self::new(SUB, issuer, sub)
    }

    /// One message of the provider's.
    #[must_use]
    pub fn jti(issuer: &str, jti: &str) -> Self {
        Self::new("jti", issuer, jti)
    }

    /// Whether it names somebody.
    #[must_use]
    pub fn is_person(&self) -> bool {
        self.0.starts_with(SUB)
    }

    /// As text: it holds no secret, and nothing but letters, digits and colons.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn new(kind: &str, issuer: &str, name: &str) -> Self {
        let length = u64::try_from(issuer.len()).unwrap_or(u64::MAX).to_be_bytes();
        let digest = Sha256::new().chain_update(length).chain_update(issuer).chain_update(name).finalize();
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{kind}:{hex}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        let (issuer, sub) = ("https://idp".into(), "u1".into());
        Grant { refresh_token: Some("r".into()), id_token: None, issuer, sub, sid: Some("s".into()) }
    }

    #[test]
    fn a_grant_opens_for_its_own_session_alone() {
        let key = SealingKey::new(&[1; 32]).unwrap();
        let (id, other) = (SessionId::parse("a").unwrap(), SessionId::parse("b").unwrap());
        let sealed = grant().seal(&key, &id, [7; NONCE_BYTES]).unwrap();
        assert!(Grant::open(&key, &id, &sealed) == Some(grant()));
        assert!(Grant::open(&key, &other, &sealed).is_none());
        assert!(Grant::open(&SealingKey::new(&[2; 32]).unwrap(), &id, &sealed).is_none());
        assert!(!sealed.as_text().contains("refresh"));
    }

    #[test]
    fn names_of_different_issuers_and_kinds_never_meet() {
        let names = [
            ProviderName::sid("https://idp", "x"),
            ProviderName::sub("https://idp", "x"),
            ProviderName::sub("https://idpx", ""),
            ProviderName::sub("https://id", "px"),
        ];
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), 4);
        assert_eq!(grant().names(), [ProviderName::sid("https://idp", "s"), ProviderName::sub("https://idp", "u1")]);
    }
}
