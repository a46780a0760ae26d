//! Logouts that the identity provider tells of, without a browser (OpenID Connect Back-Channel Logout 1.0).

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::SignIn;
use super::provider::{LogoutToken, ProviderError};
use crate::domain::audit::By;
use crate::domain::error::Failure;
use crate::domain::sign_in::attempt::LIFE_S;
use crate::domain::sign_in::grant::ProviderName;
use crate::domain::time::UnixSeconds;

/// A logout token older than this is none any more, in seconds. The specification recommends two minutes (§2.4).
pub const TOKEN_MAX_AGE_S: u64 = 150;
/// So long a token is remembered: for as long as it could be taken, by whatever clock.
const REMEMBERED_FOR: Duration = Duration::from_secs(TOKEN_MAX_AGE_S * 2);
/// So long a logout is noted for sign-ins that are under way.
const NOTED_FOR: Duration = Duration::from_secs(LIFE_S);
/// Most sessions that are ended at a time.
const AT_ONCE: usize = 16;
/// What it does in the audit trail.
const JOB: &str = "back-channel-logout";

/// Why a logout was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum NotLoggedOut {
    /// The token is none of the provider's, not for us, not now, or was here before.
    #[error("{0}")]
    Invalid(String),
    /// It may not have been carried out whole, and should be told again.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl SignIn {
    /// Ends what a logout token says: one session, or all of somebody's; how many ended.
    ///
    /// # Errors
    /// The token is not good, or not all of it could be carried out.
    pub async fn log_out(&self, token: &str) -> Result<usize, NotLoggedOut> {
        let logout = self.provider.read_logout(token).await.map_err(|error| match error {
            ProviderError::Unavailable(cause) => NotLoggedOut::Failed(Failure::Unavailable { cause }),
            error => NotLoggedOut::Invalid(error.to_string()),
        })?;
        let heard = ProviderName::jti(&logout.issuer, &logout.jti);
        if !self.grants.hear(&heard, REMEMBERED_FOR).await.map_err(Failure::from)? {
            return Err(NotLoggedOut::Invalid("the logout token was here before".into()));
        }
        let done = self.end_what(&logout).await;
        if done.is_err()
            && let Err(error) = self.grants.unhear(&heard).await
        {
            tracing::warn!(%error, "a logout that failed can't be told again for a while");
        }
        Ok(done?)
    }

    async fn end_what(&self, logout: &LogoutToken) -> Result<usize, Failure> {
        let named = match (&logout.sid, &logout.sub) {
            (Some(sid), _) => ProviderName::sid(&logout.issuer, sid),
            (None, Some(sub)) => ProviderName::sub(&logout.issuer, sub),
            (None, None) => return Ok(0),
        };
        // First, so that a sign-in that is being finished now sees it, or is seen.
        self.grants.note_logout(&named, UnixSeconds::now(), NOTED_FOR).await?;
        let mut sessions = Vec::new();
        for id in self.grants.called(&named).await? {
            sessions.extend(self.find(Some(&id)).await?);
        }
        let count = sessions.len();
        let end = |session| self.sessions.end_on_order(session, By::system(JOB));
        stream::iter(sessions).map(end).buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await?;
        // With `sid` only one session ended, and its owner is as welcome as before.
        if logout.sid.is_none()
            && self.terms.logout_revokes
            && let Some(subject) = self.grants.subject(&named).await?
        {
            self.logouts.log_out(subject, By::system(JOB), UnixSeconds::now()).await?;
        }
        Ok(count)
    }
}
