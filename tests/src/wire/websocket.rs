//! A websocket (RFC 6455) over a connection whose handshake was written by hand, so that messages can
//! follow it before anybody has answered.

use anyhow::{Context, Result, ensure};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Connection, RawRequest, in_time, is_cut};
use crate::Answer;

/// The example of RFC 6455 §1.3: the nonce protects caches, and there are none here.
const NONCE: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// `request` with the headers that ask for a websocket.
#[must_use]
pub fn handshake(request: RawRequest) -> Vec<u8> {
    let request = request.header("connection", "Upgrade").header("upgrade", "websocket");
    request.header("sec-websocket-version", "13").header("sec-websocket-key", NONCE).bytes()
}

/// A text message as a client sends it: one masked frame.
#[must_use]
pub fn text_frame(text: &str) -> Vec<u8> {
    let mut frame = Frame::message(text.to_owned(), OpCode::Data(Data::Text), true);
    // All masks are as good as each other for a server, RFC 6455 §5.3.
    frame.header_mut().mask = Some([0x37, 0xfa, 0x21, 0x3d]);
    let mut bytes = Vec::new();
    // Writing to memory cannot fail.
    let _infallible = frame.format(&mut bytes);
    bytes
}

/// What was heard over a websocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A text message.
    Text(String),
    /// The other side says goodbye (a close frame).
    Goodbye,
    /// The connection ended without a close frame.
    Cut,
}

/// An open websocket. Dropping it closes the connection.
pub struct Websocket(WebSocketStream<TcpStream>);

impl Connection {
    /// The connection as a websocket, after `head` was read from it.
    ///
    /// # Errors
    /// `head` does not take the upgrade.
    pub async fn upgraded(self, head: &Answer) -> Result<Websocket> {
        ensure!(head.status == 101, "no upgrade: {head:?}");
        let read_ahead = self.stream.buffer().to_vec();
        let stream = self.stream.into_inner();
        Ok(Websocket(WebSocketStream::from_partially_read(stream, read_ahead, Role::Client, None).await))
    }
}

impl Websocket {
    /// Sends a text message.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn say(&mut self, text: &str) -> Result<()> {
        Ok(in_time(self.0.send(Message::text(text))).await??)
    }

    /// Reads the next text message, or how the conversation ended.
    ///
    /// # Errors
    /// Nothing came in time, or something else than that.
    pub async fn hear(&mut self) -> Result<Heard> {
        loop {
            match in_time(self.0.next()).await? {
                Some(Ok(Message::Text(text))) => return Ok(Heard::Text(text.to_string())),
                Some(Ok(Message::Close(_))) => return Ok(Heard::Goodbye),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Err(Error::Io(error))) if is_cut(&error) => return Ok(Heard::Cut),
                Some(Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake))) | None => {
                    return Ok(Heard::Cut);
                }
                Some(other) => return Err(other.err().context("not a text message")?.into()),
            }
        }
    }
}
