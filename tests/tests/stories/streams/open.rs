//! Streams that a story holds open: each kind with what passes between client and upstream, and with
//! what its ends look like.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::upstream::Visit;
use e2e::wire::{Connection, Ending, Heard, Piece, RawRequest, Websocket, handshake};
use e2e::{Answer, World, poll};

/// In which time the upstream has noticed what Envoy did to a connection.
const NOTICED: Duration = Duration::from_secs(5);
/// What an upload brings in one go.
const BODY_PIECE: &[u8] = b"a piece of a body";

/// What kind of stream it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Server-sent events.
    Sse,
    /// An endless chunked answer.
    Chunked,
    /// A websocket on which each side has spoken.
    Websocket,
    /// An answer that said something and is silent since.
    Idle,
    /// A request whose answer has not begun.
    Slow,
    /// A request whose body is under way.
    Upload,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [Self::Sse, Self::Chunked, Self::Websocket, Self::Idle, Self::Slow, Self::Upload];

    fn path(self) -> &'static str {
        match self {
            Self::Sse => "/stream/sse?every_ms=20",
            Self::Chunked => "/stream/chunked?every_ms=20",
            Self::Websocket => "/stream/echo?",
            Self::Idle => "/stream/idle?",
            Self::Slow => "/stream/slow?after_ms=600000",
            Self::Upload => "/stream/upload?",
        }
    }
}

