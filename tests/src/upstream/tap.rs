//! An upstream that knows nothing of upgrades and writes down every byte that reaches it, for what a server
//! with a parser of its own would hide.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::story::runtime;

/// The end of a request's headers.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// Before an answer, so that what does not wait for one comes first.
const PAUSE: Duration = Duration::from_millis(300);
/// What each request is answered.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// The upstream. It lives as long as the process.
pub struct Tap {
    port: u16,
    connections: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    /// Listens on a port of its own.
    ///
    /// # Errors
    /// No port is free.
    pub fn open() -> Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let connections = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let heard = Arc::clone(&connections);
        runtime().spawn(async move {
            let Ok(listener) = TcpListener::from_std(listener) else { return };
            while let Ok((stream, _)) = listener.accept().await {
                runtime().spawn(listen(stream, Arc::clone(&heard)));
            }
        });
        Ok(Self { port, connections })
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What came over the connection that `marker` came over, so far.
    #[must_use]
    pub fn heard_with(&self, marker: &str) -> Option<String> {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let texts = connections.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        texts.into_iter().find(|text| text.contains(marker))
    }
}

async fn listen(mut stream: TcpStream, connections: Arc<Mutex<Vec<Vec<u8>>>>) {
    let number = {
        let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.push(Vec::new());
        connections.len() - 1
    };
    let mut piece = [0; 4_096];
    // An error means that Envoy has left.
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        let ends_a_head = {
            let mut connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
            connections[number].extend(&piece[..count]);
            connections[number].ends_with(END_OF_HEAD)
        };
        if ends_a_head {
            sleep(PAUSE).await;
        }
        if ends_a_head && stream.write_all(ANSWER).await.is_err() {
            return;
        }
    }
}
