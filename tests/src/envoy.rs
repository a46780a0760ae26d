//! The Envoys of one world: started with the configuration that users run, asked by their admin port.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use reqwest::Client;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::envoy::configuration::{EDGE, Ports, change_policy, discovery_of, with_listeners_in};
use crate::process::{Process, Slot};
use crate::world::{FROM_FILE, Keys};
use crate::{Answer, components, poll};

pub mod configuration;
pub mod counters;

/// How long the old generation lets its connections end after a hot restart, in seconds. Longer than any
/// story: the story ends it.
const DRAIN_S: &str = "600";
/// When it ends itself, in seconds; later than it drains.
const PARENT_ENDS_AFTER_S: &str = "900";

/// Where an Envoy has its listeners from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listeners {
    /// From its configuration, as users run it: they stay as they are.
    Static,
    /// From a file of their own (LDS), which a story may replace while traffic flows.
    FromFile,
}

/// How an Envoy may be restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// It ends, and another one starts in its place.
    Cold,
    /// Another one takes over from it while it serves.
    Hot,
}

/// What an Envoy is started with.
pub struct Setup<'a> {
    /// Its node id, and the name of its log.
    pub node: String,
    /// The folder of its world.
    pub folder: &'a Path,
    /// The whole configuration.
    pub configuration: Value,
    /// Where that configuration lets it listen.
    pub ports: Ports,
    /// The secrets.
    pub keys: &'a Keys,
    /// How many workers it has.
    pub workers: u32,
    /// Where it has its listeners from.
    pub listeners: Listeners,
    /// How it may be restarted.
    pub restart: Restart,
}

/// An Envoy that a story may kill and start again.
pub struct Envoy {
    node: String,
    folder: PathBuf,
    file: PathBuf,
    ports: Ports,
    environment: Vec<(String, String)>,
    workers: u32,
    /// What is in the file of listeners; none if they are static.
    listeners: Option<Mutex<Value>>,
    client: Client,
    process: Slot,
    restart: Restart,
    /// How often it was restarted hot.
    generation: AtomicU32,
}

impl Envoy {
    /// Starts Envoy and waits until its listeners serve.
    ///
    /// # Errors
    /// Envoy is not installed, refuses the configuration, or does not become ready.
    pub async fn start(mut setup: Setup<'_>) -> Result<Self> {
        let (node, folder) = (setup.node, setup.folder.to_owned());
        let listeners = match setup.listeners {
            Listeners::Static => None,
            Listeners::FromFile => {
                let file = listeners_file(&folder, &node);
                let listeners = with_listeners_in(&mut setup.configuration, &file)?;
                std::fs::write(&file, discovery_of(&listeners).to_string())?;
                Some(Mutex::new(listeners))
            }
        };
        let file = folder.join(format!("{node}.json"));
        std::fs::write(&file, serde_json::to_vec_pretty(&setup.configuration)?)?;
        let mut environment = setup.keys.of_envoy();
        let secrets = folder.join(format!("{node}.secrets"));
        std::fs::create_dir_all(&secrets)?;
        for (name, value) in environment.extract_if(.., |(name, _)| name == FROM_FILE) {
            std::fs::write(secrets.join(name), format!("{value}\n"))?;
        }
        environment.push(("SEKISHO_SECRETS_DIR".to_owned(), secrets.display().to_string()));
        let envoy = Self {
            process: Slot::new(&node),
            node,
            folder,
            file,
            ports: setup.ports,
            environment,
            workers: setup.workers,
            listeners,
            // Each question by a connection of its own: after a hot restart an open one leads to the old process.
            client: Client::builder().pool_max_idle_per_host(0).build()?,
            restart: setup.restart,
            generation: AtomicU32::new(0),
        };
        envoy.resume().await?;
        Ok(envoy)
    }

    /// Starts it again with the same configuration and the same ports, and waits until it serves.
    ///
    /// # Errors
    /// It does not become ready.
    pub async fn resume(&self) -> Result<()> {
        let process = self.launch().await?;
        self.process.put(process).await;
        self.until_it_serves().await
    }

    /// Starts a second process that takes the listeners over from the first (`--restart-epoch`), waits
    /// until it serves, and gives the first one, which drains.
    ///
    /// # Errors
    /// This is no Envoy for hot restarts, or the second one does not become ready.
    pub async fn restart_hot(&self) -> Result<Process> {
        ensure!(self.restart == Restart::Hot, "{} was not started for hot restarts", self.node);
        let generation = self.generation.fetch_add(1, Ordering::SeqCst) + 1;
        let process = self.launch().await?;
        let parent = self.process.put(process).await.context("there is no process to take over from")?;
        poll::until_true("the new generation answers", poll::START, async || {
            self.process.with(Process::still_runs).await?;
            Ok(self.stat("server.hot_restart_epoch").await? == u64::from(generation))
        })
        .await?;
        self.until_it_serves().await?;
        Ok(parent)
    }

