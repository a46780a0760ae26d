//! Judges the texts of settings one by one and notes everything that is wrong with them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use sekisho_protocol::Email;

use super::problem::Problems;
use super::secret::Secret;
use super::sources::{Found, Key};

/// The texts that were found, and what is wrong so far.
pub(super) struct Reader {
    pub(super) keys: &'static [Key],
    pub(super) found: BTreeMap<&'static str, Found>,
    pub(super) problems: Problems,
}

/// The command that makes a good secret.
const MAKE_SECRET: &str = "openssl rand -base64 48";
/// Fewer different bytes than this in a secret, and it was typed, not drawn.
const SECRET_MIN_DISTINCT_BYTES: usize = 8;

impl Reader {
    pub(super) fn text(&self, path: &'static str) -> Option<&str> {
        self.found.get(path).map(|found| found.text.trim())
    }

    pub(super) fn text_or(&self, path: &'static str, default: &str) -> String {
        self.text(path).unwrap_or(default).to_owned()
    }

    /// A text between 1 and `max_bytes` bytes without control characters.
    pub(super) fn label(&mut self, path: &'static str, default: &str, max_bytes: usize) -> String {
        let text = self.text_or(path, default);
        if text.is_empty() || text.len() > max_bytes || text.chars().any(char::is_control) {
            self.wrong(path, format!("must have 1 to {max_bytes} bytes and no control characters"));
        }
        text
    }

    pub(super) fn number(&mut self, path: &'static str, default: u64, range: RangeInclusive<u64>) -> u64 {
        let Some(text) = self.text(path) else { return default };
        if let Some(number) = text.parse().ok().filter(|number| range.contains(number)) {
            return number;
        }
        let message = format!("`{text}` is not a whole number from {} to {}", range.start(), range.end());
        self.wrong(path, message);
        default
    }

    pub(super) fn millis(&mut self, path: &'static str, default: u64, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(path, default, range))
    }

    pub(super) fn flag(&mut self, path: &'static str) -> bool {
        match self.text(path) {
            None | Some("0" | "false" | "no" | "off") => false,
            Some("1" | "true" | "yes" | "on") => true,
            Some(text) => {
                let message = format!("`{text}` is neither 1 nor 0");
                self.wrong(path, message);
                false
            }
        }
    }

    pub(super) fn address(&mut self, path: &'static str, default: SocketAddr) -> SocketAddr {
        let Some(text) = self.text(path) else { return default };
        if let Ok(address) = text.parse() {
            return address;
        }
        let message = format!("`{text}` is not an address and port such as {default}");
        self.wrong(path, message);
        default
    }

    /// The parts of a comma list that are not blank.
    pub(super) fn list(&self, path: &'static str) -> Vec<String> {
        let parts = self.text(path).unwrap_or_default().split(',').map(str::trim);
        parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    pub(super) fn emails(&mut self, path: &'static str) -> Vec<Email> {
        let mut emails = Vec::new();
        for text in self.list(path) {
            match Email::parse(&text) {
                Ok(email) => emails.push(email),
                Err(error) => self.wrong(path, format!("`{text}`: {error}")),
            }
        }
        emails
    }

    /// A secret of at least `min_bytes` bytes; an empty one, and a problem, if it is missing or weak.
    pub(super) fn secret(&mut self, path: &'static str, min_bytes: usize) -> Secret {
        let Some(found) = self.found.get(path) else {
            self.wrong(path, format!("is missing; make one with `{MAKE_SECRET}`"));
            return Secret::new([]);
        };
        let secret = Secret::new(found.text.as_bytes());
        let bytes = secret.expose();
        let distinct = bytes.iter().collect::<std::collections::BTreeSet<_>>().len();
        if bytes.len() < min_bytes {
            let message = format!("has {} bytes, fewer than {min_bytes}; make one with `{MAKE_SECRET}`", bytes.len());
            self.wrong(path, message);
        } else if min_bytes > 1 && distinct < SECRET_MIN_DISTINCT_BYTES {
            self.wrong(path, format!("can be guessed; make one with `{MAKE_SECRET}`"));
        }
        secret
    }

    /// Where a setting stands or should stand.
    pub(super) fn place(&self, path: &'static str) -> String {
        let default = || self.keys.iter().find(|key| key.path == path).map_or(path, |key| key.env).to_owned();
        self.found.get(path).map_or_else(default, |found| found.place.clone())
    }

    /// Notes what is wrong with a setting, at its place.
    pub(super) fn wrong(&mut self, path: &'static str, message: impl Into<String>) {
        self.problems.push(self.place(path), message);
    }
}
