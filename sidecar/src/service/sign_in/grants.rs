//! Keeps what identity providers gave us, and what they call the sessions that came of it.

use std::time::Duration;

use async_trait::async_trait;
use sekisho_protocol::Subject;

use crate::domain::seal::Sealed;
use crate::domain::session::{Session, SessionId};
use crate::domain::sign_in::grant::ProviderName;
use crate::domain::time::UnixSeconds;
use crate::service::error::StoreError;

/// Keeps grants, sealed.
#[async_trait]
pub trait GrantStore: Send + Sync {
    /// Keeps the grant of a session for `life`, in place of the one it had, and remembers what the provider calls the
    /// session, and whom it calls so.
    async fn keep(
        &self,
        session: &Session,
        grant: &Sealed,
        names: &[ProviderName],
        life: Duration,
    ) -> Result<(), StoreError>;

    /// The grant of a session; whoever ends that drops it.
    async fn get(&self, id: &SessionId) -> Result<Option<Sealed>, StoreError>;

    /// The sessions that a provider calls so.
    async fn called(&self, name: &ProviderName) -> Result<Vec<SessionId>, StoreError>;

    /// Who a provider calls so, for as long as anything of theirs may be alive.
    async fn subject(&self, name: &ProviderName) -> Result<Option<Subject>, StoreError>;

    /// Notes that a provider told of a logout at `at`, for `life`.
    async fn note_logout(&self, name: &ProviderName, at: UnixSeconds, life: Duration) -> Result<(), StoreError>;

    /// When it told of the last logout of any of these, if it did.
    async fn logged_out(&self, names: &[ProviderName]) -> Result<Option<UnixSeconds>, StoreError>;

    /// Whether this is the first time within `life` that this was heard.
    async fn hear(&self, heard: &ProviderName, life: Duration) -> Result<bool, StoreError>;

    /// Remembers for so long that it was heard.
    async fn remember(&self, heard: &ProviderName, life: Duration) -> Result<(), StoreError>;

    /// Takes that back.
    async fn unhear(&self, heard: &ProviderName) -> Result<(), StoreError>;

    /// Takes the turn to ask the provider about a session, for `life`; false while it is another's.
    async fn take_turn(&self, id: &SessionId, owner: &str, life: Duration) -> Result<bool, StoreError>;

    /// Keeps one's turn for `life` more; false if it is not one's own any more.
    async fn renew_turn(&self, id: &SessionId, owner: &str, life: Duration) -> Result<bool, StoreError>;

    /// Ends one's turn.
    async fn end_turn(&self, id: &SessionId, owner: &str) -> Result<(), StoreError>;
}
