//! `webhooks`: who is told of events. A list, as YAML or as JSON; of each entry everything that is wrong is told at its
//! own path, and nothing that is a secret.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::entry::Entry;
use super::problem::Problems;
use super::reader::Reader;
use crate::domain::audit::Action;
use crate::domain::webhook::signature::SigningSecret;
use crate::domain::webhook::{Format, Pattern, Target, Webhook, WebhookName};

const PATH: &str = "webhooks";
/// Most webhooks. Each has a queue and a task of its own.
const MAX: usize = 16;
/// Everything that an entry may say.
const FIELDS: [&str; 10] =
    ["name", "url", "url_file", "allow_http", "format", "secret", "secret_file", "events", "per_minute", "timeout_ms"];

/// All webhooks.
pub(super) fn read(reader: &mut Reader) -> Vec<Webhook> {
    let Some(text) = reader.text(PATH) else { return Vec::new() };
    let entries: Vec<Value> = match serde_json::from_str(text) {
        Ok(entries) => entries,
        Err(_) => {
            reader.wrong(
                PATH,
                r#"is not a list such as [{"name":"ops","url":"https://ops.example/hook","secret":"whsec_…"}]"#,
            );
            return Vec::new();
        }
    };
    if entries.len() > MAX {
        reader.wrong(PATH, format!("has {} entries, more than {MAX}", entries.len()));
    }
    let place = reader.place(PATH);
    let (mut webhooks, mut names) = (Vec::new(), BTreeSet::new());
    for (index, entry) in entries.iter().enumerate() {
        let path = format!("{place}[{index}]");
        let Some(webhook) = webhook(&path, entry, &mut reader.problems) else { continue };
        if names.insert(webhook.name.clone()) {
            webhooks.push(webhook);
        } else {
            reader.problems.push(format!("{path}.name"), format!("`{}` is the name of another webhook", webhook.name));
        }
    }
    webhooks
}

/// The webhook that an entry describes, unless something is wrong with it.
fn webhook(path: &str, entry: &Value, problems: &mut Problems) -> Option<Webhook> {
    let mut entry = Entry::new(path, entry, "webhook", &FIELDS, problems)?;
    let name = name(&mut entry);
    let allow_http = entry.flag("allow_http");
    let target = target(&mut entry, allow_http);
    let format = format(&mut entry);
    let events = events(&mut entry);
    let per_minute = u32::try_from(entry.number("per_minute", 60, 1..=600)).unwrap_or(u32::MAX);
    let timeout = Duration::from_millis(entry.number("timeout_ms", 5_000, 100..=30_000));
    let is_sound = entry.is_sound;
    let (name, target, format) = (name?, target?, format?);
    is_sound.then_some(Webhook { name, target, format, events, per_minute, timeout })
}

fn name(entry: &mut Entry<'_>) -> Option<WebhookName> {
    if !entry.has("name") {
        entry.wrong("name", "is missing: what people call the webhook");
        return None;
    }
    let name = WebhookName::parse(&entry.text("name")?);
    name.map_err(|error| entry.wrong("name", error.to_string())).ok()
}

/// The URL, of which no message shows anything: it may be a secret as a whole.
fn target(entry: &mut Entry<'_>, allow_http: bool) -> Option<Target> {
    if !entry.has("url") && !entry.has("url_file") {
        entry.wrong("url", "is missing: where events are sent");
        return None;
    }
    let text = entry.secret("url", "url_file")?;
    let url = Url::parse(&text).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
    let Some(url) = url else {
        entry.wrong("url", "is not an https URL");
        return None;
    };
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        entry.wrong("url", "must hold no user, no password and no fragment");
        return None;
    }
    if url.scheme() == "http" && !allow_http {
        entry.wrong("url", "is not an https URL; `allow_http: true` takes it nevertheless");
        return None;
    }
    Some(Target::new(url))
}

fn format(entry: &mut Entry<'_>) -> Option<Format> {
    let has_secret = entry.has("secret") || entry.has("secret_file");
    let word = if entry.has("format") { entry.text("format")? } else { "generic".to_owned() };
    match (word.as_str(), has_secret) {
        ("generic", false) => {
            entry.wrong(
                "secret",
                "is missing; make one with `echo whsec_$(openssl rand -base64 32)`, and tell the receiver",
            );
            None
        }
        ("generic", true) => {
            let secret = SigningSecret::parse(&entry.secret("secret", "secret_file")?);
            secret.map(Format::Generic).map_err(|error| entry.wrong("secret", error.to_string())).ok()
        }
        ("slack", true) => {
            entry.wrong("secret", "is of no use with the format slack, which signs nothing");
            None
        }
        ("slack", false) => Some(Format::Slack),
        (other, _) => {
            entry.wrong("format", format!("`{}` is neither generic nor slack", other.escape_debug()));
            None
        }
    }
}

fn events(entry: &mut Entry<'_>) -> Option<Vec<Pattern>> {
    let mut patterns = Vec::new();
    for text in entry.texts("events")? {
        match Pattern::parse(&text) {
            Some(pattern) => patterns.push(pattern),
            None => {
                let known = Action::ALL.map(Action::word).join(", ");
                let message = format!(
                    "`{}` names no event; there are {known}, and beginnings such as ban.*",
                    text.escape_debug()
                );
                entry.wrong("events", message);
            }
        }
    }
    Some(patterns)
}
