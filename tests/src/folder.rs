//! A temporary folder that goes when the test's process goes, even if it is killed.
//!
//! Worlds that several stories share live in statics, which are never dropped. So the folder is
//! removed by a small shell that waits for the end of its standard input: that end comes when the
//! test's process ends, in whatever way.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

/// Children that end with the test, a browser above all, may write a last file while their folder goes.
const REMOVE: &str = r#"cat; for _ in 1 2 3 4 5; do rm -rf -- "$0"; sleep 1; [ -e "$0" ] || exit; done"#;

/// A folder of one world.
pub struct Folder {
    path: PathBuf,
    _remover: Child,
}

impl Folder {
    /// A new folder. `SEKISHO_E2E_KEEP=1` keeps it for a closer look.
    ///
    /// # Errors
    /// It cannot be made, or there is no shell to remove it later.
    pub fn create() -> Result<Self> {
        let path = tempfile::Builder::new().prefix("sekisho-e2e-").tempdir()?.keep();
        let script = if std::env::var_os("SEKISHO_E2E_KEEP").is_some() { "cat" } else { REMOVE };
        let remover = Command::new("sh")
            .args(["-c", script])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the shell that removes the temporary folder")?;
        Ok(Self { path, _remover: remover })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
