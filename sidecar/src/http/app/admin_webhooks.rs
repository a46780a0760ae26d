//! Webhooks, for administrators: who is told of events, and what became of those. No secret of theirs, and no URL: that may
//! be one.

use axum::Json as JsonBody;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::error::Failure;
use crate::http::app::Api;
use crate::http::app::answer::{AdminRefusals, Answer, Problem};
use crate::http::app::caller::{Admin, Reader};
use crate::http::app::request::PathPart;
use crate::service::webhooks::Overview;
use crate::service::webhooks::outbox::GivenUp;

/// Most given-up events of an answer.
const GIVEN_UP_MAX: usize = 100;

/// Lists webhooks, and how they stand.
#[utoipa::path(get, path = "/api/admin/webhooks", tag = "webhooks",
    responses((status = 200, description = "The webhooks", body = WebhookList), AdminRefusals))]
pub(super) async fn list(State(api): State<Api>, _: Reader) -> Answer<JsonBody<WebhookList>> {
    let overview = api.webhooks.overview().await.map_err(Failure::from)?;
    let webhooks: Vec<WebhookInfo> = overview.into_iter().map(WebhookInfo::from).collect();
    Ok(JsonBody(WebhookList { count: webhooks.len(), webhooks }))
}

/// Shows a webhook, and the newest 100 of its events that were given up.
#[utoipa::path(get, path = "/api/admin/webhooks/{name}", tag = "webhooks",
    params(("name" = String, Path, description = "The webhook's name")),
    responses((status = 200, description = "The webhook", body = WebhookDetails),
        (status = 404, description = "No such webhook", body = Problem, content_type = "application/problem+json"),
        AdminRefusals))]
pub(super) async fn show(
    State(api): State<Api>,
    _: Reader,
    PathPart(name): PathPart,
) -> Answer<JsonBody<WebhookDetails>> {
    let (overview, given_up) = api.webhooks.show(&name, GIVEN_UP_MAX).await?;
    let given_up_events = given_up.into_iter().map(GivenUpInfo::from).collect();
    Ok(JsonBody(WebhookDetails { webhook: overview.into(), given_up_events }))
}

/// Sends a test to a webhook. It goes the way of every event, by the audit trail, so it takes about a second.
#[utoipa::path(post, path = "/api/admin/webhooks/{name}/test", tag = "webhooks",
    params(("name" = String, Path, description = "The webhook's name")),
    responses((status = 202, description = "On its way", body = Tested),
        (status = 404, description = "No such webhook", body = Problem, content_type = "application/problem+json"),
        AdminRefusals))]
pub(super) async fn test(
    State(api): State<Api>,
    admin: Admin,
    PathPart(name): PathPart,
) -> Answer<(StatusCode, JsonBody<Tested>)> {
    let event_id = api.webhooks.test(&name, admin.by()).await?;
    let tested = Tested { message: "Test on its way", webhook: name, event_id, tested_by: admin.name() };
    Ok((StatusCode::ACCEPTED, JsonBody(tested)))
}

/// Has the events of a webhook delivered after all that were given up.
#[utoipa::path(post, path = "/api/admin/webhooks/{name}/retry", tag = "webhooks",
    params(("name" = String, Path, description = "The webhook's name")),
    responses((status = 200, description = "They wait again", body = Retried),
        (status = 404, description = "No such webhook", body = Problem, content_type = "application/problem+json"),
        AdminRefusals))]
pub(super) async fn retry(State(api): State<Api>, admin: Admin, PathPart(name): PathPart) -> Answer<JsonBody<Retried>> {
    let retried_count = api.webhooks.retry(&name, admin.by()).await?;
    let message = "Events that were given up wait again";
    Ok(JsonBody(Retried { message, webhook: name, retried_count, retried_by: admin.name() }))
}

/// The webhooks.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookList {
    webhooks: Vec<WebhookInfo>,
    count: usize,
}

/// A webhook. Times are Unix milliseconds, `null` for never.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookInfo {
    name: String,
    /// The host that is told; the rest of the URL may be a secret.
    host: String,
    /// `generic` or `slack`.
    format: &'static str,
    /// What it is told of.
    events: Vec<String>,
    /// At most so many attempts in any minute.
    per_minute: u32,
    /// Events that wait.
    waiting: u64,
    /// Since when the oldest of them does.
    waiting_since_ms: Option<u64>,
    /// Events that were given up; they are kept for 7 days.
    given_up: u64,
    /// Events for which there was no room, ever.
    left_out: u64,
    last_success_at_ms: Option<u64>,
    last_failure_at_ms: Option<u64>,
    last_failure: Option<String>,
    /// The receiver asked for patience until then.
    paused_until_ms: Option<u64>,
}

impl From<Overview> for WebhookInfo {
    fn from(Overview { webhook, standing }: Overview) -> Self {
        Self {
            name: webhook.name.to_string(),
            host: webhook.target.host(),
            format: webhook.format.word(),
            events: webhook.wanted(),
            per_minute: webhook.per_minute,
            waiting: standing.waiting,
            waiting_since_ms: standing.waiting_since_ms,
            given_up: standing.given_up,
            left_out: standing.left_out,
            last_success_at_ms: standing.last_success_at_ms,
            last_failure_at_ms: standing.last_failure_at_ms,
            last_failure: standing.last_failure,
            paused_until_ms: standing.paused_until_ms,
        }
    }
}

/// A webhook with what was given up.
#[derive(Serialize, ToSchema)]
pub(super) struct WebhookDetails {
    #[serde(flatten)]
    webhook: WebhookInfo,
    given_up_events: Vec<GivenUpInfo>,
}

/// An event that was given up.
#[derive(Serialize, ToSchema)]
pub(super) struct GivenUpInfo {
    /// The event's id, as in the audit trail.
    event_id: String,
    attempts: u64,
    given_up_at_ms: u64,
    /// Why the last attempt failed.
    failure: String,
}

impl From<GivenUp> for GivenUpInfo {
    fn from(GivenUp { event_id, attempts, given_up_at_ms, failure }: GivenUp) -> Self {
        Self { event_id, attempts, given_up_at_ms, failure }
    }
}

/// A test.
#[derive(Serialize, ToSchema)]
pub(super) struct Tested {
    message: &'static str,
    webhook: String,
    /// The id with which it arrives, and is in the audit trail.
    event_id: String,
    tested_by: String,
}

/// Events that wait again.
#[derive(Serialize, ToSchema)]
pub(super) struct Retried {
    message: &'static str,
    webhook: String,
    retried_count: u64,
    retried_by: String,
}
