//! What tests of this crate share: a Redis of their own.

#![allow(clippy::expect_used, clippy::panic, reason = "only tests include this file")]

use rustix::process::{Pid, Signal, kill_process};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::config::Settings;
use crate::store::redis::RedisClient;

/// A mesh secret for tests.
pub(crate) const MESH_SECRET: &str = "a mesh secret for tests, 32 bytes or more";
/// A token secret for tests.
pub(crate) const JWT_SECRET: &str = "a token secret for tests, 32 bytes or more";
/// An encryption key for tests.
pub(crate) const ENCRYPTION_KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// A Redis server on a port and in a folder of its own, which ends with the test.
pub(crate) struct RedisServer {
    child: Option<Child>,
    folder: tempfile::TempDir,
    port: u16,
}

impl RedisServer {
    /// A server without persistence.
    pub(crate) async fn start() -> Self {
        Self::start_with(&["--save", "", "--appendonly", "no"]).await
    }

    /// A server with more settings.
    pub(crate) async fn start_with(settings: &[&str]) -> Self {
        let mut folder = tempfile::tempdir().expect("a temporary folder");
        // Between finding a free port and taking it somebody else may: then another is tried.
        for _ in 0..20 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
            let mut server = Self { child: None, folder, port };
            server.launch(settings);
            if server.is_up().await {
                return server;
            }
            server.stop();
            folder = std::mem::replace(&mut server.folder, tempfile::tempdir().expect("a temporary folder"));
        }
        panic!("redis-server does not start; is it installed?");
    }

    /// The same server, for somebody who does not end it.
    pub(crate) fn neighbour(&self) -> Self {
        Self { child: None, folder: tempfile::tempdir().expect("a temporary folder"), port: self.port }
    }

    fn launch(&mut self, settings: &[&str]) {
        // `setpriv` lets the kernel end the server even if the test is killed.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "redis-server", "--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .arg("--dir")
            .arg(self.folder.path())
            .args(settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("setpriv and redis-server are installed"));
    }

    async fn is_up(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if self.child.as_mut().is_some_and(|child| child.try_wait().ok().flatten().is_some()) {
                return false;
            }
            if self.answers().await {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }

    /// Whether this very server answers: another one may have taken the port.
    async fn answers(&self) -> bool {
        let client = redis::Client::open(self.url()).expect("a URL");
        let Ok(mut connection) = client.get_multiplexed_async_connection().await else { return false };
        let info: Result<String, _> = redis::cmd("INFO").arg("server").query_async(&mut connection).await;
        let process = self.child.as_ref().map(|child| format!("process_id:{}\r\n", child.id()));
        // INFO answers already while the data is loaded; PING does not.
        let is_loaded = redis::cmd("PING").query_async::<String>(&mut connection).await.is_ok();
        is_loaded && info.is_ok_and(|info| process.is_some_and(|process| info.contains(&process)))
    }

    /// Ends the server, as a crash would.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends the server a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a running server");
        kill_process(Pid::from_child(child), signal).expect("the server runs");
    }

    /// Starts it again, on the same port and folder.
    pub(crate) async fn restart(&mut self, settings: &[&str]) {
        self.stop();
        self.launch(settings);
        assert!(self.is_up().await, "redis-server does not start again");
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// A client of it.
    pub(crate) fn client(&self) -> RedisClient {
        RedisClient::open(&self.url()).expect("a URL")
    }

    /// Lets all that is remembered of exchanges have happened so many seconds earlier.
    pub(crate) async fn age_exchanges(&self, seconds: u64) {
        let script = redis::Script::new(
            "for _, line in ipairs({'retiring', 'cases', 'revoking'}) do
               local key = 'sekisho:{tokens}:' .. line
               for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
                 redis.call('ZINCRBY', key, -ARGV[1], member)
               end
             end
             for _, key in ipairs(redis.call('KEYS', 'sekisho:token:exchange:*')) do
               redis.call('HINCRBY', key, 'good_until', -ARGV[1])
             end",
        );
        if seconds == 0 {
            return;
        }
        let aged = script.arg(seconds).invoke_async(&mut self.client().shared()).await;
        let () = aged.expect("a script that runs");
    }

    /// Settings of a sidecar on it; `more` are environment variables.
    pub(crate) fn settings(&self, more: &[(&str, &str)]) -> Settings {
        let (url, data) = (self.url(), self.folder.path().join("data").display().to_string());
        let base = [
            ("REDIS_URL", url.as_str()),
            ("SEKISHO_MESH_SECRET", MESH_SECRET),
            ("JWT_SECRET", JWT_SECRET),
            ("SEKISHO_NODE", "test"),
            ("SEKISHO_DATA_DIR", &data),
        ];
        let look_up = |name: &str| {
            let found = more.iter().chain(&base).find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::parse(None, &look_up).expect("settings for tests")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}
