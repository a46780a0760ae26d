//! Children that die with the test and whose output is kept for the case that a story fails.

use std::fs::{File, read_to_string};
use std::path::{Path, PathBuf};
use std::process::{Command as StdCommand, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, set_parent_process_death_signal, waitid};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;

use crate::poll::{self, Stop};
use crate::story::runtime;

/// How many lines of each child's output are shown when a story fails, besides those of Envoy's access
/// log (which are JSON), of which there are too many to see the rest.
const SHOWN_LINES: usize = 60;
/// How many lines of the access log are shown.
const SHOWN_REQUESTS: usize = 10;

/// A running child.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; its output is appended to `NAME.log` in `folder`.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn start(name: &str, folder: &Path, mut command: StdCommand) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::options().create(true).append(true).open(&log)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        die_with_the_test(&mut command);
        // The kernel sends the signal when the *thread* that started the child ends. A story's thread
        // may end before the world that it shares with others; the runtime's threads do not.
        let child = runtime().spawn(async move { command.spawn() }).await?;
        let child = child.with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// What it wrote so far.
    #[must_use]
    pub fn output(&self) -> String {
        output_of(&self.log)
    }

    /// Its process id.
    ///
    /// # Errors
    /// It has ended.
    pub fn id(&self) -> Result<u32> {
        self.child.id().with_context(|| format!("{} has ended already", self.name))
    }

    /// An error that ends a wait, if the child has ended.
    ///
    /// # Errors
    /// The child has ended.
    pub fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let name = &self.name;
                bail!(Stop(format!("{name} ended ({status}):\n{}", shown(&self.output()))))
            }
        }
    }

    /// Ends it at once, as a crash would.
    ///
    /// # Errors
    /// It cannot be killed.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to end (SIGTERM) and waits.
    ///
    /// # Errors
    /// It has not ended after 10 s.
    pub async fn terminate(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let ended = tokio::time::timeout(Duration::from_secs(10), self.child.wait()).await;
        ended.with_context(|| format!("{} has not ended 10 s after SIGTERM", self.name))??;
        Ok(())
    }

    /// Waits until it ends by itself, and gives what it wrote.
    ///
    /// # Errors
    /// It runs on for longer than a part may take to start.
    pub async fn ended(mut self) -> Result<String> {
        let ended = tokio::time::timeout(poll::START, self.child.wait()).await;
        ended.with_context(|| format!("{} does not end", self.name))??;
        Ok(self.output())
    }

    /// Stops it in its tracks (SIGSTOP): it keeps its memory and its connections, and does nothing.
    ///
    /// # Errors
    /// It cannot be signalled, or has ended.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)?;
        // On a busy machine its threads go on for a while before the signal reaches them.
        let options = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.pid()?), options)?;
        ensure!(status.is_some_and(|status| status.stopped()), "{} has ended already", self.name);
        Ok(())
    }

    /// Lets it go on (SIGCONT) as if no time had passed.
    ///
    /// # Errors
    /// It cannot be signalled.
    pub fn go_on(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.pid()?, signal)?)
    }

    fn pid(&self) -> Result<Pid> {
        let raw = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        raw.with_context(|| format!("{} has ended already", self.name))
    }
}

/// The place of a process that comes and goes in the course of a story.
pub struct Slot {
    name: String,
    process: Mutex<Option<Process>>,
}

impl Slot {
    /// An empty place for what is called `name` in errors.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), process: Mutex::default() }
    }

    /// Puts `process` here, and gives the one that was here before.
    pub async fn put(&self, process: Process) -> Option<Process> {
        self.process.lock().await.replace(process)
    }

    /// Takes the process away.
    ///
    /// # Errors
    /// There is none.
    pub async fn take(&self) -> Result<Process> {
        self.process.lock().await.take().with_context(|| format!("{} does not run", self.name))
    }

    /// Looks at the process.
    ///
    /// # Errors
    /// There is none, or the error of `look`.
    pub async fn with<T>(&self, look: impl FnOnce(&mut Process) -> Result<T>) -> Result<T> {
        look(self.process.lock().await.as_mut().with_context(|| format!("{} does not run", self.name))?)
    }
}

/// The kernel kills the child when the thread that starts it ends, so let the runtime start it.
#[expect(unsafe_code, reason = "only a hook between fork and exec can ask the kernel for the signal")]
pub(crate) fn die_with_the_test(command: &mut Command) {
    let hook = || Ok(set_parent_process_death_signal(Some(Signal::KILL))?);
    // SAFETY: the hook makes one system call; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(hook) };
}

/// The last lines of every log in `folder`, for the report of a story that failed.
#[must_use]
pub fn logs_of(folder: &Path) -> String {
    let Ok(entries) = folder.read_dir() else { return String::new() };
    let mut logs: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    logs.retain(|path| path.extension().is_some_and(|e| e == "log"));
    logs.sort();
    logs.iter().map(|path| format!("---- {}\n{}\n", path.display(), shown(&output_of(path)))).collect()
}

fn output_of(log: &Path) -> String {
    read_to_string(log).unwrap_or_else(|error| error.to_string())
}

fn shown(output: &str) -> String {
    let (requests, others): (Vec<&str>, Vec<&str>) = output.lines().partition(|line| line.starts_with('{'));
    let last =
        |lines: &[&str], count: usize| lines.get(lines.len().saturating_sub(count)..).unwrap_or_default().join("\n");
    format!("{}\n{}", last(&others, SHOWN_LINES), last(&requests, SHOWN_REQUESTS))
}
