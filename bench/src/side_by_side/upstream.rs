//! The one upstream behind all listeners: answers at once and counts who came, so that a listener that lets nobody
//! through, or a refusal that reached the upstream, is noticed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Result;
use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

/// More than there are variants.
const VARIANTS: usize = 64;
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n";
/// The longest head that a variant makes; assertions and headers included.
const HEAD_MAX_BYTES: usize = 16 * 1024;

/// Counts what reached the upstream.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    address: SocketAddr,
    hits: Arc<Vec<Hits>>,
}

#[derive(Debug, Default)]
struct Hits {
    all: AtomicU64,
    identified: AtomicU64,
}

/// What reached the upstream from one listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Requests.
    pub(crate) all: u64,
    /// Those of them with a signed assertion about who asks.
    pub(crate) identified: u64,
}

impl Upstream {
    /// Serves on a thread of its own until the process ends.
    ///
    /// # Errors
    /// There is no port, or no thread.
    pub(crate) fn start() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let hits = Arc::new((0..VARIANTS).map(|_| Hits::default()).collect::<Vec<_>>());
        let upstream = Self { address: listener.local_addr()?, hits: Arc::clone(&hits) };
        let serve = async move {
            let listener = TcpListener::from_std(listener)?;
            while let Ok((stream, _)) = listener.accept().await {
                let hits = Arc::clone(&hits);
                // A connection that breaks is noticed by its client.
                tokio::spawn(async move { converse(stream, &hits).await });
            }
            anyhow::Ok(())
        };
        thread::Builder::new().name("upstream".into()).spawn(move || runtime.block_on(serve))?;
        Ok(upstream)
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// What has come from this listener so far.
    pub(crate) fn reached(&self, variant: usize) -> Reached {
        let load = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let hits = self.hits.get(variant);
        hits.map_or(Reached { all: 0, identified: 0 }, |hits| Reached {
            all: load(&hits.all),
            identified: load(&hits.identified),
        })
    }
}

async fn converse(mut stream: TcpStream, hits: &[Hits]) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(HEAD_MAX_BYTES);
    while stream.read_buf(&mut buffer).await? > 0 && buffer.len() < HEAD_MAX_BYTES {
        if !buffer.ends_with(b"\r\n\r\n") {
            continue;
        }
        if let Some(hits) = variant_of(&buffer).and_then(|variant| hits.get(variant)) {
            hits.all.fetch_add(1, Ordering::SeqCst);
            let is_identified = memmem::find(&buffer, b"\r\nx-sekisho-identity: ey").is_some();
            hits.identified.fetch_add(u64::from(is_identified), Ordering::SeqCst);
        }
        buffer.clear();
        stream.write_all(ANSWER).await?;
    }
    Ok(())
}

/// Whose request it is: `GET /v07/…` is that of number 7.
fn variant_of(head: &[u8]) -> Option<usize> {
    std::str::from_utf8(head.strip_prefix(b"GET /v")?.get(..2)?).ok()?.parse().ok()
}
