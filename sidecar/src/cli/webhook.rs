//! `sekisho webhook …`.

use clap::Subcommand;
use serde_json::{Value, json};

use crate::cli::output::Output;
use crate::cli::shown::safe;
use crate::cli::{Exit, operator};
use crate::service::Services;
use crate::service::webhooks::Overview;
use crate::service::webhooks::outbox::GivenUp;

/// Most given-up events that are shown.
const GIVEN_UP_MAX: usize = 100;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List webhooks, and how they stand.
    List,
    /// Show a webhook, and the newest of its events that were given up.
    Show {
        /// Its name.
        name: String,
    },
    /// Send a test to a webhook. A running sidecar delivers it.
    Test {
        /// Its name.
        name: String,
    },
    /// Have the events of a webhook delivered after all that were given up.
    Retry {
        /// Its name.
        name: String,
    },
}

pub(super) async fn run(command: Command, services: &Services, output: &Output) -> Result<(), Exit> {
    // An empty database somewhere else would look like one in which nothing waits.
    services.database.must_be_theirs().await?;
    let webhooks = &services.webhooks;
    match command {
        Command::List => {
            let all = webhooks.overview().await?;
            output.result(
                || match all.as_slice() {
                    [] => "there are no webhooks (SEKISHO_WEBHOOKS)".to_owned(),
                    all => all.iter().map(line).collect::<Vec<_>>().join("\n"),
                },
                || json!({"count": all.len(), "webhooks": all.iter().map(as_json).collect::<Vec<_>>()}),
            );
        }
        Command::Show { name } => {
            let (overview, given_up) = webhooks.show(&name, GIVEN_UP_MAX).await?;
            output.result(|| details(&overview, &given_up), || details_json(&overview, &given_up));
        }
        Command::Test { name } => {
            let id = webhooks.test(&name, operator()).await?;
            output.result(
                || format!("a test is on its way to {name}, with the id {id}"),
                || json!({"webhook": name, "event_id": id}),
            );
        }
        Command::Retry { name } => {
            let count = webhooks.retry(&name, operator()).await?;
            output.result(
                || format!("{count} events for {name} wait again"),
                || json!({"webhook": name, "retried_count": count}),
            );
        }
    }
    Ok(())
}

/// A webhook in a line. What failed is what somebody else answered: nothing in it may act on a terminal.
fn line(Overview { webhook, standing }: &Overview) -> String {
    let (name, host, format) = (&webhook.name, webhook.target.host(), webhook.format.word());
    let (waiting, given_up, left_out) = (standing.waiting, standing.given_up, standing.left_out);
    let failure = match (&standing.last_failure, standing.last_failure_at_ms > standing.last_success_at_ms) {
        (Some(failure), true) => format!("; failing: {}", safe(failure)),
        _ => String::new(),
    };
    format!("{name}  {host}  {format}  {waiting} wait, {given_up} given up, {left_out} left out{failure}")
}

fn details(overview: &Overview, given_up: &[GivenUp]) -> String {
    let told = format!("  told of {}", overview.webhook.wanted().join(", "));
    let row = |one: &GivenUp| {
        let (at_s, attempts, failure) = (one.given_up_at_ms / 1_000, one.attempts, safe(&one.failure));
        format!("  given up at {at_s}: {} after {attempts} attempts: {failure}", one.event_id)
    };
    let rows = given_up.iter().map(row);
    [line(overview), told].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// As the HTTP API shows it.
fn as_json(Overview { webhook, standing }: &Overview) -> Value {
    json!({
        "name": webhook.name.as_str(),
        "host": webhook.target.host(),
        "format": webhook.format.word(),
        "events": webhook.wanted(),
        "per_minute": webhook.per_minute,
        "waiting": standing.waiting,
        "waiting_since_ms": standing.waiting_since_ms,
        "given_up": standing.given_up,
        "left_out": standing.left_out,
        "last_success_at_ms": standing.last_success_at_ms,
        "last_failure_at_ms": standing.last_failure_at_ms,
        "last_failure": standing.last_failure,
        "paused_until_ms": standing.paused_until_ms,
    })
}

fn details_json(overview: &Overview, given_up: &[GivenUp]) -> Value {
    let mut object = as_json(overview);
    let row = |one: &GivenUp| {
        json!({"event_id": one.event_id, "attempts": one.attempts, "given_up_at_ms": one.given_up_at_ms,
               "failure": one.failure})
    };
    if let Some(object) = object.as_object_mut() {
        object.insert("given_up_events".to_owned(), given_up.iter().map(row).collect());
    }
    object
}
