//! What a webhook is told of an event.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use super::Format;
use crate::domain::audit::{Event, Outcome, Severity};

/// What of the details is part of the sentence: what everybody understands.
const TOLD: [&str; 5] = ["reason", "code", "count", "total_deleted", "last_failure"];

/// The body, as JSON.
#[must_use]
pub fn body(format: &Format, event: &Event) -> String {
    match format {
        Format::Generic(_) => generic(event),
        Format::Slack => json!({"text": sentence(event)}),
    }
    .to_string()
}

/// Standard Webhooks: what, when, and everything about it.
fn generic(event: &Event) -> Value {
    json!({"type": event.action.word(), "timestamp": rfc3339(event.at_ms), "data": event})
}

fn rfc3339(at_ms: u64) -> Option<String> {
    let at = DateTime::from_timestamp_millis(i64::try_from(at_ms).ok()?)?;
    Some(at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// One sentence in Slack's own markup.
fn sentence(event: &Event) -> String {
    let mark = match event.severity {
        Severity::Critical => ":rotating_light: ",
        Severity::Warning => ":warning: ",
        Severity::Notice | Severity::Info => "",
    };
    let what = event.action.word().replace(['.', '_'], " ");
    let target = event.target.as_deref().map(|target| format!(" {}", escape(target))).unwrap_or_default();
    let outcome = if event.outcome == Outcome::Done { String::new() } else { format!(" ({})", event.outcome.word()) };
    let told: String = TOLD.iter().filter_map(|name| detail(event, name)).collect();
    format!("{mark}*{what}*{target}{outcome}, by {}{told}.", escape(&event.by.actor))
}

/// A detail that is a text or a number.
fn detail(event: &Event, name: &str) -> Option<String> {
    let told = match event.details.get(name)? {
        Value::String(text) => escape(text),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(format!("; {}: {told}", name.replace('_', " ")))
}

/// Slack's three control characters: a text from outside must not mention a channel or hide a link.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
