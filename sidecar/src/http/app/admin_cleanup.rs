//! `/api/admin/redis/cleanup…`: clearing leftovers away, for administrators.

use axum::Json as JsonBody;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::cleanup::{CleanupLog, Item, Kind};
use crate::http::app::Api;
use crate::http::app::answer::{AdminRefusals, Answer, Problem, ValueRefusals};
use crate::http::app::caller::{Admin, Reader};
use crate::http::app::request::{Paging, Query};
use crate::service::cleanup::{Cleanup, Preview};

/// Shows what a clean-up would delete. Deletes nothing.
#[utoipa::path(get, path = "/api/admin/redis/cleanup/preview", tag = "admin",
    responses((status = 200, description = "What would be deleted", body = CleanupPreview), AdminRefusals))]
pub(super) async fn preview(State(api): State<Api>, _: Reader) -> Answer<JsonBody<CleanupPreview>> {
    Ok(JsonBody(CleanupPreview::new(api.cleanup.preview().await?, &api.cleanup)))
}

/// Deletes leftovers: ids of tokens that ended, what is known of people who are active no more, and the like.
#[utoipa::path(post, path = "/api/admin/redis/cleanup", tag = "admin",
    responses((status = 200, description = "What was deleted", body = CleanupLog),
        (status = 409, description = "One runs already", body = Problem, content_type = "application/problem+json"),
        AdminRefusals))]
pub(super) async fn run(State(api): State<Api>, admin: Admin) -> Answer<JsonBody<CleanupLog>> {
    Ok(JsonBody(api.cleanup.run(admin.by()).await?))
}

/// Lists the logs of clean-ups, the newest first.
#[utoipa::path(get, path = "/api/admin/redis/cleanup/logs", tag = "admin", params(Paging),
    responses((status = 200, description = "The logs", body = CleanupLogs), AdminRefusals, ValueRefusals))]
pub(super) async fn logs(
    State(api): State<Api>,
    _: Reader,
    Query(paging): Query<Paging>,
) -> Answer<JsonBody<CleanupLogs>> {
    let (page, total_logs) = api.cleanup.logs(&paging.window()?).await?;
    Ok(JsonBody(CleanupLogs {
        count: page.rows.len(),
        logs: page.rows.into_iter().map(|row| row.log).collect(),
        total_logs,
        retention_days: api.cleanup.habits().log_retention_days,
        limit: page.limit,
        next_cursor: page.next,
    }))
}

/// What a clean-up would delete.
#[derive(Serialize, ToSchema)]
pub(super) struct CleanupPreview {
    /// Always true.
    preview: bool,
    targets: Targets,
    /// How many of the items are in none of the lists, which hold 2,500 each.
    targets_left_out: u64,
    counts: TargetCounts,
    /// Roughly how much memory of Redis would be freed, in bytes.
    estimated_freed_memory: u64,
    config: CleanupConfig,
    note: &'static str,
}

/// The items.
#[derive(Serialize, ToSchema)]
struct Targets {
    orphaned_jwt_token_ids: Vec<Item>,
    orphaned_metadata: Vec<Item>,
    inactive_users: Vec<Item>,
    orphaned_index_entries: Vec<Item>,
}

/// How many there are.
#[derive(Serialize, ToSchema)]
struct TargetCounts {
    orphaned_jwt_token_ids: u64,
    orphaned_metadata: u64,
    inactive_users: u64,
    orphaned_index_entries: u64,
    total: u64,
}

/// What is set.
#[derive(Serialize, ToSchema)]
struct CleanupConfig {
    log_retention_days: u64,
    /// The cron expression, in UTC; `null` if nothing starts by itself.
    schedule: Option<String>,
}

impl CleanupPreview {
    fn new(preview: Preview, cleanup: &Cleanup) -> Self {
        let habits = cleanup.habits();
        let counts = preview.counts;
        let left_out = counts.total().saturating_sub(preview.items.len() as u64);
        let of = |kind: Kind| preview.items.iter().filter(|item| item.kind == kind).cloned().collect();
        Self {
            preview: true,
            targets: Targets {
                orphaned_jwt_token_ids: of(Kind::OrphanedJwtTokenId),
                orphaned_metadata: of(Kind::OrphanedMetadata),
                inactive_users: of(Kind::InactiveUser),
                orphaned_index_entries: of(Kind::OrphanedIndexEntry),
            },
            targets_left_out: left_out,
            counts: TargetCounts {
                orphaned_jwt_token_ids: counts.token_ids,
                orphaned_metadata: counts.metadata,
                inactive_users: counts.active_users,
                orphaned_index_entries: counts.index_entries,
                total: counts.total(),
            },
            estimated_freed_memory: preview.estimated_freed,
            config: CleanupConfig {
                log_retention_days: habits.log_retention_days,
                schedule: habits.schedule.as_ref().map(|schedule| schedule.as_str().to_owned()),
            },
            note: "Nothing was deleted. POST /api/admin/redis/cleanup deletes these.",
        }
    }
}

/// A part of the logs.
#[derive(Serialize, ToSchema)]
pub(super) struct CleanupLogs {
    #[schema(value_type = Vec<CleanupLog>)]
    logs: Vec<Value>,
    /// How many there are in this answer; fewer than `limit` if they are long.
    count: usize,
    /// How many there are in all.
    total_logs: u64,
    /// How long they are kept.
    retention_days: u64,
    /// How many there could have been.
    limit: usize,
    /// `cursor` of the next call, if there is more.
    next_cursor: Option<String>,
}
