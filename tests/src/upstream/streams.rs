//! Answers that take their time, each under a path of its own, for stories and for people with `curl`:
//!
//! | path | what it does |
//! | --- | --- |
//! | `/stream/sse?every_ms=` | an event of `text/event-stream` now and then, for ever |
//! | `/stream/chunked?every_ms=` | a line now and then, for ever |
//! | `/stream/idle` | headers and one line, then nothing, for ever |
//! | `/stream/slow?after_ms=` | no headers for a while, then what any other path answers |
//! | `/stream/echo` | a websocket that says what it is told |
//! | `/stream/upload` | takes a body piece by piece, and says how long it was and its SHA-256 |
//!
//! Events and lines are numbered from 1.

use std::convert::Infallible;
use std::fmt::Write;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{Json, Router};
use futures_util::stream::unfold;
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::recorder::{Recorder, Serving};
use super::{BODY_MAX_BYTES, answer_in_full, path_of};

/// Longest pause that a query may ask for, in milliseconds.
const PAUSE_MAX_MS: u64 = 600_000;
/// Longest message of a websocket.
const MESSAGE_MAX_BYTES: usize = 64 * 1024;

pub(super) fn routes() -> Router<Recorder> {
    Router::new()
        .route("/stream/sse", any(sse))
        .route("/stream/chunked", any(chunked))
        .route("/stream/idle", any(idle))
        .route("/stream/slow", any(slow))
        .route("/stream/echo", any(echo))
        .route("/stream/upload", any(upload))
}

#[derive(Deserialize)]
struct Pace {
    every_ms: Option<u64>,
    after_ms: Option<u64>,
}

impl Pace {
    fn every(&self) -> Duration {
        pause(self.every_ms)
    }

    fn after(&self) -> Duration {
        pause(self.after_ms)
    }
}

/// A second unless the query says otherwise.
fn pause(wanted_ms: Option<u64>) -> Duration {
    Duration::from_millis(wanted_ms.unwrap_or(1_000).clamp(1, PAUSE_MAX_MS))
}

async fn sse(State(recorder): State<Recorder>, Query(pace): Query<Pace>, request: Request) -> Response {
    let event = |number| format!("id: {number}\ndata: {{\"event\":{number}}}\n\n");
    let body = ticking(recorder.enter(path_of(&request)), pace.every(), event);
    ([(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")], body).into_response()
}

async fn chunked(State(recorder): State<Recorder>, Query(pace): Query<Pace>, request: Request) -> Response {
    ticking(recorder.enter(path_of(&request)), pace.every(), |number| format!("{number}\n")).into_response()
}

async fn idle(State(recorder): State<Recorder>, request: Request) -> Response {
    let serving = recorder.enter(path_of(&request));
    let body = unfold(serving, |serving| async {
        if serving.sent() > 0 {
            serving.ended().await;
            return None;
        }
        let line = format!("{}\n", serving.next());
        Some((Ok::<_, Infallible>(line), serving))
    });
    Body::from_stream(body).into_response()
}

async fn slow(State(recorder): State<Recorder>, Query(pace): Query<Pace>, request: Request) -> Response {
    let serving = recorder.enter(path_of(&request));
    tokio::select! {
        () = sleep(pace.after()) => {}
        () = serving.ended() => {}
    }
    answer_in_full(&recorder, &serving, request).await
}

async fn echo(State(recorder): State<Recorder>, upgrade: WebSocketUpgrade, request: Request) -> Response {
    let serving = recorder.enter(path_of(&request));
    upgrade.max_message_size(MESSAGE_MAX_BYTES).on_upgrade(|socket| converse(socket, serving))
}

async fn converse(mut socket: WebSocket, serving: Serving) {
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            () = serving.ended() => None,
        };
        let said = match message {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => message,
            // The library answers pings by itself.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(_)) | Err(_)) | None => break,
        };
        serving.arrived(said.clone().into_data().len());
        serving.next();
        if socket.send(said).await.is_err() {
            break;
        }
    }
    // A close frame that cannot be sent: the client has left already.
    let _left = socket.send(Message::Close(None)).await;
}

async fn upload(State(recorder): State<Recorder>, request: Request) -> Response {
    let serving = recorder.enter(path_of(&request));
    let mut body = Limited::new(request.into_body(), BODY_MAX_BYTES);
    let mut hash = Sha256::new();
    while let Some(frame) = body.frame().await {
        let piece = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) => return (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()).into_response(),
        };
        serving.arrived(piece.len());
        hash.update(piece);
    }
    let mut hex = String::new();
    for byte in hash.finalize() {
        let _infallible = write!(hex, "{byte:02x}");
    }
    Json(json!({"number": serving.number, "body_bytes": serving.body_bytes(), "sha256": hex})).into_response()
}

/// A body of numbered pieces, the first one at once.
fn ticking(serving: Serving, every: Duration, piece: fn(u64) -> String) -> Body {
    let mut clock = interval(every);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Body::from_stream(unfold((serving, clock), move |(serving, mut clock)| async move {
        tokio::select! {
            _ = clock.tick() => {}
            () = serving.ended() => return None,
        }
        let bytes = Bytes::from(piece(serving.next()));
        Some((Ok::<_, Infallible>(bytes), (serving, clock)))
    }))
}
