//! Audit events: who did what to whom, from where, and what came of it. Their words are stable: people filter by
//! them, and a hash chain covers their text.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub mod chain;
pub mod quota;
pub mod words;

pub use words::{Action, ActionWord, Outcome, Severity};

use chain::{Columns, End};

/// Longest text of a field, in bytes; what is longer is cut.
pub const TEXT_MAX_BYTES: usize = 256;
/// Longest details, as JSON; what is longer is left out, and the event says so.
pub const DETAILS_MAX_BYTES: usize = 4_096;

/// What kind of actor it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// Somebody whom the filter vouches for.
    Caller,
    /// Whoever sits at the command line of a sidecar's machine.
    Operator,
    /// Sekisho itself.
    System,
}

/// Who does something, and from where. Nothing of it is trusted for a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct By {
    /// The address, subject or name.
    pub actor: String,
    /// What kind of actor that is.
    pub kind: ActorKind,
    /// The id of the token with which they came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// The request's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What the client says it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}

impl By {
    /// Sekisho itself: the job of this name.
    #[must_use]
    pub fn system(job: &str) -> Self {
        Self::named(ActorKind::System, job)
    }

    /// Whoever sits at the command line.
    #[must_use]
    pub fn operator(name: &str) -> Self {
        Self::named(ActorKind::Operator, name)
    }

    /// A caller.
    #[must_use]
    pub fn caller(name: &str) -> Self {
        Self::named(ActorKind::Caller, name)
    }

    /// The same actor, by way of this request.
    #[must_use]
    pub fn by_way_of(self, origin: Origin<'_>) -> Self {
        let text = |text: Option<&str>| text.and_then(clean);
        Self {
            request_id: text(origin.request_id),
            address: text(origin.address),
            user_agent: text(origin.user_agent),
            ..self
        }
    }

    fn named(kind: ActorKind, name: &str) -> Self {
        let actor = clean(name).unwrap_or_else(|| "unknown".to_owned());
        Self { actor, kind, token_id: None, request_id: None, address: None, user_agent: None }
    }
}

/// Where a request comes from, as it says itself or the proxy says of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin<'a> {
    /// `x-request-id`.
    pub request_id: Option<&'a str>,
    /// The client's address, as Envoy says.
    pub address: Option<&'a str>,
    /// `user-agent`.
    pub user_agent: Option<&'a str>,
}

/// A text as an event holds it: cut to [`TEXT_MAX_BYTES`], without control characters; none if nothing is left.
#[must_use]
pub fn clean(text: &str) -> Option<String> {
    let mut cut: String = text.chars().filter(|character| !character.is_control()).collect();
    cut.truncate(cut.floor_char_boundary(TEXT_MAX_BYTES));
    let cut = cut.trim();
    if cut.is_empty() { None } else { Some(cut.to_owned()) }
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// UUIDv7; the same however often it is delivered.
    pub id: String,
    /// When it began, in Unix milliseconds.
    pub at_ms: u64,
    /// What was done.
    pub action: ActionWord,
    /// How much it matters.
    pub severity: Severity,
    /// Who did it.
    #[serde(flatten)]
    pub by: By,
    /// To whom or what: an address, a token's id, a key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// What else is worth knowing. Never a secret.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
    /// What a newer Sekisho says besides: whoever carries the event must not lose it.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Event {
    /// The event that begins `at_ms`; what comes of it is not known yet.
    #[must_use]
    pub fn begun(id: String, at_ms: u64, action: Action, by: By, target: Option<&str>) -> Self {
        let target = target.and_then(clean);
        Self {
            id,
            at_ms,
            action: action.into(),
            severity: action.severity(),
            by,
            target,
            outcome: Outcome::Interrupted,
            details: Map::new(),
            more: Map::new(),
        }
    }

    /// Adds a detail, unless it is none, or there would be too much.
    pub fn tell(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        if value.is_null() {
            return;
        }
        self.details.insert(name.to_owned(), value);
        let length = serde_json::to_string(&self.details).map_or(usize::MAX, |json| json.len());
        if length > DETAILS_MAX_BYTES {
            self.details.remove(name);
            self.details.insert("truncated".to_owned(), true.into());
        }
    }
}

impl Event {
    /// Whether everybody may cause it as often as they like: what somebody does to what is their own, and calls that are
    /// refused to them.
    #[must_use]
    pub fn is_everybodys(&self) -> bool {
        let is_their_own = self.target.as_deref() == Some(self.by.actor.as_str());
        self.by.kind == ActorKind::Caller && (is_their_own || self.action == Action::AccessRefused)
    }

    /// What it is found by.
    #[must_use]
    pub fn columns(&self) -> Columns {
        Columns {
            id: self.id.clone(),
            at_ms: self.at_ms,
            action: self.action.word().to_owned(),
            severity: self.severity.word().to_owned(),
            actor: self.by.actor.clone(),
            target: self.target.clone().unwrap_or_default(),
            outcome: self.outcome.word().to_owned(),
        }
    }
}

/// An event in the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Where it stands in the chain, and its hash.
    pub end: End,
    /// The event.
    pub event: Event,
}

/// Which events are wanted; all, without any of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Begun at this Unix millisecond or later.
    pub from_ms: Option<u64>,
    /// Begun before this Unix millisecond.
    pub until_ms: Option<u64>,
    /// By whom.
    pub actor: Option<String>,
    /// What was done: one of these, or anything.
    pub actions: Vec<Action>,
    /// To whom or what.
    pub target: Option<String>,
    /// How much it matters.
    pub severity: Option<Severity>,
    /// What came of it.
    pub outcome: Option<Outcome>,
}

/// Where an event stands in a list, the newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// When it began.
    pub at_ms: u64,
    /// Among those of one moment.
    pub seq: u64,
}

#[cfg(test)]
mod tests;
