//! The canary: a value in the database, sealed by the first sidecar that had a key. Whoever has no key that opens it
//! would seal what the others can't open, and is told so before it does.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Lost, seal};
use crate::domain::error::Failure;
use crate::domain::seal::{SealError, Sealed, SealingKeyId, SealingKeys};
use crate::service::error::StoreError;

/// What the canary is sealed for.
const RECORD: &str = "installation:canary";
/// What is sealed. That it opens is all that counts.
const SECRET: &[u8] = b"sekisho canary v1";
/// Attempts to replace a canary that others replace at the same time.
const ATTEMPTS: usize = 10;

/// Keeps the canary.
#[async_trait]
pub trait CanaryStore: Send + Sync {
    /// The canary, if there is one.
    async fn canary(&self) -> Result<Option<Sealed>, StoreError>;

    /// Sets a canary, unless there is one; the one that is there then.
    async fn set_canary(&self, canary: &Sealed) -> Result<Sealed, StoreError>;

    /// Puts `new` in the place of `old`, unless that is not there any more; whether it did.
    async fn replace_canary(&self, old: &Sealed, new: &Sealed) -> Result<bool, StoreError>;
}

/// The canary, and the keys that are to open it.
#[derive(Clone)]
pub struct Canary {
    store: Arc<dyn CanaryStore>,
    keys: Option<SealingKeys>,
}

/// What the canary says of the keys here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// There is none; no key was ever here.
    Missing {
        /// The key that would seal one, if there is any.
        present: Option<SealingKeyId>,
    },
    /// There is no key here to open it.
    NoKey {
        /// The key that sealed it.
        theirs: Option<SealingKeyId>,
    },
    /// A key here opens it.
    Opens {
        /// Which.
        under: SealingKeyId,
        /// The key that seals here. If it is another one, a rotation has not come to its end.
        present: SealingKeyId,
    },
    /// No key here opens it.
    Closed {
        /// The key that sealed it.
        theirs: SealingKeyId,
        /// The ids of the keys here, for people; the one that seals first.
        ours: String,
    },
    /// It is no value that was sealed for this.
    Damaged,
}

impl State {
    /// What to say, and what to do, if the keys here are the wrong ones; none if they are not.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        match self {
            Self::Closed { theirs, ours } => Some(format!(
                "what the sidecars of this database keep is sealed under the encryption key {theirs}, and the keys here are \
                 {ours}: set REDIS_ENCRYPTION_KEY to that key, or to seal under a new one add it to \
                 SEKISHO_OTHER_ENCRYPTION_KEYS on every sidecar. If it is lost for good, run `sekisho keys rotate-encryption \
                 --lost`: what is sealed under it stays closed"
            )),
            Self::Damaged => Some(
                "the value in the database by which encryption keys are recognised (table `installation`, name `canary`) is \
                 damaged: restore it from a backup, or run `sekisho keys rotate-encryption --lost` with the right keys"
                    .to_owned(),
            ),
            Self::Missing { .. } | Self::NoKey { .. } | Self::Opens { .. } => None,
        }
    }
}

impl Canary {
    /// The canary in `store`, to be opened by `keys`.
    #[must_use]
    pub fn new(store: Arc<dyn CanaryStore>, keys: Option<SealingKeys>) -> Self {
        Self { store, keys }
    }

    async fn look(&self) -> Result<State, StoreError> {
        Ok(self.judge(self.store.canary().await?.as_ref()))
    }

    /// Sees that a key here opens it, and sets it if there is none.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if no key here opens it; [`StoreError::Unavailable`].
    pub async fn check(&self) -> Result<(), StoreError> {
        let state = match (self.look().await?, &self.keys) {
            (State::Missing { .. }, Some(keys)) => {
                let set = self.store.set_canary(&sealed(keys).map_err(StoreError::unavailable)?).await?;
                self.judge(Some(&set))
            }
            (state, _) => state,
        };
        if let State::NoKey { theirs } = &state {
            let key_id = theirs.map(|id| id.to_string());
            tracing::warn!(
                key.id = key_id,
                "this sidecar has no REDIS_ENCRYPTION_KEY, and others have one: bans and \
                 revocations work, but what is sealed stays closed here, and no signing key can sign"
            );
        }
        state.complaint().map_or(Ok(()), |complaint| Err(StoreError::unusable(complaint)))
    }

    /// Sees that a key here opens it, or that nobody minds.
    ///
    /// # Errors
    /// [`Failure::EncryptionKeyUnknown`]; [`Failure::Unavailable`].
    pub(super) async fn must_open(&self, lost: Lost) -> Result<(), Failure> {
        let complaint = self.look().await?.complaint();
        match (complaint, lost) {
            (Some(complaint), Lost::Refuse) => Err(Failure::EncryptionKeyUnknown { complaint }),
            _ => Ok(()),
        }
    }

    /// Seals it under the present key, or sets it.
    ///
    /// # Errors
    /// As [`Self::must_open`]; [`Failure::EncryptionOvertaken`].
    pub(super) async fn move_to_present(&self, lost: Lost) -> Result<(), Failure> {
        let keys = self.keys.as_ref().ok_or(Failure::NoEncryptionKey)?;
        let new = sealed(keys)?;
        for _ in 0..ATTEMPTS {
            let old = self.store.set_canary(&new).await?;
            let state = self.judge(Some(&old));
            match (&state, state.complaint(), lost) {
                (State::Opens { under, present }, ..) if under == present => return Ok(()),
                (_, Some(complaint), Lost::Refuse) => return Err(Failure::EncryptionKeyUnknown { complaint }),
                _ if self.store.replace_canary(&old, &new).await? => return Ok(()),
                _ => {}
            }
        }
        Err(Failure::EncryptionOvertaken)
    }

    /// What a canary says of the keys here.
    #[must_use]
    pub fn judge(&self, canary: Option<&Sealed>) -> State {
        let present = self.keys.as_ref().map(SealingKeys::present);
        let Some(canary) = canary else { return State::Missing { present } };
        let Some(keys) = &self.keys else { return State::NoKey { theirs: canary.key_id() } };
        match (keys.open(RECORD, canary), canary.key_id()) {
            (Ok(_), Some(under)) => State::Opens { under, present: keys.present() },
            (Err(SealError::OtherKey { theirs, .. }), _) => State::Closed { theirs, ours: keys.to_string() },
            _ => State::Damaged,
        }
    }
}

fn sealed(keys: &SealingKeys) -> Result<Sealed, Failure> {
    seal(keys, RECORD, SECRET)
}
