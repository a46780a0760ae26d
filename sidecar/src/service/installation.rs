//! Which installation this is: sidecars that share a Redis must share a database as well, and the keys under which things
//! are sealed. Otherwise each would keep half of the audit trail, and what one seals the others could not open.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::error::Failure;
use crate::domain::seal::Sealed;
use crate::service::clock::in_time;
use crate::service::encryption::canary::Canary;
use crate::service::error::StoreError;

/// Longest time to open the database: longer than to bring its tables up to date.
const OPENING_MAX: Duration = Duration::from_secs(45);

/// Knows the database as a whole.
#[async_trait]
pub trait Installation: Send + Sync {
    /// The id, which the first who asks draws.
    async fn id(&self) -> Result<String, StoreError>;

    /// How the database is, without making or changing anything.
    async fn look(&self) -> Result<Look, StoreError>;

    /// The migrations that this program knows, in order.
    fn migrations(&self) -> Vec<i64>;
}

/// How a database is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Whether it is there at all.
    pub exists: bool,
    /// The migrations that were run, in order.
    pub applied: Vec<i64>,
    /// Its id, if it has one yet.
    pub id: Option<String>,
    /// Its canary, if it has one.
    pub canary: Option<Sealed>,
}

/// Where sidecars announce the database that they use.
#[async_trait]
pub trait Announcements: Send + Sync {
    /// Announces `id`, unless another is announced already; the one that is.
    async fn announce(&self, id: &str) -> Result<String, StoreError>;

    /// The one that is announced, if any is.
    async fn announced(&self) -> Result<Option<String>, StoreError>;
}

/// How it stands with the database, as far as this sidecar knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Standing {
    /// It was not opened yet.
    #[default]
    Unopened,
    /// It was opened, and is ours to use.
    Ours,
    /// It could not be opened: why.
    Closed(String),
    /// It is none of ours, or the keys here are the wrong ones: why. Waiting makes it no better.
    Unusable(String),
}

/// Compares what the database says of itself with what the other sidecars say.
#[derive(Clone)]
pub struct Database {
    installation: Arc<dyn Installation>,
    announcements: Arc<dyn Announcements>,
    canary: Canary,
    standing: Arc<Mutex<Standing>>,
}

/// Everything that a doctor wants to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// How it is.
    pub look: Look,
    /// The migrations that this program knows.
    pub known: Vec<i64>,
    /// The id that is announced.
    pub announced: Option<String>,
}

fn another(theirs: &str, ours: &str) -> StoreError {
    StoreError::unusable(format_args!(
        "the sidecars on this Redis use another database ({theirs}; this one is {ours}): give all of them the same \
         DATABASE_URL, or on one machine the same SEKISHO_DATA_DIR. If the other database is gone for good, delete the key \
         `sekisho:database` in Redis"
    ))
}

impl Database {
    /// The database, as it calls itself and as it is announced, and its canary.
    #[must_use]
    pub fn new(installation: Arc<dyn Installation>, announcements: Arc<dyn Announcements>, canary: Canary) -> Self {
        Self { installation, announcements, canary, standing: Arc::default() }
    }

    /// Opens the database, brings its tables up to date, announces it, and sees that the keys here open what is sealed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if one of the two can't be reached; [`StoreError::Unusable`] if the database is not ours to
    /// use, another one is announced, or the keys here are the wrong ones.
    pub async fn open(&self) -> Result<(), StoreError> {
        if self.standing() == Standing::Ours {
            return Ok(());
        }
        let opened = async {
            self.identify().await?;
            self.canary.check().await
        };
        let opened = in_time(OPENING_MAX, opened).await;
        let standing = match &opened {
            Ok(()) => Standing::Ours,
            Err(error @ StoreError::Unusable { .. }) => Standing::Unusable(error.to_string()),
            Err(error) => Standing::Closed(error.to_string()),
        };
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = standing;
        opened
    }

    async fn identify(&self) -> Result<(), StoreError> {
        let ours = self.installation.id().await?;
        let theirs = self.announcements.announce(&ours).await?;
        if theirs == ours { Ok(()) } else { Err(another(&theirs, &ours)) }
    }

    /// Sees that the database is the one that the sidecars use, for commands: they make none, announce none, and change
    /// nothing. What is there if no sidecar announced one.
    async fn compare(&self) -> Result<Examined, StoreError> {
        let examined = self.examine().await?;
        match (&examined.look.id, &examined.announced) {
            (Some(ours), Some(theirs)) if ours != theirs => Err(another(theirs, ours)),
            (None, Some(theirs)) => Err(another(theirs, "new")),
            _ => Ok(examined),
        }
    }

    /// Sees that the database is there, and the one that the sidecars use. For commands that read it.
    ///
    /// # Errors
    /// [`StoreError::Unusable`]; [`StoreError::Unavailable`] if one of the two can't be reached.
    pub async fn must_be_theirs(&self) -> Result<(), StoreError> {
        if self.compare().await?.look.id.is_some() {
            return Ok(());
        }
        Err(StoreError::unusable(
            "there is no database yet: start `sekisho serve`, or set DATABASE_URL or SEKISHO_DATA_DIR to what the sidecars use",
        ))
    }

    /// Sees that what is sealed here can be opened by the other sidecars. Whoever has opened the database knows that; others
    /// look it up.
    ///
    /// # Errors
    /// [`Failure::EncryptionKeyUnknown`] if no key here opens what they seal; [`Failure::Internal`] if they use another
    /// database; [`Failure::Unavailable`] if nobody can tell.
    pub async fn may_seal(&self) -> Result<(), Failure> {
        if self.standing() == Standing::Ours {
            return Ok(());
        }
        let canary = self.compare().await?.look.canary;
        let complaint = self.canary.judge(canary.as_ref()).complaint();
        complaint.map_or(Ok(()), |complaint| Err(Failure::EncryptionKeyUnknown { complaint }))
    }

    /// How it stands, without asking anybody.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the database is, and which one is announced. Nothing is made or changed.
    ///
    /// # Errors
    /// One of the two can't be reached.
    pub async fn examine(&self) -> Result<Examined, StoreError> {
        let (look, announced) = tokio::join!(self.installation.look(), self.announcements.announced());
        Ok(Examined { look: look?, known: self.installation.migrations(), announced: announced? })
    }
}