/// A path below `path`, which has a query, that nobody else asks for.
pub(crate) fn unique(path: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(1);
    format!("{path}&story={}.", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The one request to `path` that has reached the upstream.
pub(crate) async fn visit_to(world: &World, path: &str) -> Result<Visit> {
    poll::until("the upstream is asked", NOTICED, async || match &world.upstream.visits(path)[..] {
        [visit] => Ok(visit.clone()),
        visits => bail!("{} requests to {path}", visits.len()),
    })
    .await
}

/// An open stream.
pub(crate) struct Open {
    pub(crate) kind: Kind,
    /// The upstream's side of it.
    pub(crate) visit: Visit,
    line: Line,
}

enum Line {
    Http(Connection),
    Websocket(Box<Websocket>),
}

/// How far a stream was at some moment, as its upstream saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    sent: u64,
    body_bytes: u64,
}

impl Open {
    /// Opens a stream by a request with the headers `shown`, and waits until client and upstream have heard of each other.
    pub(crate) async fn begin(
        world: &World,
        mut connection: Connection,
        kind: Kind,
        host: &str,
        shown: &[(&str, &str)],
    ) -> Result<Self> {
        let path = unique(kind.path());
        let request = |method: &str| {
            let request = RawRequest::to_host(method, &path, host);
            shown.iter().fold(request, |request, (name, value)| request.header(name, value))
        };
        let line = match kind {
            Kind::Sse | Kind::Chunked | Kind::Idle => {
                connection.write(&request("GET").bytes()).await?;
                let head = connection.head().await?;
                ensure!(head.status == 200, "{kind:?}: {:?}", with_body(connection, head).await);
                Line::Http(connection)
            }
            Kind::Slow => {
                connection.write(&request("GET").bytes()).await?;
                Line::Http(connection)
            }
            Kind::Upload => {
                connection.write(&request("POST").header("transfer-encoding", "chunked").bytes()).await?;
                Line::Http(connection)
            }
            Kind::Websocket => {
                connection.write(&handshake(request("GET"))).await?;
                let head = connection.head().await?;
                Line::Websocket(Box::new(connection.upgraded(&head).await?))
            }
        };
        let mut open = Self { kind, visit: visit_to(world, &path).await?, line };
        open.goes_on().await?;
        Ok(open)
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { sent: self.visit.sent(), body_bytes: self.visit.body_bytes() }
    }

    /// Proves that the stream is alive: something new passes, in each direction that it has.
    pub(crate) async fn goes_on(&mut self) -> Result<()> {
        let before = self.mark();
        match (self.kind, &mut self.line) {
            (Kind::Sse | Kind::Chunked, Line::Http(connection)) => {
                while last_number(&read_on(connection).await?).unwrap_or_default() <= before.sent {}
            }
            (Kind::Upload, Line::Http(connection)) => {
                connection.write_chunk(BODY_PIECE).await?;
                let expected = before.body_bytes + BODY_PIECE.len() as u64;
                let visit = &self.visit;
                poll::until_true("the piece arrives", NOTICED, async || Ok(visit.body_bytes() == expected)).await?;
            }
            (Kind::Websocket, Line::Websocket(websocket)) => {
                let text = format!("message {}", before.sent + 1);
                websocket.say(&text).await?;
                ensure!(websocket.hear().await? == Heard::Text(text), "no echo");
            }
            // Silence is all that can be heard of them.
            _ => {}
        }
        ensure!(self.visit.is_open(), "{:?}: the upstream was left", self.kind);
        Ok(())
    }

    /// Proves that the stream was ended by force no later than at `mark`: nothing that was sent after it
    /// arrives on the other side. An answer that had not begun is `expected`: status and code.
    pub(crate) async fn was_cut(mut self, mark: Mark, expected: (u16, &str)) -> Result<()> {
        let (kind, visit) = (self.kind, self.visit.clone());
        self.speak_in_vain().await;
        self.read_to_the_cut(mark, expected).await.with_context(|| format!("{kind:?}"))?;
        let what = format!("{kind:?}: the upstream's side is closed");
        poll::until_true(&what, NOTICED, async || Ok(!visit.is_open())).await?;
        let late_bytes = visit.body_bytes() - mark.body_bytes;
        ensure!(late_bytes == 0, "{kind:?}: {late_bytes} bytes reached the upstream afterwards");
        Ok(())
    }

    async fn read_to_the_cut(self, mark: Mark, expected: (u16, &str)) -> Result<()> {
        match (self.kind, self.line) {
            (Kind::Slow | Kind::Upload, Line::Http(mut connection)) => {
                let answer = connection.answer().await?;
                let code = answer.json()?["code"].clone();
                ensure!((answer.status, code.as_str()) == (expected.0, Some(expected.1)), "{answer:?}");
            }
            (_, Line::Http(mut connection)) => loop {
                match connection.piece().await? {
                    Piece::Bytes(bytes) => expect_from_before(&bytes, mark.sent)?,
                    Piece::Cut => return Ok(()),
                    Piece::End => bail!("it ended as if it were complete"),
                }
            },
            (_, Line::Websocket(mut websocket)) => {
                let heard = websocket.hear().await?;
                ensure!(heard == Heard::Cut, "heard {heard:?}");
            }
        }
        Ok(())
    }

    /// Says something that must not arrive any more. The connection may be closed already.
    async fn speak_in_vain(&mut self) {
        let _closed = match (self.kind, &mut self.line) {
            (Kind::Upload, Line::Http(connection)) => connection.write_chunk(BODY_PIECE).await,
            (_, Line::Websocket(websocket)) => websocket.say("too late").await,
            _ => Ok(()),
        };
    }

    /// Lets the stream end, and proves that it ends as it should.
    pub(crate) async fn ends_well(mut self) -> Result<()> {
        self.goes_on().await?;
        self.visit.end();
        match (self.kind, self.line) {
            (Kind::Slow, Line::Http(mut connection)) => {
                connection.answer().await?.received()?;
            }
            (Kind::Upload, Line::Http(mut connection)) => {
                connection.write_chunk(b"").await?;
                let answer = connection.answer().await?.json_with(200)?;
                ensure!(answer["body_bytes"] == self.visit.body_bytes(), "{answer}");
            }
            (kind, Line::Http(mut connection)) => {
                let (_, ending) = connection.rest().await?;
                ensure!(ending == Ending::Orderly, "{kind:?} was cut");
            }
            (_, Line::Websocket(mut websocket)) => {
                let heard = websocket.hear().await?;
                ensure!(heard == Heard::Goodbye, "heard {heard:?}");
            }
        }
        Ok(())
    }
}

async fn read_on(connection: &mut Connection) -> Result<Vec<u8>> {
    match connection.piece().await? {
        Piece::Bytes(bytes) => Ok(bytes),
        ended => bail!("the stream ended: {ended:?}"),
    }
}

async fn with_body(mut connection: Connection, head: Answer) -> Result<Answer> {
    let (body, _) = connection.rest().await?;
    Ok(Answer { body: String::from_utf8_lossy(&body).into_owned(), ..head })
}

/// What arrives was sent while the upstream had not sent more than `sent`.
pub(crate) fn expect_from_before(bytes: &[u8], sent: u64) -> Result<()> {
    let last = last_number(bytes).unwrap_or_default();
    ensure!(last <= sent, "number {last} was sent after number {sent} and arrived");
    Ok(())
}

/// The number of the last event or line that is complete in `bytes`.
pub(crate) fn last_number(bytes: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(bytes);
    let complete = text.rfind('\n').and_then(|end| text.get(..end))?;
    complete.lines().rev().find_map(|line| line.strip_prefix("id: ").unwrap_or(line).parse().ok())
}

/// As many new connections to each worker as `count` says. Nobody else may open connections meanwhile.
pub(crate) async fn connections_to_each_worker(world: &World, count: usize) -> Result<Vec<Vec<Connection>>> {
    let mut before = world.envoy.connections().await?;
    let mut workers: Vec<Vec<Connection>> = before.iter().map(|_| Vec::new()).collect();
    while workers.iter().any(|connections| connections.len() < count) {
        let mut connection = Connection::open(world.envoy.edge()).await?;
        // A worker counts a connection when it accepts it: an answer proves that it has.
        connection.send(&RawRequest::new("GET", "/public").bytes()).await?;
        let after = world.envoy.connections().await?;
        let worker = after.iter().zip(&before).position(|(after, before)| after > before);
        let worker = worker.context("no worker has counted the connection")?;
        workers[worker].push(connection);
        before = after;
    }
    workers.iter_mut().for_each(|connections| connections.truncate(count));
    Ok(workers)
}
