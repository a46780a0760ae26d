//! What is published for everybody: a JWK set (RFC 7517 §5) of public keys, for whoever verifies tokens without
//! a filter, and for upstreams that verify assertions. Anybody may ask, so the store is asked once a second at most.

use std::sync::Arc;
use std::time::Duration;

use sekisho_protocol::keyset::Jwk;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::SigningKeyStore;
use crate::domain::error::Failure;

/// For how long an answer is given again.
const FRESH: Duration = Duration::from_secs(1);

/// The set, as it is served.
#[derive(Debug, PartialEq, Eq)]
pub struct Document {
    /// JSON.
    pub body: String,
    /// Its entity tag, with the quotes: the same for the same keys on every sidecar.
    pub etag: String,
}

/// The set.
#[derive(Serialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

/// Serves the set.
#[derive(Clone)]
pub struct Jwks {
    store: Arc<dyn SigningKeyStore>,
    /// The keys of assertions. They verify no token, and stand nowhere else.
    of_assertions: Arc<[Jwk]>,
    // Held while the store is asked, so that of many who ask together one does.
    last: Arc<Mutex<Option<Read>>>,
}

/// How the set was read last. A failure counts, too: while the store is away, nobody may wait for it in a row.
struct Read {
    at: Instant,
    outcome: Result<Arc<Document>, Failure>,
}

impl Jwks {
    /// The keys of tokens, which `store` keeps, and those of assertions.
    #[must_use]
    pub fn new(store: Arc<dyn SigningKeyStore>, of_assertions: Vec<Jwk>) -> Self {
        Self { store, of_assertions: of_assertions.into(), last: Arc::default() }
    }

    /// The set, at most a second old.
    ///
    /// # Errors
    /// [`Failure::Unavailable`], also if the store could not be read less than a second ago.
    pub async fn document(&self) -> Result<Arc<Document>, Failure> {
        let mut last = self.last.lock().await;
        if let Some(read) = last.as_ref().filter(|read| read.at.elapsed() < FRESH) {
            return read.outcome.clone();
        }
        let ring = self.store.ring().await.map_err(Failure::from);
        // Without those of tokens the set would look whole, and be believed for minutes: it is all or nothing.
        let outcome = ring.and_then(|ring| document([ring.public(), self.of_assertions.to_vec()].concat()));
        let outcome = outcome.map(Arc::new);
        *last = Some(Read { at: Instant::now(), outcome: outcome.clone() });
        outcome
    }
}

fn document(keys: Vec<Jwk>) -> Result<Document, Failure> {
    let internal = |error: serde_json::Error| Failure::Internal { cause: error.to_string() };
    let body = serde_json::to_string(&JwkSet { keys }).map_err(internal)?;
    let digest = Sha256::digest(body.as_bytes());
    let tag: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok(Document { body, etag: format!("\"{tag}\"") })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;
    use tokio::time::sleep;

    use super::*;
    use crate::domain::signing::Kid;
    use crate::domain::signing::ring::{Ring, Update};
    use crate::domain::time::UnixSeconds;
    use crate::service::error::StoreError;
    use crate::service::signing_keys::Stepped;

    /// A store that answers late, and cannot be read the first time.
    #[derive(Default)]
    struct Away(AtomicUsize);

    #[async_trait]
    impl SigningKeyStore for Away {
        async fn ring(&self) -> Result<Ring, StoreError> {
            sleep(Duration::from_millis(50)).await;
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => Err(StoreError::unavailable("away")),
                _ => Ok(Ring::default()),
            }
        }

        async fn step(&self, _: &Update) -> Result<Stepped, StoreError> {
            Err(StoreError::unavailable("away"))
        }

        async fn note_token(&self, _: &Kid, _: UnixSeconds) -> Result<bool, StoreError> {
            Err(StoreError::unavailable("away"))
        }
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_asked_once_a_second_like_any_other() {
        let store = Arc::new(Away::default());
        let jwks = Jwks::new(store.clone(), Vec::new());
        for (documents, asked, is_there) in [(20, 1, false), (20, 2, true)] {
            let all = futures_util::future::join_all((0..documents).map(|_| jwks.document())).await;
            assert!(all.iter().all(|document| document.is_ok() == is_there), "{all:?}");
            assert_eq!(store.0.load(Ordering::Relaxed), asked);
            sleep(FRESH).await;
        }
    }
}
