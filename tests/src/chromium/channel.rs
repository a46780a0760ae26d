//! Orders to the program that drives Chromium, one JSON line each, and its answers.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::{Mutex as AsyncMutex, oneshot};

use super::in_time;
use crate::folder::Folder;
use crate::process::die_with_the_test;
use crate::story::runtime;
use crate::{components, process};

type Waiting = Arc<Mutex<BTreeMap<u64, oneshot::Sender<Outcome>>>>;

/// What came of an order.
#[derive(Debug, Deserialize)]
struct Outcome {
    id: u64,
    #[serde(default)]
    ok: Value,
    error: Option<String>,
}

/// A running Chromium.
pub(super) struct Channel {
    orders: AsyncMutex<ChildStdin>,
    waiting: Waiting,
    last: AtomicU64,
    folder: Folder,
    _child: Child,
}

impl Channel {
    /// Starts Chromium, which ends when this process ends: its driver is killed then, and Chromium ends with the pipe to it.
    pub(super) async fn start() -> Result<Self> {
        components::peers()?;
        let chromium = components::chromium()?;
        // Profiles go with the folder, however the test ends.
        let folder = Folder::create()?;
        let log = std::fs::File::create(folder.path().join("chromium.log"))?;
        let mut command = Command::new(components::node());
        command.arg(components::repository().join("tests/peers/browser.mjs")).arg(chromium);
        command.env("TMPDIR", folder.path()).env("HOME", folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut command = tokio::process::Command::from(command);
        command.kill_on_drop(true).process_group(0);
        die_with_the_test(&mut command);
        let child = runtime().spawn(async move { command.spawn() }).await?;
        let mut child = child.context("cannot start what drives Chromium")?;
        let orders = AsyncMutex::new(child.stdin.take().context("no standard input")?);
        let waiting = Waiting::default();
        runtime().spawn(hear(child.stdout.take().context("no standard output")?, Arc::clone(&waiting)));
        Ok(Self { orders, waiting, last: AtomicU64::new(0), folder, _child: child })
    }

    /// Gives an order and waits for what comes of it.
    pub(super) async fn order<T: DeserializeOwned>(&self, what: &str, mut order: Value) -> Result<T> {
        let id = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let told = order.to_string();
        order["id"] = id.into();
        order["do"] = what.into();
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id, sender);
        let written = self.orders.lock().await.write_all(format!("{order}\n").as_bytes()).await;
        // It has ended, and its log says why.
        let gone = || anyhow!("Chromium is gone:\n{}", process::logs_of(self.folder.path()));
        written.map_err(|_| gone())?;
        let outcome = in_time(what, receiver).await?.map_err(|_| gone())?;
        match outcome.error {
            Some(error) => Err(anyhow!("Chromium cannot {what} {told}: {error}")),
            None => serde_json::from_value(outcome.ok).with_context(|| format!("the answer to {what}")),
        }
    }
}

/// Hands each answer to whoever waits for it; when there are no more, nobody has to wait.
async fn hear(output: ChildStdout, waiting: Waiting) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(outcome) = serde_json::from_str::<Outcome>(&line) else { continue };
        if let Some(sender) = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&outcome.id) {
            let _nobody_waits = sender.send(outcome);
        }
    }
    waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
}
