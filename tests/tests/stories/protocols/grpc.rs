//! gRPC: clients get a status of theirs and a sentence, never a page of JSON.

use anyhow::{Result, ensure};
use e2e::envoy::configuration::{upstream_over_http2, with_managers};
use e2e::token::verify_assertion;
use e2e::wire::{Http2, Http2Call, Piece};
use e2e::world::Sidecars;
use e2e::{Answer, Plan, Shared, User, World, story, story_in};
use http::{HeaderMap, Request};
use serde_json::{Value, json};

use super::{expect_unseen, is_second, only};
use crate::bans::ban;
use crate::streams::open::{unique, visit_to};

/// The upstream speaks HTTP/2. On the second listener Envoy translates gRPC-Web before the filter.
static GRPC: Shared = Shared::new(|| Plan { envoy: with_grpc, ..Plan::default() });

fn with_grpc(root: &mut Value) -> Result<()> {
    const GRPC_WEB: &str = "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb";
    upstream_over_http2(root)?;
    with_managers(root, |manager| {
        if is_second(manager)
            && let Some(filters) = manager.get_mut("http_filters").and_then(Value::as_array_mut)
        {
            let config = json!({"@type": format!("type.googleapis.com/{GRPC_WEB}")});
            filters.insert(0, json!({"name": "envoy.filters.http.grpc_web", "typed_config": config}));
        }
    })
}

/// What a client of gRPC sends.
const CONTENT_TYPE: &str = "application/grpc";

async fn call(connection: &Http2, path: &str, content_type: &str, bearer: &[&str]) -> Result<Http2Call> {
    let mut request = Request::post(format!("http://localhost{path}")).header("content-type", content_type);
    request = request.header("te", "trailers");
    for bearer in bearer {
        request = request.header("authorization", *bearer);
    }
    connection.begin(request.body(())?, false).await
}

/// A message as gRPC frames it: not compressed, its length, itself.
fn message(text: &str) -> Result<Vec<u8>> {
    Ok([&[0][..], &u32::try_from(text.len())?.to_be_bytes(), text.as_bytes()].concat())
}

#[test]
fn a_unary_call_is_admitted_and_the_upstream_is_told_who_calls() {
    story(&GRPC, async |world| {
        let User { email, token } = world.user();
        let connection = Http2::open(world.envoy.edge()).await?;
        for content_type in [CONTENT_TYPE, "application/grpc+proto"] {
            let path = format!("/echo.Echo/Unary{}", content_type.len());
            let mut call = call(&connection, &path, content_type, &[&token.bearer()]).await?;
            call.send(message("hello")?)?;
            call.end(HeaderMap::new())?;
            let answer = call.answer().await?.whole().await?;
            ensure!((answer.status, answer.header("grpc-status")) == (200, Some("0")), "{answer:?}");
            ensure!(answer.body.ends_with("hello"), "{answer:?}");
            let received = only(world, &path)?;
            ensure!(received.one("te") == Some("trailers"), "{received:?}");
            let assertion = received.one("x-sekisho-identity").unwrap_or_default();
            let claims = verify_assertion(assertion, world.keys.upstream.as_bytes(), "sample-upstream")?;
            ensure!(claims["sub"] == email, "{claims}");
        }
        Ok(())
    });
}

#[test]
fn a_call_streams_in_both_directions() {
    story(&GRPC, async |world| {
        let bearer = world.user().token.bearer();
        let connection = Http2::open(world.envoy.edge()).await?;
        let mut call = call(&connection, "/echo.Echo/Stream", CONTENT_TYPE, &[&bearer]).await?;
        call.send(message("message 0")?)?;
        let mut stream = call.answer().await?;
        ensure!(stream.head.status == 200, "{:?}", stream.head);
        for number in 0..20 {
            let heard = stream.piece().await?;
            ensure!(heard == Piece::Bytes(message(&format!("message {number}"))?), "message {number}: {heard:?}");
            stream.send(message(&format!("message {}", number + 1))?, number == 19)?;
        }
        let answer = stream.whole().await?;
        ensure!(answer.header("grpc-status") == Some("0"), "{answer:?}");
        Ok(())
    });
}

