//! Bodies of refused requests: they reach nobody, are no requests of their own, and hold nobody up.

use anyhow::ensure;
use e2e::wire::{Connection, RawRequest};
use e2e::{User, story};

use super::{WIRE, expect_closed, expect_refused, expect_unseen, only};
use crate::bans::ban;

/// What a body tries to be.
const SMUGGLED: &str = "GET /public/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn a_refused_body_is_no_request_and_neither_is_what_follows_it() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        for (name, framing, body) in [
            ("length", ("content-length", SMUGGLED.len().to_string()), SMUGGLED.to_owned()),
            (
                "chunked",
                ("transfer-encoding", "chunked".into()),
                format!("{:x}\r\n{SMUGGLED}\r\n0\r\n\r\n", SMUGGLED.len()),
            ),
        ] {
            let path = |kind: &str| format!("/v1/body/{name}/{kind}");
            let first = RawRequest::new("GET", &path("first")).header("authorization", &bearer).bytes();
            let refused = RawRequest::new("POST", &path("refused")).header(framing.0, &framing.1).bytes();
            let last = RawRequest::new("GET", &path("last")).header("authorization", &bearer).bytes();
            let mut connection = Connection::open(world.envoy.edge()).await?;
            connection.write(&[first, refused, body.into_bytes(), last].concat()).await?;
            ensure!(connection.answer().await?.received()?.path == path("first"), "not the first answer");
            let answer = connection.answer().await?;
            expect_refused(world, &answer, &path("refused"))?;
            expect_closed(connection, &answer).await?;
            // Where the refused request ends is not looked for: what follows it is nobody's request.
            expect_unseen(world, "/public/smuggled")?;
            expect_unseen(world, &path("last"))?;
        }
        Ok(())
    });
}

#[test]
fn behind_a_body_that_came_whole_before_its_refusal_the_next_request_is_answered() {
    story(&WIRE, async |world| {
        let (good, banned) = (world.user(), world.user());
        ban(world, &banned.email).await?;
        let request = |user: &User, kind: &str| {
            let request = RawRequest::new("POST", &format!("/v1/whole/{kind}"));
            request.header("authorization", user.token.bearer()).with_body(SMUGGLED)
        };
        // The refusal waits for a check, and the connection is read meanwhile.
        let requests = [request(&good, "first"), request(&banned, "refused"), request(&good, "last")];
        let mut connection = Connection::open(world.envoy.edge()).await?;
        connection.write(&requests.concat()).await?;
        for (path, status) in [("/v1/whole/first", 200), ("/v1/whole/refused", 401), ("/v1/whole/last", 200)] {
            let answer = connection.answer().await?;
            ensure!(answer.status == status, "{path}: {answer:?}");
            if status == 200 {
                ensure!(only(world, path)?.body == SMUGGLED, "{path}: {answer:?}");
            } else {
                expect_unseen(world, path)?;
            }
        }
        expect_unseen(world, "/public/smuggled")
    });
}

#[test]
fn a_body_with_two_ends_is_refused_and_its_tail_reaches_nobody() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        for (number, framing) in [
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 4",
            "Content-Length: 4\r\nContent-Length: 5",
            "Content-Length: 4, 5",
            "Content-Length: +4",
            "Content-Length: -1",
            "Content-Length: 0x4",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: identity, chunked",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding : chunked",
            "Transfer-Encoding: chunked\r\n folded: x",
        ]
        .into_iter()
        .enumerate()
        {
            for bearer in ["", &bearer] {
                let path = format!("/v1/two-ends/{number}");
                let head = format!(
                    "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {bearer}\r\n{framing}\r\n\r\n0\r\n\r\n"
                );
                let mut connection = Connection::open(world.envoy.edge()).await?;
                connection.write(&[head.as_bytes(), SMUGGLED.as_bytes()].concat()).await?;
                let answer = connection.answer().await?;
                ensure!((400..=501).contains(&answer.status), "{framing:?}: {answer:?}");
                expect_closed(connection, &answer).await?;
                expect_unseen(world, &path)?;
                expect_unseen(world, "/public/smuggled")?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_refused_upload_is_answered_while_it_is_still_being_sent() {
    static PIECE: [u8; 64 * 1024] = [b'x'; 64 * 1024];
    story(&WIRE, async |world| {
        for framing in [("content-length", "1073741824"), ("transfer-encoding", "chunked")] {
            let path = format!("/stream/upload?refused={}", framing.0);
            let mut connection = Connection::open(world.envoy.edge()).await?;
            connection.write(&RawRequest::new("POST", &path).header(framing.0, framing.1).bytes()).await?;
            // As chunks or not: nobody reads it, and the answer may be there before all of this was sent.
            let _closed = connection.write_chunk(&PIECE).await;
            let answer = connection.answer().await?;
            expect_refused(world, &answer, &path)?;
            let _closed = connection.write_chunk(&PIECE).await;
            expect_closed(connection, &answer).await?;
            expect_unseen(world, &path)?;
        }
        Ok(())
    });
}

#[test]
fn who_waits_for_100_continue_is_told_by_envoy_to_go_on_unless_the_upstream_is_asked() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        let request = |path: &str, bearer: &str| {
            let request = RawRequest::new("POST", path).header("authorization", bearer);
            request.header("expect", "100-continue").header("content-length", "4").bytes()
        };
        for (listener, is_asked) in [(world.envoy.edge(), false), (world.envoy.bare(), true)] {
            let path = |kind: &str| format!("/v1/expect/{kind}/{is_asked}");
            let mut connection = Connection::open(listener).await?;
            connection.write(&request(&path("refused"), "")).await?;
            if !is_asked {
                ensure!(connection.head().await?.status == 100, "Envoy itself says it, before any filter");
            }
            let answer = connection.answer().await?;
            expect_refused(world, &answer, &path("refused"))?;
            expect_closed(connection, &answer).await?;

            let mut connection = Connection::open(listener).await?;
            connection.write(&request(&path("admitted"), &bearer)).await?;
            ensure!(connection.head().await?.status == 100, "nobody says that it may go on");
            connection.write(b"body").await?;
            let received = connection.answer().await?.received()?;
            ensure!(received.body == "body", "{received:?}");
            ensure!(received.one("expect").is_some() == is_asked, "{received:?}");
            expect_unseen(world, &path("refused"))?;
        }
        Ok(())
    });
}

#[test]
fn a_refused_request_with_trailers_ends_with_its_refusal() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        let trailers = [("x-checksum", "honest"), ("authorization", bearer.as_str())];
        for listener in [world.envoy.edge(), world.envoy.bare()] {
            let path = format!("/v1/trailing/{}", listener.port());
            let request = RawRequest::new("POST", &path).with_trailers("{}", &trailers);
            expect_refused(world, &world.raw_to(listener, &request).await?, &path)?;
        }
        // Admitted, they are dropped as users run it: Envoy passes HTTP/1.1 trailers on only where it is told to.
        let request = RawRequest::new("POST", "/v1/trailing/admitted").header("authorization", &bearer);
        world.raw(&request.with_trailers("{}", &trailers)).await?.received()?;
        ensure!(only(world, "/v1/trailing/admitted")?.trailers.is_empty(), "trailers");
        Ok(())
    });
}