    async fn launch(&self) -> Result<Process> {
        let mut command = Command::new(components::with_secrets());
        command.arg(components::envoy()?).arg("-c").arg(&self.file);
        match self.restart {
            Restart::Cold => command.arg("--disable-hot-restart"),
            Restart::Hot => {
                let generation = self.generation.load(Ordering::SeqCst).to_string();
                // A port is nobody else's either.
                command.args(["--base-id", &self.ports.edge.to_string(), "--restart-epoch", &generation]);
                command.args(["--drain-time-s", DRAIN_S, "--parent-shutdown-time-s", PARENT_ENDS_AFTER_S])
            }
        };
        command.args(["--service-node", &self.node, "--service-cluster", "e2e"]);
        command.args(["--log-level", "warning", "--component-log-level", "wasm:info"]);
        command.args(["--file-flush-interval-msec", "100", "--concurrency", &self.workers.to_string()]);
        command.env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        Process::start(&self.node, &self.folder, command).await
    }

    async fn until_it_serves(&self) -> Result<()> {
        poll::until(&format!("{} serves", self.node), poll::START, async || {
            self.process.with(Process::still_runs).await?;
            let ready = self.admin("/ready").await?;
            ensure!(ready.status == 200, "{ready:?}");
            let active = self.stat("listener_manager.total_listeners_active").await?;
            ensure!(active >= 2, "{active} listeners serve");
            Ok(())
        })
        .await
    }

    /// The listener that users run.
    #[must_use]
    pub fn edge(&self) -> SocketAddr {
        local(self.ports.edge)
    }

    /// The same without Envoy's normalisation, which would hide hostile paths from the filter (rule
    /// E2), and with HTTP/1.1 trailers.
    #[must_use]
    pub fn bare(&self) -> SocketAddr {
        local(self.ports.bare)
    }

    /// Its node id, by which sidecars name it to people.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// How many workers it has.
    #[must_use]
    pub fn workers(&self) -> u32 {
        self.workers
    }

    /// How many VMs, and so how many replicas, it has: one for each worker, and one for its main thread.
    #[must_use]
    pub fn machines(&self) -> usize {
        self.workers as usize + 1
    }

    /// What it wrote so far, its access log included.
    pub async fn output(&self) -> String {
        self.process.with(|process| Ok(process.output())).await.unwrap_or_else(|error| error.to_string())
    }

    /// Replaces the filter's configuration on every listener by what `change` makes of it, and waits
    /// until Envoy has taken it.
    ///
    /// # Errors
    /// The listeners are static, or Envoy refuses the change.
    pub async fn push_policy(&self, mut change: impl FnMut(&mut Value)) -> Result<()> {
        self.push_listeners(|listeners| change_policy(listeners, &mut change)).await
    }

    /// Replaces the listeners by what `change` makes of them, and waits until Envoy has taken them.
    ///
    /// # Errors
    /// The listeners are static, or Envoy refuses the change.
    pub async fn push_listeners(&self, change: impl FnOnce(&mut Value) -> Result<()>) -> Result<()> {
        const TAKEN: &str = "listener_manager.lds.update_success";
        const REFUSED: &str = "listener_manager.lds.update_rejected";
        let mut listeners = self.listeners.as_ref().context("the listeners are static")?.lock().await;
        let (taken, refused) = (self.stat(TAKEN).await?, self.stat(REFUSED).await?);
        change(&mut listeners)?;
        let file = listeners_file(&self.folder, &self.node);
        let new = file.with_extension("new");
        std::fs::write(&new, discovery_of(&listeners).to_string())?;
        std::fs::rename(&new, &file)?;
        poll::until_true("Envoy takes the listeners", poll::START, async || {
            ensure!(self.stat(REFUSED).await? == refused, poll::Stop("Envoy refuses the listeners".to_owned()));
            let warming = self.stat("listener_manager.total_listeners_warming").await?;
            Ok(self.stat(TAKEN).await? > taken && warming == 0)
        })
        .await
    }

    /// POST to the admin interface.
    ///
    /// # Errors
    /// It does not answer with 200.
    pub async fn order(&self, path: &str) -> Result<()> {
        let request = self.client.post(format!("http://{}{path}", self.ports.admin()));
        let answer = Answer::of(request.send().await?).await?;
        ensure!(answer.status == 200, "{path}: {answer:?}");
        Ok(())
    }

    async fn admin(&self, path: &str) -> Result<Answer> {
        Answer::of(self.client.get(format!("http://{}{path}", self.ports.admin())).send().await?).await
    }

    /// Its process id.
    ///
    /// # Errors
    /// It does not run.
    pub async fn process_id(&self) -> Result<u32> {
        self.process.with(|process| process.id()).await
    }

    /// Kills it, as a crash would.
    ///
    /// # Errors
    /// It does not run.
    pub async fn kill(&self) -> Result<()> {
        self.process.take().await?.kill().await
    }

    /// Stops it in its tracks (SIGSTOP).
    ///
    /// # Errors
    /// It does not run.
    pub async fn pause(&self) -> Result<()> {
        self.process.with(|process| process.pause()).await
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// It does not run.
    pub async fn go_on(&self) -> Result<()> {
        self.process.with(|process| process.go_on()).await
    }
}

impl Drop for Envoy {
    /// Envoys that can be restarted hot share memory under a name that outlives them.
    fn drop(&mut self) {
        if self.restart == Restart::Hot {
            let _gone_already = std::fs::remove_file(format!("/dev/shm/envoy_shared_memory_{}0", self.ports.edge));
        }
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn listeners_file(folder: &Path, node: &str) -> PathBuf {
    folder.join(format!("{node}-listeners.json"))
}
