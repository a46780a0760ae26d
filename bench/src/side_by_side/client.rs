//! One client on one connection that stays open: sends bytes that were prepared before, waits for the answer.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use memchr::memmem;

/// An answer takes milliseconds at worst.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// What came back, and after how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) taken: Duration,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub(crate) fn open(to: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(to).with_context(|| format!("connecting to {to}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: vec![0; 16 * 1024] })
    }

    /// Sends a request and waits for all of its answer.
    ///
    /// # Errors
    /// The connection ended, or what came is no answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<Answered> {
        let begin = Instant::now();
        self.send(request)?;
        let status = self.receive()?;
        Ok(Answered { status, taken: begin.elapsed() })
    }

    /// Sends a request. Its answer is to be received before the next one.
    ///
    /// # Errors
    /// The connection ended.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(request)?)
    }

    /// Waits for all of an answer; its status.
    ///
    /// # Errors
    /// The connection ended, or what came is no answer.
    pub(crate) fn receive(&mut self) -> Result<u16> {
        let mut filled = 0;
        loop {
            let room = self.buffer.get_mut(filled..).filter(|room| !room.is_empty());
            let read = self.stream.read(room.context("an answer without an end")?)?;
            ensure!(read > 0, "the connection was closed");
            filled += read;
            if let Some(status) = whole_answer(self.buffer.get(..filled).unwrap_or_default())? {
                return Ok(status);
            }
        }
    }
}

/// The status, if `bytes` are a whole answer.
///
/// # Errors
/// They are none, or of no length that is known.
fn whole_answer(bytes: &[u8]) -> Result<Option<u16>> {
    const LENGTH: &[u8] = b"\r\ncontent-length: ";
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let head = bytes.get(..end + 2).unwrap_or_default();
    let status = number(head.get(9..).unwrap_or_default());
    let at = memmem::find(head, LENGTH).context("an answer without a content-length")?;
    let length = number(head.get(at + LENGTH.len()..).unwrap_or_default());
    ensure!(bytes.len() <= end + 4 + length, "more than one answer to one request");
    Ok((bytes.len() == end + 4 + length).then_some(u16::try_from(status)?))
}

/// The digits at the beginning.
fn number(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        let head = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\n";
        for (body, expected) in [(&b""[..], None), (b"n", None), (b"no", Some(401))] {
            assert_eq!(whole_answer(&[head, body].concat()).unwrap(), expected);
        }
        assert_eq!(whole_answer(b"HTTP/1.1 200 OK\r\n").unwrap(), None);
        assert!(whole_answer(&[&head[..], b"no!"].concat()).is_err());
        assert!(whole_answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
