//! The Envoy of one world: started with the configuration that users run, asked by its admin port.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail, ensure};
use reqwest::Client;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::envoy::configuration::{BARE, EDGE};
use crate::process::Process;
use crate::world::Keys;
use crate::{Answer, components, poll};

pub mod configuration;

/// A running Envoy.
pub struct Envoy {
    admin: SocketAddr,
    edge: SocketAddr,
    bare: SocketAddr,
    workers: u32,
    client: Client,
    process: Mutex<Process>,
}

impl Envoy {
    /// Starts Envoy with `configuration` and waits until its listeners serve.
    ///
    /// # Errors
    /// Envoy is not installed, refuses the configuration, or does not become ready.
    pub async fn start(
        folder: &Path,
        configuration: &Value,
        admin: SocketAddr,
        keys: &Keys,
        workers: u32,
    ) -> Result<Self> {
        let file = folder.join("envoy.json");
        std::fs::write(&file, serde_json::to_vec_pretty(configuration)?)?;
        let mut command = Command::new(components::envoy()?);
        command.arg("-c").arg(&file);
        command.args(["--disable-hot-restart", "--log-level", "warning", "--component-log-level", "wasm:info"]);
        command.args(["--file-flush-interval-msec", "100", "--concurrency", &workers.to_string()]);
        command.env_clear().envs(keys.of_envoy());
        let mut process = Process::start("envoy", folder, command).await?;
        let client = Client::new();
        let listeners = poll::until("Envoy serves", poll::START, async || {
            process.still_runs()?;
            let ready = get(&client, admin, "/ready").await?;
            ensure!(ready.status == 200, "{ready:?}");
            get(&client, admin, "/listeners?format=json").await?.json()
        })
        .await?;
        let (edge, bare) = (address_of(&listeners, EDGE)?, address_of(&listeners, BARE)?);
        Ok(Self { admin, edge, bare, workers, client, process: Mutex::new(process) })
    }

    /// The listener that users run.
    #[must_use]
    pub fn edge(&self) -> SocketAddr {
        self.edge
    }

    /// The same without Envoy's normalisation, which would hide hostile paths from the filter (rule
    /// E2), and with HTTP/1.1 trailers.
    #[must_use]
    pub fn bare(&self) -> SocketAddr {
        self.bare
    }

    /// How many workers it has.
    #[must_use]
    pub fn workers(&self) -> u32 {
        self.workers
    }

    /// What it wrote so far, its access log included.
    pub async fn output(&self) -> String {
        self.process.lock().await.output()
    }

    /// The counters and gauges whose name matches the regular expression `filter`.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn stats(&self, filter: &str) -> Result<Vec<(String, u64)>> {
        self.process.lock().await.still_runs()?;
        let answer =
            get(&self.client, self.admin, &format!("/stats?format=json&filter={filter}")).await?.json_with(200)?;
        let stats = answer["stats"].as_array().cloned().unwrap_or_default();
        let pair = |stat: Value| Some((stat["name"].as_str()?.to_owned(), stat["value"].as_u64()?));
        Ok(stats.into_iter().filter_map(pair).collect())
    }

    /// One counter or gauge; 0 if it was never touched.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn stat(&self, name: &str) -> Result<u64> {
        let stats = self.stats(&format!("^{}$", name.replace('.', "\\."))).await?;
        Ok(stats.first().map_or(0, |(_, value)| *value))
    }

    /// How many connections each worker has accepted on the listener of users.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn connections(&self) -> Result<Vec<u64>> {
        let mut counts = Vec::new();
        for worker in 0..self.workers {
            counts.push(self.stat(&format!("listener.{EDGE}.worker_{worker}.downstream_cx_total")).await?);
        }
        Ok(counts)
    }

    /// Reloads of the filter's VM, in whatever way they ended: above 0 means that it trapped.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn vm_reloads(&self) -> Result<u64> {
        let counters = self.stats("^wasm.*vm_reload").await?;
        ensure!(!counters.is_empty(), "Envoy has no counters of reloads: have they been renamed?");
        Ok(counters.iter().map(|(_, value)| value).sum())
    }
}

async fn get(client: &Client, admin: SocketAddr, path: &str) -> Result<Answer> {
    Answer::of(client.get(format!("http://{admin}{path}")).send().await?).await
}

fn address_of(listeners: &Value, name: &str) -> Result<SocketAddr> {
    let statuses = listeners["listener_statuses"].as_array().context("no listeners")?;
    let Some(listener) = statuses.iter().find(|status| status["name"] == name) else {
        bail!("no listener is called {name}: {listeners}");
    };
    let address = &listener["local_address"]["socket_address"];
    let port = address["port_value"].as_u64().and_then(|port| u16::try_from(port).ok());
    Ok(SocketAddr::from(([127, 0, 0, 1], port.ok_or_else(|| anyhow!("no port in {listener}"))?)))
}
