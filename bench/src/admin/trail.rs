//! A long trail, in SQLite and in PostgreSQL.

use anyhow::Result;
use bench::figures::{count, figure};
use bench::processes::most_memory_bytes;
use sekisho_sidecar::store::sql::{Address, Sql};
use tokio::time::Instant;

use crate::filling::{EVENTS, events};
use crate::postgres::Postgres;
use crate::scene::Scene;

/// Name, path and the answer's list of first pages.
const PAGES: [(&str, &str, &str); 2] =
    [("audit", "/api/admin/audit", "events"), ("bans_history", "/api/admin/bans/history", "events")];
/// The same of searches.
const SEARCHES: [(&str, &str, &str); 5] = [
    ("audit_by_action", "/api/admin/audit?action=ban.given", "events"),
    ("audit_by_actor", "/api/admin/audit?actor=admin-7@example.com", "events"),
    ("audit_by_target", "/api/admin/audit?target=person-00007@example.com", "events"),
    (
        "audit_by_all",
        "/api/admin/audit?action=token.issued&actor=admin-9@example.com&target=person-40213@example.com",
        "events",
    ),
    ("bans_history_of_somebody", "/api/admin/bans/history?user_email=person-00000@example.com", "events"),
];

/// Measures.
///
/// # Errors
/// A part fails.
pub(crate) async fn run() -> Result<()> {
    let scene = Scene::start().await?;
    measure("sqlite", &scene, scene.sqlite()).await?;
    let postgres = Postgres::start().await?;
    let address = Address::of_url(postgres.url())?;
    let scene = Scene::start_with(&[("DATABASE_URL", postgres.url().to_owned())]).await?;
    measure("postgres", &scene, Sql::new(address)).await
}

async fn measure(database: &str, scene: &Scene, sql: Sql) -> Result<()> {
    let begin = Instant::now();
    events(sql).await?;
    count(&format!("{database}_audit_events"), EVENTS);
    figure(&format!("{database}_appended"), EVENTS as f64 / begin.elapsed().as_secs_f64(), "events/s");
    crate::ask(scene, &format!("{database}_first_page"), &PAGES).await?;
    crate::ask(scene, &format!("{database}_search"), &SEARCHES).await?;
    figure(&format!("{database}_memory_at_most"), most_memory_bytes(scene.process().await?)? as f64, "bytes");
    Ok(())
}
