//! HTTP/2 with prior knowledge: several streams over one connection, and what becomes of each.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use h2::RecvStream;
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::{Piece, in_time};
use crate::Answer;

/// One connection. Dropping it closes it, with all its streams.
pub struct Http2 {
    sender: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
}

/// One exchange on it, whose answer is being read.
pub struct Http2Stream {
    /// Status and headers; the body is empty.
    pub head: Answer,
    body: RecvStream,
}

impl Http2 {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there, or whoever does speaks no HTTP/2.
    pub async fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).await.with_context(|| format!("connecting to {to}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = in_time(h2::client::handshake(stream)).await??;
        Ok(Self { sender, driver: tokio::spawn(connection) })
    }

    /// GET with the value of an `Authorization` header; gives the answer's head.
    ///
    /// # Errors
    /// The connection or this stream ended, or no answer came in time.
    pub async fn get(&self, host: &str, path: &str, authorization: &str) -> Result<Http2Stream> {
        let request = Request::get(format!("http://{host}{path}")).header("authorization", authorization).body(())?;
        let mut sender = in_time(self.sender.clone().ready()).await??;
        let (response, _) = sender.send_request(request, true)?;
        let (head, body) = in_time(response).await??.into_parts();
        let head = Answer { status: head.status.as_u16(), headers: pairs(&head.headers), body: String::new() };
        Ok(Http2Stream { head, body })
    }

    /// Whether the connection is still there.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.driver.is_finished()
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Http2Stream {
    /// Reads on in the body. [`Piece::Cut`] means that this stream alone was reset (`RST_STREAM`).
    ///
    /// # Errors
    /// Nothing came in time, or the whole connection is gone.
    pub async fn piece(&mut self) -> Result<Piece> {
        match in_time(self.body.data()).await? {
            Some(Ok(bytes)) => {
                self.body.flow_control().release_capacity(bytes.len())?;
                Ok(Piece::Bytes(bytes.to_vec()))
            }
            Some(Err(error)) if error.is_reset() && error.is_remote() => Ok(Piece::Cut),
            Some(Err(error)) => bail!(error),
            None => Ok(Piece::End),
        }
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}
