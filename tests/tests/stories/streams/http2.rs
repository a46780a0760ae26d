//! Streams that share a connection: one ends, the others do not (rule P12).

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use e2e::upstream::Visit;
use e2e::wire::{Http2, Http2Stream, Piece};
use e2e::{Token, World, poll, story};

use super::open::{expect_from_before, last_number, unique, visit_to};
use super::{CUT, FINISH, OPEN};
use crate::bans::ban;

#[test]
fn p12_over_http_2_a_ban_resets_one_stream_and_leaves_the_others_on_its_connection() {
    story(&OPEN, async |world| {
        let (ann, bob) = (world.user(), world.user());
        let mut held = Vec::new();
        for connection in http2_to_every_worker(world).await? {
            let cut = Numbered::begin(world, &connection, CUT, &ann.token).await?;
            let others = [
                Numbered::begin(world, &connection, FINISH, &ann.token).await?,
                Numbered::begin(world, &connection, CUT, &bob.token).await?,
            ];
            held.push((connection, cut, others));
        }
        ban(world, &ann.email).await?;
        let marks: Vec<u64> = held.iter().map(|(_, cut, _)| cut.visit.sent()).collect();
        for ((connection, cut, others), mark) in held.into_iter().zip(marks) {
            cut.was_cut(mark).await?;
            for mut other in others {
                other.goes_on().await?;
            }
            ensure!(connection.is_open(), "the whole connection was closed");
            Numbered::begin(world, &connection, CUT, &bob.token).await?;
        }
        Ok(())
    });
}

/// Server-sent events over HTTP/2.
struct Numbered {
    visit: Visit,
    stream: Http2Stream,
}

impl Numbered {
    async fn begin(world: &World, connection: &Http2, host: &str, token: &Token) -> Result<Self> {
        let path = unique("/stream/sse?every_ms=20");
        let stream = connection.get(host, &path, &token.bearer()).await?;
        ensure!(stream.head.status == 200, "{:?}", stream.head);
        let mut begun = Self { visit: visit_to(world, &path).await?, stream };
        begun.goes_on().await?;
        Ok(begun)
    }

    async fn goes_on(&mut self) -> Result<()> {
        let sent = self.visit.sent();
        loop {
            match self.stream.piece().await? {
                Piece::Bytes(bytes) if last_number(&bytes).unwrap_or_default() > sent => return Ok(()),
                Piece::Bytes(_) => {}
                ended => bail!("the stream ended: {ended:?}"),
            }
        }
    }

    async fn was_cut(mut self, mark: u64) -> Result<()> {
        loop {
            match self.stream.piece().await? {
                Piece::Bytes(bytes) => expect_from_before(&bytes, mark)?,
                Piece::Cut => break,
                Piece::End => bail!("it ended as if it were complete"),
            }
        }
        let visit = &self.visit;
        poll::until_true("the upstream's side is closed", Duration::from_secs(5), async || Ok(!visit.is_open())).await
    }
}

/// Connections of HTTP/2, at least one to each worker. Nobody else may open connections meanwhile.
async fn http2_to_every_worker(world: &World) -> Result<Vec<Http2>> {
    let before = world.envoy.connections().await?;
    let mut connections = Vec::new();
    loop {
        let connection = Http2::open(world.envoy.edge()).await?;
        // A worker counts a connection when it accepts it: an answer proves that it has.
        connection.get(CUT, "/", "").await?;
        connections.push(connection);
        let after = world.envoy.connections().await?;
        if after.iter().zip(&before).all(|(after, before)| after > before) {
            return Ok(connections);
        }
    }
}
