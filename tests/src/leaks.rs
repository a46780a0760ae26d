//! Whether a world left a secret behind: in a log, in Redis's file, or in the database.
//!
//! Every story is looked at when it ends. What counts as a secret: those of the world ([`Keys`]), those of its webhooks,
//! whatever the provider gave out at which people sign in, and whatever looks like a whole signed token, so that no story needs
//! to say which ones it used.

use std::fmt::Write as _;
use std::fs::read;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use anyhow::{Result, bail};
use regex::bytes::Regex;

use crate::world::Keys;

/// A JWT with its signature (RFC 7515 §7.1). Without the last part it is worth nothing.
#[expect(clippy::expect_used, reason = "the pattern is a constant")]
static SIGNED_TOKEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{20,}").expect("a pattern"));
/// Most characters of a finding that are shown: enough to find it again, too few to use it.
const SHOWN: usize = 24;

/// Looks through all that a world wrote below `folder`.
///
/// # Errors
/// A secret is there; the error says where, and how it begins.
pub fn look(folder: &Path, keys: &Keys, others: &[String]) -> Result<()> {
    let mut found = String::new();
    for file in written(folder) {
        let content = read(&file).unwrap_or_default();
        for leak in leaks(&content, keys, others) {
            let _ = writeln!(found, "{} holds {leak}…", file.strip_prefix(folder).unwrap_or(&file).display());
        }
    }
    if found.is_empty() { Ok(()) } else { bail!("secrets were left behind:\n{found}") }
}

/// Whether anything that a world wrote below `folder` holds `text`: the control that files are looked through at all.
#[must_use]
pub fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let holds =
        |file: &PathBuf| read(file).is_ok_and(|content| memchr::memmem::find(&content, text.as_bytes()).is_some());
    written(folder).into_iter().filter(holds).collect()
}

/// Logs, Redis's files, the database; not what a world was given, which holds secrets by right.
fn written(folder: &Path) -> Vec<PathBuf> {
    let is_ours = |path: &Path| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        [".log", ".aof", ".rdb"].iter().any(|end| name.ends_with(end)) || name.starts_with("sekisho.db")
    };
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for path in folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if is_ours(&path) {
                files.push(path);
            }
        }
    }
    files
}

fn leaks(content: &[u8], keys: &Keys, others: &[String]) -> Vec<String> {
    let ours = [&keys.mesh, &keys.jwt, &keys.upstream, &keys.explain, &keys.encryption, &keys.cookies];
    let known =
        ours.into_iter().chain(others).filter(|secret| memchr::memmem::find(content, secret.as_bytes()).is_some());
    let tokens = SIGNED_TOKEN.find_iter(content).map(|token| String::from_utf8_lossy(token.as_bytes()).into_owned());
    let mut leaks: Vec<String> = known.cloned().chain(tokens).map(|leak| leak.chars().take(SHOWN).collect()).collect();
    leaks.sort();
    leaks.dedup();
    leaks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Token;

    #[test]
    fn every_kind_of_secret_is_found_wherever_it_stands() {
        let keys = Keys::default();
        let token = Token::new(&keys.jwt, "id", "ann@example.com").text();
        let unsigned = token.rsplit_once('.').map(|(rest, _)| format!("{rest}.")).unwrap_or_default();
        let others = ["whsec_of_a_webhook".to_owned()];
        for (text, expected) in [
            (token.as_str(), true),
            (keys.mesh.as_str(), true),
            (keys.jwt.as_str(), true),
            (keys.upstream.as_str(), true),
            (keys.explain.as_str(), true),
            (keys.encryption.as_str(), true),
            (keys.cookies.as_str(), true),
            ("whsec_of_a_webhook", true),
            (unsigned.as_str(), false),
            ("ann@example.com", false),
        ] {
            let content = [&[0_u8, 0xff][..], text.as_bytes(), b"\n"].concat();
            assert_eq!(!leaks(&content, &keys, &others).is_empty(), expected, "{text}");
        }
    }
}
