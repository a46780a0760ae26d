//! HTTP/1.1: several requests over one connection, and whose a request is.

use anyhow::ensure;
use e2e::story;
use e2e::wire::{Connection, RawRequest};

use super::{WIRE, expect_refused, expect_unseen};

#[test]
fn each_of_several_requests_gets_its_own_answer_over_one_connection() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        let mut connection = Connection::open(world.envoy.edge()).await?;
        for round in 0..20 {
            let path = |kind: &str| format!("/v1/alive/{kind}/{round}");
            let admitted = RawRequest::new("GET", &path("admitted")).header("authorization", &bearer);
            ensure!(connection.send(&admitted.bytes()).await?.received()?.path == path("admitted"), "another's answer");
            let refused = connection.send(&RawRequest::new("GET", &path("refused")).bytes()).await?;
            expect_refused(world, &refused, &path("refused"))?;
        }
        Ok(())
    });
}

/// Requests that are sent in one write: admitted (`A`, each with a body that looks like a request) and refused (`R`).
const PIPELINES: &[&str] = &["AAAAAA", "AR", "RA", "ARA", "RAR", "RRRR", "RARARA", "AARAARA"];

#[test]
fn requests_in_one_write_are_answered_in_their_order_each_for_itself() {
    const BODY: &str = "GET /public/in-a-body HTTP/1.1\r\nHost: localhost\r\n\r\n";
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        for pipeline in PIPELINES {
            let path = |number: usize| format!("/v1/pipe/{pipeline}/{number}");
            let request = |(number, kind): (usize, char)| match kind {
                'A' => RawRequest::new("POST", &path(number)).header("authorization", &bearer).with_body(BODY),
                _ => RawRequest::new("GET", &path(number)).bytes(),
            };
            let mut connection = Connection::open(world.envoy.edge()).await?;
            connection.write(&pipeline.chars().enumerate().flat_map(request).collect::<Vec<_>>()).await?;
            let mut answered = 0;
            for (number, kind) in pipeline.chars().enumerate() {
                // Envoy closes a connection on which more than two answers wait to be written: whoever sends
                // several requests at once repeats those that were not answered (RFC 9112 §9.3.2).
                let Ok(answer) = connection.answer().await else { break };
                answered += 1;
                if kind == 'A' {
                    let received = answer.received()?;
                    ensure!((&received.path, received.body.as_str()) == (&path(number), BODY), "{received:?}");
                } else {
                    expect_refused(world, &answer, &path(number))?;
                }
            }
            ensure!(answered >= 2, "{pipeline}: {answered} answers");
            ensure!(answered == pipeline.len() || pipeline.contains('R'), "{pipeline}: {answered} answers");
            for number in answered..pipeline.len() {
                expect_unseen(world, &path(number))?;
            }
            expect_unseen(world, "/public/in-a-body")?;
        }
        Ok(())
    });
}

/// A target, a `Host`, and which host the request is for: `None` if it is refused as malformed.
const HOSTS: &[(&str, &str, Option<Host>)] = &[
    ("http://sekisho.localhost/health", "localhost", Some(Host::App)),
    ("HTTP://SEKISHO.localhost:80/health", "localhost", Some(Host::App)),
    ("http://localhost/health", "sekisho.localhost", Some(Host::Upstream)),
    ("http://localhost:8080/health", "sekisho.localhost", Some(Host::Upstream)),
    // Envoy takes user information away before anybody reads the host.
    ("http://user@sekisho.localhost/health", "localhost", Some(Host::App)),
    ("http://sekisho.localhost@localhost/health", "localhost", Some(Host::Upstream)),
    ("/health", "sekisho.localhost\r\nHost: localhost", None),
    ("/health", "localhost\r\nHost: sekisho.localhost", None),
    ("/health", "sekisho.localhost, localhost", None),
    ("/health", "sekisho.localhost\r\nHost: sekisho.localhost", None),
    ("/health", "", None),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Host {
    App,
    Upstream,
}

#[test]
fn the_host_of_the_rule_is_the_host_that_the_request_goes_to() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        for (number, (target, host, expected)) in HOSTS.iter().enumerate() {
            for listener in [world.envoy.edge(), world.envoy.bare()] {
                let target = format!("{target}?host={number}.{}", listener.port());
                let request = RawRequest::to_host("GET", &target, host);
                let without = world.raw_to(listener, &request.clone().bytes()).await?;
                let with = world.raw_to(listener, &request.header("authorization", &bearer).bytes()).await?;
                match expected {
                    // The only public rule for that path is the app's: who is let in without a token went there.
                    Some(Host::App) => ensure!(without.json_with(200)?["status"] == "healthy", "{target}: {without:?}"),
                    Some(Host::Upstream) => {
                        ensure!(without.status == 401, "{target}: {without:?}");
                        let received = with.received()?;
                        ensure!(received.one("host") == Some("localhost"), "{target}: {received:?}");
                    }
                    None => {
                        ensure!((without.status, with.status) == (400, 400), "{target}: {without:?}, {with:?}");
                        expect_unseen(world, &format!("host={number}.{}", listener.port()))?;
                    }
                }
            }
        }
        Ok(())
    });
}

#[test]
fn http_1_0_gets_an_answer_or_none_but_never_past_the_filter() {
    story(&WIRE, async |world| {
        let answer = world.raw(b"GET /v1/old HTTP/1.0\r\nHost: localhost\r\n\r\n").await?;
        ensure!(answer.status == 426, "Envoy speaks no HTTP/1.0 unless it is told to: {answer:?}");
        expect_unseen(world, "/v1/old")
    });
}
