//! The sample upstream of `make up`: answers every request with what it received, as JSON.
//!
//! It listens on `UPSTREAM_LISTEN` (default `127.0.0.1:9500`) and believes nobody: it shows the
//! headers and leaves it to the reader to see which of them the checkpoint set. Below `/stream/` it answers
//! with streams, so that a reader can watch a ban end one: `curl -N …/stream/sse?every_ms=200`.

use std::io::Write;

use anyhow::{Context, Result};
use e2e::upstream::{DEFAULT_LISTEN, Recorder, serve};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<()> {
    let listen = std::env::var("UPSTREAM_LISTEN").unwrap_or_else(|_| DEFAULT_LISTEN.to_owned());
    let listener = TcpListener::bind(&listen).await.with_context(|| {
        format!("cannot listen on {listen}: free the port, or set UPSTREAM_LISTEN to another address")
    })?;
    writeln!(std::io::stdout(), "the sample upstream listens on {}", listener.local_addr()?)?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        () = serve(listener, Recorder::counting_only()) => {}
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    Ok(())
}
