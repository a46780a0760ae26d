//! Where the parts under test are: what `make` built, or what a variable names.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// The Envoy binary (`SEKISHO_ENVOY`).
///
/// # Errors
/// It is missing; the error names the target that fetches it.
pub fn envoy() -> Result<PathBuf> {
    find("Envoy", "SEKISHO_ENVOY", ".sekisho/bin/envoy", "make e2e")
}

/// What gives Envoy its secrets from files, as in the image.
#[must_use]
pub fn with_secrets() -> PathBuf {
    repository().join("envoy/with-secrets")
}

/// The compiled filter (`SEKISHO_WASM`).
///
/// # Errors
/// It is missing; the error names the target that builds it.
pub fn filter() -> Result<PathBuf> {
    find("the compiled filter", "SEKISHO_WASM", ".sekisho/plugin.wasm", "make wasm")
}

/// The compiled filter whose VM ends at a request with the header `x-sekisho-trap` (`SEKISHO_TRAP_WASM`).
///
/// # Errors
/// It is missing; the error names the script that builds it.
pub fn trapping_filter() -> Result<PathBuf> {
    find("the filter with a trap", "SEKISHO_TRAP_WASM", ".sekisho/plugin-trap.wasm", "scripts/build-trap")
}

/// The sidecar and CLI (`SEKISHO_BIN`).
///
/// # Errors
/// It is missing; the error names the command that builds it.
pub fn sidecar() -> Result<PathBuf> {
    find("the sidecar", "SEKISHO_BIN", "target/debug/sekisho", "cargo build -p sekisho")
}

/// The program that makes up calls of the API (`SEKISHO_SCHEMATHESIS`).
///
/// # Errors
/// It is missing; the error names the target that installs it.
pub fn schemathesis() -> Result<PathBuf> {
    find("schemathesis", "SEKISHO_SCHEMATHESIS", ".sekisho/bin/schemathesis", "make test-api")
}

/// Python with PyJWT.
///
/// # Errors
/// It is missing; the error names the script that installs it.
pub fn python() -> Result<PathBuf> {
    find("Python with PyJWT", "SEKISHO_PEERS_PYTHON", ".sekisho/venv/bin/python3", "scripts/install-peers")
}

/// Node: the one that was installed for us, or else the system's.
#[must_use]
pub fn node() -> PathBuf {
    let installed = repository().join(".sekisho/bin/node");
    if installed.is_file() { installed } else { PathBuf::from("node") }
}

/// Makes sure that jose, oidc-provider and Playwright are installed.
///
/// # Errors
/// They are not; the error names the script that installs them.
pub fn peers() -> Result<()> {
    let installed = repository().join(".sekisho/peers/installed");
    ensure!(installed.is_file(), "packages of npm are missing: run `scripts/install-peers`");
    Ok(())
}

/// Chromium (`SEKISHO_CHROMIUM`).
///
/// # Errors
/// It is missing; the error names the script that installs it.
pub fn chromium() -> Result<PathBuf> {
    find("Chromium", "SEKISHO_CHROMIUM", "/usr/bin/chromium", "scripts/install-browser")
}

/// The configuration that users run.
///
/// # Errors
/// It is missing.
pub fn envoy_configuration() -> Result<PathBuf> {
    find("Envoy's configuration", "SEKISHO_ENVOY_YAML", "envoy/envoy.yaml", "git checkout envoy/envoy.yaml")
}

fn find(what: &str, variable: &str, default: &str, command: &str) -> Result<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from);
    let path = named.clone().unwrap_or_else(|| repository().join(default));
    if path.is_file() {
        return Ok(path);
    }
    match named {
        Some(_) => bail!("{what} is missing: {variable} names {}, which is no file", path.display()),
        None => bail!("{what} is missing at {default}: run `{command}`, or name another one in {variable}"),
    }
}
