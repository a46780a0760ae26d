//! An OpenID provider that nobody here wrote (npm's oidc-provider). It signs tokens, rotates its keys, and
//! misbehaves as a story tells it (`tests/peers/provider.mjs`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::process::{Process, Slot};
use crate::{Answer, components, poll, ports};

/// For whom its tokens are.
pub const AUDIENCE: &str = "urn:sekisho:stories";
/// How long its documents may take a story that asks for them itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// When a new key begins to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// With its publication: tokens may arrive before anybody has heard of it.
    AtOnce,
    /// Only by [`Provider::use_newest`]: whoever refreshes in between knows it.
    Later,
}

/// What it publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// Its description (OpenID Connect Discovery §4, RFC 8414 §3).
    Discovery,
    /// Its keys.
    Jwks,
}

/// How an answer goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It comes so late.
    Slow(Duration),
    /// It never comes.
    Hang,
    /// What was asked for is done, and the answer gets lost.
    Lost,
    /// It begins at once and never ends, byte by byte.
    Drip,
    /// It is right, and 5 MiB long.
    Large,
    /// It is a page for people, with status 200.
    Html,
    /// It is a redirect to this address.
    Redirect(String),
    /// It has this status.
    Status(u16),
    /// It has this status and this error code (RFC 6749 §5.2).
    Refusal(u16, &'static str),
    /// It is this document, with status 200.
    Other(Value),
}

/// One request for a document.
#[derive(Debug, Clone, Deserialize)]
pub struct Visit {
    /// `discovery`, `jwks`; or `elsewhere`, where nobody should be led.
    pub what: String,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
}

/// A provider that a story may kill and start again. It keeps its address and its keys.
pub struct Provider {
    folder: PathBuf,
    algorithm: &'static str,
    port: u16,
    control: u16,
    client: Client,
    process: Slot,
}

/// Asks a provider for tokens. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Issuance {
    endpoint: String,
    client: Client,
}

impl Issuance {
    /// A token of `email`, which the provider signs now.
    ///
    /// # Errors
    /// It gives none.
    pub async fn token(&self, email: &str) -> Result<String> {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", "stories"),
            ("client_secret", "known to every story"),
            ("resource", AUDIENCE),
            ("scope", "api:read"),
            ("email", email),
        ];
        let body = form.map(|(name, value)| format!("{name}={}", encoded(value))).join("&");
        let request = self.client.post(&self.endpoint).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = Answer::of(request.send().await?).await?.json_with(200)?;
        Ok(answer["access_token"].as_str().context("no access_token")?.to_owned())
    }
}

