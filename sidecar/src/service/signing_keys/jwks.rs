//! What is published for everybody: a JWK set (RFC 7517 §5) of public keys, for whoever verifies tokens without
//! a filter. Anybody may ask, so the store is asked once a second at most.

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
    // Held while the store is asked, so that of many who ask together one does.
    last: Arc<Mutex<Option<Read>>>,
}

/// The set, as it was read last.
struct Read {
    at: Instant,
    document: Arc<Document>,
}

impl Jwks {
    /// The keys that `store` keeps.
    #[must_use]
    pub fn new(store: Arc<dyn SigningKeyStore>) -> Self {
        Self { store, last: Arc::default() }
    }

    /// The set, at most a second old.
    ///
    /// # Errors
    /// [`Failure::Unavailable`].
    pub async fn document(&self) -> Result<Arc<Document>, Failure> {
        let mut last = self.last.lock().await;
        if let Some(read) = last.as_ref().filter(|read| read.at.elapsed() < FRESH) {
            return Ok(Arc::clone(&read.document));
        }
        let document = Arc::new(document(self.store.ring().await?.public())?);
        *last = Some(Read { at: Instant::now(), document: Arc::clone(&document) });
        Ok(document)
    }
}

fn document(keys: Vec<Jwk>) -> Result<Document, Failure> {
    let internal = |error: serde_json::Error| Failure::Internal { cause: error.to_string() };
    let body = serde_json::to_string(&JwkSet { keys }).map_err(internal)?;
    let digest = Sha256::digest(body.as_bytes());
    let tag: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok(Document { body, etag: format!("\"{tag}\"") })
}
