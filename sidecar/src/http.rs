//! The three listeners: `mesh` for filters, `app` for people and programs, `ops` for health and
//! metrics. Each speaks HTTP/1.1 and HTTP/2 without TLS on one port, and bounds what a peer can use up.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub mod app;
pub mod bearer;
pub mod mesh;
pub mod ops;

/// Most connections of one listener at a time. Envoy needs a few for each worker.
const MAX_CONNECTIONS: usize = 2_048;
/// Most requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 1_024;
/// Most header fields, and most bytes of them: Envoy forwards up to 96 KiB.
const MAX_HEADERS: usize = 128;
const MAX_HEADER_BYTES: u32 = 128 * 1024;
/// A peer must send its headers within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// An HTTP/2 peer that does not answer pings is gone.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Requests under way have so long to end when the sidecar closes.
pub const DRAIN: Duration = Duration::from_secs(4);

/// Serves `router` on `listener` until `closing`, and then until the requests under way have ended,
/// but not longer than [`DRAIN`].
pub async fn serve(listener: TcpListener, router: Router, closing: CancellationToken) {
    let connections = Connections { builder: Arc::new(builder()), graceful: GracefulShutdown::new() };
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &room) => accepted,
            () = closing.cancelled() => break,
        };
        let (stream, permit) = accepted;
        let connection = connections.start(stream, router.clone());
        tokio::spawn(async move {
            connection.await;
            drop(permit);
        });
    }
    drop(listener);
    if timeout(DRAIN, connections.graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way when the sidecar closed");
    }
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> (TcpStream, Option<tokio::sync::OwnedSemaphorePermit>) {
    // The semaphore is never closed, so a permit always comes.
    let permit = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, permit),
            Err(error) => {
                // Out of file descriptors, or a peer that left at once; the former needs time.
                tracing::debug!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

struct Connections {
    builder: Arc<Builder<TokioExecutor>>,
    graceful: GracefulShutdown,
}

impl Connections {
    fn start(&self, stream: TcpStream, router: Router) -> impl Future<Output = ()> + Send + 'static {
        // Small answers must not wait for more.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let service = service_fn(move |request: Request<Incoming>| {
            let router = router.clone();
            async move { Ok::<_, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {})) }
        });
        let connection = self.builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let watched = self.graceful.watch(connection);
        async move {
            if let Err(error) = watched.await {
                tracing::debug!(%error, "a connection ended with an error");
            }
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_EVERY);
    builder
}
