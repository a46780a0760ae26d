//! Logouts that the identity provider tells of, without a browser (OpenID Connect Back-Channel Logout 1.0).

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::SignIn;
use super::provider::{LogoutToken, ProviderError};
use crate::domain::audit::By;
use crate::domain::error::Failure;
use crate::domain::session::Session;
use crate::domain::sign_in::attempt::LIFE_S;
use crate::domain::sign_in::grant::ProviderName;
use crate::domain::time::UnixSeconds;
use crate::service::change::to_its_end;

/// A logout token older than this is none any more, in seconds. The specification recommends two minutes (§2.4).
pub const TOKEN_MAX_AGE_S: u64 = 150;
/// So long a token is being carried out, unless the sidecar that does so died.
const CLAIMED_FOR: Duration = Duration::from_secs(15);
/// So long a token is remembered that was: for as long as it could be taken, by whatever clock.
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
        if !self.grants.hear(&heard, CLAIMED_FOR).await.map_err(Failure::from)? {
            return Err(NotLoggedOut::Invalid("the logout token was here before".into()));
        }
        let this = self.clone();
        // To its end, even if the provider hangs up before that.
        let done = to_its_end(async move {
            let done = this.end_what(&logout).await;
            let told = match done {
                Ok(_) => this.grants.remember(&heard, REMEMBERED_FOR).await,
                Err(_) => this.grants.unhear(&heard).await,
            };
            if let Err(error) = told {
                tracing::warn!(%error, "what became of a logout could not be written down");
            }
            done
        });
        Ok(done.await?)
    }

    async fn end_what(&self, logout: &LogoutToken) -> Result<usize, Failure> {
        let LogoutToken { issuer, sub, sid, .. } = logout;
        let (now, by) = (UnixSeconds::now(), By::system(JOB));
        let person = sub.as_ref().map(|sub| ProviderName::sub(issuer, sub));
        let Some(named) = sid.as_ref().map(|sid| ProviderName::sid(issuer, sid)).or_else(|| person.clone()) else {
            return Ok(0);
        };
        // First, so that a sign-in that is being finished now sees it, or is seen.
        self.grants.note_logout(&named, now, NOTED_FOR).await?;
        let mut count = 0;
        if sid.is_none()
            && let Some(subject) = self.grants.subject(&named).await?
        {
            count += if self.terms.logout_revokes {
                self.logouts.log_out(subject, by, now).await?.ended_sessions
            } else {
                self.sessions.end_all_on_order(subject, by, now).await?.count
            };
        }
        // With `sid` one session ends, and its owner is as welcome as before.
        let mut sessions = self.called(&named).await?;
        if let (Some(_), Some(person)) = (sid, person) {
            sessions.extend(self.without_sid(&person).await?);
        }
        count += sessions.len();
        let end = |session| self.sessions.end_on_order(session, By::system(JOB));
        stream::iter(sessions).map(end).buffer_unordered(AT_ONCE).try_for_each(async |_| Ok(())).await?;
        Ok(count)
    }

    /// The sessions that the provider calls so, and that hold.
    async fn called(&self, name: &ProviderName) -> Result<Vec<Session>, Failure> {
        let mut sessions = Vec::new();
        for id in self.grants.called(name).await? {
            sessions.extend(self.find(Some(&id)).await?);
        }
        Ok(sessions)
    }

    /// Those of a person of which the provider did not say what it calls them: any of them may be meant.
    async fn without_sid(&self, person: &ProviderName) -> Result<Vec<Session>, Failure> {
        let mut sessions = Vec::new();
        for session in self.called(person).await? {
            if self.grant(&session.id).await?.is_none_or(|grant| grant.sid.is_none()) {
                sessions.push(session);
            }
        }
        Ok(sessions)
    }
}
