//! HTTP/2 with prior knowledge: several streams over one connection, and what becomes of each.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
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

/// One exchange on it, whose request may go on and whose answer was not read yet. Dropping it resets it.
pub struct Http2Call {
    response: ResponseFuture,
    body: SendStream<Bytes>,
}

/// One exchange on it, whose answer is being read.
pub struct Http2Stream {
    /// Status and headers; the body is empty.
    pub head: Answer,
    body: RecvStream,
    /// The other direction: without it the request would count as given up.
    request: SendStream<Bytes>,
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
        self.begin(request, true).await?.answer().await
    }

    /// Sends a request's headers; `is_whole` says that nothing follows them.
    ///
    /// # Errors
    /// The connection ended, or the request cannot be sent like this.
    pub async fn begin(&self, request: Request<()>, is_whole: bool) -> Result<Http2Call> {
        let mut sender = in_time(self.sender.clone().ready()).await??;
        let (response, body) = sender.send_request(request, is_whole)?;
        Ok(Http2Call { response, body })
    }

    /// Whether the other side takes `CONNECT` with a `:protocol` (RFC 8441 §3). It says so after a moment, so
    /// ask after the first answer.
    #[must_use]
    pub fn takes_extended_connect(&self) -> bool {
        self.sender.is_extended_connect_protocol_enabled()
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

impl Http2Call {
    /// Sends a piece of the body. It may wait in this process until the other side has room.
    ///
    /// # Errors
    /// The stream ended.
    pub fn send(&mut self, piece: impl Into<Bytes>) -> Result<()> {
        Ok(self.body.send_data(piece.into(), false)?)
    }

    /// Ends the request, with trailers if there are any.
    ///
    /// # Errors
    /// The stream ended.
    pub fn end(&mut self, trailers: HeaderMap) -> Result<()> {
        if trailers.is_empty() {
            return Ok(self.body.send_data(Bytes::new(), true)?);
        }
        Ok(self.body.send_trailers(trailers)?)
    }

    /// Gives the request up (`RST_STREAM`).
    pub fn reset(mut self) {
        self.body.send_reset(Reason::CANCEL);
    }

    /// Reads the answer's head.
    ///
    /// # Errors
    /// The connection or this stream ended, or no answer came in time.
    pub async fn answer(self) -> Result<Http2Stream> {
        let (head, body) = in_time(self.response).await??.into_parts();
        let head = Answer { status: head.status.as_u16(), headers: pairs(&head.headers), body: String::new() };
        Ok(Http2Stream { head, body, request: self.body })
    }
}

impl Http2Stream {
    /// Sends on in the request, for what speaks in both directions.
    ///
    /// # Errors
    /// The stream ended.
    pub fn send(&mut self, piece: impl Into<Bytes>, is_last: bool) -> Result<()> {
        Ok(self.request.send_data(piece.into(), is_last)?)
    }

    /// The whole answer, if it comes to its orderly end; its trailers are added to the headers.
    ///
    /// # Errors
    /// It does not.
    pub async fn whole(mut self) -> Result<Answer> {
        let mut body = Vec::new();
        loop {
            match self.piece().await? {
                Piece::Bytes(bytes) => body.extend(bytes),
                Piece::End => break,
                Piece::Cut => bail!("the stream was reset in the middle of {:?}", self.head),
            }
        }
        let trailers = in_time(self.body.trailers()).await??;
        self.head.headers.extend(trailers.iter().flat_map(pairs));
        self.head.body = String::from_utf8_lossy(&body).into_owned();
        Ok(self.head)
    }

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
