//! Sessions of people who signed in, and the rule that takes them.

use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use e2e::World;
use e2e::token::now;
use e2e::wire::RawRequest;
use e2e::world::APP_HOST;
use sekisho_protocol::session::cookie::{CookieKey, SECRET_BYTES, id};
use sekisho_sidecar::domain::session::Session;
use sekisho_sidecar::domain::time::UnixSeconds;
use sekisho_sidecar::service::sessions::SessionStore;
use sekisho_sidecar::store::redis::RedisClient;
use sekisho_sidecar::store::redis::sessions::RedisSessions;
use serde_json::{Value, json};

/// The host on which they signed in.
pub(crate) const HOST: &str = "localhost";
/// The name of the cookie.
pub(crate) const COOKIE: &str = "sekisho";

/// Adds a rule that takes sessions, and sends browsers to sign in; the API takes them, too.
pub(crate) fn with_sessions(policy: &mut Value) {
    policy["sessions"] = json!({"cookie": COOKIE});
    let rule = json!({
        "name": "console", "match": {"prefix": "/console"}, "access": "protected", "sessions": "accept",
        "answers": {"sign_in": "/oauth2/start"}, "identity": "upstream"
    });
    if let Some(routes) = policy["routes"].as_array_mut() {
        let own = json!({
            "name": "own_sessions", "match": {"host": APP_HOST, "path": "/api/session"}, "access": "protected",
            "sessions": "accept", "identity": "app", "on_ban": "finish"
        });
        for app in routes.iter_mut().filter(|rule| rule["name"] == "app") {
            app["sessions"] = "accept".into();
        }
        // The app's own rules stay first.
        routes.insert(3, rule);
        routes.insert(0, own);
    }
}

/// A session of somebody, and the cookie for it.
#[derive(Debug, Clone)]
pub(crate) struct SignedIn {
    /// The session.
    pub(crate) session: Session,
    /// The cookie's value.
    pub(crate) cookie: String,
}

/// Keeps a session of somebody as a sign-in does.
pub(crate) async fn sign_in(world: &World, email: &str) -> Result<SignedIn> {
    sign_in_at(world, email, HOST).await
}

/// The same on another host.
pub(crate) async fn sign_in_at(world: &World, email: &str, host: &str) -> Result<SignedIn> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let mut secret = [7; SECRET_BYTES];
    secret[..4].copy_from_slice(&NUMBER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let session: Session = serde_json::from_value(json!({
        "id": id(&secret), "subject": email, "email": email, "host": host, "method": "session",
        "claims": {"groups": ["sales"]}, "signed_in_at": now(), "last_access": now(), "ends_at": now() + 3_600,
        "idle_s": 600, "address": "192.0.2.7", "agent": "Fox"
    }))?;
    let store = store(world)?;
    // As a sign-in takes it from the store, so that somebody comes back in the second of an unban.
    let valid_since = store.bars(&session.subject).await?.valid_since.unwrap_or(session.signed_in_at);
    let session = Session { signed_in_at: session.signed_in_at.max(valid_since), ..session };
    store.insert(&session, UnixSeconds(now())).await?;
    let cookie = CookieKey::of_mesh(world.keys.mesh.as_bytes()).cookie(host, &secret);
    Ok(SignedIn { session, cookie })
}

/// Where sessions are kept.
pub(crate) fn store(world: &World) -> Result<RedisSessions> {
    Ok(RedisSessions::new(RedisClient::open(&world.redis.url())?))
}

/// A request that shows the cookie, among others.
pub(crate) fn asking(cookie: &str) -> RawRequest {
    RawRequest::new("GET", "/console/page").header("cookie", format!("theme=dark; {COOKIE}={cookie}; lang=ja"))
}
