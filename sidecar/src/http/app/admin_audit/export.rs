//! The whole trail, or a part of it, as JSON lines. It is read and sent page by page, so that a million events take no more
//! memory than one page.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{EventInfo, answerable};
use crate::domain::audit::{Action, Outcome, Question, Recorded, Severity};
use crate::domain::error::Failure;
use crate::domain::page::{Page, Window};
use crate::http::app::Api;
use crate::http::app::answer::{AdminRefusals, Answer, ValueRefusals};
use crate::http::app::caller::Reader;
use crate::http::app::request::Query;
use crate::service::audit::trail::AuditTrail;

/// Events of a page.
const STEP: usize = 500;
/// JSON, a line each.
const NDJSON: &str = "application/x-ndjson";

/// Sends all audit events that fit as JSON, a line each, the newest first. Each line is an event as in the list. If the
/// database goes away meanwhile, the transfer is aborted: an answer that comes to its end is whole.
#[utoipa::path(get, path = "/api/admin/audit/export", tag = "admin", params(WantedLines),
    responses((status = 200, description = "The events", body = String, content_type = "application/x-ndjson"),
        AdminRefusals, ValueRefusals))]
pub(in crate::http::app) async fn export(
    State(api): State<Api>,
    _: Reader,
    Query(wanted): Query<WantedLines>,
) -> Answer<Response> {
    let question = answerable(Question::from(wanted))?;
    // What fails at once is answered as anywhere else.
    let first = page(&api.trail, &question, None).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(NDJSON)),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"audit.jsonl\"")),
    ];
    Ok((headers, Body::from_stream(pages(api.trail, question, first))).into_response())
}

/// The pages from `first` on, each read when the one before is sent.
fn pages(
    trail: AuditTrail,
    question: Question,
    first: Page<Recorded>,
) -> impl futures_util::Stream<Item = Result<Bytes, Failure>> {
    stream::try_unfold(Next::Page(first), move |next| {
        let (trail, question) = (trail.clone(), question.clone());
        async move {
            let page = match next {
                Next::Page(page) => page,
                Next::After(cursor) => {
                    let read = page(&trail, &question, Some(cursor)).await;
                    read.inspect_err(|error| tracing::warn!(%error, "an export of the audit trail is aborted"))?
                }
                Next::End => return Ok(None),
            };
            let next = page.next.map_or(Next::End, Next::After);
            Ok(Some((lines(page.rows)?, next)))
        }
    })
}

/// Where an export stands.
enum Next {
    Page(Page<Recorded>),
    After(String),
    End,
}

async fn page(trail: &AuditTrail, question: &Question, after: Option<String>) -> Result<Page<Recorded>, Failure> {
    trail.list(question, &Window { after, limit: STEP }).await
}

fn lines(rows: Vec<Recorded>) -> Result<Bytes, Failure> {
    let mut lines = Vec::new();
    for row in rows {
        let written = serde_json::to_writer(&mut lines, &EventInfo::from(row));
        written.map_err(|error| Failure::Internal { cause: error.to_string() })?;
        lines.push(b'\n');
    }
    Ok(lines.into())
}

/// Which events are wanted; all, without any of these.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http::app) struct WantedLines {
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
}

impl From<WantedLines> for Question {
    fn from(wanted: WantedLines) -> Self {
        let WantedLines { from_ms, until_ms, actor, action, target, severity, outcome } = wanted;
        Self { from_ms, until_ms, actor, actions: action.into_iter().collect(), target, severity, outcome }
    }
}

#[cfg(test)]
mod tests;