impl Provider {
    /// A provider that does not run yet, and signs with `algorithm`.
    ///
    /// # Errors
    /// No ports are free.
    pub fn new(folder: &Path, algorithm: &'static str) -> Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            algorithm,
            port: ports::free()?,
            control: ports::free()?,
            client: Client::builder().timeout(PATIENCE).build()?,
            process: Slot::new("the provider"),
        })
    }

    /// Its name, which is also where its description is found.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where its keys are.
    #[must_use]
    pub fn jwks_uri(&self) -> String {
        format!("{}/jwks", self.issuer())
    }

    /// The file into which [`Self::write_keys`] writes.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.join("provider-jwks.json")
    }

    /// Puts what it publishes now in place of what is in the file, in one step.
    ///
    /// # Errors
    /// It does not answer, or the file cannot be written.
    pub async fn write_keys(&self) -> Result<()> {
        let answer = Answer::of(self.client.get(self.jwks_uri()).send().await?).await?;
        let new = self.file().with_extension("new");
        std::fs::write(&new, answer.json_with(200)?.to_string())?;
        Ok(std::fs::rename(new, self.file())?)
    }

    /// An address on another host. Whoever asks there is noted under `elsewhere`.
    #[must_use]
    pub fn elsewhere(&self) -> String {
        format!("http://localhost:{}/elsewhere", self.control)
    }

    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// It is not installed, or does not become ready.
    pub async fn start(&self) -> Result<()> {
        self.launch(&[]).await
    }

    /// Starts it so that it signs tokens, but publishes nothing: neither its description nor its keys.
    ///
    /// # Errors
    /// It is not installed, or does not become ready.
    pub async fn start_mute(&self) -> Result<()> {
        self.launch(&["--mute"]).await
    }

    async fn launch(&self, arguments: &[&str]) -> Result<()> {
        components::peers()?;
        let mut command = Command::new(components::node());
        command.arg(components::repository().join("tests/peers/provider.mjs"));
        command.args(["--port", &self.port.to_string(), "--control", &self.control.to_string()]);
        command.arg("--keys").arg(self.folder.join("provider-keys.json")).args(["--algorithm", self.algorithm]);
        command.args(arguments);
        let mut process = Process::start("provider", &self.folder, command).await?;
        poll::until("the provider serves", poll::START, async || {
            process.still_runs()?;
            self.order("keys", None).await
        })
        .await?;
        self.process.put(process).await;
        Ok(())
    }

    /// Kills it: nobody listens at its address.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill(&self) -> Result<()> {
        self.process.take().await?.kill().await
    }

    /// Whoever wants tokens of it asks here.
    #[must_use]
    pub fn issuance(&self) -> Issuance {
        Issuance { endpoint: format!("{}/token", self.issuer()), client: self.client.clone() }
    }

    /// Publishes a new key beside those that there are, and gives its `kid`.
    ///
    /// # Errors
    /// It does not run.
    pub async fn rotate(&self, when: Use) -> Result<String> {
        let word = match when {
            Use::AtOnce => "at once",
            Use::Later => "later",
        };
        kid_of(&self.order("rotate", Some(json!({"use": word}))).await?)
    }

    /// From now on the newest key signs.
    ///
    /// # Errors
    /// It does not run.
    pub async fn use_newest(&self) -> Result<String> {
        kid_of(&self.order("use", Some(json!({}))).await?)
    }

    /// Takes back all keys but the one that signs.
    ///
    /// # Errors
    /// It does not run.
    pub async fn retire_others(&self) -> Result<()> {
        self.order("retire", Some(json!({}))).await.map(drop)
    }

    /// From now on the answers to requests for `document` go wrong, or are right again.
    ///
    /// # Errors
    /// It does not run.
    pub async fn behave(&self, document: Document, fault: Option<Fault>) -> Result<()> {
        let what = match document {
            Document::Discovery => "discovery",
            Document::Jwks => "jwks",
        };
        let order = json!({"what": what, "how": fault.map(Fault::into_order)});
        self.order("behave", Some(order)).await.map(drop)
    }

    /// The requests for documents so far, in order.
    ///
    /// # Errors
    /// It does not run.
    pub async fn visits(&self) -> Result<Vec<Visit>> {
        Ok(serde_json::from_value(self.order("visits", None).await?)?)
    }

    /// How many requests for `what` (see [`Visit`]) there were so far.
    ///
    /// # Errors
    /// It does not run.
    pub async fn visits_to(&self, what: &str) -> Result<usize> {
        Ok(self.visits().await?.iter().filter(|visit| visit.what == what).count())
    }

    async fn order(&self, what: &str, body: Option<Value>) -> Result<Value> {
        let address = format!("http://127.0.0.1:{}/{what}", self.control);
        let request = match body {
            Some(body) => self.client.post(address).json(&body),
            None => self.client.get(address),
        };
        let answer = Answer::of(request.send().await?).await?;
        ensure!(answer.status == 200, "the provider does not {what}: {answer:?}");
        answer.json()
    }
}

impl Fault {
    pub(super) fn into_order(self) -> Value {
        match self {
            Self::Hang => json!({"hang": true}),
            Self::Lost => json!({"lost": true}),
            Self::Slow(delay) => json!({"slow": delay.as_millis()}),
            Self::Drip => json!({"drip": true}),
            Self::Large => json!({"large": true}),
            Self::Html => json!({"html": true}),
            Self::Redirect(location) => json!({"redirect": location}),
            Self::Status(status) => json!({"status": status}),
            Self::Refusal(status, code) => json!({"refusal": [status, code]}),
            Self::Other(document) => json!({"document": document}),
        }
    }
}

fn kid_of(answer: &Value) -> Result<String> {
    Ok(answer["kid"].as_str().with_context(|| format!("no kid in {answer}"))?.to_owned())
}

/// Percent-encoded for a form, more than it must be.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
