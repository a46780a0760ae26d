//! `sekisho audit …`.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::Exit;
use crate::cli::output::Output;
use crate::cli::shown::safe;
use crate::domain::audit::chain::{Break, End};
use crate::domain::audit::{Action, Question, Recorded};
use crate::domain::error::Failure;
use crate::domain::page::{BOUND, Window};
use crate::service::Services;
use crate::service::audit::trail::{AuditTrail, Ends};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List events, the newest first.
    List {
        #[command(flatten)]
        wanted: Wanted,
        /// Most events, 1 to 10,000.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Print all events as JSON, a line each, the newest first.
    Export {
        #[command(flatten)]
        wanted: Wanted,
    },
    /// Walk over the whole trail: whether each event is there, as it was written. Prints its end, SEQ:HASH; keep that elsewhere.
    Verify {
        /// An end that was printed before: it must still be part of the trail.
        #[arg(long, value_name = "SEQ:HASH")]
        head: Option<End>,
    },
}

/// Which events.
#[derive(Debug, clap::Args)]
pub(super) struct Wanted {
    /// By whom.
    #[arg(long)]
    actor: Option<String>,
    /// What was done, such as `ban.given`.
    #[arg(long, value_parser = action)]
    action: Option<Action>,
    /// To whom or what.
    #[arg(long)]
    target: Option<String>,
    /// Begun at this Unix millisecond or later.
    #[arg(long, value_name = "UNIX_MS")]
    from_ms: Option<u64>,
    /// Begun before this Unix millisecond.
    #[arg(long, value_name = "UNIX_MS")]
    until_ms: Option<u64>,
}

fn action(word: &str) -> Result<Action, String> {
    let known = || Action::ALL.map(Action::word).join(", ");
    Action::ALL.into_iter().find(|action| action.word() == word).ok_or_else(|| format!("is none of {}", known()))
}

impl From<Wanted> for Question {
    fn from(Wanted { actor, action, target, from_ms, until_ms }: Wanted) -> Self {
        Self { actor, actions: action.into_iter().collect(), target, from_ms, until_ms, ..Self::default() }
    }
}

pub(super) async fn run(
    command: Command,
    services: &Services,
    retention: Duration,
    output: &Output,
) -> Result<(), Exit> {
    // An empty database somewhere else would look like a trail without events.
    services.database.must_be_theirs().await?;
    let trail = &services.trail;
    match command {
        Command::List { wanted, limit } => {
            let page = trail.list(&wanted.into(), &Window::choose(Some(limit), None)?).await?;
            output.result(
                || page.rows.iter().map(line).collect::<Vec<_>>().join("\n"),
                || json!({"count": page.rows.len(), "events": page.rows.iter().map(event_json).collect::<Vec<_>>()}),
            );
        }
        Command::Export { wanted } => export(&wanted.into(), trail, output).await?,
        Command::Verify { head } => return verify(head, retention, trail, output).await,
    }
    Ok(())
}

async fn export(question: &Question, trail: &AuditTrail, output: &Output) -> Result<(), Failure> {
    let mut after = None;
    loop {
        let page = trail.list(question, &Window::choose(Some(BOUND), after)?).await?;
        for row in &page.rows {
            output.json_line(&event_json(row));
        }
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

async fn verify(head: Option<End>, retention: Duration, trail: &AuditTrail, output: &Output) -> Result<(), Exit> {
    match trail.verify(head).await? {
        Ok(verified) => {
            let (count, Ends { start, head }) = (verified.count, verified.ends);
            output.result(
                || format!("{count} events, each as it was written; the trail begins after {start} and ends at {head}"),
                || json!({"whole": true, "count": count, "start": start.to_string(), "head": head.to_string()}),
            );
            if !verified.begins_as_it_should(retention) {
                output.remark(&format!(
                    "warning: the events up to {} were dropped, and no event says that they were older than the retention",
                    start.seq
                ));
            }
            Ok(())
        }
        Err(found) => {
            output.result(
                || match found {
                    Break::Dropped { .. } => found.to_string(),
                    _ => format!("the trail was changed: {found}"),
                },
                || json!({"whole": false, "problem": found.to_string()}),
            );
            Err(Exit::NotReady)
        }
    }
}

/// An event in a line. What it says comes from outside, so nothing in it may act on a terminal.
fn line(row: &Recorded) -> String {
    let event = &row.event;
    let target = event.target.as_deref().map(|target| format!(" {}", safe(target))).unwrap_or_default();
    let address = event.by.address.as_deref().map(|from| format!(" from {}", safe(from))).unwrap_or_default();
    let (seq, at_s, millis) = (row.end.seq, event.at_ms / 1_000, event.at_ms % 1_000);
    let (action, outcome, actor) = (safe(event.action.word()), event.outcome.word(), safe(&event.by.actor));
    format!("{seq}  {at_s}.{millis:03}  {action}{target}: {outcome}, by {actor}{address}")
}

fn event_json(row: &Recorded) -> Value {
    let mut event = json!({"seq": row.end.seq, "hash": row.end.hash.to_string()});
    if let (Some(object), Value::Object(fields)) = (event.as_object_mut(), json!(row.event)) {
        object.extend(fields);
    }
    event
}
