//! Calls that are made twice and carried out once: whoever sends a call again, because no answer came, gets the first
//! answer.
//!
//! A sidecar that carries a call out claims its key for [`CLAIM_FOR`] and renews the claim while the call is under way.
//! So a call may take as long as it likes without a second one starting beside it, and a sidecar that dies keeps the key
//! from nobody for longer than that; what its call came to is then unknown, and it is carried out when it is sent again.
//!
//! A store that can't be asked refuses the call: it could not be carried out either.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::error::Failure;
use crate::domain::idempotency::{BODY_MAX_BYTES, Fingerprint, KeptAnswer, Slot};
use crate::domain::seal::{NONCE_BYTES, Sealed, SealingKey};
use crate::service::error::StoreError;

/// How long a claim holds that nobody renews.
pub const CLAIM_FOR: Duration = Duration::from_secs(15);
/// How often a claim is renewed: two may fail before it is lost.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// When to send a call again that is under way.
const RETRY_AFTER_S: u32 = 1;

/// What a store knows of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing: whoever asked may carry it out.
    Claimed,
    /// Somebody carries it out.
    Running,
    /// It is another call's key.
    Another,
    /// It was carried out, with this answer; with none if that was too large.
    Answered(Option<Sealed>),
}

/// Keeps calls and their answers.
#[async_trait]
pub trait AnswerStore: Send + Sync {
    /// What is known of the call; if nothing is, it is `claim`'s from now on, for `life`.
    async fn claim(
        &self,
        slot: &Slot,
        fingerprint: &Fingerprint,
        claim: &str,
        life: Duration,
    ) -> Result<Known, StoreError>;

    /// Lets a claim hold for `life` from now on, if it still does.
    async fn renew(&self, slot: &Slot, claim: &str, life: Duration) -> Result<(), StoreError>;

    /// Keeps the answer, if the claim still holds.
    async fn keep(&self, slot: &Slot, claim: &str, answer: Option<&Sealed>) -> Result<(), StoreError>;

    /// Forgets the call, if the claim still holds.
    async fn release(&self, slot: &Slot, claim: &str) -> Result<(), StoreError>;
}

/// The use cases.
#[derive(Clone)]
pub struct Idempotency {
    store: Arc<dyn AnswerStore>,
    key: Option<Arc<SealingKey>>,
}

/// What to do with a call.
#[derive(Debug)]
pub enum Begun {
    /// Carry it out.
    Mine(Claim),
    /// Answer so.
    Answered(KeptAnswer),
}

/// A call that is ours to carry out.
pub struct Claim {
    calls: Idempotency,
    slot: Slot,
    id: String,
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Claim").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Idempotency {
    /// Calls kept by this store, their answers sealed under `key`.
    #[must_use]
    pub fn new(store: Arc<dyn AnswerStore>, key: Option<SealingKey>) -> Self {
        Self { store, key: key.map(Arc::new) }
    }

    /// Says what to do with a call.
    ///
    /// # Errors
    /// It must not be carried out: it is another call's key, the call is under way, its answer is lost, or the store
    /// can't be asked.
    pub async fn begin(&self, slot: Slot, fingerprint: &Fingerprint) -> Result<Begun, Failure> {
        let id = uuid::Uuid::new_v4().to_string();
        match self.store.claim(&slot, fingerprint, &id, CLAIM_FOR).await? {
            Known::Claimed => Ok(Begun::Mine(Claim { calls: self.clone(), slot, id })),
            Known::Running => Err(Failure::IdempotencyInProgress { retry_after_s: RETRY_AFTER_S }),
            Known::Another => Err(Failure::IdempotencyKeyReused),
            Known::Answered(sealed) => {
                // Sealed under a mesh secret that was changed, or damaged: it was carried out all the same.
                let answer = sealed.and_then(|sealed| self.open(&slot, &sealed));
                answer.map(Begun::Answered).ok_or(Failure::IdempotencyAnswerLost)
            }
        }
    }

    fn open(&self, slot: &Slot, sealed: &Sealed) -> Option<KeptAnswer> {
        match self.key.as_ref()?.open(&sealed_for(slot), sealed) {
            Ok(bytes) => KeptAnswer::from_bytes(&bytes),
            Err(error) => {
                tracing::warn!(%error, "a kept answer can't be opened");
                None
            }
        }
    }

    /// None if it is too large, or there is no randomness.
    fn seal(&self, slot: &Slot, answer: &KeptAnswer) -> Option<Sealed> {
        if answer.body.len() > BODY_MAX_BYTES {
            return None;
        }
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).ok()?;
        self.key.as_ref()?.seal(&sealed_for(slot), nonce, &answer.to_bytes().ok()?).ok()
    }
}

fn sealed_for(slot: &Slot) -> String {
    format!("{}:{}", slot.caller, slot.key)
}

impl Claim {
    /// Runs the call, and keeps the claim for as long as it takes.
    pub async fn hold<T>(&self, call: impl Future<Output = T>) -> T {
        tokio::pin!(call);
        loop {
            tokio::select! {
                done = &mut call => return done,
                () = tokio::time::sleep(RENEW_EVERY) => self.noted(self.calls.store.renew(&self.slot, &self.id, CLAIM_FOR).await),
            }
        }
    }

    /// Keeps the answer for whoever sends the call again. The call was carried out, so nothing can fail any more.
    pub async fn keep(self, answer: &KeptAnswer) {
        let sealed = self.calls.seal(&self.slot, answer);
        self.noted(self.calls.store.keep(&self.slot, &self.id, sealed.as_ref()).await);
    }

    /// The call did not come to its end: it may be made again at once.
    pub async fn release(self) {
        self.noted(self.calls.store.release(&self.slot, &self.id).await);
    }

    fn noted(&self, done: Result<(), StoreError>) {
        if let Err(error) = done {
            tracing::warn!(%error, "what a call came to could not be noted; sent again, it may be carried out twice");
        }
    }
}
