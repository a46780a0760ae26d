//! An upstream that answers every request with what it received and, for stories, remembers it.
//!
//! The sample upstream of `make up` and the recording one of the harness are this same server, so
//! that what a reader sees with `curl` is what the stories assert on.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

/// Where the sample upstream listens unless `UPSTREAM_LISTEN` says otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:9500";
/// Most bytes of a body that is read; more is answered with 413.
const BODY_MAX_BYTES: usize = 20 * 1024 * 1024;
/// Most bytes of a body that the answer repeats.
const BODY_SHOWN_BYTES: usize = 64 * 1024;
/// Envoy lets 96 KiB of headers pass in every example; the upstream takes them and what is added.
const HEADERS_MAX_BYTES: u32 = 256 * 1024;
/// Most header fields of one request.
const HEADERS_MAX: usize = 1_000;
/// How many requests a recorder remembers; older ones are forgotten.
const REMEMBERED: usize = 20_000;

/// One request as it reached the upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Which request it was since the upstream started, from 1.
    pub number: u64,
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names and values in order, repeats kept; bytes that are not UTF-8 are replaced.
    pub headers: Vec<(String, String)>,
    /// The body as text, cut after 64 KiB.
    pub body: String,
    /// Trailers, like `headers`.
    pub trailers: Vec<(String, String)>,
}

impl Received {
    /// All values of the header `name` (lower case), in order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect()
    }

    /// The value of the header `name`, if it came exactly once.
    #[must_use]
    pub fn one(&self, name: &str) -> Option<&str> {
        match self.all(name).as_slice() {
            [value] => Some(value),
            _ => None,
        }
    }
}

/// Counts the requests and remembers the last ones. Clones share what they remember.
#[derive(Clone, Default)]
pub struct Recorder {
    count: Arc<AtomicU64>,
    last: Option<Arc<Mutex<VecDeque<Received>>>>,
}

impl Recorder {
    /// A recorder that remembers nothing: for an upstream that runs for days.
    #[must_use]
    pub fn counting_only() -> Self {
        Self::default()
    }

    /// A recorder for stories.
    #[must_use]
    pub fn remembering() -> Self {
        Self { last: Some(Arc::default()), ..Self::default() }
    }

    /// How many requests came so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// The remembered requests whose path holds `marker`.
    #[must_use]
    pub fn with_path(&self, marker: &str) -> Vec<Received> {
        let Some(last) = &self.last else { return Vec::new() };
        let last = last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().filter(|r| r.path.contains(marker)).cloned().collect()
    }

    fn remember(&self, received: &Received) {
        if let Some(last) = &self.last {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if last.len() == REMEMBERED {
                last.pop_front();
            }
            last.push_back(received.clone());
        }
    }
}

/// Serves HTTP/1.1 and HTTP/2 (prior knowledge) for ever. `axum::serve` has no setting for the size
/// of headers, so the connections are served one level below it.
pub async fn serve(listener: TcpListener, recorder: Recorder) {
    let router = Router::new().fallback(answer).with_state(recorder);
    loop {
        // A failed accept (too many open files, a client that left) concerns one connection only.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http1().max_headers(HEADERS_MAX).max_buf_size(HEADERS_MAX_BYTES as usize);
            builder.http2().max_header_list_size(HEADERS_MAX_BYTES);
            let _client_left = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(State(recorder): State<Recorder>, request: Request) -> Response {
    let number = recorder.count.fetch_add(1, Ordering::SeqCst) + 1;
    let (head, body) = request.into_parts();
    let collected = match Limited::new(body, BODY_MAX_BYTES).collect().await {
        Ok(collected) => collected,
        Err(error) => return (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()).into_response(),
    };
    let trailers = collected.trailers().map(pairs).unwrap_or_default();
    let bytes = collected.to_bytes();
    let shown = bytes.get(..BODY_SHOWN_BYTES).unwrap_or(&bytes);
    let received = Received {
        number,
        method: head.method.to_string(),
        path: head.uri.path_and_query().map_or_else(|| head.uri.to_string(), ToString::to_string),
        headers: pairs(&head.headers),
        body: String::from_utf8_lossy(shown).into_owned(),
        trailers,
    };
    recorder.remember(&received);
    Json(received).into_response()
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
