//! Why nobody was signed in: what is said of it is up to the pages.

use super::provider::ProviderError;
use crate::domain::error::Failure;
use crate::domain::sign_in::admission::NotAdmitted;

/// The code or the grant was withdrawn, was used up, or has ended (RFC 6749 §5.2).
pub(super) const INVALID_GRANT: &str = "invalid_grant";

/// Why nobody was signed in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSignedIn {
    /// The provider or the store can't be asked now, or too many are signing in.
    #[error("nobody can sign in now: {0}")]
    Unavailable(String),
    /// The answer belongs to no sign-in that this browser began just now.
    #[error("the answer belongs to no sign-in of this browser")]
    Stale,
    /// The provider did not let them in.
    #[error("the identity provider refused: {0}")]
    Refused(String),
    /// What was said in the provider's name can't be believed.
    #[error("{0}")]
    Untrusted(String),
    /// The provider lets them in, and we do not.
    #[error(transparent)]
    NotAdmitted(#[from] NotAdmitted),
    /// They are banned.
    #[error("banned")]
    Banned {
        /// Unix seconds; [`sekisho_protocol::feed::FOREVER`] if the ban has no end.
        until: u64,
    },
}

impl From<Failure> for NotSignedIn {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Banned { until, .. } => Self::Banned { until },
            failure => unavailable(failure),
        }
    }
}

impl From<ProviderError> for NotSignedIn {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Unavailable(cause) => Self::Unavailable(cause),
            // The one refusal that is about this sign-in (RFC 6749 §5.2); all others are about us.
            ProviderError::Refused(code) if code == INVALID_GRANT => Self::Refused(code),
            ProviderError::Refused(code) => Self::Unavailable(format!("the identity provider refuses us: {code}")),
            ProviderError::Untrusted(cause) => Self::Untrusted(cause),
        }
    }
}

pub(super) fn unavailable(error: impl ToString) -> NotSignedIn {
    NotSignedIn::Unavailable(error.to_string())
}
