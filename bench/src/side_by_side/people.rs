//! Somebody who signed in, and cookies that look as if somebody else had.

use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::token::now;
use e2e::world::Keys;
use sekisho_protocol::session::cookie::{CookieKey, SECRET_BYTES, id};
use sekisho_sidecar::domain::session::Session;
use sekisho_sidecar::domain::time::UnixSeconds;
use sekisho_sidecar::service::sessions::SessionStore as _;
use sekisho_sidecar::store::redis::RedisClient;
use sekisho_sidecar::store::redis::sessions::RedisSessions;
use serde_json::json;

/// The host that requests name.
const HOST: &str = "localhost";
/// How many made-up cookies there are.
pub(crate) const FORGED: usize = 50_000;
/// Bytes of the tag behind the secret.
const TAG_BYTES: usize = 16;

/// Keeps a session as a sign-in does; the value of its cookie.
///
/// # Errors
/// Redis is away.
pub(crate) async fn sign_in(redis_url: &str, keys: &Keys) -> Result<String> {
    let secret = [7; SECRET_BYTES];
    let session: Session = serde_json::from_value(json!({
        "id": id(&secret), "subject": "traveller@example.com", "email": "traveller@example.com", "host": HOST,
        "method": "session", "claims": {"groups": ["sales"]}, "signed_in_at": now(), "last_access": now(),
        "ends_at": now() + 86_400, "idle_s": 3_600
    }))?;
    RedisSessions::new(RedisClient::open(redis_url)?).insert(&session, UnixSeconds(now())).await?;
    Ok(CookieKey::of_mesh(keys.mesh.as_bytes()).cookie(HOST, &secret))
}

/// Cookies as long as real ones, of random bytes.
pub(crate) fn forged() -> impl Iterator<Item = String> {
    let random = |length: usize| URL_SAFE_NO_PAD.encode((0..length).map(|_| fastrand::u8(..)).collect::<Vec<_>>());
    (0..FORGED).map(move |_| format!("{}.{}", random(SECRET_BYTES), random(TAG_BYTES)))
}
