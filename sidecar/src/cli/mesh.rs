//! `sekisho mesh`.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use crate::cli::Exit;
use crate::cli::output::Output;
use crate::cli::shown::safe;
use crate::domain::page::{BOUND, Window};
use crate::service::mesh::{Mesh, Overview, Seen};

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Show it anew every second, until interrupted.
    #[arg(long)]
    watch: bool,
}

pub(super) async fn run(arguments: &Arguments, mesh: &Mesh, output: &Output) -> Result<(), Exit> {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let overview = whole(mesh).await?;
        output.result(|| text(&overview), || overview_json(&overview));
        if !arguments.watch {
            return Ok(());
        }
    }
}

/// All workers: no more are on record than fit on one page.
async fn whole(mesh: &Mesh) -> Result<Overview, Exit> {
    Ok(mesh.overview(&Window::choose(Some(BOUND), None)?).await?)
}

fn text(overview: &Overview) -> String {
    let epoch = overview.epoch.as_ref().map_or("none: Redis has lost the feed", |epoch| epoch.as_str());
    let counts: Vec<String> =
        overview.counts.iter().map(|(condition, count)| format!("{count} {}", condition.word())).collect();
    let head = format!("version {}, epoch {epoch}\n{}", overview.version, counts.join(", "));
    match overview.workers.rows.as_slice() {
        [] => format!("{head}\nno filter listens to the feed"),
        rows => format!("{head}\n{}", table(rows)),
    }
}

const TITLES: [&str; 11] =
    ["NODE", "WORKER", "STATE", "VERSION", "LAG", "AGE", "BOUND", "SEEN", "MEMORY", "ENTRIES", "SIDECAR"];

fn table(rows: &[Seen]) -> String {
    let rows: Vec<[String; 11]> = std::iter::once(TITLES.map(str::to_owned)).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..TITLES.len()).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &[String; 11]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn cells(seen: &Seen) -> [String; 11] {
    let presence = &seen.worker.presence;
    let or_dash =
        |number: Option<u64>, unit: &str| number.map_or_else(|| "-".to_owned(), |number| format!("{number}{unit}"));
    [
        // Names come from outside: nothing in them may act on a terminal.
        safe(&presence.node),
        presence.worker.to_string(),
        seen.condition.word().to_owned(),
        or_dash(presence.holds.as_ref().map(|holds| holds.version.get()), ""),
        or_dash(seen.lag, ""),
        or_dash(presence.age_ms, " ms"),
        format!("{} ms{}", presence.staleness_ms, if presence.fences { "" } else { " (allows)" }),
        format!("{} ms ago", seen.seen_ms),
        format!("{:.1} MiB", mebibytes(presence.memory_bytes)),
        presence.entries.to_string(),
        safe(&presence.sidecar),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "for people: a VM has at most 4 GiB")]
fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// As the HTTP API shows it, without its paging.
fn overview_json(overview: &Overview) -> Value {
    let states: Value =
        overview.counts.iter().map(|(condition, count)| (condition.word().to_owned(), json!(count))).collect();
    json!({
        "epoch": overview.epoch,
        "version": overview.version.get(),
        "states": states,
        "count": overview.workers.rows.len(),
        "workers": overview.workers.rows.iter().map(seen_json).collect::<Vec<_>>(),
    })
}

fn seen_json(seen: &Seen) -> Value {
    let presence = &seen.worker.presence;
    json!({
        "node": presence.node,
        "worker": presence.worker,
        "replica": presence.replica,
        "state": seen.condition.word(),
        "version": presence.holds.as_ref().map(|holds| holds.version.get()),
        "lag": seen.lag,
        "age_ms": presence.age_ms,
        "staleness_ms": presence.staleness_ms,
        "fences": presence.fences,
        "seen_ms": seen.seen_ms,
        "memory_bytes": presence.memory_bytes,
        "entries": presence.entries,
        "build": presence.build,
        "sidecar": presence.sidecar,
    })
}
