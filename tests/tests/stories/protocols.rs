//! What becomes of a decision in each protocol that clients speak: the client gets its own answer and nobody
//! else's, and nothing of a refused request reaches the upstream, nor is any of it taken for another request.

use anyhow::{Result, ensure};
use e2e::envoy::configuration::with_managers;
use e2e::upstream::Received;
use e2e::wire::{Connection, Http2, RawRequest};
use e2e::{Answer, Plan, Shared, World, story};
use http::Request;
use serde_json::{Value, json};

mod bodies;
mod grpc;
mod http1;
mod http2;
mod malformed;
mod upgrades;

/// HTTP/2 clients may ask for websockets; on the second listener the upstream is asked about `Expect: 100-continue`.
static WIRE: Shared = Shared::new(|| Plan { envoy: with_more, ..Plan::default() });

fn with_more(root: &mut Value) -> Result<()> {
    with_managers(root, |manager| {
        manager["http2_protocol_options"]["allow_connect"] = json!(true);
        if is_second(manager) {
            manager.insert("proxy_100_continue".into(), json!(true));
        }
    })
}

/// Whether it is the one without Envoy's normalisation.
fn is_second(manager: &serde_json::Map<String, Value>) -> bool {
    !manager.contains_key("normalize_path")
}

/// What a GET without a credential is told, and what it needs to know.
const TOLD: &[&str] = &["content-type", "content-length", "cache-control", "www-authenticate"];

#[test]
fn a_refused_head_gets_what_get_would_get_without_the_body() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        for (path, bearer, status) in [("/v1/models", "", 401), ("/v1/a;b", &bearer, 400), ("/v1/ok", &bearer, 200)] {
            let request = |method: &str| RawRequest::new(method, path).header("authorization", bearer).bytes();
            let get = world.raw(&request("GET")).await?;
            let mut connection = Connection::open(world.envoy.edge()).await?;
            connection.write(&request("HEAD")).await?;
            let head = connection.head().await?;
            ensure!((get.status, head.status) == (status, status), "{path}: {get:?}, {head:?}");
            // The upstream shows each request its own headers, so only refusals are alike.
            for name in TOLD.iter().filter(|_| status != 200) {
                ensure!(head.header(name) == get.header(name), "{path}, {name}: {get:?}, {head:?}");
            }
            ensure!(head.header("content-length").is_some_and(|length| length != "0"), "{head:?}");
            // If it had a body, its bytes would stand here instead of an answer; Envoy closes after 400.
            if status == 400 {
                expect_closed(connection, &head).await?;
            } else {
                connection.send(&RawRequest::new("GET", "/public/after").bytes()).await?.received()?;
            }
        }
        Ok(())
    });
}

#[test]
fn a_refused_head_has_no_body_over_http_2_either() {
    story(&WIRE, async |world| {
        let connection = Http2::open(world.envoy.edge()).await?;
        let request = |method: &str| Request::builder().method(method).uri("http://localhost/v1/models").body(());
        let get = connection.begin(request("GET")?, true).await?.answer().await?.whole().await?;
        let head = connection.begin(request("HEAD")?, true).await?.answer().await?.whole().await?;
        ensure!((get.status, head.status, head.body.as_str()) == (401, 401, ""), "{get:?}, {head:?}");
        ensure!(!get.body.is_empty(), "{get:?}");
        for name in TOLD {
            ensure!(head.header(name) == get.header(name), "{name}: {get:?}, {head:?}");
        }
        Ok(())
    });
}

#[test]
fn options_is_judged_like_any_method() {
    story(&WIRE, async |world| {
        let bearer = world.user().token.bearer();
        let preflight = |path: &str| {
            let request = RawRequest::new("OPTIONS", path).header("origin", "https://app.example");
            request.header("access-control-request-method", "POST")
        };
        let refused = world.raw(&preflight("/v1/options-refused").bytes()).await?;
        expect_refused(world, &refused, "/v1/options-refused")?;
        let request = preflight("/v1/options").header("authorization", &bearer).bytes();
        ensure!(world.raw(&request).await?.received()?.method == "OPTIONS", "not OPTIONS");
        world.raw(&preflight("/public/options").bytes()).await?.received()?;
        Ok(())
    });
}

/// It was told why, and the upstream never heard of it.
fn expect_refused(world: &World, answer: &Answer, path: &str) -> Result<()> {
    ensure!(answer.status == 401, "{path}: {answer:?}");
    ensure!(answer.body.contains("authentication_error"), "{path}: {answer:?}");
    expect_unseen(world, path)
}

fn expect_unseen(world: &World, path: &str) -> Result<()> {
    ensure!(world.upstream.visits(path).is_empty(), "{path} reached the upstream");
    Ok(())
}

/// The one request to `path` that reached the upstream in full.
fn only(world: &World, path: &str) -> Result<Received> {
    let received = world.upstream.with_path(path);
    let [received] = &received[..] else { anyhow::bail!("{} requests to {path}", received.len()) };
    Ok(received.clone())
}

/// Envoy says that it closes the connection, and does.
async fn expect_closed(mut connection: Connection, answer: &Answer) -> Result<()> {
    ensure!(answer.header("connection") == Some("close"), "{answer:?}");
    match connection.head().await {
        Ok(another) => anyhow::bail!("another answer: {another:?}"),
        Err(error) => ensure!(!error.to_string().contains("nothing came in time"), "the connection stays open"),
    }
    Ok(())
}
