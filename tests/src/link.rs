//! A wire between two parts, which a story can slow down, cut, and lead elsewhere.
//!
//! It is a relay for TCP on a port of its own. What it is told takes effect on open connections as well
//! as on new ones, except that delays count for the bytes that come from then on.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::ports;
use crate::story::runtime;

/// Most bytes that are relayed at once.
const PIECE_BYTES: usize = 16 * 1024;
/// Most pieces that are under way in one direction; the sender has to wait for room then.
const PIECES: usize = 256;

/// The relay. Dropping it ends its connections.
pub struct Link {
    port: u16,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

#[derive(Clone, Copy)]
struct State {
    target: SocketAddr,
    there: Duration,
    back: Duration,
    mode: Mode,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Open,
    Silent,
    Closed,
}

impl Link {
    /// A link to `port` on this host, without any delay.
    ///
    /// # Errors
    /// No port is free.
    pub async fn to(port: u16) -> Result<Self> {
        let listen = ports::free()?;
        let listener = TcpListener::bind(("127.0.0.1", listen)).await?;
        let open = State { target: local(port), there: Duration::ZERO, back: Duration::ZERO, mode: Mode::Open };
        let (state, watched) = watch::channel(open);
        let accepting = runtime().spawn(accept(listener, watched));
        Ok(Self { port: listen, state, accepting })
    }

    /// The port on which it listens, for good.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on bytes take so long: `there` to the target, `back` from it.
    pub fn delay(&self, there: Duration, back: Duration) {
        self.state.send_modify(|state| (state.there, state.back) = (there, back));
    }

    /// As if the network were parted: nothing passes, and nobody is told so. Connections stay open and
    /// go on when the link heals.
    pub fn silence(&self) {
        self.state.send_modify(|state| state.mode = Mode::Silent);
    }

    /// As if the target's port were closed: connections end, and new ones end at once.
    pub fn close(&self) {
        self.state.send_modify(|state| state.mode = Mode::Closed);
    }

    /// Lets everything pass again, without delay.
    pub fn heal(&self) {
        self.state.send_modify(|state| {
            *state = State { there: Duration::ZERO, back: Duration::ZERO, mode: Mode::Open, ..*state };
        });
    }

    /// Leads to another port from now on, as when a replica is promoted. Connections to the one before end.
    pub fn lead_to(&self, port: u16) {
        self.state.send_modify(|state| state.target = local(port));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

async fn accept(listener: TcpListener, state: watch::Receiver<State>) {
    loop {
        // A failed accept concerns one connection only.
        let Ok((client, _)) = listener.accept().await else { continue };
        tokio::spawn(relay(client, state.clone()));
    }
}

/// Relays one connection until it ends, or has to.
async fn relay(client: TcpStream, mut state: watch::Receiver<State>) {
    // While nothing passes, the kernel has shaken hands already, but nobody speaks.
    let Ok(now) = state.wait_for(|state| state.mode != Mode::Silent).await.map(|now| *now) else { return };
    if now.mode == Mode::Closed {
        return;
    }
    let Ok(target) = TcpStream::connect(now.target).await else { return };
    if client.set_nodelay(true).and_then(|()| target.set_nodelay(true)).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_target, to_target) = target.into_split();
    let there = pass(from_client, to_target, state.clone(), |state| state.there);
    let back = pass(from_target, to_client, state.clone(), |state| state.back);
    let must_end = state.wait_for(|state| state.mode == Mode::Closed || state.target != now.target);
    tokio::select! {
        ((), ()) = async { tokio::join!(there, back) } => {}
        // An error is the end of the link itself.
        _ended = must_end => {}
    }
}

/// Passes bytes in one direction, each piece after the delay that held when it came.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    state: watch::Receiver<State>,
    delay: fn(&State) -> Duration,
) {
    let (pieces, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES);
    let mut link = state.clone();
    let read = async move {
        let mut buffer = vec![0; PIECE_BYTES];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let due = Instant::now() + delay(&state.borrow());
            if pieces.send((due, buffer[..count].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = under_way.recv().await {
            sleep_until(due).await;
            if link.wait_for(|state| state.mode == Mode::Open).await.is_err() || to.write_all(&piece).await.is_err() {
                return;
            }
        }
        // The end of the stream is news, too.
        if link.wait_for(|state| state.mode == Mode::Open).await.is_ok() {
            let _already_closed = to.shutdown().await;
        }
    };
    tokio::join!(read, write);
}

#[cfg(test)]
mod tests {
    use anyhow::ensure;
    use tokio::time::timeout;

    use super::*;

    /// A server that sends back what it gets, and its port.
    async fn echo() -> Result<u16> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _client_left = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        Ok(port)
    }

    async fn ping(stream: &mut TcpStream) -> Result<()> {
        stream.write_all(b"ping").await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await?;
        ensure!(&answer == b"ping");
        Ok(())
    }

    #[tokio::test]
    async fn a_silent_link_passes_nothing_and_loses_nothing() -> Result<()> {
        let link = Link::to(echo().await?).await?;
        let mut stream = TcpStream::connect(local(link.port())).await?;
        ping(&mut stream).await?;
        link.silence();
        let mut pending = std::pin::pin!(ping(&mut stream));
        assert!(timeout(Duration::from_millis(50), &mut pending).await.is_err(), "it passed");
        link.heal();
        pending.await
    }

    #[tokio::test]
    async fn a_closed_link_ends_connections_and_a_healed_one_takes_new_ones() -> Result<()> {
        let link = Link::to(echo().await?).await?;
        let mut stream = TcpStream::connect(local(link.port())).await?;
        ping(&mut stream).await?;
        link.close();
        assert!(ping(&mut stream).await.is_err(), "the old connection lives on");
        let mut refused = TcpStream::connect(local(link.port())).await?;
        assert!(ping(&mut refused).await.is_err(), "a new connection was taken");
        link.heal();
        ping(&mut TcpStream::connect(local(link.port())).await?).await
    }

    #[tokio::test]
    async fn bytes_take_as_long_as_they_are_told() -> Result<()> {
        let link = Link::to(echo().await?).await?;
        let mut stream = TcpStream::connect(local(link.port())).await?;
        link.delay(Duration::from_millis(30), Duration::from_millis(40));
        let start = Instant::now();
        ping(&mut stream).await?;
        assert!(start.elapsed() >= Duration::from_millis(70), "{:?}", start.elapsed());
        Ok(())
    }

    #[tokio::test]
    async fn a_link_that_leads_elsewhere_ends_what_led_to_the_old_place() -> Result<()> {
        let link = Link::to(echo().await?).await?;
        let mut stream = TcpStream::connect(local(link.port())).await?;
        ping(&mut stream).await?;
        link.lead_to(echo().await?);
        assert!(ping(&mut stream).await.is_err(), "the old connection lives on");
        ping(&mut TcpStream::connect(local(link.port())).await?).await
    }
}
