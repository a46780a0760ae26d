//! The command line, as an operator uses it: the real binary on a real Redis.

#![expect(clippy::expect_used, clippy::panic, reason = "a test program: what fails there fails the test")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

// The library's own test support, compiled into this program as well.
use sekisho_sidecar::{config, store};
#[expect(dead_code, reason = "this program needs only a part of it")]
#[path = "../src/testing.rs"]
mod testing;

#[path = "cli/api.rs"]
mod api;
#[path = "cli/configuration.rs"]
mod configuration;
#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/encryption.rs"]
mod encryption;
#[path = "cli/explain.rs"]
mod explain;
// A release build has none.
#[cfg(debug_assertions)]
#[path = "cli/fail_points.rs"]
mod fail_points;
#[path = "cli/import.rs"]
mod import;
#[path = "cli/keys.rs"]
mod keys;
#[path = "cli/mesh.rs"]
mod mesh;
#[path = "cli/sessions.rs"]
mod sessions;
#[path = "cli/state.rs"]
mod state;

use testing::{JWT_SECRET, MESH_SECRET, RedisServer};

/// The binary with nothing in its environment.
fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

/// The binary with what it needs to work on a Redis at `url`.
fn on(url: &str, arguments: &[&str]) -> Command {
    let mut command = bare(arguments);
    command.env("REDIS_URL", url).env("SEKISHO_MESH_SECRET", MESH_SECRET).env("JWT_SECRET", JWT_SECRET);
    command.env("SEKISHO_ACK_TIMEOUT_MS", "100").env("USER", "ops");
    command
}

/// How a run ended.
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

fn run(mut command: Command) -> Ended {
    let Output { status, stdout, stderr } = command.output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ended { code: status.code().expect("an exit code"), out: text(stdout), err: text(stderr) }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// `sekisho serve`, which ends with the test.
struct Sidecar {
    child: Child,
    ops: String,
    _data: tempfile::TempDir,
}

impl Sidecar {
    async fn start(redis_url: &str) -> Self {
        let port = free_port();
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", env!("CARGO_BIN_EXE_sekisho"), "serve"]).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("REDIS_URL", redis_url).env("SEKISHO_MESH_SECRET", MESH_SECRET).env("JWT_SECRET", JWT_SECRET);
        command.env("SEKISHO_MESH_LISTEN", "127.0.0.1:0").env("SEKISHO_APP_LISTEN", "127.0.0.1:0");
        command.env("SEKISHO_OPS_LISTEN", format!("127.0.0.1:{port}")).env("SEKISHO_NODE", "one");
        let data = tempfile::tempdir().expect("a folder");
        command.env("SEKISHO_DATA_DIR", data.path());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
        let sidecar = Self { child, ops: format!("http://127.0.0.1:{port}"), _data: data };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !sidecar.is_ready().await {
            assert!(Instant::now() < deadline, "the sidecar does not get ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        sidecar
    }

    async fn is_ready(&self) -> bool {
        reqwest::get(format!("{}/readyz", self.ops)).await.is_ok_and(|answer| answer.status().is_success())
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn wrong_usage_is_2_and_help_is_0() {
    assert_eq!(run(bare(&["--help"])).code, 0);
    assert_eq!(run(bare(&["--version"])).code, 0);
    for arguments in
        [&["nonsense"][..], &[], &["token", "issue"], &["token", "issue", "--email", "ann"], &["ban", "add"]]
    {
        let ended = run(bare(arguments));
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.err);
        assert!(!ended.err.is_empty());
    }
}

#[test]
fn everything_that_is_missing_is_listed_at_once_with_the_command_that_makes_it() {
    for arguments in [&["serve"][..], &["ban", "list"], &["doctor"]] {
        let ended = run(bare(arguments));
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.err);
        for text in ["SEKISHO_MESH_SECRET", "JWT_SECRET", "openssl rand -base64 48"] {
            assert!(ended.err.contains(text), "{arguments:?}: {}", ended.err);
        }
    }
}

#[test]
fn the_description_of_the_api_needs_no_configuration() {
    let ended = run(bare(&["openapi"]));
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    assert_eq!((ended.code, ended.out), (0, std::fs::read_to_string(docs).expect("docs/openapi.json")));
}
