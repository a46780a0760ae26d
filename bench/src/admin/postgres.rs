//! A PostgreSQL that listens on a socket in its own folder.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::folder::Folder;
use e2e::poll;
use e2e::process::Process;

/// PostgreSQL refuses to run as root; this is nobody.
const UNPRIVILEGED: &str = "65534";

/// The server. It ends when this is dropped.
pub(crate) struct Postgres {
    url: String,
    _process: Process,
    _folder: Folder,
}

impl Postgres {
    /// Starts it, set up as its package does.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub(crate) async fn start() -> Result<Self> {
        let folder = Folder::create()?;
        let path = folder.path();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))?;
        let data = path.join("postgres");
        let mut make = unprivileged("initdb")?;
        make.arg("-D").arg(&data).args(["-U", "sekisho", "-E", "UTF8", "-A", "trust"]);
        let made = make.output()?;
        ensure!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let mut server = unprivileged("postgres")?;
        server.arg("-D").arg(&data).arg("-k").arg(path).args(["-c", "listen_addresses="]);
        let mut process = Process::start("postgres", path, server).await?;
        let socket = path.join(".s.PGSQL.5432");
        poll::until_true("PostgreSQL listens", Duration::from_secs(30), async || {
            process.still_runs()?;
            Ok(std::os::unix::net::UnixStream::connect(&socket).is_ok() && process.output().contains("ready to accept"))
        })
        .await?;
        let url = format!("postgres://sekisho@localhost/postgres?host={}", path.display());
        Ok(Self { url, _process: process, _folder: folder })
    }

    /// Its URL for a sidecar.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

/// A program of PostgreSQL, as an unprivileged user.
fn unprivileged(program: &str) -> Result<Command> {
    let mut command = Command::new("setpriv");
    if rustix::process::geteuid().is_root() {
        command.args(["--reuid", UNPRIVILEGED, "--regid", UNPRIVILEGED, "--clear-groups"]);
    }
    command.args(["--pdeathsig", "KILL"]).arg(binary(program)?).env("LC_ALL", "C.UTF-8").current_dir("/");
    Ok(command)
}

/// Where a program of PostgreSQL really is: the folder in which it is found may be closed to others.
fn binary(program: &str) -> Result<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.exists());
    Ok(found.context("PostgreSQL is not installed: run `scripts/install-postgres`")?.canonicalize()?)
}
