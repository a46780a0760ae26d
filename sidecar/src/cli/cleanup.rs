//! `sekisho cleanup …`.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::output::Output;
use crate::cli::shown::safe;
use crate::cli::{Exit, operator};
use crate::domain::cleanup::{Counts, Results};
use crate::domain::page::Window;
use crate::service::cleanup::Cleanup;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show what a clean-up would delete.
    Preview,
    /// Delete it.
    Run,
    /// List the clean-ups that there were, the newest first.
    Logs {
        /// Most of them, 1 to 10,000.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
}

pub(super) async fn run(command: Command, cleanup: &Cleanup, output: &Output) -> Result<(), Exit> {
    match command {
        Command::Preview => {
            let preview = cleanup.preview().await?;
            let (counts, freed) = (preview.counts, preview.estimated_freed);
            output.result(
                || format!("would delete {}, and free about {freed} bytes", counts_text(counts)),
                || json!({"counts": counts_json(counts), "estimated_freed_memory": freed, "items": preview.items}),
            );
        }
        Command::Run => {
            let log = cleanup.run(operator()).await?;
            let (id, took) = (&log.cleanup_id, log.duration_ms);
            let text = results_text(&log.results);
            output.result(
                || format!("{id}: deleted {text}, and freed {} bytes, in {took} ms", log.freed_memory),
                || json!(log),
            );
        }
        Command::Logs { limit } => {
            let (page, total) = cleanup.logs(&Window::choose(Some(limit), None)?).await?;
            let logs: Vec<Value> = page.rows.into_iter().map(|row| row.log).collect();
            output.result(
                || match logs.as_slice() {
                    [] => "there was no clean-up".to_owned(),
                    logs => logs.iter().map(line).collect::<Vec<_>>().join("\n"),
                },
                || json!({"logs": logs, "total_logs": total}),
            );
        }
    }
    Ok(())
}

fn counts_text(counts: Counts) -> String {
    results_text(&Results::from(counts))
}

fn results_text(results: &Results) -> String {
    let Results {
        orphaned_jwt_token_ids_deleted: ids,
        orphaned_metadata_deleted: metadata,
        empty_token_sets_deleted: sets,
        inactive_users_deleted: users,
        orphaned_index_entries_deleted: entries,
    } = results;
    format!(
        "{ids} ids of tokens, {sets} sets of tokens, what was known of {metadata} people, {users} names of people, {entries} places in orders"
    )
}

fn counts_json(counts: Counts) -> Value {
    json!({
        "orphaned_jwt_token_ids": counts.token_ids,
        "orphaned_metadata": counts.metadata,
        "inactive_users": counts.active_users,
        "orphaned_index_entries": counts.index_entries,
        "total": counts.total(),
    })
}

/// A run in a line. Other programs may have written it: nothing in it may act on a terminal.
fn line(log: &Value) -> String {
    let text = |name: &str| safe(log.get(name).and_then(Value::as_str).unwrap_or("?"));
    let number = |name: &str| log.get(name).and_then(Value::as_u64).unwrap_or(0);
    let (id, by) = (text("cleanup_id"), text("executed_by"));
    let (deleted, freed, took) = (number("total_deleted"), number("freed_memory"), number("duration_ms"));
    format!("{id}  {deleted} deleted, {freed} bytes freed, in {took} ms, by {by}")
}
