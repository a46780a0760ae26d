//! An identity provider on a port of its own, as good or as bad as a test wants it.

#![allow(clippy::expect_used, reason = "only tests include this file")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How the provider answers when it is asked for its keys.
#[derive(Debug, Clone, Default)]
pub(crate) enum Mood {
    /// With the keys.
    #[default]
    Good,
    /// With the keys, and this `Cache-Control`.
    Cached(&'static str),
    /// With the keys, after so long.
    Slow(Duration),
    /// With this status.
    Status(u16),
    /// With a page for people.
    Html,
    /// With 5 MB, and it says so.
    Huge,
    /// With 5 MB, bit by bit.
    HugeInParts,
    /// From there.
    Redirect(String),
}

/// The provider. It ends with the test.
pub(crate) struct Provider {
    pub(crate) state: Arc<Published>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

/// What it publishes.
#[derive(Default)]
pub(crate) struct Published {
    keys: Mutex<Vec<Value>>,
    mood: Mutex<Mood>,
    issuer: Mutex<String>,
    jwks_uri: Mutex<String>,
    fetches: AtomicUsize,
    not_modified: AtomicUsize,
    discoveries: AtomicUsize,
}

impl Provider {
    /// A provider with one key of this name.
    pub(crate) async fn start(kid: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::on(listener, kid)
    }

    fn on(listener: TcpListener, kid: &str) -> Self {
        let (state, address) = (Arc::new(Published::default()), listener.local_addr().expect("an address"));
        *state.issuer.lock().expect("no panic") = format!("http://{address}");
        *state.jwks_uri.lock().expect("no panic") = format!("http://{address}/keys");
        let router = Router::new()
            .route("/keys", get(keys))
            .route("/moved", get(async || Redirect::temporary("/keys")))
            .route("/loop", get(async || Redirect::temporary("/loop")))
            .route("/.well-known/openid-configuration", get(openid))
            .route("/.well-known/oauth-authorization-server/tenant", get(metadata))
            .with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        let provider = Self { state, address, serving };
        provider.publish(&[kid]);
        provider
    }

    /// Publishes keys with these names, in place of those before.
    pub(crate) fn publish(&self, kids: &[&str]) {
        self.publish_keys(kids.iter().map(|kid| key(kid)).collect());
    }

    /// Publishes these keys, whatever they are, in place of those before.
    pub(crate) fn publish_keys(&self, keys: Vec<Value>) {
        *self.state.keys.lock().expect("no panic") = keys;
    }

    /// From now on it answers so.
    pub(crate) fn turn(&self, mood: Mood) {
        *self.state.mood.lock().expect("no panic") = mood;
    }

    /// From now on its metadata is that of this issuer, whose keys are there.
    pub(crate) fn claim(&self, issuer: &str, jwks_uri: &str) {
        *self.state.issuer.lock().expect("no panic") = issuer.to_owned();
        *self.state.jwks_uri.lock().expect("no panic") = jwks_uri.to_owned();
    }

    /// How often it was asked for its keys.
    pub(crate) fn fetches(&self) -> usize {
        self.state.fetches.load(Ordering::Relaxed)
    }

    /// How often it answered that nothing has changed.
    pub(crate) fn not_modified(&self) -> usize {
        self.state.not_modified.load(Ordering::Relaxed)
    }

    /// How often it was asked for its metadata.
    pub(crate) fn discoveries(&self) -> usize {
        self.state.discoveries.load(Ordering::Relaxed)
    }

    /// Where it is.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Nobody answers there any more.
    pub(crate) async fn stop(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }

    /// It is there again, with one key of this name.
    pub(crate) async fn come_back(&mut self, kid: &str) {
        let listener = TcpListener::bind(self.address).await.expect("the port is free");
        *self = Self::on(listener, kid);
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A public key of this name: from RFC 7517 appendix A.1.
pub(crate) fn key(kid: &str) -> Value {
    json!({"kty": "EC", "kid": kid, "use": "sig", "alg": "ES256", "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4", "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"})
}

/// The same with a private part, as no provider should publish it.
pub(crate) fn given_away(kid: &str) -> Value {
    let mut key = key(kid);
    key["d"] = json!("870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE");
    key
}

async fn keys(State(state): State<Arc<Published>>, headers: HeaderMap) -> Response<Body> {
    state.fetches.fetch_add(1, Ordering::Relaxed);
    let body = json!({"keys": *state.keys.lock().expect("no panic")}).to_string();
    let etag =
        format!("\"{:x}\"", body.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())));
    let mood = state.mood.lock().expect("no panic").clone();
    let mut cache_control = "max-age=3600";
    match mood {
        Mood::Good => {}
        Mood::Cached(directive) => cache_control = directive,
        Mood::Slow(time) => tokio::time::sleep(time).await,
        Mood::Status(status) => return StatusCode::from_u16(status).expect("a status").into_response(),
        Mood::Html => return ([(header::CONTENT_TYPE, "text/html")], "<html>maintenance</html>").into_response(),
        Mood::Huge => return vec![b' '; 5_000_000].into_response(),
        Mood::HugeInParts => {
            let parts = (0..5_000).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1_000]));
            return Body::from_stream(stream::iter(parts)).into_response();
        }
        Mood::Redirect(target) => return Redirect::temporary(&target).into_response(),
    }
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes()) {
        state.not_modified.fetch_add(1, Ordering::Relaxed);
        return StatusCode::NOT_MODIFIED.into_response();
    }
    ([(header::ETAG, etag.as_str()), (header::CACHE_CONTROL, cache_control)], body).into_response()
}

/// The issuer without a path has OpenID's metadata.
async fn openid(state: State<Arc<Published>>, request: Request) -> Response<Body> {
    metadata(state, request).await
}

async fn metadata(State(state): State<Arc<Published>>, _: Request) -> Response<Body> {
    state.discoveries.fetch_add(1, Ordering::Relaxed);
    let (issuer, uri) =
        (state.issuer.lock().expect("no panic").clone(), state.jwks_uri.lock().expect("no panic").clone());
    json!({"issuer": issuer, "jwks_uri": uri}).to_string().into_response()
}
