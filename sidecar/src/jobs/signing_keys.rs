//! Looks after the signing keys: lets those go whose last token has ended, publishes what somebody could not who
//! was cut off, and says which keys this sidecar cannot open.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Trouble, pause, until_closing};
use crate::domain::signing::ring::Ring;
use crate::domain::time::UnixSeconds;
use crate::service::signing_keys::SigningKeys;

const JOB: &str = "signing_keys";
const EVERY: Duration = Duration::from_secs(5);

/// Looks after the keys until the sidecar closes.
pub async fn run(keys: SigningKeys, closing: CancellationToken) {
    let (mut trouble, mut known) = (Trouble::default(), Ring::default());
    loop {
        match until_closing(keys.tend(UnixSeconds::now()), &closing).await {
            None => return,
            Some(Ok(ring)) => {
                trouble.ends(JOB);
                if ring.keys() != known.keys() {
                    complain(&keys, &ring);
                }
                known = ring;
            }
            Some(Err(error)) => trouble.begins(JOB, &error),
        }
        if !pause(EVERY, &closing).await {
            return;
        }
    }
}

/// Says at once what would otherwise be found out by whoever needs a token.
fn complain(keys: &SigningKeys, ring: &Ring) {
    for closed in keys.closed(ring) {
        tracing::error!(key.id = %closed.kid, why = %closed.why,
            "this sidecar cannot sign with a key: see to it that REDIS_ENCRYPTION_KEY is the same on every sidecar, or rotate");
    }
}
