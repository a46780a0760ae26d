//! Somebody who is told of events: the receiver of a world's webhooks. It verifies what it is sent by itself, remembers it,
//! and fails as often as a story wants.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::story::runtime;
use crate::token::now;

/// The secret of [`GENERIC`].
const SECRET: [u8; 32] = *b"a webhook secret of thirty-two b";
/// The part of the URL of [`CHAT`] that nobody may see.
pub const HIDDEN: &str = "T000-nobody-may-see-this";
/// A webhook that is sent what it is by default.
pub const GENERIC: &str = "ops";
/// A webhook that is sent sentences about bans.
pub const CHAT: &str = "chat";

/// A message that came.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Which webhook it was for.
    pub webhook: String,
    /// The event's id; none where nothing is signed.
    pub id: Option<String>,
    /// The body.
    pub body: Value,
    /// With which status it was answered.
    pub answered: u16,
}

/// The receiver. Clones are the same one.
#[derive(Clone)]
pub struct Receiver {
    port: u16,
    state: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    deliveries: Vec<Delivery>,
    /// Statuses of the next answers, the next one last.
    next: Vec<u16>,
    /// What was wrong with what came.
    wrong: Vec<String>,
}

impl Receiver {
    /// What only it and the sidecars know.
    #[must_use]
    pub fn secrets() -> Vec<String> {
        vec![STANDARD.encode(SECRET), String::from_utf8_lossy(&SECRET).into_owned()]
    }

    /// Starts it.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let receiver = Self { port: listener.local_addr()?.port(), state: Arc::default() };
        let router = Router::new().fallback(post(hear)).with_state(receiver.clone());
        runtime().spawn(async move { axum::serve(listener, router).await });
        Ok(receiver)
    }

    /// What a sidecar's `SEKISHO_WEBHOOKS` says of it.
    #[must_use]
    pub fn settings(&self) -> String {
        let url = |path: &str| format!("http://127.0.0.1:{}/{path}", self.port);
        let secret = format!("whsec_{}", STANDARD.encode(SECRET));
        json!([
            {"name": GENERIC, "url": url(GENERIC), "allow_http": true, "secret": secret, "per_minute": 600, "timeout_ms": 1_000},
            {"name": CHAT, "url": url(&format!("{CHAT}/{HIDDEN}")), "allow_http": true, "format": "slack", "events": ["ban.*"],
             "per_minute": 600, "timeout_ms": 1_000},
        ])
        .to_string()
    }

    /// Answers the next messages with these statuses, in this order; all after them with 204.
    pub fn answer_next(&self, statuses: &[u16]) {
        self.with(|heard| heard.next = statuses.iter().rev().copied().collect());
    }

    /// All that came for a webhook, in order.
    ///
    /// # Errors
    /// Something that came, for whichever webhook, was not as it should be.
    pub fn deliveries(&self, webhook: &str) -> Result<Vec<Delivery>> {
        self.with(|heard| {
            ensure!(heard.wrong.is_empty(), "{:?}", heard.wrong);
            Ok(heard.deliveries.iter().filter(|delivery| delivery.webhook == webhook).cloned().collect())
        })
    }

    /// Those that were taken.
    ///
    /// # Errors
    /// As [`Self::deliveries`].
    pub fn taken(&self, webhook: &str) -> Result<Vec<Delivery>> {
        let all = self.deliveries(webhook)?;
        Ok(all.into_iter().filter(|delivery| delivery.answered < 300).collect())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Heard) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn hear(State(receiver): State<Receiver>, uri: Uri, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let webhook = uri.path().split('/').nth(1).unwrap_or_default().to_owned();
    let verified = if webhook == GENERIC { verify(&headers, &body).map(Some) } else { Ok(None) };
    let parsed = serde_json::from_slice(&body).context("no JSON");
    receiver.with(|heard| {
        let answered = heard.next.pop().unwrap_or(204);
        match (verified, parsed) {
            (Ok(id), Ok(body)) => heard.deliveries.push(Delivery { webhook, id, body, answered }),
            (Err(error), _) | (_, Err(error)) => heard.wrong.push(format!("{error:#}: {headers:?} {body:?}")),
        }
        StatusCode::from_u16(answered).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    })
}

/// The id of a message that is signed as Standard Webhooks says, and was just now.
fn verify(headers: &HeaderMap, body: &[u8]) -> Result<String> {
    let header =
        |name: &str| -> Result<&str> { Ok(headers.get(name).with_context(|| format!("no {name}"))?.to_str()?) };
    let (id, at_s) = (header("webhook-id")?, header("webhook-timestamp")?);
    let age_s = now().abs_diff(at_s.parse()?);
    ensure!(age_s <= 5, "signed {age_s} s ago");
    let mac = Hmac::<Sha256>::new_from_slice(&SECRET)?.chain_update(format!("{id}.{at_s}.")).chain_update(body);
    let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
    ensure!(header("webhook-signature")? == expected, "the signature is wrong");
    Ok(id.to_owned())
}
