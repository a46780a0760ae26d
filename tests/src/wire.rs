//! HTTP/1.1 byte by byte, for what real clients refuse to send and for connections that are counted.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Answer;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// One connection. Dropping it closes it.
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).await.with_context(|| format!("connecting to {to}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends `bytes` as they are and reads one answer.
    ///
    /// # Errors
    /// The connection ended, or no readable answer came in time.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<Answer> {
        timeout(PATIENCE, self.exchange(bytes)).await.context("no answer in time")?
    }

    async fn exchange(&mut self, bytes: &[u8]) -> Result<Answer> {
        // A refusal may come, and the connection close, before all was sent.
        let sent = self.stream.write_all(bytes).await;
        let read = self.read().await;
        match (read, sent) {
            (Ok(answer), _) => Ok(answer),
            (Err(_), Err(error)) => Err(error.into()),
            (Err(error), Ok(())) => Err(error),
        }
    }

    async fn read(&mut self) -> Result<Answer> {
        let start = self.line().await?;
        let status = start.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| anyhow!("no status line: {start:?}"))?;
        let headers = self.fields().await?;
        let mut answer = Answer { status, headers, body: String::new() };
        let bytes = if answer.header("transfer-encoding") == Some("chunked") {
            self.chunks().await?
        } else {
            let length = answer.header("content-length").map_or(Ok(0), str::parse)?;
            self.bytes(length).await?
        };
        answer.body = String::from_utf8_lossy(&bytes).into_owned();
        Ok(answer)
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).await?;
        ensure!(line.ends_with(b"\n"), "the connection ended");
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    async fn fields(&mut self) -> Result<Vec<(String, String)>> {
        let mut fields = Vec::new();
        loop {
            let line = self.line().await?;
            match line.split_once(':') {
                Some((name, value)) => fields.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None if line.is_empty() => return Ok(fields),
                None => bail!("no header field: {line:?}"),
            }
        }
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line().await?, 16)?;
            if size == 0 {
                self.fields().await?;
                return Ok(body);
            }
            body.extend(self.bytes(size).await?);
            self.line().await?;
        }
    }

    async fn bytes(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).await?;
        Ok(bytes)
    }
}

/// A request as bytes: nothing is added but the `Host`, nothing is checked.
#[derive(Clone)]
pub struct RawRequest {
    head: Vec<u8>,
}

impl RawRequest {
    /// `METHOD TARGET HTTP/1.1` and `Host: localhost`.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        Self::to_host(method, target, "localhost")
    }

    /// The same for another host.
    #[must_use]
    pub fn to_host(method: &str, target: &str, host: &str) -> Self {
        Self { head: format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n").into_bytes() }
    }

    /// Adds a header line.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.extend(name.as_bytes());
        self.head.extend(b": ");
        self.head.extend(value.as_ref());
        self.head.extend(b"\r\n");
        self
    }

    /// The request without a body.
    #[must_use]
    pub fn bytes(mut self) -> Vec<u8> {
        self.head.extend(b"\r\n");
        self.head
    }

    /// The request with a chunked body and trailers after it (RFC 9112 §7.1.2).
    #[must_use]
    pub fn with_trailers(self, body: &str, trailers: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = self.header("transfer-encoding", "chunked").bytes();
        bytes.extend(format!("{:x}\r\n{body}\r\n0\r\n", body.len()).into_bytes());
        for (name, value) in trailers {
            bytes.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes
    }
}
