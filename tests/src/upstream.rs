//! An upstream that answers every request with what it received and, for stories, remembers it.
//!
//! The sample upstream of `make up` and the recording one of the harness are this same server, so
//! that what a reader sees with `curl` is what the stories assert on. Below `/stream/` it answers with
//! streams: see [`streams`]. `/echo.Echo/` is a gRPC service: see [`grpc`].

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

mod grpc;
mod recorder;
mod streams;
pub mod tap;

use recorder::Serving;
pub use recorder::{Progress, Recorder, Visit};

/// Where the sample upstream listens unless `UPSTREAM_LISTEN` says otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:9500";
/// The header with a cookie that the answer is to set, as an upstream may.
const SET_COOKIE_WANTED: &str = "x-sample-set-cookie";
/// Most bytes of a body that is read; more is answered with 413.
const BODY_MAX_BYTES: usize = 20 * 1024 * 1024;
/// Most bytes of a body that the answer repeats.
const BODY_SHOWN_BYTES: usize = 64 * 1024;
/// Envoy lets 96 KiB of headers pass in every example; the upstream takes them and what is added.
const HEADERS_MAX_BYTES: u32 = 256 * 1024;
/// Most header fields of one request.
const HEADERS_MAX: usize = 1_000;

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

/// Serves HTTP/1.1 and HTTP/2 (prior knowledge) for ever.
pub async fn serve(listener: TcpListener, recorder: Recorder) {
    serve_router(listener, streams::routes().merge(grpc::routes()).fallback(answer).with_state(recorder)).await;
}

/// `axum::serve` has no setting for the size of headers, so the connections are served one level below it.
/// They end with this future.
pub(crate) async fn serve_router(listener: TcpListener, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            // A failed accept (too many open files, a client that left) concerns one connection only.
            accepted = listener.accept() => accepted.map(|(stream, _)| stream),
            Some(_ended) = connections.join_next() => continue,
        };
        let Ok(stream) = stream else { continue };
        let service = TowerToHyperService::new(router.clone());
        connections.spawn(async move {
            let mut builder = Builder::new(TokioExecutor::new());
            builder.http1().max_headers(HEADERS_MAX).max_buf_size(HEADERS_MAX_BYTES as usize);
            builder.http2().max_header_list_size(HEADERS_MAX_BYTES);
            let _client_left = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(State(recorder): State<Recorder>, request: Request) -> Response {
    let serving = recorder.enter(path_of(&request));
    let cookies: Vec<_> = request.headers().get_all(SET_COOKIE_WANTED).iter().cloned().collect();
    let mut response = answer_in_full(&recorder, &serving, request).await;
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Reads the request to its end, remembers it and shows it.
async fn answer_in_full(recorder: &Recorder, serving: &Serving, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = body.map_frame(|frame| {
        serving.arrived(frame.data_ref().map_or(0, Bytes::len));
        frame
    });
    let collected = match Limited::new(body, BODY_MAX_BYTES).collect().await {
        Ok(collected) => collected,
        Err(error) => return (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()).into_response(),
    };
    let trailers = collected.trailers().map(pairs).unwrap_or_default();
    let bytes = collected.to_bytes();
    let shown = bytes.get(..BODY_SHOWN_BYTES).unwrap_or(&bytes);
    let received = Received {
        number: serving.number,
        method: head.method.to_string(),
        path: serving.path.clone(),
        headers: pairs(&head.headers),
        body: String::from_utf8_lossy(shown).into_owned(),
        trailers,
    };
    recorder.remember(&received);
    Json(received).into_response()
}

fn path_of(request: &Request) -> String {
    let uri = request.uri();
    uri.path_and_query().map_or_else(|| uri.to_string(), ToString::to_string)
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
