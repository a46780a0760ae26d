//! Webhooks, pure: who is told of which events, and how. Nothing here knows how anything is sent.

use std::fmt;
use std::time::Duration;

use url::Url;

use crate::domain::audit::{Action, ActionWord, Event, Severity};

pub mod message;
pub mod pace;
pub mod signature;

use signature::SigningSecret;

/// Longest name, in bytes.
pub const NAME_MAX_BYTES: usize = 64;

/// What somebody is told of who says nothing else, besides every warning but refused calls: strangers can cause those.
const BY_DEFAULT: &[&str] = &[
    "ban.*",
    "tokens.revoked",
    "user.logged_out",
    "admin.*",
    "signing_key.*",
    "encryption.*",
    "cleanup.run",
    "active_users.cleaned",
];

/// The name of a webhook: 1 to 64 ASCII letters, digits, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebhookName(String);

/// Why a text names no webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a webhook's name has 1 to {NAME_MAX_BYTES} ASCII letters, digits, `.`, `_` or `-`")]
pub struct InvalidWebhookName;

impl WebhookName {
    /// The webhook with this name.
    ///
    /// # Errors
    /// [`InvalidWebhookName`].
    pub fn parse(text: &str) -> Result<Self, InvalidWebhookName> {
        let is_fit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if text.is_empty() || text.len() > NAME_MAX_BYTES || !text.bytes().all(is_fit) {
            return Err(InvalidWebhookName);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WebhookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where events are sent. The path and the query of some are as good as a password, so only the host is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Url);

impl Target {
    /// The target at this URL.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self(url)
    }

    /// The whole URL, for whoever sends. Never log or print it.
    #[must_use]
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// What may be shown: the host, and the port if it is not the usual one.
    #[must_use]
    pub fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}/…)", self.host())
    }
}

/// How an event is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// JSON, signed, as Standard Webhooks says.
    Generic(SigningSecret),
    /// A sentence, as Slack and those who copy it take it.
    Slack,
}

impl Format {
    /// Its word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Generic(_) => "generic",
            Self::Slack => "slack",
        }
    }
}

/// Actions by their word, or by the beginning of it: `ban.given`, `ban.*`, `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern in this text; none if no action ever fits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let pattern = Self(text.to_owned());
        Action::ALL.into_iter().any(|action| pattern.fits(action.word())).then_some(pattern)
    }

    fn fits(&self, action: &str) -> bool {
        fits(&self.0, action)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn fits(pattern: &str, action: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => (start.is_empty() || start.ends_with('.')) && action.starts_with(start),
        None => action == pattern,
    }
}

/// Somebody who is told of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its name.
    pub name: WebhookName,
    /// Where events are sent.
    pub target: Target,
    /// How they are put.
    pub format: Format,
    /// Which actions it is told of; none if nobody said.
    pub events: Option<Vec<Pattern>>,
    /// At most so many attempts in any minute, of all sidecars together.
    pub per_minute: u32,
    /// No attempt takes longer.
    pub timeout: Duration,
}

impl Webhook {
    /// Whether it is told of `event`.
    #[must_use]
    pub fn wants(&self, event: &Event) -> bool {
        let is_about_this = event.target.as_deref() == Some(self.name.as_str());
        match (&event.action, &self.events) {
            // A test is for one webhook, whatever else it is told of.
            (ActionWord::Known(Action::WebhookTested), _) => is_about_this,
            // It would fail like those that were given up, and be one more of them.
            (ActionWord::Known(Action::WebhookGivenUp), _) if is_about_this => false,
            (action, Some(patterns)) => patterns.iter().any(|pattern| pattern.fits(action.word())),
            (action, None) => {
                let is_warning = event.severity >= Severity::Warning && event.action != Action::AccessRefused;
                is_warning || BY_DEFAULT.iter().any(|pattern| fits(pattern, action.word()))
            }
        }
    }

    /// The patterns of what it is told of, for people.
    #[must_use]
    pub fn wanted(&self) -> Vec<String> {
        match &self.events {
            Some(patterns) => patterns.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
            None => {
                BY_DEFAULT.iter().copied().chain(["(every warning but access.refused)"]).map(str::to_owned).collect()
            }
        }
    }
}

/// The last turn of all ([`turn`]).
pub const LAST_TURN: u8 = 2;

/// Which turn an event takes among those that wait for a webhook: alarms first, and last what everybody can cause as often as
/// they like, so that it delays nothing else.
#[must_use]
pub fn turn(event: &Event) -> u8 {
    match event.severity {
        Severity::Critical => 0,
        Severity::Info => LAST_TURN,
        Severity::Notice | Severity::Warning => {
            if event.is_everybodys() {
                LAST_TURN
            } else {
                1
            }
        }
    }
}

#[cfg(test)]
mod tests;
