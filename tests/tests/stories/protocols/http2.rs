//! HTTP/2: each stream is decided for itself, and given up by itself.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use e2e::check_relay::CheckRelay;
use e2e::wire::{Http2, Http2Stream, Piece};
use e2e::world::Leg;
use e2e::{Plan, poll, story, story_in};
use http::{HeaderMap, Method, Request};
use serde_json::{Value, json};

use super::{WIRE, expect_refused, expect_unseen, only};
use crate::bans::ban;
use crate::ordering::over_relay;
use crate::streams::open::{unique, visit_to};

/// In which time what was done to a connection is noticed.
const NOTICED: Duration = Duration::from_secs(10);

/// A sidecar's answer may take its time.
fn patient() -> Plan {
    let policy = |policy: &mut Value| policy["mesh"]["check_timeout_ms"] = json!(10_000);
    Plan { workers: 1, links: &[Leg::Check], policy, ..Plan::default() }
}

fn request(method: Method, path: &str, bearer: &str) -> Result<Request<()>> {
    let uri = format!("http://localhost{path}");
    Ok(Request::builder().method(method).uri(uri).header("authorization", bearer).body(())?)
}

#[test]
fn of_several_streams_of_a_connection_one_is_refused_and_the_others_go_on() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        let connection = Http2::open(world.envoy.edge()).await?;
        let path = unique("/stream/sse?every_ms=20");
        let mut events = connection.begin(request(Method::GET, &path, &bearer)?, true).await?.answer().await?;
        let mut upload = connection.begin(request(Method::POST, "/v1/h2/upload", &bearer)?, false).await?;
        upload.send("the first half, ")?;
        for round in 0..10 {
            let path = format!("/v1/h2/refused/{round}");
            let mut refused = connection.begin(request(Method::POST, &path, "")?, false).await?;
            refused.send("GET /public/h2-smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
            expect_refused(world, &refused.answer().await?.whole().await?, &path)?;
            goes_on(&mut events).await?;
        }
        upload.send("and the second")?;
        upload.end(HeaderMap::new())?;
        let received = upload.answer().await?.whole().await?.received()?;
        ensure!(received.body == "the first half, and the second", "{received:?}");
        goes_on(&mut events).await?;
        ensure!(connection.is_open(), "the connection was closed");
        expect_unseen(world, "/public/h2-smuggled")
    });
}

async fn goes_on(events: &mut Http2Stream) -> Result<()> {
    match events.piece().await? {
        Piece::Bytes(_) => Ok(()),
        ended => bail!("the stream of events ended: {ended:?}"),
    }
}

#[test]
fn the_authority_decides_and_no_host_header_beside_it_reaches_the_upstream() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        for listener in [world.envoy.edge(), world.envoy.bare()] {
            let connection = Http2::open(listener).await?;
            for (authority, host) in [("localhost", "sekisho.localhost"), ("sekisho.localhost", "localhost")] {
                let path = format!("/health?authority={authority}.{}", listener.port());
                let with = |bearer: &str| -> Result<Request<()>> {
                    let request = Request::get(format!("http://{authority}{path}")).header("host", host);
                    Ok(request.header("authorization", bearer).body(())?)
                };
                let answer = connection.begin(with("")?, true).await?.answer().await?.whole().await?;
                if authority == "sekisho.localhost" {
                    ensure!(answer.json_with(200)?["status"] == "healthy", "{answer:?}");
                    continue;
                }
                expect_refused(world, &answer, &path)?;
                let admitted = connection.begin(with(&bearer)?, true).await?.answer().await?.whole().await?;
                ensure!(admitted.received()?.all("host") == ["localhost"], "{admitted:?}");
            }
        }
        Ok(())
    });
}

#[test]
fn trailers_go_on_without_what_is_forged_and_only_of_what_is_admitted() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        let mut trailers = HeaderMap::new();
        for (name, value) in [("x-checksum", "honest"), ("x-sekisho-subject", "forged"), ("authorization", "forged")] {
            trailers.insert(name, value.parse()?);
        }
        let connection = Http2::open(world.envoy.edge()).await?;
        for (path, bearer) in [("/v1/h2/trailers/admitted", bearer.as_str()), ("/v1/h2/trailers/refused", "")] {
            let mut call = connection.begin(request(Method::POST, path, bearer)?, false).await?;
            call.send("{}")?;
            // The refusal may come first, and end the stream.
            let _refused = call.end(trailers.clone());
            let answer = call.answer().await?.whole().await?;
            if bearer.is_empty() {
                expect_refused(world, &answer, path)?;
            } else {
                let received = only(world, path)?;
                ensure!(received.trailers == [("x-checksum".to_owned(), "honest".to_owned())], "{received:?}");
                ensure!((answer.status, received.body.as_str()) == (200, "{}"), "{answer:?}");
            }
        }
        Ok(())
    });
}

#[test]
fn a_stream_that_is_given_up_while_it_is_checked_is_gone_and_the_others_are_not() {
    story_in(patient(), async |world| {
        let (banned, good) = (world.user(), world.user());
        let relay = over_relay(world).await?;
        ban(world, &banned.email).await?;
        relay.hold(&banned.email);
        let connection = Http2::open(world.envoy.edge()).await?;
        let post = |path: &str| request(Method::POST, path, &banned.token.bearer());
        let mut given_up = connection.begin(post("/v1/h2/given-up")?, false).await?;
        given_up.send("half of a body")?;
        until_asked(&relay, &banned.email).await?;
        let mut waits = connection.begin(post("/v1/h2/waits")?, false).await?;
        waits.send("half of a body")?;
        given_up.reset();
        poll::until_true("Envoy knows that the stream was reset", NOTICED, async || {
            Ok(world.envoy.stat("http.edge.downstream_rq_rx_reset").await? > 0)
        })
        .await?;
        let other = connection.begin(request(Method::GET, "/v1/h2/other", &good.token.bearer())?, true).await?;
        other.answer().await?.whole().await?.received()?;
        relay.release(&banned.email);
        let answer = waits.answer().await?.whole().await?;
        ensure!(answer.status == 401 && answer.body.contains("banned"), "{answer:?}");
        for path in ["/v1/h2/given-up", "/v1/h2/waits"] {
            expect_unseen(world, path)?;
        }
        ensure!(world.envoy.vm_reloads().await? == 0, "a VM was loaded anew");
        Ok(())
    });
}

async fn until_asked(relay: &CheckRelay, subject: &str) -> Result<()> {
    poll::until_true("the check is under way", NOTICED, async || Ok(relay.answers(subject).len() == 1)).await
}

#[test]
fn a_stream_that_is_given_up_while_it_is_served_leaves_its_connection() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        let connection = Http2::open(world.envoy.edge()).await?;
        for _ in 0..20 {
            let path = unique("/stream/upload?");
            let mut call = connection.begin(request(Method::POST, &path, &bearer)?, false).await?;
            call.send("a piece")?;
            let visit = visit_to(world, &path).await?;
            call.reset();
            poll::until_true("the upstream is left", NOTICED, async || Ok(!visit.is_open())).await?;
        }
        let last = connection.begin(request(Method::GET, "/v1/h2/last", &bearer)?, true).await?;
        last.answer().await?.whole().await?.received()?;
        Ok(())
    });
}
