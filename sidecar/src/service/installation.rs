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

/// Why this sidecar must not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "another sidecar on this Redis uses another database ({theirs}; this one has {ours}): give all of them the same DATABASE_URL, or on one \
     machine the same SEKISHO_DATA_DIR. If the other database is gone for good, delete the key `sekisho:database` in Redis"
)]
pub struct OtherDatabase {
    theirs: String,
    ours: String,
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
    /// One of the two can't be reached. Another database is an answer.
    pub async fn open(&self) -> Result<Result<(), OtherDatabase>, StoreError> {
        let ours = self.installation.id().await?;
        let theirs = self.announcements.announce(&ours).await?;
        Ok(if theirs == ours { Ok(()) } else { Err(OtherDatabase { theirs, ours }) })
    }
}
