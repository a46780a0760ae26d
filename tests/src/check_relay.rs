//! Stands between Envoy and a sidecar's checks, so that a story decides when an answer arrives.
//!
//! The sidecar is asked at once, unless the story makes everything late. Its answer is noted, and then kept
//! back for as long as the story holds answers about that subject. Unlike a slow
//! [`Link`](crate::link::Link) it delays single answers and leaves the connection itself well.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use reqwest::Client;
use sekisho_protocol::check::{CheckReply, CheckRequest};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::story::runtime;
use crate::upstream::serve_router;

/// How many checks a relay remembers; older ones are forgotten.
const REMEMBERED: usize = 20_000;
/// How long a sidecar may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The relay. Dropping it ends it.
pub struct CheckRelay {
    port: u16,
    desk: Arc<Desk>,
    serving: JoinHandle<()>,
}

/// One check that was relayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relayed {
    /// Whom it is about.
    pub subject: String,
    /// What the sidecar said; none if it did not or could not.
    pub reply: Option<CheckReply>,
    /// The headers of the question; bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
}

impl Relayed {
    /// The value of the question's header `name`, if it came exactly once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    }
}

struct Desk {
    target: String,
    client: Client,
    answered: Mutex<VecDeque<Relayed>>,
    held: watch::Sender<BTreeSet<String>>,
    lag_max_ms: AtomicU64,
    count: AtomicU64,
}

impl CheckRelay {
    /// A relay to the mesh listener on `port` of this host.
    ///
    /// # Errors
    /// No port is free.
    pub async fn to(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let listens_on = listener.local_addr()?.port();
        let desk = Arc::new(Desk {
            target: format!("http://127.0.0.1:{port}"),
            client: Client::new(),
            answered: Mutex::default(),
            held: watch::Sender::default(),
            lag_max_ms: AtomicU64::new(0),
            count: AtomicU64::new(0),
        });
        let router = Router::new().fallback(relay).with_state(Arc::clone(&desk));
        Ok(Self { port: listens_on, desk, serving: runtime().spawn(serve_router(listener, router)) })
    }

    /// The port on which it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on answers about `subject` are kept back.
    pub fn hold(&self, subject: &str) {
        self.desk.held.send_modify(|held| {
            held.insert(subject.to_owned());
        });
    }

    /// Lets the answers about `subject` go on, those that were kept back included.
    pub fn release(&self, subject: &str) {
        self.desk.held.send_modify(|held| {
            held.remove(subject);
        });
    }

    /// From now on every check comes late by some time up to `most`, each by another, and so does its answer.
    pub fn lag(&self, most: Duration) {
        self.desk.lag_max_ms.store(u64::try_from(most.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The sidecar's answers about `subject` so far, whether they went on or are kept back.
    #[must_use]
    pub fn answers(&self, subject: &str) -> Vec<Relayed> {
        let answered = self.desk.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.iter().filter(|relayed| relayed.subject == subject).cloned().collect()
    }
}

impl Drop for CheckRelay {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn relay(State(desk): State<Arc<Desk>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(request) = serde_json::from_slice::<CheckRequest>(&body) else {
        return (StatusCode::BAD_REQUEST, "not a check").into_response();
    };
    let subject = request.subject.as_str().to_owned();
    sleep(desk.next_lag()).await;
    let (status, answer) = match desk.ask(&uri, &headers, body).await {
        Ok(answer) => answer,
        Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    };
    let reply = serde_json::from_slice(&answer).ok();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    desk.note(Relayed { subject: subject.clone(), reply, headers });
    sleep(desk.next_lag()).await;
    let mut held = desk.held.subscribe();
    // An error means that the relay is gone, and nobody waits any more.
    let _ended = held.wait_for(|held| !held.contains(&subject)).await;
    (status, answer).into_response()
}

impl Desk {
    async fn ask(&self, uri: &Uri, headers: &HeaderMap, body: Bytes) -> Result<(StatusCode, Bytes)> {
        let mut request = self.client.post(format!("{}{}", self.target, uri.path())).timeout(TIMEOUT).body(body);
        for name in ["authorization", "content-type"] {
            if let Some(value) = headers.get(name) {
                request = request.header(name, value);
            }
        }
        let response = request.send().await?;
        Ok((response.status(), response.bytes().await?))
    }

    fn note(&self, relayed: Relayed) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if answered.len() == REMEMBERED {
            answered.pop_front();
        }
        answered.push_back(relayed);
    }

    /// Times that differ without being random: a step that has no divisor in common with the range.
    fn next_lag(&self) -> Duration {
        let most = self.lag_max_ms.load(Ordering::Relaxed);
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        Duration::from_millis(number.wrapping_mul(7_919) % (most + 1))
    }
}
