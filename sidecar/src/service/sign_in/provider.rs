//! What we ask of an identity provider (OpenID Connect Core, RFC 6749).

use async_trait::async_trait;
use url::Url;

use crate::domain::sign_in::Testimony;
use crate::domain::sign_in::attempt::{Attempt, State};
use crate::domain::sign_in::grant::Grant;

/// An identity provider.
#[async_trait]
pub trait IdentityProvider: Send + Sync {
    /// The provider's page on which somebody signs in (Core §3.1.2.1).
    async fn authorization(&self, ask: Ask<'_>) -> Result<Url, ProviderError>;

    /// Sees that an answer is the provider's own: its `iss` (RFC 9207), if it has one or should have one.
    async fn check_issuer(&self, issuer: Option<&str>) -> Result<(), ProviderError>;

    /// What the provider gives for a code (Core §3.1.3): its ID token has been verified, and bears the attempt's nonce.
    async fn redeem(&self, code: &str, attempt: &Attempt, redirect_uri: &Url) -> Result<Given, ProviderError>;

    /// What it gives for a refresh token (Core §12).
    async fn renew(&self, grant: &Grant) -> Result<Renewed, ProviderError>;

    /// The provider's page that ends the session there (RP-Initiated Logout 1.0 §2), and comes back to `back_to`; none if it
    /// has none.
    async fn sign_out(&self, id_token: Option<&str>, back_to: &Url) -> Result<Option<Url>, ProviderError>;

    /// What a logout token says, whose signature, issuer, audience and times are good (Back-Channel Logout 1.0 §2.6).
    async fn read_logout(&self, token: &str) -> Result<LogoutToken, ProviderError>;
}

/// What a provider is asked for.
pub struct Ask<'a> {
    /// For which attempt.
    pub attempt: &'a Attempt,
    /// What its answer must bear.
    pub state: &'a State,
    /// Where its answer goes.
    pub redirect_uri: &'a Url,
    /// Whether it is to ask which account it shall be, even if it knows.
    pub other_account: bool,
}

/// What a provider gave.
pub struct Given {
    /// What it says of the person.
    pub said: Testimony,
    /// What we ask with later; none if the provider gives none, or not another one.
    pub refresh_token: Option<String>,
    /// The ID token itself; none if there was none.
    pub id_token: Option<String>,
}

/// What a provider gave for a refresh token.
pub struct Renewed {
    /// The one to ask with from now on, whatever became of the rest: the old one may be used up. None if it is good still.
    pub refresh_token: Option<String>,
    /// What it says of the person, and the ID token in which it does, if it is in one.
    pub said: Result<(Testimony, Option<String>), ProviderError>,
}

/// A logout that a provider tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutToken {
    /// Who says so.
    pub issuer: String,
    /// Whose sessions end; none if only `sid`'s does.
    pub sub: Option<String>,
    /// Which session ends; none if all of `sub` do.
    pub sid: Option<String>,
    /// Tells this token from every other.
    pub jti: String,
}

/// Why a provider was of no help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It can't be reached, or is not well.
    #[error("the identity provider is of no help: {0}")]
    Unavailable(String),
    /// It refused, with this code (RFC 6749 §5.2).
    #[error("the identity provider refused: {0}")]
    Refused(String),
    /// What it, or somebody in its name, said can't be believed.
    #[error("what was said in the identity provider's name can't be believed: {0}")]
    Untrusted(String),
}
