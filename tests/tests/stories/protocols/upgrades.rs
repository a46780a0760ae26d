//! Other protocols over a connection that was HTTP: websockets, and what must never become one.

use std::sync::LazyLock;

use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use e2e::envoy::configuration::lead_upstream_to;
use e2e::upstream::tap::Tap;
use e2e::wire::{Connection, Heard, Http2, Http2Call, Http2Stream, Piece, RawRequest, handshake, text_frame};
use e2e::{Plan, Shared, story};
use h2::ext::Protocol;
use http::{Method, Request};
use serde_json::Value;

use super::{WIRE, expect_closed, expect_refused, expect_unseen};
use crate::streams::open::{unique, visit_to};

/// The upstream of [`TAPPED`].
static TAP: LazyLock<Result<Tap>> = LazyLock::new(Tap::open);
static TAPPED: Shared = Shared::new(|| Plan { envoy: with_tap, ..Plan::default() });

fn with_tap(root: &mut Value) -> Result<()> {
    lead_upstream_to(root, tap()?.port())
}

fn tap() -> Result<&'static Tap> {
    TAP.as_ref().map_err(|error| anyhow!("{error}"))
}

/// How an HTTP/2 connection begins (RFC 9113 §3.4), with a SETTINGS frame and a request for `/public/h2c`.
const PREFACE: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0GET /public/h2c HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn a_websocket_is_admitted_with_a_token_and_refused_without_one_before_any_message() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        let messages = [text_frame("early"), b"GET /public/ws HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()].concat();
        for refused in ["", "Bearer nonsense"] {
            let path = unique("/stream/echo?");
            let request = handshake(RawRequest::new("GET", &path).header("authorization", refused));
            let mut connection = Connection::open(world.envoy.edge()).await?;
            let answer = connection.send(&[request, messages.clone()].concat()).await?;
            ensure!(answer.status == 401 && answer.header("upgrade").is_none(), "{answer:?}");
            expect_closed(connection, &answer).await?;
            expect_unseen(world, &path)?;
            expect_unseen(world, "/public/ws")?;
        }
        let path = unique("/stream/echo?");
        let request = handshake(RawRequest::new("GET", &path).header("authorization", bearer));
        let mut connection = Connection::open(world.envoy.edge()).await?;
        connection.write(&[request, text_frame("early")].concat()).await?;
        let head = connection.head().await?;
        let mut websocket = connection.upgraded(&head).await?;
        ensure!(websocket.hear().await? == Heard::Text("early".into()), "the early message is lost");
        websocket.say("late").await?;
        ensure!(websocket.hear().await? == Heard::Text("late".into()), "no echo");
        Ok(())
    });
}

#[test]
fn behind_a_handshake_that_the_upstream_does_not_take_no_request_gets_past_the_filter() {
    story(&TAPPED, async |world| {
        let bearer = world.user().token.bearer();
        let lines = [("accept", "*/*"), ("content-length", "0"), ("transfer-encoding", "chunked")];
        for (number, (name, value)) in lines.into_iter().enumerate() {
            for is_early in [true, false] {
                let path = |kind: &str| format!("/v1/{kind}/{number}/{is_early}");
                let request = RawRequest::new("GET", &path("no-websocket")).header("authorization", &bearer);
                let request = handshake(request.header(name, value));
                let smuggled = RawRequest::new("GET", &path("smuggled")).header("x-forwarded-email", "eve").bytes();
                let mut connection = Connection::open(world.envoy.edge()).await?;
                let first = if is_early { [request, smuggled.clone()].concat() } else { request };
                connection.write(&first).await?;
                let answer = connection.head().await?;
                // The upstream answers as if nobody had asked for a websocket, and waits for the next request.
                ensure!(answer.status == 200, "{answer:?}");
                let _closed = connection.write(&smuggled).await;
                expect_closed(connection, &answer).await?;
                let heard = tap()?.heard_with(&path("no-websocket")).context("the upstream heard nothing")?;
                ensure!(!heard.contains("smuggled"), "the upstream heard {heard}");
            }
        }
        Ok(())
    });
}

#[test]
fn h2c_is_no_way_past_the_filter() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        for (number, bearer) in [bearer.as_str(), ""].into_iter().enumerate() {
            let path = format!("/v1/h2c/{number}");
            let request = RawRequest::new("GET", &path).header("authorization", bearer);
            let request = request.header("connection", "Upgrade, HTTP2-Settings").header("upgrade", "h2c");
            let request = request.header("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA").bytes();
            let mut connection = Connection::open(world.envoy.edge()).await?;
            connection.write(&[&request, PREFACE].concat()).await?;
            let answer = connection.answer().await?;
            if bearer.is_empty() {
                expect_refused(world, &answer, &path)?;
            } else {
                // It is what it is without these headers: a request of HTTP/1.1 (RFC 9110 §7.8).
                let received = answer.received()?;
                for name in ["upgrade", "http2-settings", "connection"] {
                    ensure!(received.all(name).is_empty(), "{name}: {received:?}");
                }
            }
            // What follows is judged as a request, and it is none.
            if let Ok(tail) = connection.answer().await {
                ensure!(tail.status >= 400, "{tail:?}");
            }
            expect_unseen(world, "/public/h2c")?;
        }
        Ok(())
    });
}

