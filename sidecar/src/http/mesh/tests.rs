//! The mesh listener over real sockets and a real Redis, as filters call it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use reqwest::{Client, Response, StatusCode};
use sekisho_protocol::feed::{FeedBody, FeedReply, PAGE_MAX_BYTES};
use sekisho_protocol::{Digest, Epoch, ReplicaId, Subject};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::feed::{Mark, Stamp};
use crate::domain::time::UnixSeconds;
use crate::http::serve;
use crate::service::Services;
use crate::testing::{MESH_SECRET, RedisServer};

mod calls;
mod keys;
mod loss;
mod oauth2_proxy;
mod pages;
mod polls;
mod session_bans;
mod sessions;

/// A sidecar's mesh listener, its jobs, and a Redis.
struct World {
    redis: RedisServer,
    services: Services,
    address: SocketAddr,
    client: Client,
    closing: CancellationToken,
    _running: JoinSet<()>,
}

impl World {
    async fn start() -> Self {
        Self::on(RedisServer::start().await).await
    }

    async fn on(redis: RedisServer) -> Self {
        Self::unloaded(redis, &[]).await.loaded().await
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        Self::unloaded(RedisServer::start().await, settings).await.loaded().await
    }

    /// Another sidecar, on the same Redis.
    async fn beside(&self, settings: &[(&str, &str)]) -> Self {
        Self::unloaded(self.redis.neighbour(), settings).await.loaded().await
    }

    async fn loaded(self) -> Self {
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.services.mirror.stamp().is_none() {
            assert!(Instant::now() < deadline, "the feed is not loaded");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self
    }

    async fn unloaded(redis: RedisServer, more: &[(&str, &str)]) -> Self {
        let settings = [more, &[("SEKISHO_FEED_HOLD_MS", "300")]].concat();
        let settings = redis.settings(&settings);
        let closing = CancellationToken::new();
        let app = App::new(&settings, closing.clone()).unwrap();
        let mut running = JoinSet::new();
        app.start_jobs(&settings, &mut running);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        running.spawn(serve(listener, app.mesh(&settings), closing.clone()));
        let client = Client::builder().http2_prior_knowledge().build().unwrap();
        Self { redis, services: app.services, address, client, closing, _running: running }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn get(&self, path: &str) -> Response {
        self.client.get(self.url(path)).bearer_auth(MESH_SECRET).send().await.unwrap()
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        self.client.post(self.url(path)).bearer_auth(MESH_SECRET).body(body.to_string()).send().await.unwrap()
    }

    async fn poll(&self, replica: u8, holds: Option<(&Epoch, u64)>, from: Option<Digest>) -> Response {
        self.get(&poll_path(replica, holds, from)).await
    }

    /// A poll that is answered.
    async fn reply(&self, replica: u8, holds: Option<(&Epoch, u64)>, from: Option<Digest>) -> FeedReply {
        let response = self.poll(replica, holds, from).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    async fn ban(&self, name: &str) -> Stamp {
        let subject = Subject::try_from(name.to_owned()).unwrap();
        self.services.feed.put(&Mark::ban(&subject, later())).await.unwrap()
    }

    async fn redis(&self, words: &[&str]) {
        let mut connection = self.redis.client().dedicated().await.unwrap();
        let mut cmd = redis::cmd(words[0]);
        for word in &words[1..] {
            cmd.arg(word);
        }
        cmd.exec_async(&mut connection).await.unwrap();
    }
}

fn poll_path(replica: u8, holds: Option<(&Epoch, u64)>, from: Option<Digest>) -> String {
    let replica = ReplicaId::from_bytes([replica; 16]);
    let mut path = format!("/v1/feed?replica={replica}&node=n&build=b&fences=true&staleness_ms=3000");
    if let Some((epoch, since)) = holds {
        path += &format!("&epoch={epoch}&since={since}");
    }
    if let Some(from) = from {
        path += &format!("&from={from}");
    }
    path
}

fn later() -> u64 {
    UnixSeconds::now().get() + 600
}

/// The changes' first and last version, of a delta.
fn span(reply: &FeedReply) -> (u64, u64, usize) {
    match &reply.body {
        FeedBody::Delta { from, version, changes } => (*from, *version, changes.len()),
        FeedBody::Page { .. } => panic!("a page: {reply:?}"),
    }
}

#[tokio::test]
async fn whoever_does_not_know_the_secret_is_told_the_same_in_every_case() {
    let world = World::start().await;
    let mut answers = Vec::new();
    for (path, credential) in [
        ("/v1/feed", None),
        ("/v1/feed", Some("Bearer wrong")),
        ("/v1/check", Some("Basic abc")),
        ("/nowhere", Some("Bearer ")),
    ] {
        let mut request = world.client.get(world.url(path));
        if let Some(credential) = credential {
            request = request.header("authorization", credential);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{path} {credential:?}");
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
        answers.push(response.text().await.unwrap());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let world = World::start().await;
    for query in [
        "".to_owned(),
        poll_path(1, None, None).replace("fences=true", "fences=perhaps"),
        poll_path(1, None, None).replace("replica=01", "replica=XX"),
        poll_path(1, None, None).replace("3000", "60001"),
        poll_path(1, None, None) + "&worker=-1",
        poll_path(1, None, None) + "&memory_bytes=4294967297",
        poll_path(1, None, None) + "&entries=4294967297",
        poll_path(1, None, None).replace("node=n", &format!("node={}", "n".repeat(129))),
    ] {
        let path = if query.is_empty() { "/v1/feed".to_owned() } else { query };
        assert_eq!(world.get(&path).await.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    let check = json!({"protocol": 2, "replica": "0".repeat(32), "route": "r", "subject": "ann@x"});
    assert_eq!(world.post("/v1/check", &check).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(
        world.post("/v1/check", &json!({"a": "x".repeat(17_000)})).await.status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn http_1_is_spoken_too() {
    let world = World::start().await;
    let client = Client::builder().http1_only().build().unwrap();
    let response = client.get(world.url(&poll_path(1, None, None))).bearer_auth(MESH_SECRET).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}
