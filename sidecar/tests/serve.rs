//! `sekisho serve`, as a service manager sees it: how it starts, what it says, how it ends.

#![expect(clippy::expect_used, reason = "a test program: what fails there fails the test")]

use rustix::process::{Pid, Signal, kill_process};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

// The library's own test support, compiled into this program as well.
use sekisho_sidecar::{config, store};
#[expect(dead_code, reason = "this program needs only a part of it")]
#[path = "../src/testing.rs"]
mod testing;

#[path = "serve/tls.rs"]
mod tls;

use testing::{JWT_SECRET, MESH_SECRET, RedisServer};

/// A sidecar that runs until the test ends.
struct Sidecar {
    child: Child,
    mesh: String,
    ops: String,
    log: tempfile::NamedTempFile,
    _data: tempfile::TempDir,
}

impl Sidecar {
    fn start(redis_url: &str, more: &[(&str, &str)]) -> Self {
        let address = || TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").to_string();
        let (mesh, ops, log) = (address(), address(), tempfile::NamedTempFile::new().expect("a file"));
        let data = tempfile::tempdir().expect("a folder");
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_sekisho"), "serve"])
            .env("REDIS_URL", redis_url)
            .env("SEKISHO_MESH_SECRET", MESH_SECRET)
            .env("JWT_SECRET", JWT_SECRET)
            .env("SEKISHO_MESH_LISTEN", &mesh)
            .env("SEKISHO_APP_LISTEN", address())
            .env("SEKISHO_OPS_LISTEN", &ops)
            .env("SEKISHO_LOG", "trace")
            .env("SEKISHO_DATA_DIR", data.path())
            .envs(more.iter().copied())
            .stderr(Stdio::from(log.reopen().expect("the file")))
            .spawn();
        Self { child: child.expect("setpriv is installed"), mesh, ops, log, _data: data }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).expect("the log")
    }

    async fn status(&self, path: &str) -> Option<u16> {
        let answer = reqwest::get(format!("http://{}{path}", self.ops)).await;
        answer.ok().map(|answer| answer.status().as_u16())
    }

    /// Polls as a filter does, with the mesh secret, in both versions of HTTP.
    async fn poll(&self) {
        let client = || reqwest::Client::builder();
        for client in [client().http1_only(), client().http2_prior_knowledge()] {
            let query = "replica=0123456789abcdef0123456789abcdef&fences=true&staleness_ms=3000";
            let request = client.build().expect("a client").get(format!("http://{}/v1/feed?{query}", self.mesh));
            let answer = request.bearer_auth(MESH_SECRET).send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), 200);
        }
    }

    async fn until(&self, path: &str, expected: u16) {
        let deadline = Instant::now() + Duration::from_secs(15);
        while self.status(path).await != Some(expected) {
            assert!(Instant::now() < deadline, "{path} is never {expected}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ended(&mut self, within: Duration) -> ExitStatus {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn it_ends_when_told_to_and_never_writes_a_secret_into_its_log() {
    let (redis, data) = (RedisServer::start().await, tempfile::tempdir().expect("a folder"));
    for signal in [Signal::TERM, Signal::INT] {
        let mut sidecar = Sidecar::start(&redis.url(), &[("SEKISHO_DATA_DIR", text(data.path()))]);
        sidecar.until("/readyz", 200).await;
        sidecar.poll().await;
        sidecar.signal(signal);
        assert!(sidecar.ended(Duration::from_secs(5)).await.success());
        let log = sidecar.log();
        assert!(log.contains("closing"), "{log}");
        for secret in [MESH_SECRET, JWT_SECRET] {
            assert!(!log.contains(secret), "a secret is in the log");
        }
    }
}

#[tokio::test]
async fn without_redis_it_is_up_but_not_ready_until_redis_comes() {
    let mut redis = RedisServer::start().await;
    redis.stop();
    let sidecar = Sidecar::start(&redis.url(), &[]);
    sidecar.until("/healthz", 200).await;
    sidecar.until("/readyz", 503).await;
    redis.restart(&["--save", ""]).await;
    sidecar.until("/readyz", 200).await;
}

#[tokio::test]
async fn it_refuses_a_redis_that_evicts_and_says_what_to_do() {
    let redis = RedisServer::start_with(&["--save", "", "--maxmemory-policy", "allkeys-lru"]).await;
    let mut sidecar = Sidecar::start(&redis.url(), &[]);
    assert_eq!(sidecar.ended(Duration::from_secs(5)).await.code(), Some(1));
    assert!(sidecar.log().contains("maxmemory-policy allkeys-lru"), "{}", sidecar.log());
    assert!(sidecar.log().contains("set it to noeviction"), "{}", sidecar.log());
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[tokio::test]
async fn sidecars_that_share_a_redis_but_not_a_database_are_refused_with_what_to_do() {
    let (redis, data) = (RedisServer::start().await, tempfile::tempdir().expect("a folder"));
    let shared = [("SEKISHO_DATA_DIR", text(data.path()))];
    let first = Sidecar::start(&redis.url(), &shared);
    first.until("/readyz", 200).await;
    let second = Sidecar::start(&redis.url(), &shared);
    second.until("/readyz", 200).await;
    let mut stranger = Sidecar::start(&redis.url(), &[]);
    assert_eq!(stranger.ended(Duration::from_secs(10)).await.code(), Some(1));
    for expected in ["another database", "DATABASE_URL", "SEKISHO_DATA_DIR"] {
        assert!(stranger.log().contains(expected), "{expected}: {}", stranger.log());
    }
}

#[tokio::test]
async fn a_database_that_is_away_keeps_no_sidecar_from_its_work_and_what_is_no_database_does() {
    let redis = RedisServer::start().await;
    let away = [("DATABASE_URL", "postgres://sekisho:hidden-password@127.0.0.1:1/sekisho")];
    let sidecar = Sidecar::start(&redis.url(), &away);
    sidecar.until("/readyz", 200).await;
    assert!(sidecar.log().contains("the database does not answer"), "{}", sidecar.log());
    assert!(!sidecar.log().contains("hidden-password"), "a secret is in the log");

    let data = tempfile::tempdir().expect("a folder");
    std::fs::write(data.path().join("sekisho.db"), "what is this? ".repeat(1_000)).expect("a file");
    let mut refused = Sidecar::start(&redis.url(), &[("SEKISHO_DATA_DIR", text(data.path()))]);
    assert_eq!(refused.ended(Duration::from_secs(15)).await.code(), Some(1));
    assert!(refused.log().contains("the database can't be used"), "{}", refused.log());

    let below_a_file = data.path().join("sekisho.db/folder");
    let mut refused = Sidecar::start(&redis.url(), &[("SEKISHO_DATA_DIR", text(&below_a_file))]);
    assert_eq!(refused.ended(Duration::from_secs(15)).await.code(), Some(1));
    assert!(refused.log().contains("the data folder (SEKISHO_DATA_DIR) can't be used"), "{}", refused.log());
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_its_setting() {
    let redis = RedisServer::start().await;
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut sidecar = Sidecar::start(&redis.url(), &[("SEKISHO_APP_LISTEN", &address)]);
    assert_eq!(sidecar.ended(Duration::from_secs(5)).await.code(), Some(1));
    let expected = format!("cannot listen on {address} (SEKISHO_APP_LISTEN)");
    assert!(sidecar.log().contains(&expected), "{}", sidecar.log());
}

#[tokio::test]
async fn missing_and_weak_secrets_are_all_told_at_once() {
    let more = [("SEKISHO_MESH_SECRET", "short"), ("JWT_SECRET", "")];
    let mut sidecar = Sidecar::start("redis://127.0.0.1:1", &more);
    assert_eq!(sidecar.ended(Duration::from_secs(5)).await.code(), Some(2));
    for expected in ["SEKISHO_MESH_SECRET: has 5 bytes", "JWT_SECRET: is missing", "openssl rand -base64 48"] {
        assert!(sidecar.log().contains(expected), "{expected}: {}", sidecar.log());
    }
}

#[tokio::test]
async fn a_redis_that_hangs_makes_it_unready_and_it_recovers() {
    let redis = RedisServer::start().await;
    let sidecar = Sidecar::start(&redis.url(), &[]);
    sidecar.until("/readyz", 200).await;
    redis.signal(Signal::STOP);
    sidecar.until("/readyz", 503).await;
    redis.signal(Signal::CONT);
    sidecar.until("/readyz", 200).await;
}
