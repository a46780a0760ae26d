//! HTTP/2 written by hand, frame by frame (RFC 9113 §4, RFC 7541), for requests that no library sends.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{in_time, is_cut};

/// How a connection begins, with a SETTINGS frame that changes nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// The one stream.
const STREAM: u32 = 1;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered with this body.
    Answered(String),
    /// Its stream, or the whole connection, was ended without a whole answer.
    Ended,
}

/// Sends one request, its header fields as they are, over a connection of its own.
///
/// # Errors
/// Nobody listens there, or nothing comes in time.
pub async fn exchange(to: SocketAddr, fields: &[(&str, &str)], body: &[u8]) -> Result<Outcome> {
    let mut block = Vec::new();
    for (name, value) in fields {
        // Literal, never indexed (RFC 7541 §6.2.3), so that nothing depends on a table.
        block.push(0x10);
        push_string(&mut block, name)?;
        push_string(&mut block, value)?;
    }
    let ends = if body.is_empty() { END_STREAM } else { 0 };
    let mut bytes = [PREFACE, &frame(HEADERS, END_HEADERS | ends, &block)?].concat();
    if !body.is_empty() {
        bytes.extend(frame(DATA, END_STREAM, body)?);
    }
    let mut stream = TcpStream::connect(to).await.with_context(|| format!("connecting to {to}"))?;
    stream.write_all(&bytes).await?;
    in_time(read_answer(&mut stream)).await?
}

async fn read_answer(stream: &mut TcpStream) -> Result<Outcome> {
    let mut body = Vec::new();
    loop {
        let mut head = [0; 9];
        match stream.read_exact(&mut head).await {
            Err(error) if is_cut(&error) => return Ok(Outcome::Ended),
            read => read?,
        };
        let [l0, l1, l2, kind, flags, ref id @ ..] = head;
        let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, l0, l1, l2]))?];
        stream.read_exact(&mut payload).await?;
        match kind {
            GOAWAY => return Ok(Outcome::Ended),
            RST_STREAM if *id == STREAM.to_be_bytes() => return Ok(Outcome::Ended),
            DATA => body.extend(payload),
            _ => {}
        }
        if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            return Ok(Outcome::Answered(String::from_utf8_lossy(&body).into_owned()));
        }
    }
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Result<Vec<u8>> {
    let [_, length @ ..] = u32::try_from(payload.len())?.to_be_bytes();
    Ok([&length[..], &[kind, flags], &STREAM.to_be_bytes(), payload].concat())
}

/// Without Huffman's code (RFC 7541 §5.2).
fn push_string(block: &mut Vec<u8>, text: &str) -> Result<()> {
    const PREFIX_MAX: usize = 127;
    if text.len() < PREFIX_MAX {
        block.push(u8::try_from(text.len())?);
    } else {
        ensure!(text.len() < PREFIX_MAX + (1 << 14), "too long a text");
        let rest = text.len() - PREFIX_MAX;
        // RFC 7541 §5.1, in two bytes more, the first of which says that another follows.
        block.extend([127, u8::try_from(rest % 128)? | 128, u8::try_from(rest / 128)?]);
    }
    block.extend(text.as_bytes());
    Ok(())
}
