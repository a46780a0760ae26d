//! A gRPC service whose every method says what it is told, message by message: `/echo.Echo/{method}`.

use std::convert::Infallible;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::stream::unfold;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};

use super::recorder::{Recorder, Serving};
use super::{BODY_SHOWN_BYTES, Received, pairs, path_of};

pub(super) fn routes() -> Router<Recorder> {
    Router::new().route("/echo.Echo/{method}", any(echo))
}

/// One call: what came so far is the beginning of what will be remembered.
struct Call {
    recorder: Recorder,
    serving: Serving,
    body: Body,
    received: Received,
}

async fn echo(State(recorder): State<Recorder>, request: Request) -> Response {
    let serving = recorder.enter(path_of(&request));
    let (head, body) = request.into_parts();
    let received = received(&serving, &head);
    let said = unfold(Some(Call { recorder, serving, body, received }), |call| async { call?.answer().await });
    ([(header::CONTENT_TYPE, "application/grpc")], Body::new(StreamBody::new(said))).into_response()
}

fn received(serving: &Serving, head: &Parts) -> Received {
    let (method, path, headers) = (head.method.to_string(), serving.path.clone(), pairs(&head.headers));
    Received { number: serving.number, method, path, headers, body: String::new(), trailers: Vec::new() }
}

impl Call {
    /// The next piece of the answer: what came, or, after all of it, the status. A call that was given up gets none.
    async fn answer(mut self) -> Option<(Result<Frame<Bytes>, Infallible>, Option<Self>)> {
        loop {
            let frame = match self.body.frame().await {
                Some(Ok(frame)) => frame,
                Some(Err(_given_up)) => return None,
                None => break,
            };
            match frame.into_data() {
                Ok(piece) => {
                    self.serving.arrived(piece.len());
                    self.serving.next();
                    if self.received.body.len() < BODY_SHOWN_BYTES {
                        self.received.body.push_str(&String::from_utf8_lossy(&piece));
                    }
                    return Some((Ok(Frame::data(piece)), Some(self)));
                }
                Err(other) => self.received.trailers = other.trailers_ref().map(pairs).unwrap_or_default(),
            }
        }
        self.recorder.remember(&self.received);
        let status = HeaderMap::from_iter([(header::HeaderName::from_static("grpc-status"), HeaderValue::from(0))]);
        Some((Ok(Frame::trailers(status)), None))
    }
}
