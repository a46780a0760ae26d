//! The API held against its own description by somebody else's program: schemathesis makes up calls, good ones and bad
//! ones, sends them through Envoy as an administrator, and looks at every answer.
//!
//! It fails for an answer that the description does not name (a status, a media type, a header, a body), for a 5xx, for
//! a bad call that passes and a good one that does not, for a call that passes without a token, and for an operation
//! that was never answered by a 2xx.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::receiver::GENERIC;
use e2e::token::now;
use e2e::world::{ADMIN, APP_HOST};
use e2e::{Plan, World, components, story_in};
use reqwest::Method;
use sekisho_sidecar::domain::session::Session;
use sekisho_sidecar::domain::time::UnixSeconds;
use sekisho_sidecar::service::sessions::SessionStore as _;
use sekisho_sidecar::store::redis::RedisClient;
use sekisho_sidecar::store::redis::sessions::RedisSessions;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

/// The same calls in each run, as far as the world answers them in the same way.
const SEED: &str = "20260101";
/// Made-up calls of one operation in the phases that have no end of their own.
const EXAMPLES: &str = "50";
/// More sessions of each kind than calls end.
const SESSIONS: usize = 500;
/// The whole run, schemathesis's own start included.
const PATIENCE: Duration = Duration::from_secs(6 * 60);

/// A call that was made.
#[derive(Debug, Deserialize)]
struct Call {
    /// By the description: method and path with names.
    operation: String,
    /// The method on the wire, which another one may stand for.
    method: String,
    status: u16,
}

#[test]
fn every_answer_is_one_that_the_description_names() {
    story_in(Plan { webhooks: true, ..Plan::default() }, async |world| {
        let document = world.app(Method::GET, "/api/openapi.json", &world.admin_token(), None).await?.json_with(200)?;
        let (operations, log) = (operations(&document)?, world.folder().join("calls.jsonl"));
        std::fs::write(world.folder().join("openapi.json"), document.to_string())?;
        let passed = run(world, &log).await?;
        let calls = calls(&log)?;
        print(&operations, &calls);
        let missed: Vec<&String> = operations.iter().filter(|one| !is_reached(one, &calls)).collect();
        let failed: Vec<&Call> = calls.iter().filter(|call| call.status >= 500).collect();
        ensure!(failed.is_empty(), "answered with 5xx: {failed:?}");
        ensure!(
            missed.is_empty(),
            "never answered with 2xx: {missed:?}; tests/tests/api/hooks.py says what calls need"
        );
        ensure!(passed, "schemathesis found what is told above");
        Ok(())
    });
}

/// What the description has.
fn operations(document: &Value) -> Result<BTreeSet<String>> {
    let mut operations = BTreeSet::new();
    for (path, item) in document.get("paths").and_then(Value::as_object).context("no paths")? {
        let methods = ["get", "post", "put", "patch", "delete"].into_iter().filter(|method| item.get(method).is_some());
        operations.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    Ok(operations)
}

/// Runs schemathesis; whether it is content.
async fn run(world: &World, log: &Path) -> Result<bool> {
    let here = components::repository().join("tests/tests/api");
    let url = format!("http://{}", world.envoy.edge());
    let mut command = Command::new(components::schemathesis()?);
    command.arg("--config-file").arg(here.join("schemathesis.toml")).args(["--no-color", "run", "openapi.json"]);
    command.args(["--checks", "all", "--seed", SEED, "--max-examples", EXAMPLES]);
    command.args(std::env::var("SCHEMATHESIS_ARGUMENTS").unwrap_or_default().split_whitespace());
    command.current_dir(world.folder()).stdin(Stdio::null());
    // The token stands in the environment: arguments show in lists of processes.
    let (token, name) = (world.admin_token(), json!({"token_name": "to be exchanged"}));
    let on_record = world.app(Method::POST, "/api/token/generate", &token, Some(&name)).await?.json_with(200)?;
    command.env("API_TOKEN_ON_RECORD", on_record.get("token").and_then(Value::as_str).context("no token")?);
    command.env("API_URL", url).env("API_HOST", APP_HOST).env("API_TOKEN", token.text()).env("API_ADMIN", ADMIN);
    command
        .env("API_LOG", log)
        .env("API_WEBHOOK", GENERIC)
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", here)
        .kill_on_drop(true);
    for (variable, owner) in [("API_SESSIONS_OF_GUESTS", None), ("API_SESSIONS_OF_ADMIN", Some(ADMIN))] {
        command.env(variable, sessions(world, variable, owner).await?);
    }
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    let status = timeout(PATIENCE, command.status()).await.context("schemathesis does not come to an end")??;
    Ok(status.success())
}

/// Begins sessions, of one person or of many; the file with their keys.
async fn sessions(world: &World, name: &str, owner: Option<&str>) -> Result<PathBuf> {
    let store = RedisSessions::new(RedisClient::open(&world.redis.url())?);
    let mut keys = String::new();
    for number in 0..SESSIONS {
        let (key, guest) = (format!("{name}-{number}"), format!("guest{number}@example.com"));
        let session: Session = serde_json::from_value(json!({
            "id": key, "subject": owner.unwrap_or(&guest), "email": owner.unwrap_or(&guest), "host": "localhost",
            "method": "session", "signed_in_at": now(), "last_access": now(), "ends_at": now() + 3_600, "idle_s": 3_600
        }))?;
        store.insert(&session, UnixSeconds(now())).await?;
        keys.push_str(&format!("{key}\n"));
    }
    let file = world.folder().join(name);
    std::fs::write(&file, keys)?;
    Ok(file)
}

fn calls(log: &Path) -> Result<Vec<Call>> {
    let text = std::fs::read_to_string(log).context("schemathesis made no call")?;
    text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("no call: {line}"))).collect()
}

fn is_reached(operation: &str, calls: &[Call]) -> bool {
    calls.iter().any(|call| is_of(call, operation) && (200..300).contains(&call.status))
}

fn is_of(call: &Call, operation: &str) -> bool {
    call.operation == operation && operation.starts_with(&call.method)
}

/// How often each operation was answered how.
fn print(operations: &BTreeSet<String>, calls: &[Call]) {
    eprintln!("{} calls", calls.len());
    for operation in operations {
        let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
        for call in calls.iter().filter(|call| is_of(call, operation)) {
            *statuses.entry(call.status).or_default() += 1;
        }
        let counts: Vec<String> = statuses.iter().map(|(status, count)| format!("{status}: {count}")).collect();
        eprintln!("{operation:<55} {}", counts.join("  "));
    }
    let reached = operations.iter().filter(|one| is_reached(one, calls)).count();
    eprintln!("operations answered with 2xx: {reached} of {}", operations.len());
}
