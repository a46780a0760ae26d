//! The server that Envoy's `ext_authz` asks in the benchmark: `bench-authz PORT REDIS_URL`. For each request it looks
//! two things up in Redis, in one round trip, as a sidecar does for a check: whether the person is banned, and
//! whether the token is revoked. It answers over HTTP/1.1 and over gRPC, on one port and one thread.
//!
//! It does nothing else, so that it is as fast as such a server can be.

mod grpc;
mod standing;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;

use standing::Standings;

type Answer = Response<BoxBody<Bytes, Infallible>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().context("which port?")?.parse()?;
    let standings = Standings::connect(&arguments.next().context("which Redis?")?).await?;
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let standings = standings.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, standings.clone()));
            // Envoy notices a connection that breaks.
            Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await
        });
    }
}

async fn answer(request: Request<Incoming>, standings: Standings) -> Result<Answer, Infallible> {
    if request.uri().path() == grpc::PATH {
        return Ok(grpc::answer(request.into_body(), standings).await);
    }
    let header = |name: &str| text(request.headers(), name);
    let status = match standings.is_good(header("x-user"), header("x-token-id")).await {
        Ok(true) => StatusCode::OK,
        Ok(false) => StatusCode::UNAUTHORIZED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    Ok(with_status(status))
}

fn with_status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Empty::new().boxed());
    *answer.status_mut() = status;
    answer
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
