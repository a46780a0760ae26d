//! Requests of HTTP/2 that HTTP/1.1 could not say: none of them reaches the upstream as something else than what
//! was judged.

use anyhow::{Context, Result, ensure};
use e2e::wire::frames::{Outcome, exchange};
use e2e::{World, story};
use futures_util::future::try_join_all;

use super::{WIRE, expect_unseen, only};

/// What a field or a body tries to be.
const SMUGGLED: &str = "GET /public/h2-malformed HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Fields in place of the ordinary ones of the same name, or besides them; a value of `-` leaves one away.
const MALFORMED: &[&[(&str, &str)]] = &[
    &[("transfer-encoding", "chunked")],
    &[("Transfer-Encoding", "chunked")],
    &[("content-length", "0")],
    &[("content-length", "1")],
    &[("content-length", "1000")],
    &[("content-length", "+4")],
    &[("content-length", "4"), ("content-length", "5")],
    &[("connection", "keep-alive, x-sekisho-identity")],
    &[("upgrade", "websocket"), ("connection", "upgrade")],
    &[("proxy-connection", "keep-alive")],
    &[("X-Upper", "case")],
    &[("x-crlf", "a\r\nauthorization: forged")],
    &[("x-lf", "a\nx-forwarded-email: forged")],
    &[("x-name\r\nx-forwarded-email", "forged")],
    &[("x-name: forged\r\nx", "y")],
    &[("x name", "space")],
    &[("x-nul", "a\0b")],
    &[("", "no name")],
    &[(":path", "/v1/h2 HTTP/1.1\r\nhost: localhost\r\n\r\nGET /public/h2-malformed")],
    &[(":path", "/public/h2-malformed HTTP/1.1\r\nx: y")],
    &[(":path", "/public h2-malformed")],
    &[(":path", "")],
    &[(":path", "-")],
    &[(":path", "*")],
    &[(":path", "public/h2-malformed")],
    &[(":path", "http://localhost/public/h2-malformed")],
    &[(":path", "/public/h2-malformed"), (":path", "/v1/h2-malformed")],
    &[(":method", "GET / HTTP/1.1\r\nx:")],
    &[(":method", "get post")],
    &[(":method", "")],
    &[(":method", "-")],
    &[(":method", "CONNECT")],
    &[(":method", "CONNECT"), (":protocol", "websocket\r\nx: y")],
    &[(":method", "GET"), (":protocol", "websocket")],
    &[(":scheme", "-")],
    &[(":scheme", "http://localhost/public/h2-malformed?")],
    &[(":authority", "-")],
    &[(":authority", "-"), ("host", "localhost")],
    &[(":authority", "-"), ("host", "localhost"), ("host", "sekisho.localhost")],
    &[(":authority", "")],
    &[(":authority", "localhost\r\nx-forwarded-email: forged")],
    &[(":authority", "localhost/public/h2-malformed")],
    &[(":authority", "localhost"), (":authority", "sekisho.localhost")],
    &[(":authority", "sekisho.localhost, localhost")],
    &[(":status", "200")],
    &[(":unknown", "x")],
    &[("te", "chunked")],
];

#[test]
fn what_http_1_1_could_not_say_reaches_the_upstream_as_what_was_judged_or_not_at_all() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        let mut cases = Vec::new();
        for number in 0..MALFORMED.len() {
            for listener in [world.envoy.edge(), world.envoy.bare()] {
                cases.extend([(number, listener, ""), (number, listener, bearer.as_str())]);
            }
        }
        // Side by side, since Envoy takes a second to close a connection with an error.
        try_join_all(cases.into_iter().map(async |(number, listener, bearer)| {
            let path = format!("/v1/h2-malformed/{number}.{}.{}.", listener.port(), bearer.len());
            let changes = MALFORMED.get(number).copied().unwrap_or_default();
            let outcome = exchange(listener, &fields(&path, bearer, changes), SMUGGLED.as_bytes()).await?;
            expect_as_judged(world, &path, bearer, &outcome).with_context(|| format!("{changes:?}: {outcome:?}"))
        }))
        .await?;
        ensure!(world.envoy.vm_reloads().await? == 0, "a VM was loaded anew");
        Ok(())
    });
}

#[test]
fn the_same_request_without_a_fault_is_judged_and_passes_whole() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        let length = SMUGGLED.len().to_string();
        for listener in [world.envoy.edge(), world.envoy.bare()] {
            for changes in [&[][..], &[("content-length", length.as_str())], &[("te", "trailers")]] {
                let name = changes.first().map_or("none", |(name, _)| *name);
                let path = format!("/v1/h2-proper/{}.{name}.", listener.port());
                let refused = exchange(listener, &fields(&path, "", changes), SMUGGLED.as_bytes()).await?;
                ensure!(matches!(&refused, Outcome::Answered(body) if body.contains("authentication_error")));
                expect_unseen(world, &path)?;
                let admitted = exchange(listener, &fields(&path, &bearer, changes), SMUGGLED.as_bytes()).await?;
                expect_as_judged(world, &path, &bearer, &admitted)?;
                ensure!(only(world, &path)?.body == SMUGGLED, "{admitted:?}");
            }
        }
        Ok(())
    });
}

fn fields<'a>(path: &'a str, bearer: &'a str, changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let ordinary = [(":method", "POST"), (":scheme", "http"), (":authority", "localhost"), (":path", path)];
    let mut fields: Vec<_> = ordinary.into_iter().filter(|(name, _)| changes.iter().all(|(n, _)| n != name)).collect();
    let (pseudo, others): (Vec<_>, Vec<_>) = changes.iter().partition(|(name, _)| name.starts_with(':'));
    fields.extend(pseudo.into_iter().filter(|(_, value)| *value != "-"));
    fields.extend(others);
    if !bearer.is_empty() {
        fields.push(("authorization", bearer));
    }
    fields
}

/// Without a token nothing has reached the upstream. With one, what did is one request, whole and as it was judged.
fn expect_as_judged(world: &World, path: &str, bearer: &str, outcome: &Outcome) -> Result<()> {
    expect_unseen(world, "h2-malformed HTTP")?;
    expect_unseen(world, "/public/h2-malformed")?;
    let seen = world.upstream.visits(path).len();
    ensure!(seen == 0 || !bearer.is_empty(), "it reached the upstream without a token");
    if seen > 0 && *outcome != Outcome::Ended {
        let received = only(world, path)?;
        ensure!(received.body == SMUGGLED, "{received:?}");
        ensure!(received.one("host") == Some("localhost"), "{received:?}");
        ensure!(!format!("{:?}", received.headers).contains("forged"), "{received:?}");
    }
    Ok(())
}
