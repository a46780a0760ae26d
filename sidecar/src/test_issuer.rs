//! An OpenID provider with which people sign in, on a port of its own, as good or as bad as a test wants it.

#![allow(clippy::expect_used, clippy::panic, reason = "only tests include this file")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::{Claims, Duration, Ed25519KeyPair, EdDSAKeyPairLike, HeaderOptions};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

/// The client's name.
pub(crate) const CLIENT: &str = "sekisho";

/// The provider. It ends with the test.
pub(crate) struct Issuer {
    state: Arc<Inside>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

struct Inside {
    url: String,
    key: Ed25519KeyPair,
    codes: Mutex<HashMap<String, Code>>,
    /// What ID tokens of refreshes say; none if refreshes are refused.
    renewed: Mutex<Option<Map<String, Value>>>,
    refreshes: AtomicUsize,
    exchanges: AtomicUsize,
    /// The refresh tokens with which it was asked again.
    shown: Mutex<Vec<String>>,
}

struct Code {
    challenge: String,
    claims: Map<String, Value>,
}

impl Issuer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Inside {
            url: format!("http://{address}"),
            key: Ed25519KeyPair::generate().with_key_id("k1"),
            codes: Mutex::default(),
            renewed: Mutex::new(Some(Map::new())),
            refreshes: AtomicUsize::new(0),
            exchanges: AtomicUsize::new(0),
            shown: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { state, address, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Somebody signs in on the page at `location`: what the provider answers there, with these claims besides the usual.
    pub(crate) fn sign_in(&self, location: &Url, claims: &Value) -> HashMap<String, String> {
        let asked: HashMap<String, String> = location.query_pairs().into_owned().collect();
        assert_eq!((asked["client_id"].as_str(), asked["response_type"].as_str()), (CLIENT, "code"));
        assert_eq!(asked["code_challenge_method"], "S256");
        let mut all =
            Map::from_iter([("sub".to_owned(), "u1".into()), ("nonce".to_owned(), asked["nonce"].as_str().into())]);
        all.extend(claims.as_object().cloned().unwrap_or_default());
        let code = format!("code-{}", uuid::Uuid::new_v4());
        let granted = Code { challenge: asked["code_challenge"].clone(), claims: all };
        self.state.codes.lock().expect("no panic").insert(code.clone(), granted);
        HashMap::from([("code".into(), code), ("state".into(), asked["state"].clone()), ("iss".into(), self.url())])
    }

    /// What it says when it is asked again; none refuses.
    pub(crate) fn says_again(&self, claims: Option<&Value>) {
        *self.state.renewed.lock().expect("no panic") =
            claims.map(|claims| claims.as_object().cloned().unwrap_or_default());
    }

    /// How often it was asked again.
    pub(crate) fn refreshes(&self) -> usize {
        self.state.refreshes.load(Ordering::SeqCst)
    }

    /// The refresh tokens with which it was asked again, in order.
    pub(crate) fn shown(&self) -> Vec<String> {
        self.state.shown.lock().expect("no panic").clone()
    }

    /// A token with these claims besides the usual.
    pub(crate) fn signed(&self, claims: &Value) -> String {
        self.state.signed(claims.as_object().cloned().unwrap_or_default())
    }

    /// Nobody answers there any more.
    pub(crate) async fn stop(&mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Inside {
    fn signed(&self, more: Map<String, Value>) -> String {
        let claims =
            Claims::with_custom_claims(more, Duration::from_mins(5)).with_issuer(&self.url).with_audience(CLIENT);
        let options = HeaderOptions { signature_type: Some("JWT".into()), ..HeaderOptions::default() };
        self.key.sign_with_options(claims, &options).expect("it signs")
    }

    fn tokens(&self, claims: Map<String, Value>) -> Response {
        let count = self.exchanges.fetch_add(1, Ordering::SeqCst);
        let body = json!({"access_token": "a", "token_type": "Bearer", "expires_in": 300,
            "id_token": self.signed(claims), "refresh_token": format!("refresh-{count}")});
        Json(body).into_response()
    }
}

async fn metadata(State(state): State<Arc<Inside>>) -> Json<Value> {
    let url = &state.url;
    Json(
        json!({"issuer": url, "authorization_endpoint": format!("{url}/authorize"), "token_endpoint": format!("{url}/token"),
        "jwks_uri": format!("{url}/keys"), "end_session_endpoint": format!("{url}/leave"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"], "authorization_response_iss_parameter_supported": true}),
    )
}

async fn keys(State(state): State<Arc<Inside>>) -> Json<Value> {
    let public = URL_SAFE_NO_PAD.encode(state.key.public_key().to_bytes());
    Json(json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": "k1", "alg": "EdDSA", "x": public}]}))
}

async fn token(State(state): State<Arc<Inside>>, Form(asked): Form<HashMap<String, String>>) -> Response {
    let refused = |code: &str| (StatusCode::BAD_REQUEST, Json(json!({"error": code}))).into_response();
    match asked.get("grant_type").map(String::as_str) {
        Some("authorization_code") => {
            let code = state.codes.lock().expect("no panic").remove(&asked["code"]);
            let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&asked["code_verifier"]));
            match code.filter(|code| code.challenge == challenge) {
                Some(code) => state.tokens(code.claims),
                None => refused("invalid_grant"),
            }
        }
        Some("refresh_token") => {
            state.refreshes.fetch_add(1, Ordering::SeqCst);
            state.shown.lock().expect("no panic").push(asked["refresh_token"].clone());
            let renewed = state.renewed.lock().expect("no panic").clone();
            // Long enough for everybody who asks at the same time to be there.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            match renewed {
                Some(claims) => {
                    let mut all = Map::from_iter([("sub".to_owned(), Value::from("u1"))]);
                    all.extend(claims);
                    state.tokens(all)
                }
                None => refused("invalid_grant"),
            }
        }
        _ => refused("unsupported_grant_type"),
    }
}
