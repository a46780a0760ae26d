//! `sekisho import FILE…`: an `oauth2_proxy.cfg` and the `.env` of a gateway that is to be replaced, as our configuration.
//!
//! It changes nothing and asks nobody. A secret is printed only if somebody insists; otherwise it goes into a file that
//! nobody else can read, or nowhere.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::config::read;
use crate::cli::output::Output;
use crate::config::Problem;

mod read;
mod translate;

use translate::Imported;

/// With which oauth2-proxy signs its cookies, as the filter looks for it.
const COOKIE_SECRET: &str = "OAUTH2_PROXY_COOKIE_SECRET";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// An oauth2_proxy.cfg, an .env, or both. What a later one says overrules an earlier one.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write each secret into a file of its own in this folder, which is made if it is not there.
    #[arg(long, value_name = "FOLDER", conflicts_with = "show_secrets")]
    secrets: Option<PathBuf>,
    /// Print secrets with the rest.
    #[arg(long)]
    show_secrets: bool,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Exit> {
    let mut found = read::Found::default();
    for file in &arguments.files {
        let wrong = |message| Exit::Misconfigured(vec![Problem { path: file.display().to_string(), message }]);
        found.add(&read(file)?).map_err(wrong)?;
    }
    let imported = translate::translate(found);
    if let Some(folder) = &arguments.secrets {
        write_secrets(folder, &imported)?;
    }
    let shown = Shown::of(&imported, arguments);
    output.result(|| text(&shown, &imported), || in_json(&shown, &imported));
    Ok(())
}

/// What is printed of our configuration.
struct Shown {
    /// The sidecars' variables.
    sidecar: BTreeMap<String, String>,
    /// Envoy's, besides those of the mesh.
    envoy: BTreeMap<String, String>,
    /// Secrets that are neither printed nor written anywhere.
    hidden: Vec<String>,
}

impl Shown {
    fn of(imported: &Imported, arguments: &Arguments) -> Self {
        let plain = imported.sidecar.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let mut shown = Self { sidecar: plain.collect(), envoy: BTreeMap::new(), hidden: Vec::new() };
        shown.sidecar.extend(imported.kept.clone());
        for (name, secret) in &imported.secrets {
            // Envoy needs it, and no sidecar does.
            let is_envoys = name == COOKIE_SECRET;
            let line = match &arguments.secrets {
                // Sidecars read files that a variable names; `envoy/with-secrets` reads those below /run/secrets.
                Some(folder) => {
                    let variable = if is_envoys { name.clone() } else { format!("{name}_FILE") };
                    (variable, folder.join(name).display().to_string())
                }
                None if arguments.show_secrets => (name.clone(), secret.to_string()),
                None => {
                    shown.hidden.push(name.clone());
                    continue;
                }
            };
            let (variable, value) = line;
            if is_envoys { &mut shown.envoy } else { &mut shown.sidecar }.insert(variable, value);
        }
        shown
    }
}

/// Files that are there already are left alone: whatever is in them may be in use.
fn write_secrets(folder: &Path, imported: &Imported) -> anyhow::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, value) in &imported.secrets {
        let path = folder.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file =
            file.with_context(|| format!("cannot write {}: take it away first if it is old", path.display()))?;
        file.write_all(value.as_bytes()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

fn text(shown: &Shown, imported: &Imported) -> String {
    let mut lines = vec!["# The environment of the sidecars.".to_owned()];
    let line = |(name, value): (&String, &String)| format!("{name}={}", quoted(value));
    lines.extend(shown.sidecar.iter().map(line));
    if !shown.envoy.is_empty() {
        lines.extend(["".to_owned(), "# Of Envoy; a path is the file to mount as /run/secrets/NAME.".to_owned()]);
        lines.extend(shown.envoy.iter().map(line));
    }
    if !imported.sessions.is_null() {
        lines.extend(["".to_owned(), "# In the configuration of the filter (docs/filter.md).".to_owned()]);
        lines.extend(format!("\"sessions\": {:#}", imported.sessions).lines().map(str::to_owned));
    }
    if !(imported.remarks.is_empty() && shown.hidden.is_empty()) {
        lines.extend(["".to_owned(), "# What else to know.".to_owned()]);
        let secret = "is a secret: --secrets FOLDER writes it into a file, --show-secrets prints it";
        lines.extend(shown.hidden.iter().map(|name| format!("# {name}: {secret}")));
        lines.extend(imported.remarks.iter().map(|(name, message)| format!("# {name}: {message}")));
    }
    lines.join("\n")
}

/// A value as shells and Compose read it.
fn quoted(value: &str) -> String {
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b':' | b',' | b'@' | b'+' | b'=');
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

fn in_json(shown: &Shown, imported: &Imported) -> Value {
    let remark = |(name, message): &(String, String)| json!({"option": name, "message": message});
    json!({
        "sidecar": shown.sidecar,
        "envoy": shown.envoy,
        "sessions": imported.sessions,
        "hidden": shown.hidden,
        "remarks": imported.remarks.iter().map(remark).collect::<Vec<_>>(),
    })
}
