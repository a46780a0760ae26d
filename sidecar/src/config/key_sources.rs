//! `key_sources`: where the keys of identity providers come from. A list, as YAML or as JSON; of each entry
//! everything that is wrong is told at its own path.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::entry::Entry;
use super::problem::Problems;
use super::reader::Reader;
use crate::domain::keyset::SourceName;
use crate::domain::keyset::source::{Place, Source};

const PATH: &str = "key_sources";
/// Most sources. A mesh has a handful; each is looked after by a task of its own.
const MAX: usize = 64;
/// Everything that an entry may say.
const FIELDS: [&str; 8] =
    ["name", "issuer", "jwks_uri", "file", "allow_http", "refresh_s", "refetch_interval_s", "timeout_ms"];

/// All sources.
pub(super) fn read(reader: &mut Reader) -> Vec<Source> {
    let Some(text) = reader.text(PATH) else { return Vec::new() };
    let entries: Vec<Value> = match serde_json::from_str(text) {
        Ok(entries) => entries,
        Err(_) => {
            reader.wrong(PATH, r#"is not a list such as [{"name":"google","issuer":"https://accounts.google.com"}]"#);
            return Vec::new();
        }
    };
    if entries.len() > MAX {
        reader.wrong(PATH, format!("has {} entries, more than {MAX}", entries.len()));
    }
    let place = reader.place(PATH);
    let (mut sources, mut names) = (Vec::new(), BTreeSet::new());
    for (index, entry) in entries.iter().enumerate() {
        let path = format!("{place}[{index}]");
        let Some(source) = source(&path, entry, &mut reader.problems) else { continue };
        if names.insert(source.name.clone()) {
            sources.push(source);
        } else {
            reader.problems.push(format!("{path}.name"), format!("`{}` is the name of another source", source.name));
        }
    }
    sources
}

/// The source that an entry describes, unless something is wrong with it.
fn source(path: &str, entry: &Value, problems: &mut Problems) -> Option<Source> {
    let mut entry = Entry::new(path, entry, "source", &FIELDS, problems)?;
    let name = entry.name();
    let allow_http = entry.flag("allow_http");
    let place = entry.place(allow_http);
    let refresh = Duration::from_secs(entry.number("refresh_s", 3_600, 5..=86_400));
    let refetch_interval = Duration::from_secs(entry.number("refetch_interval_s", 10, 1..=3_600));
    let timeout = Duration::from_millis(entry.number("timeout_ms", 3_000, 100..=10_000));
    let is_sound = entry.is_sound;
    let (name, place) = (name?, place?);
    is_sound.then_some(Source { name, place, refresh, refetch_interval, timeout })
}

impl Entry<'_> {
    fn name(&mut self) -> Option<SourceName> {
        if !self.has("name") {
            self.wrong("name", "is missing: what filters call the source");
            return None;
        }
        match SourceName::parse(&self.text("name")?) {
            Ok(name) if name.is_own() => {
                self.wrong("name", format!("`{name}` is the source of the keys with which Sekisho signs itself"));
                None
            }
            Ok(name) => Some(name),
            Err(error) => {
                self.wrong("name", error.to_string());
                None
            }
        }
    }

    fn place(&mut self, allow_http: bool) -> Option<Place> {
        let given = ["issuer", "jwks_uri", "file"].map(|field| (field, self.text(field)));
        let mut given = given.into_iter().filter_map(|(field, text)| Some((field, text?)));
        let (Some((field, text)), None) = (given.next(), given.next()) else {
            self.is_sound = false;
            self.problems.push(self.path, "needs exactly one of `issuer`, `jwks_uri` and `file`");
            return None;
        };
        if field == "file" {
            return Some(Place::File(PathBuf::from(text)));
        }
        let url = self.url(field, &text, allow_http)?;
        if field == "jwks_uri" {
            return Some(Place::Jwks(url));
        }
        if url.query().is_some() {
            // RFC 8414 §2.
            self.wrong(field, "an issuer has no query");
            return None;
        }
        Some(Place::Issuer { issuer: text, url, allow_http })
    }

    fn url(&mut self, field: &'static str, text: &str, allow_http: bool) -> Option<Url> {
        let url = Url::parse(text).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        let Some(url) = url else {
            self.wrong(field, format!("`{}` is not an https URL", text.escape_debug()));
            return None;
        };
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            // Not shown: it may hold a password.
            self.wrong(field, "must hold no user, no password and no fragment");
            return None;
        }
        if url.scheme() == "http" && !allow_http {
            self.wrong(field, format!("`{text}` is not an https URL; `allow_http: true` takes it nevertheless"));
            return None;
        }
        Some(url)
    }
}