#[test]
fn a_refused_call_gets_the_status_of_grpc_and_the_message_alone() {
    story(&GRPC, async |world| {
        let (good, banned) = (world.user(), world.user());
        ban(world, &banned.email).await?;
        let expired = world.token_of(&good.email).claim("exp", 1).bearer();
        let (good, banned) = (good.token.bearer(), banned.token.bearer());
        let several: &[&str] = &[&good, &expired];
        let connection = Http2::open(world.envoy.edge()).await?;
        for (path, bearer, status, message) in [
            ("/echo.Echo/Missing", &[][..], "16", "Authorization header required"),
            ("/echo.Echo/Expired", &[&expired[..]], "16", "Invalid or expired token: token has expired"),
            ("/echo.Echo/Banned", &[&banned], "16", "Invalid or expired token: User is banned for "),
            ("/echo.Echo/Several", several, "3", "The request carries more than one credential"),
            (
                "/echo.Echo/Un;usual",
                &[&good],
                "3",
                "The request is refused: the path holds a separator that servers read differently",
            ),
        ] {
            for content_type in [CONTENT_TYPE, "application/grpc+proto"] {
                let mut call = call(&connection, path, content_type, bearer).await?;
                // The refusal may come first.
                let _refused = call.send(self::message("hello")?);
                let answer = call.answer().await?.whole().await?;
                expect_grpc(&answer, status, message)?;
            }
            expect_unseen(world, path)?;
        }
        Ok(())
    });
}

/// Trailers only: all in one head, with the HTTP status that gRPC wants.
fn expect_grpc(answer: &Answer, status: &str, message: &str) -> Result<()> {
    ensure!((answer.status, answer.body.as_str()) == (200, ""), "{answer:?}");
    ensure!(answer.header("content-type") == Some(CONTENT_TYPE), "{answer:?}");
    ensure!(answer.header("grpc-status") == Some(status), "expected {status}: {answer:?}");
    let told = answer.header("grpc-message").unwrap_or_default();
    // How long a ban lasts changes from second to second.
    ensure!(told.starts_with(message) && !told.contains(['{', '%']), "expected {message:?}: {answer:?}");
    Ok(())
}

#[test]
fn a_call_that_nobody_can_decide_on_is_unavailable() {
    story_in(Plan { sidecars: Sidecars::Absent, envoy: with_grpc, ..Plan::default() }, async |world| {
        let bearer = world.user().token.bearer();
        let connection = Http2::open(world.envoy.edge()).await?;
        let mut call = call(&connection, "/echo.Echo/Undecided", CONTENT_TYPE, &[&bearer]).await?;
        let _refused = call.send(message("hello")?);
        let answer = call.answer().await?.whole().await?;
        expect_grpc(&answer, "14", "The request cannot be checked right now. Try again shortly")?;
        expect_unseen(world, "/echo.Echo/Undecided")
    });
}

#[test]
fn a_call_that_is_cut_before_its_answer_is_told_to_try_again() {
    story(&GRPC, async |world| {
        let user = world.user();
        let connection = Http2::open(world.envoy.edge()).await?;
        let path = unique("/stream/slow?after_ms=600000");
        let mut call = call(&connection, &path, CONTENT_TYPE, &[&user.token.bearer()]).await?;
        call.send(message("hello")?)?;
        visit_to(world, &path).await?;
        ban(world, &user.email).await?;
        let answer = call.answer().await?.whole().await?;
        let message = "The request was cut off: its credential may have been withdrawn. Try again to learn more";
        expect_grpc(&answer, "14", message)
    });
}

#[test]
fn grpc_web_is_answered_as_http_unless_envoy_translates_it() {
    story(&GRPC, async |world| {
        for content_type in ["application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text"] {
            let ask = async |world: &World, listener| {
                let connection = Http2::open(listener).await?;
                let mut call = call(&connection, "/echo.Echo/Web", content_type, &[]).await?;
                let _refused = call.send(message("hello")?);
                let answer = call.answer().await?.whole().await?;
                expect_unseen(world, "/echo.Echo/Web")?;
                anyhow::Ok(answer)
            };
            let plain = ask(world, world.envoy.edge()).await?;
            ensure!(plain.json_with(401)?["error"]["message"] == "Authorization header required", "{plain:?}");
            let translated = ask(world, world.envoy.bare()).await?;
            ensure!((translated.status, translated.header("grpc-status")) == (401, Some("16")), "{translated:?}");
            ensure!(translated.header("grpc-message") == Some("Authorization header required"), "{translated:?}");
        }
        Ok(())
    });
}
