//! The audit trail, for administrators: who did what to whom, and what came of it.

use axum::Json as JsonBody;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::audit::{Action, ActionWord, ActorKind, Outcome, Question, Recorded, Severity};
use crate::domain::error::Failure;
use crate::domain::page::{Page, Window};
use crate::http::app::Api;
use crate::http::app::answer::{AdminRefusals, Answer, ValueRefusals};
use crate::http::app::caller::Reader;
use crate::http::app::request::Query;

pub(super) mod export;

/// Lists audit events, the newest first. An event is in the list about a quarter of a second after what it tells of.
#[utoipa::path(get, path = "/api/admin/audit", tag = "admin", params(Wanted),
    responses((status = 200, description = "The events", body = EventList), AdminRefusals, ValueRefusals))]
pub(super) async fn list(
    State(api): State<Api>,
    _: Reader,
    Query(wanted): Query<Wanted>,
) -> Answer<JsonBody<EventList>> {
    let (question, window) = wanted.split()?;
    Ok(JsonBody(EventList::new(api.trail.list(&question, &window).await?)))
}

/// Which events are wanted; all, without any of these.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Begun at this Unix millisecond or later.
    #[param(maximum = 9_007_199_254_740_991_u64)]
    from_ms: Option<u64>,
    /// Begun before this Unix millisecond.
    #[param(maximum = 9_007_199_254_740_991_u64)]
    until_ms: Option<u64>,
    /// By whom: an address, or what the list calls them.
    actor: Option<String>,
    /// What was done.
    action: Option<Action>,
    /// To whom or what: an address, the id of a key.
    target: Option<String>,
    /// How much it matters.
    severity: Option<Severity>,
    /// What came of it.
    outcome: Option<Outcome>,
    /// Most rows of the answer, 1 to 10,000.
    #[param(minimum = 1, maximum = 10_000)]
    limit: Option<usize>,
    /// `next_cursor` of the answer before.
    cursor: Option<String>,
}

impl Wanted {
    fn split(self) -> Answer<(Question, Window)> {
        let Self { from_ms, until_ms, actor, action, target, severity, outcome, limit, cursor } = self;
        let window = Window::choose(limit.or(Some(EventList::DEFAULT_LIMIT)), cursor)?;
        let actions = action.into_iter().collect();
        Ok((answerable(Question { from_ms, until_ms, actor, actions, target, severity, outcome })?, window))
    }
}

/// A question about moments that a database knows.
fn answerable(question: Question) -> Result<Question, Failure> {
    for (field, at_ms) in [("from_ms", question.from_ms), ("until_ms", question.until_ms)] {
        if at_ms.is_some_and(|at_ms| at_ms > AT_MAX_MS) {
            return Err(Failure::invalid(field, format!("must be 0 to {AT_MAX_MS}")));
        }
    }
    Ok(question)
}

/// The latest moment of which one can ask: the largest whole number that every reader of JSON takes for what it is (RFC
/// 8259 §6).
const AT_MAX_MS: u64 = (1 << 53) - 1;

/// A part of the trail.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventList {
    events: Vec<EventInfo>,
    /// How many there are in this answer.
    count: usize,
    /// How many there could have been.
    limit: usize,
    /// `cursor` of the next call, if there is more.
    next_cursor: Option<String>,
}

impl EventList {
    /// Rows of an answer if nobody says how many: the trail never ends.
    pub(super) const DEFAULT_LIMIT: usize = 100;

    pub(super) fn new(page: Page<Recorded>) -> Self {
        let page = page.map(EventInfo::from);
        Self { count: page.rows.len(), events: page.rows, limit: page.limit, next_cursor: page.next }
    }
}

/// An event.
#[derive(Serialize, ToSchema)]
pub(crate) struct EventInfo {
    /// Its number in the trail, without gaps.
    seq: u64,
    /// What ties it to all before it: 64 hex digits.
    hash: String,
    /// Its id; the same in webhooks.
    id: String,
    /// When it began, in Unix milliseconds.
    at_ms: u64,
    /// What was done: one of the words that can be asked for, or one of a newer sidecar.
    #[schema(value_type = String, example = "ban.given")]
    action: ActionWord,
    severity: Severity,
    outcome: Outcome,
    /// Who did it.
    actor: String,
    actor_kind: ActorKind,
    /// The id of the token with which they came.
    token_id: Option<String>,
    /// To whom or what.
    target: Option<String>,
    request_id: Option<String>,
    /// The client's address, as the proxy saw it.
    address: Option<String>,
    user_agent: Option<String>,
    /// What else is worth knowing; it depends on the action.
    #[schema(value_type = Object)]
    details: serde_json::Map<String, serde_json::Value>,
}

impl From<Recorded> for EventInfo {
    fn from(Recorded { end, event }: Recorded) -> Self {
        Self {
            seq: end.seq,
            hash: end.hash.to_string(),
            id: event.id,
            at_ms: event.at_ms,
            action: event.action,
            severity: event.severity,
            outcome: event.outcome,
            actor: event.by.actor,
            actor_kind: event.by.kind,
            token_id: event.by.token_id,
            target: event.target,
            request_id: event.by.request_id,
            address: event.by.address,
            user_agent: event.by.user_agent,
            details: event.details,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_that_no_database_knows_is_refused() {
        for (query, expected) in [
            (r#"{"from_ms": 0, "until_ms": 9007199254740991}"#, true),
            (r#"{"from_ms": 9007199254740992}"#, false),
            (r#"{"until_ms": 18446744073709551615}"#, false),
        ] {
            let wanted: Wanted = serde_json::from_str(query).unwrap();
            assert_eq!(wanted.split().is_ok(), expected, "{query}");
        }
    }
}
