//! Long lists in Redis: how long first pages, searches and a preview of a clean-up take, whether a command holds Redis
//! up, and how much memory the sidecar takes meanwhile.

use anyhow::{Context, Result, ensure};
use bench::figures::{Target, count, figure, ms, target, target_ms};
use bench::processes::{memory_bytes, most_memory_bytes};
use reqwest::Method;
use serde_json::Value;
use tokio::time::{Duration, sleep};

use crate::filling::{self, person};
use crate::scene::Scene;

/// A sidecar that has just started still does what only a start needs.
const SETTLED: Duration = Duration::from_secs(5);
/// What is done every minute is done meanwhile.
const JOBS: Duration = Duration::from_secs(61);
const LIMIT_PREVIEW_MS: f64 = 3_000.0;
const LIMIT_IDLE_BYTES: f64 = 30.0 * 1_024.0 * 1_024.0;
const LIMIT_BUSY_BYTES: f64 = 150.0 * 1_024.0 * 1_024.0;

/// Name, path and the answer's list of first pages.
const PAGES: [(&str, &str, &str); 8] = [
    ("tokens", "/api/admin/tokens?limit=100", "tokens"),
    ("tokens_by_last_use", "/api/admin/tokens?sort=last_used&order=desc&limit=100", "tokens"),
    ("tokens_by_name", "/api/admin/tokens?sort=token_name&limit=100", "tokens"),
    ("sessions", "/api/admin/sessions?limit=100", "sessions"),
    ("sessions_by_begin", "/api/admin/sessions?sort=created_at&order=asc&limit=100", "sessions"),
    ("active_users", "/api/admin/sessions/active-users?limit=100", "active_users"),
    ("bans", "/api/admin/bans?limit=100", "bans"),
    ("bans_history", "/api/admin/bans/history", "events"),
];
/// The same of searches. What they look for is far behind in every order.
const SEARCHES: [(&str, &str, &str); 8] = [
    ("tokens_by_address", "/api/admin/tokens?q=person-49998&limit=100", "tokens"),
    ("tokens_by_part_of_name", "/api/admin/tokens?q=laptop%20999&limit=100", "tokens"),
    ("sessions_by_owner", "/api/admin/sessions?q=person-99998&limit=100", "sessions"),
    ("sessions_by_address", "/api/admin/sessions?q=10.1.134.1&limit=100", "sessions"),
    ("sessions_of_somebody", "/api/admin/sessions?user_email=person-99998%40example.com&limit=100", "sessions"),
    ("sessions_that_are_many", "/api/admin/sessions?q=example&limit=100", "sessions"),
    ("active_users", "/api/admin/sessions/active-users?q=49998&limit=100", "active_users"),
    ("bans", "/api/admin/bans?q=49995&limit=100", "bans"),
];

/// Measures.
///
/// # Errors
/// A part fails.
pub(crate) async fn run() -> Result<()> {
    let scene = Scene::start().await?;
    let process = scene.process().await?;
    sleep(SETTLED).await;
    let idle = memory_bytes(process)?;
    filling::tokens(&scene).await?;
    filling::active_users(&scene).await?;
    filling::bans(&scene).await?;
    filling::sessions(&scene).await?;
    let ended = filling::leftovers(&scene).await?;
    for (what, number) in [
        ("tokens", filling::TOKENS),
        ("active_users", filling::PEOPLE),
        ("sessions", filling::SESSIONS),
        ("bans", filling::BANS),
        ("ended_tokens", ended),
    ] {
        count(what, number);
    }
    scene.trail_is_written().await?;
    crate::ask(&scene, "first_page", &PAGES).await?;
    let of_somebody = format!("/api/admin/tokens/{}", person(1));
    crate::ask(&scene, "first_page", &[("tokens_of_somebody", &of_somebody, "tokens")]).await?;
    crate::ask(&scene, "search", &SEARCHES).await?;
    count_sessions(&scene).await?;
    clean_up(&scene).await?;
    sleep(JOBS).await;
    figure("memory_after", memory_bytes(process)? as f64, "bytes");
    Target::new("memory_idle", idle as f64, LIMIT_IDLE_BYTES, "bytes").print();
    Target::new("memory_at_most", most_memory_bytes(process)? as f64, LIMIT_BUSY_BYTES, "bytes").print();
    let (slow, slowest, name) = scene.slow_commands().await?;
    if slow > 0 {
        figure(&format!("slowest_redis_command ({name})"), slowest, "ms");
    }
    target("redis_commands_over_10_ms", slow as u64, 0);
    Ok(())
}

/// Counts by owner, and ends the sessions of somebody.
async fn count_sessions(scene: &Scene) -> Result<()> {
    let (stats, taken) = scene.call(Method::GET, "/api/admin/sessions/stats", None).await?;
    target_ms("session_stats", ms(taken), crate::LIMIT_PAGE_MS);
    let total = stats.get("total_sessions").and_then(Value::as_u64);
    ensure!(total == Some(filling::SESSIONS), "not all sessions are counted: {total:?}");
    let path = format!("/api/admin/sessions/user/{}", person(filling::PEOPLE));
    let (ended, taken) = scene.call(Method::DELETE, &path, None).await?;
    figure("sessions_ended", ms(taken), "ms");
    ensure!(ended.get("deleted_count").and_then(Value::as_u64) == Some(2), "two sessions end: {ended}");
    Ok(())
}

async fn clean_up(scene: &Scene) -> Result<()> {
    let (preview, taken) = scene.call(Method::GET, "/api/admin/redis/cleanup/preview", None).await?;
    target_ms("clean_up_preview", ms(taken), LIMIT_PREVIEW_MS);
    let (run, taken) = scene.call(Method::POST, "/api/admin/redis/cleanup", None).await?;
    figure("clean_up_run", ms(taken), "ms");
    let number = |answer: &Value, pointer: &str| answer.pointer(pointer).and_then(Value::as_u64);
    count("clean_up_found", number(&preview, "/counts/total").context("a preview without a total")?);
    count("clean_up_deleted", number(&run, "/total_deleted").context("a run without a total")?);
    Ok(())
}
