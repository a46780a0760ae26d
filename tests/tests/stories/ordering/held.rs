//! Requests that wait for a decision, with more than their headers already on the way.

use std::fmt::Write;

use anyhow::{Result, ensure};
use e2e::check_relay::CheckRelay;
use e2e::wire::{Connection, Heard, RawRequest, handshake, text_frame};
use e2e::{User, World};
use sha2::{Digest, Sha256};

use crate::streams::open::unique;

/// How much of a request is sent before its decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All of a request without a body.
    Whole,
    /// Headers and the whole body.
    Body,
    /// Headers and the first half of the body.
    HalfABody,
    /// A websocket's handshake, and messages right behind it.
    EarlyMessages,
}

impl Sent {
    pub(crate) const WITH_MORE_THAN_A_HEAD: [Self; 3] = [Self::Body, Self::HalfABody, Self::EarlyMessages];

    fn path(self) -> &'static str {
        match self {
            Self::Whole => "/v1/models?",
            Self::Body | Self::HalfABody => "/stream/upload?",
            Self::EarlyMessages => "/stream/echo?",
        }
    }
}

/// Pieces of a body. Together they are more than Envoy buffers for a request.
const PIECES: usize = 64;
/// Messages behind a handshake.
const MESSAGES: usize = 8;

/// Pieces differ, so that their order shows.
fn piece(number: usize) -> Vec<u8> {
    format!("piece {number:04} ").repeat(100).into_bytes()
}

fn message(number: usize) -> String {
    format!("message {number}")
}

/// A request whose decision the relay keeps back.
pub(crate) struct Held {
    pub(crate) subject: String,
    sent: Sent,
    path: String,
    connection: Connection,
}

impl Held {
    /// Sends as much as `sent` says, and reads nothing.
    pub(crate) async fn begin(world: &World, relay: &CheckRelay, user: &User, sent: Sent) -> Result<Self> {
        relay.hold(&user.email);
        let path = unique(sent.path());
        let request = |method: &str| RawRequest::new(method, &path).header("authorization", user.token.bearer());
        let mut connection = Connection::open(world.envoy.edge()).await?;
        match sent {
            Sent::Whole => connection.write(&request("GET").bytes()).await?,
            Sent::Body | Sent::HalfABody => {
                connection.write(&request("POST").header("transfer-encoding", "chunked").bytes()).await?;
                let pieces = if sent == Sent::Body { PIECES } else { PIECES / 2 };
                for number in 0..pieces {
                    connection.write_chunk(&piece(number)).await?;
                }
            }
            Sent::EarlyMessages => {
                let frames = (0..MESSAGES).flat_map(|number| text_frame(&message(number)));
                connection.write(&handshake(request("GET")).into_iter().chain(frames).collect::<Vec<u8>>()).await?;
            }
        }
        Ok(Self { subject: user.email.clone(), sent, path, connection })
    }

    /// Not even the headers are at the upstream.
    pub(crate) fn expect_unseen(&self, world: &World) -> Result<()> {
        let visits = world.upstream.visits(&self.path).len();
        ensure!(visits == 0, "{:?} of {} reached the upstream", self.sent, self.subject);
        Ok(())
    }

    /// Lets the decision come, and expects an answer with `status`: 200 from the upstream, or any other
    /// from Envoy, while the upstream never hears of it.
    pub(crate) async fn ends_with(mut self, world: &World, relay: &CheckRelay, status: u16) -> Result<()> {
        relay.release(&self.subject);
        let answer = self.connection.answer().await?;
        ensure!(answer.status == status, "{:?} of {}: expected {status}: {answer:?}", self.sent, self.subject);
        if status == 200 {
            answer.received()?;
            return Ok(());
        }
        // The rest may still be accepted by the kernel; nobody may read it.
        let _closed = self.connection.write_chunk(&piece(PIECES / 2)).await;
        self.expect_unseen(world)
    }

    /// Lets the decision come, sends the rest, and expects that everything arrived in order.
    pub(crate) async fn arrives_whole(mut self, relay: &CheckRelay) -> Result<()> {
        relay.release(&self.subject);
        if self.sent == Sent::EarlyMessages {
            return self.messages_arrive().await;
        }
        for number in PIECES / 2..PIECES {
            if self.sent == Sent::HalfABody {
                self.connection.write_chunk(&piece(number)).await?;
            }
        }
        self.connection.write_chunk(b"").await?;
        let answer = self.connection.answer().await?.json_with(200)?;
        let whole: Vec<u8> = (0..PIECES).flat_map(piece).collect();
        ensure!(answer["body_bytes"] == whole.len() && answer["sha256"] == sha256(&whole), "{:?}: {answer}", self.sent);
        Ok(())
    }

    async fn messages_arrive(mut self) -> Result<()> {
        let head = self.connection.head().await?;
        let mut websocket = self.connection.upgraded(&head).await?;
        for number in 0..MESSAGES {
            let heard = websocket.hear().await?;
            ensure!(heard == Heard::Text(message(number)), "message {number}: {heard:?}");
        }
        Ok(())
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut hex, byte| {
        let _infallible = write!(hex, "{byte:02x}");
        hex
    })
}
