//! A Redis of one world, with its append-only file, which a story may stop and start again.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, Cmd, FromRedisValue, cmd};
use tokio::sync::Mutex;

use crate::poll;
use crate::ports;
use crate::process::Process;

/// A Redis server on a port of its own.
pub struct RedisServer {
    folder: PathBuf,
    port: u16,
    running: Mutex<Option<Process>>,
}

impl RedisServer {
    /// Starts a server that keeps its data in `folder`.
    ///
    /// # Errors
    /// `redis-server` is not installed or does not answer.
    pub async fn start(folder: &Path) -> Result<Self> {
        let server = Self { folder: folder.to_owned(), port: ports::free()?, running: Mutex::default() };
        server.resume().await?;
        Ok(server)
    }

    /// The URL for the sidecars.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Starts it again with the data that it had.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn resume(&self) -> Result<()> {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"]);
        command.arg("--dir").arg(&self.folder);
        let mut process = Process::start("redis", &self.folder, command)
            .await
            .context("is redis-server installed? `make up` installs it")?;
        poll::until("Redis answers", poll::START, async || {
            process.still_runs()?;
            self.command::<String>(&cmd("PING")).await
        })
        .await?;
        *self.running.lock().await = Some(process);
        Ok(())
    }

    /// Stops it as an operator would: what was written is on disk.
    ///
    /// # Errors
    /// It does not run, or does not stop.
    pub async fn stop(&self) -> Result<()> {
        match self.running.lock().await.take() {
            Some(process) => process.terminate().await,
            None => bail!("Redis does not run"),
        }
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
