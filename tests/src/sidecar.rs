//! A sidecar of one world: its three listeners, and its command line with the same settings.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use reqwest::{Client, Method};
use serde_json::Value;

use crate::exposition::Exposition;
use crate::process::{Process, Slot};
use crate::world::Keys;
use crate::{Answer, components, poll, ports};

/// Ports of one sidecar.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// For filters.
    pub mesh: u16,
    /// For people and programs, through Envoy.
    pub app: u16,
    /// Health and metrics.
    pub ops: u16,
}

/// A sidecar that a story may kill and start again.
pub struct Sidecar {
    name: String,
    folder: PathBuf,
    environment: Vec<(String, String)>,
    ports: Ports,
    client: Client,
    process: Slot,
}

impl Sidecar {
    /// A sidecar that does not run yet.
    ///
    /// # Errors
    /// No ports are free.
    pub fn new(name: &str, folder: &Path, redis_url: &str, envoy_admin: SocketAddr, keys: &Keys) -> Result<Self> {
        let ports = Ports { mesh: ports::free()?, app: ports::free()?, ops: ports::free()? };
        let listen = |port: u16| format!("127.0.0.1:{port}");
        let environment = [
            ("SEKISHO_NODE", name.to_owned()),
            ("SEKISHO_MESH_LISTEN", listen(ports.mesh)),
            ("SEKISHO_APP_LISTEN", listen(ports.app)),
            ("SEKISHO_OPS_LISTEN", listen(ports.ops)),
            ("SEKISHO_MESH_SECRET", keys.mesh.clone()),
            ("JWT_SECRET", keys.jwt.clone()),
            ("REDIS_URL", redis_url.to_owned()),
            ("REDIS_ENCRYPTION_KEY", keys.encryption.clone()),
            ("SUPER_ADMIN_EMAIL", crate::world::ADMIN.to_owned()),
            ("SEKISHO_ENVOY_ADMIN", format!("http://{envoy_admin}")),
            // Some stories ask for more than people would.
            ("SEKISHO_TOKENS_PER_USER", "1000".to_owned()),
            // Stories wait for its end.
            ("SEKISHO_REFRESH_GRACE", "2".to_owned()),
            // Some stories ask for tokens as fast as they can.
            ("SEKISHO_TOKEN_REQUESTS_PER_MINUTE", "1000000".to_owned()),
            ("SEKISHO_DATA_DIR", folder.join("data").display().to_string()),
        ];
        Ok(Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            environment: environment.map(|(name, value)| (name.to_owned(), value)).into(),
            ports,
            client: Client::new(),
            process: Slot::new(&format!("sidecar {name}")),
        })
    }

    /// From its next start on it reads `file` for what its environment does not say.
    pub fn read_settings(&mut self, file: &Path) {
        self.environment.push(("SEKISHO_CONFIG".to_owned(), file.to_string_lossy().into_owned()));
    }

    /// From its next start on its environment says this, too.
    pub fn set(&mut self, name: &str, value: String) {
        self.environment.push((name.to_owned(), value));
    }

    /// Its ports.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Starts it and waits until it says that it is ready.
    ///
    /// # Errors
    /// It is not built, ends, or does not become ready.
    pub async fn start(&self) -> Result<()> {
        self.start_with(&[]).await
    }

    /// The same, with `settings` besides its own, or instead of them, until it ends.
    ///
    /// # Errors
    /// It is not built, ends, or does not become ready.
    pub async fn start_with(&self, settings: &[(&str, &str)]) -> Result<()> {
        self.start_instead(&[], settings).await
    }

    /// The same, with `settings` in place of those of its own that are called `without`.
    ///
    /// # Errors
    /// It is not built, ends, or does not become ready.
    pub async fn start_instead(&self, without: &[&str], settings: &[(&str, &str)]) -> Result<()> {
        let mut command = self.command(&["serve"])?;
        for name in without {
            command.env_remove(name);
        }
        command.envs(settings.iter().copied());
        let mut process = Process::start(&self.log_name(), &self.folder, command).await?;
        poll::until(&format!("sidecar {} is ready", self.name), poll::START, async || {
            process.still_runs()?;
            let answer = self.ops("/readyz").await?;
            if answer.status == 200 { Ok(()) } else { bail!("{answer:?}") }
        })
        .await?;
        self.process.put(process).await;
        Ok(())
    }

    /// Starts it to crash at a fail point, by its word; waits until it is ready, or has crashed already.
    ///
    /// # Errors
    /// It is not built, or becomes neither.
    pub async fn start_to_crash_at(&self, fail_point: &str) -> Result<()> {
        self.start_to_crash_with(fail_point, &[]).await
    }

    /// The same, with `settings` besides its own, or instead of them.
    ///
    /// # Errors
    /// As [`Self::start_to_crash_at`].
    pub async fn start_to_crash_with(&self, fail_point: &str, settings: &[(&str, &str)]) -> Result<()> {
        let mut command = self.command(&["serve"])?;
        command.envs(settings.iter().copied()).env("SEKISHO_FAILPOINT", fail_point);
        let mut process = Process::start(&self.log_name(), &self.folder, command).await?;
        poll::until_true(&format!("sidecar {} is ready or has crashed", self.name), poll::START, async || {
            Ok(process.still_runs().is_err() || self.ops("/readyz").await.is_ok_and(|answer| answer.status == 200))
        })
        .await?;
        self.process.put(process).await;
        Ok(())
    }

    /// Waits until it has crashed at the fail point for which it was started.
    ///
    /// # Errors
    /// It does not reach the point.
    pub async fn has_crashed_at(&self, fail_point: &str) -> Result<()> {
        let process = self.process.take().await?;
        let log = process.ended().await?;
        ensure!(log.contains(&format!("fail point {fail_point} reached")), "it ended elsewhere:\n{log}");
        Ok(())
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

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Errors
    /// It does not run, or does not end.
    pub async fn terminate(&self) -> Result<()> {
        self.process.take().await?.terminate().await
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

    /// GET on the `ops` listener.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn ops(&self, path: &str) -> Result<Answer> {
        let request = self.client.get(format!("http://127.0.0.1:{}{path}", self.ports.ops));
        Answer::of(request.timeout(Duration::from_secs(5)).send().await?).await
    }

    /// The sum over all labels of the metric `name`; 0 if it was never touched.
    ///
    /// # Errors
    /// Nobody answers, or a value is no whole number.
    pub async fn metric(&self, name: &str) -> Result<u64> {
        self.metric_of(name, &[]).await
    }

    /// The same over the rows that have `labels`.
    ///
    /// # Errors
    /// Nobody answers, or a value is no whole number.
    pub async fn metric_of(&self, name: &str, labels: &[(&str, &str)]) -> Result<u64> {
        self.exposition().await?.sum(name, labels)
    }

    /// All that it counts.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn exposition(&self) -> Result<Exposition> {
        Ok(Exposition::of(self.ops("/metrics").await?.body))
    }

    /// A call straight to the `app` listener, as from somebody who is already inside the network.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn app(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer> {
        let mut request = self.client.request(method, format!("http://127.0.0.1:{}{path}", self.ports.app));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::of(request.timeout(Duration::from_secs(10)).send().await?).await
    }

    /// Runs `sekisho ARGUMENTS` with this sidecar's settings.
    ///
    /// # Errors
    /// It is not built.
    pub async fn cli(&self, arguments: &[&str]) -> Result<Output> {
        self.cli_with(&[], arguments).await
    }

    /// The same, with `settings` besides its own, or instead of them.
    ///
    /// # Errors
    /// It is not built.
    pub async fn cli_with(&self, settings: &[(&str, &str)], arguments: &[&str]) -> Result<Output> {
        let mut command = tokio::process::Command::from(self.command(arguments)?);
        command.envs(settings.iter().copied());
        command.output().await.context("cannot run the sidecar's command line")
    }

    fn log_name(&self) -> String {
        format!("sidecar-{}", self.name)
    }

    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(components::sidecar()?);
        command.args(arguments).env_clear().envs(self.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}
