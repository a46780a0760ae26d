//! Which installation this is: sidecars that share a Redis must share a database as well. Otherwise each would keep half of
//! the audit trail, and later half of the keys.

use std::sync::Arc;

use async_trait::async_trait;

use crate::service::error::StoreError;

/// Knows the database's id.
#[async_trait]
pub trait Installation: Send + Sync {
    /// The id, which the first who asks draws.
    async fn id(&self) -> Result<String, StoreError>;
}

/// Where sidecars announce the database that they use.
#[async_trait]
pub trait Announcements: Send + Sync {
    /// Announces `id`, unless another is announced already; the one that is.
    async fn announce(&self, id: &str) -> Result<String, StoreError>;
}

/// Compares the two.
#[derive(Clone)]
pub struct Database {
    installation: Arc<dyn Installation>,
    announcements: Arc<dyn Announcements>,
}

impl Database {
    /// The database, as it calls itself and as it is announced.
    #[must_use]
    pub fn new(installation: Arc<dyn Installation>, announcements: Arc<dyn Announcements>) -> Self {
        Self { installation, announcements }
    }

    /// Opens the database, brings its tables up to date, and announces it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if one of the two can't be reached; [`StoreError::Unusable`] if the database is not ours to
    /// use, or another one is announced.
    pub async fn open(&self) -> Result<(), StoreError> {
        let ours = self.installation.id().await?;
        let theirs = self.announcements.announce(&ours).await?;
        if theirs == ours {
            return Ok(());
        }
        Err(StoreError::unusable(format_args!(
            "the sidecars on this Redis use another database ({theirs}; this one is {ours}): give all of them the same \
             DATABASE_URL, or on one machine the same SEKISHO_DATA_DIR. If the other database is gone for good, delete the key \
             `sekisho:database` in Redis"
        )))
    }
}
