//! HTTP as it is on the wire, for what real clients refuse to send and hide from their callers: hostile
//! requests, bodies that arrive in pieces, answers that are cut, and connections that are counted.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Answer;

pub mod frames;
mod http2;
mod request;
mod websocket;

pub use http2::{Http2, Http2Call, Http2Stream};
pub use request::RawRequest;
pub use websocket::{Heard, Websocket, handshake, text_frame};

/// How long a step of a conversation may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest line and longest piece of an answer.
const LINE_MAX_BYTES: u64 = 256 * 1024;
const PIECE_MAX_BYTES: usize = 32 * 1024 * 1024;

/// One step through the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Some bytes of it.
    Bytes(Vec<u8>),
    /// Its orderly end: the last chunk or the last announced byte.
    End,
    /// Its end in the middle: the connection was closed, or the stream was reset.
    Cut,
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// See [`Piece::End`].
    Orderly,
    /// See [`Piece::Cut`].
    Cut,
}

/// One connection. Dropping it closes it.
pub struct Connection {
    stream: BufReader<TcpStream>,
    /// What is left of the body of the answer whose head was read last.
    body: Framing,
}

enum Framing {
    Chunked,
    Left(usize),
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).await.with_context(|| format!("connecting to {to}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), body: Framing::Left(0) })
    }

    /// Sends `bytes` as they are and reads one answer.
    ///
    /// # Errors
    /// The connection ended, or no readable answer came in time.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<Answer> {
        // A refusal may come, and the connection close, before all was sent.
        let sent = self.write(bytes).await;
        let read = self.answer().await;
        match (read, sent) {
            (Ok(answer), _) => Ok(answer),
            (Err(_), Err(error)) => Err(error),
            (Err(error), Ok(())) => Err(error),
        }
    }

    /// Sends `bytes` as they are: a request, or a part of one.
    ///
    /// # Errors
    /// The connection ended, or nobody reads.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(in_time(self.stream.write_all(bytes)).await??)
    }

    /// Sends a piece of a chunked body (RFC 9112 §7.1); an empty one ends it.
    ///
    /// # Errors
    /// The connection ended, or nobody reads.
    pub async fn write_chunk(&mut self, piece: &[u8]) -> Result<()> {
        let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
        self.write(&chunk).await
    }

    /// Reads one answer to its orderly end.
    ///
    /// # Errors
    /// The connection ended, or no readable answer came in time.
    pub async fn answer(&mut self) -> Result<Answer> {
        let mut answer = self.head().await?;
        match self.rest().await? {
            (bytes, Ending::Orderly) => answer.body = String::from_utf8_lossy(&bytes).into_owned(),
            (_, Ending::Cut) => bail!("the connection ended in the middle of {answer:?}"),
        }
        Ok(answer)
    }

    /// Reads status and headers of an answer; its body is read by [`Self::piece`].
    ///
    /// # Errors
    /// The connection ended, or no readable head came in time.
    pub async fn head(&mut self) -> Result<Answer> {
        in_time(self.read_head()).await?
    }

    /// Reads on in the body of the last answer.
    ///
    /// # Errors
    /// Nothing came in time, or what came is no body.
    pub async fn piece(&mut self) -> Result<Piece> {
        match in_time(self.read_piece()).await? {
            Ok(piece) => Ok(piece),
            Err(error) if is_cut(&error) => Ok(Piece::Cut),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the body of the last answer to its end, whichever comes.
    ///
    /// # Errors
    /// It has not come in time, or what came is no body.
    pub async fn rest(&mut self) -> Result<(Vec<u8>, Ending)> {
        in_time(self.read_rest()).await?
    }

    async fn read_rest(&mut self) -> Result<(Vec<u8>, Ending)> {
        let mut body = Vec::new();
        loop {
            match self.piece().await? {
                Piece::Bytes(bytes) => body.extend(bytes),
                Piece::End => return Ok((body, Ending::Orderly)),
                Piece::Cut => return Ok((body, Ending::Cut)),
            }
            ensure!(body.len() <= PIECE_MAX_BYTES, "an answer without an end");
        }
    }

    async fn read_head(&mut self) -> Result<Answer> {
        let start = self.line().await?;
        let status = start.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| anyhow!("no status line: {start:?}"))?;
        let answer = Answer { status, headers: self.fields().await?, body: String::new() };
        self.body = if answer.header("transfer-encoding") == Some("chunked") {
            Framing::Chunked
        } else {
            Framing::Left(answer.header("content-length").map_or(Ok(0), str::parse)?)
        };
        Ok(answer)
    }

    async fn read_piece(&mut self) -> io::Result<Piece> {
        match self.body {
            Framing::Left(0) => Ok(Piece::End),
            Framing::Left(left) => {
                self.body = Framing::Left(0);
                Ok(Piece::Bytes(self.bytes(left).await?))
            }
            Framing::Chunked => {
                let line = self.line().await?;
                let size = usize::from_str_radix(&line, 16).map_err(|_| invalid("no chunk size", &line))?;
                if size == 0 {
                    self.fields().await?;
                    self.body = Framing::Left(0);
                    return Ok(Piece::End);
                }
                let bytes = self.bytes(size).await?;
                self.line().await?;
                Ok(Piece::Bytes(bytes))
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.stream).take(LINE_MAX_BYTES).read_until(b'\n', &mut line).await?;
        if !line.ends_with(b"\n") {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    async fn fields(&mut self) -> io::Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line().await?;
            match line.split_once(':') {
                Some((name, value)) => fields.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None if line.is_empty() => return Ok(fields),
                None => return Err(invalid("no header field", &line)),
            }
        }
    }

    async fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        if count > PIECE_MAX_BYTES {
            return Err(invalid("too long a piece", &count.to_string()));
        }
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).await?;
        Ok(bytes)
    }
}

async fn in_time<T>(step: impl Future<Output = T>) -> Result<T> {
    timeout(PATIENCE, step).await.context("nothing came in time")
}

fn invalid(what: &str, got: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{what}: {got:?}"))
}

/// Whether the other side left, by whatever means.
fn is_cut(error: &io::Error) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe)
}
