//! A Redis of one world, with its append-only file, which a story may stop and start again, with its
//! data or without.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, Cmd, FromRedisValue, cmd};

use crate::process::{Process, Slot};
use crate::{poll, ports};

/// A Redis server on a port of its own.
pub struct RedisServer {
    name: String,
    folder: PathBuf,
    data: PathBuf,
    port: u16,
    master: Option<u16>,
    process: Slot,
}

impl RedisServer {
    /// Starts a server that keeps its data and its log in `folder`.
    ///
    /// # Errors
    /// `redis-server` is not installed or does not answer.
    pub async fn start(folder: &Path) -> Result<Self> {
        Self::start_as("redis", folder, None).await
    }

    /// Starts a replica of this server, which reaches it by `port`, and waits until it has what this one has.
    ///
    /// # Errors
    /// It does not answer, or does not become like its master.
    pub async fn start_replica(&self, port: u16) -> Result<Self> {
        let replica = Self::start_as("redis-replica", &self.folder, Some(port)).await?;
        poll::until_true("the replica follows its master", poll::START, async || {
            let state: String = replica.command(cmd("INFO").arg("replication")).await?;
            Ok(state.contains("master_link_status:up") && state.contains("master_sync_in_progress:0"))
        })
        .await?;
        Ok(replica)
    }

    async fn start_as(name: &str, folder: &Path, master: Option<u16>) -> Result<Self> {
        let server = Self {
            name: name.to_owned(),
            folder: folder.to_owned(),
            data: folder.join(format!("{name}-data")),
            port: ports::free()?,
            master,
            process: Slot::new(name),
        };
        server.resume().await?;
        Ok(server)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL for the sidecars.
    #[must_use]
    pub fn url(&self) -> String {
        url_of(self.port)
    }

    /// Starts it again with the data that it had.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn resume(&self) -> Result<()> {
        std::fs::create_dir_all(&self.data)?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"]);
        command.args(["--repl-diskless-sync-delay", "0"]);
        command.arg("--dir").arg(&self.data);
        if let Some(master) = self.master {
            command.args(["--replicaof", "127.0.0.1", &master.to_string()]);
        }
        let mut process = Process::start(&self.name, &self.folder, command)
            .await
            .context("is redis-server installed? `make up` installs it")?;
        poll::until("Redis answers", poll::START, async || {
            process.still_runs()?;
            self.command::<String>(&cmd("PING")).await
        })
        .await?;
        self.process.put(process).await;
        Ok(())
    }

    /// Starts it again as after the loss of its disk: with nothing.
    ///
    /// # Errors
    /// Its data cannot be removed, or it does not answer.
    pub async fn resume_without_data(&self) -> Result<()> {
        std::fs::remove_dir_all(&self.data)?;
        self.resume().await
    }

    /// Stops it as an operator would: what was written is on disk.
    ///
    /// # Errors
    /// It does not run, or does not stop.
    pub async fn stop(&self) -> Result<()> {
        self.process.take().await?.terminate().await
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

    /// Sends one command, as some other program would.
    ///
    /// # Errors
    /// Redis is away, or answers with an error or another type.
    pub async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        Ok(command.query_async(&mut self.connection().await?).await?)
    }

    /// `SET key value EX seconds`.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn set(&self, key: &str, value: &str, seconds: u64) -> Result<()> {
        self.command(cmd("SET").arg(key).arg(value).arg("EX").arg(seconds)).await
    }

    /// A hash, whole.
    ///
    /// # Errors
    /// Redis is away, or the key holds something else.
    pub async fn hash(&self, key: &str) -> Result<Vec<(String, String)>> {
        Ok(self.connection().await?.hgetall(key).await?)
    }

    async fn connection(&self) -> Result<MultiplexedConnection> {
        Ok(Client::open(self.url())?.get_multiplexed_async_connection().await?)
    }
}

/// The URL of a Redis on `port`.
#[must_use]
pub fn url_of(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/0")
}