#[test]
fn no_other_protocol_is_taken_up() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        for (number, upgrade) in [
            "TLS/1.0",
            "connect-udp",
            "CONNECT",
            "spdy/3.1",
            "h2c, websocket",
            "websocket, h2c",
            "websocket, foo",
            "websocket\r\nUpgrade: h2c",
            "h2c\r\nUpgrade: foo",
            "foo",
        ]
        .into_iter()
        .enumerate()
        {
            for bearer in [bearer.as_str(), ""] {
                let path = format!("/v1/upgrade/{number}/{}", bearer.len());
                let request = RawRequest::new("GET", &path).header("authorization", bearer);
                let request = request.header("connection", "Upgrade").header("upgrade", upgrade).bytes();
                let answer = world.raw(&[&request, PREFACE].concat()).await?;
                // Envoy refuses them on its own, since its configuration names no other protocol.
                ensure!([403, 404].contains(&answer.status), "{upgrade:?}: {answer:?}");
                expect_unseen(world, &path)?;
                expect_unseen(world, "/public/h2c")?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_websocket_over_http_2_is_judged_as_one_over_http_1_1() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        let connection = Http2::open(world.envoy.edge()).await?;
        connection.get("localhost", "/public/settings", "").await?;
        ensure!(connection.takes_extended_connect(), "allow_connect is not on");

        let path = unique("/stream/echo?");
        let mut refused = websocket(&connection, &path, "").await?;
        refused.send(text_frame("early"))?;
        let answer = refused.answer().await?.whole().await?;
        expect_refused(world, &answer, &path)?;

        let path = unique("/stream/echo?");
        let mut call = websocket(&connection, &path, &bearer).await?;
        call.send(text_frame("early"))?;
        let mut stream = call.answer().await?;
        ensure!(stream.head.status == 200, "RFC 8441 §5.1: {:?}", stream.head);
        expect_echo(&mut stream, "early").await?;
        stream.send(text_frame("late"), false)?;
        expect_echo(&mut stream, "late").await?;
        ensure!(visit_to(world, &path).await?.sent() == 2, "not two messages");
        ensure!(connection.is_open(), "the connection was closed");
        Ok(())
    });
}

async fn websocket(connection: &Http2, path: &str, bearer: &str) -> Result<Http2Call> {
    let request = Request::builder().method(Method::CONNECT).uri(format!("http://localhost{path}"));
    let request = request.header("sec-websocket-version", "13").header("authorization", bearer);
    // RFC 8441 does without, but an upstream of HTTP/1.1 wants a key, and Envoy makes none up.
    let request = request.header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    connection.begin(request.extension(Protocol::from_static("websocket")).body(())?, false).await
}

/// A short message of a server: not masked (RFC 6455 §5.1).
async fn expect_echo(stream: &mut Http2Stream, text: &str) -> Result<()> {
    let frame = [&[0x81, u8::try_from(text.len())?], text.as_bytes()].concat();
    let mut heard = Vec::new();
    while heard.len() < frame.len() {
        match stream.piece().await? {
            Piece::Bytes(bytes) => heard.extend(bytes),
            ended => bail!("the websocket ended: {ended:?}"),
        }
    }
    ensure!(heard == frame, "heard {:?}", Bytes::from(heard));
    Ok(())
}

#[test]
fn connect_is_refused_over_http_2_with_and_without_a_protocol_that_nobody_knows() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        for protocol in [None, Some("foo"), Some("connect-udp"), Some("connect-tcp"), Some("bytestream")] {
            let connection = Http2::open(world.envoy.edge()).await?;
            connection.get("localhost", "/public/settings", "").await?;
            let request = Request::builder().method(Method::CONNECT).header("authorization", &bearer);
            let request = match protocol {
                None => request.uri("localhost:443"),
                Some(name) => request.uri("http://localhost/v1/connect").extension(Protocol::from_static(name)),
            };
            let mut call = connection.begin(request.body(())?, false).await?;
            let _refused = call.send(PREFACE);
            // A refusal, or a reset.
            if let Ok(answer) = call.answer().await {
                ensure!((400..=501).contains(&answer.head.status), "{protocol:?}: {:?}", answer.head);
            }
            expect_unseen(world, "/v1/connect")?;
            expect_unseen(world, "localhost:443")?;
        }
        Ok(())
    });
}
