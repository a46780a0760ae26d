//! What is decided about which request under which rules: tables (`tests/tables`) that the core must agree with in this
//! process, and once more in real Envoy, with the same answers to clients and the same requests for upstreams.

mod alone;
mod rows;
mod through_envoy;

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use e2e::envoy::Listeners;
use e2e::envoy::configuration::{BARE, EDGE};
use e2e::{Plan, story_in};

use alone::Alone;
use rows::{Row, Table};

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// The status that the client gets; 200 if the request passes, as the upstream answers all.
    status: u16,
    /// The headers of an explanation that do not depend on what was asked before, and those of a refusal.
    answer: BTreeMap<String, String>,
    /// The body of a refusal.
    body: String,
    /// What the upstream sees, if it sees anything.
    upstream: Option<Seen>,
}

/// A request as its upstream sees it.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    method: String,
    path: String,
    /// Without what Envoy adds; sorted.
    headers: Vec<(String, String)>,
}

/// Headers that Envoy sets, whatever the filter does.
const OF_ENVOY: &[&str] = &[
    "host",
    "content-length",
    "x-request-id",
    "x-forwarded-proto",
    "x-forwarded-for",
    "x-envoy-external-address",
    "x-envoy-internal",
];
/// The part of an explanation that is the same each time.
const EXPLAINED: &[&str] =
    &["x-sekisho-decision", "x-sekisho-reason", "x-sekisho-route", "x-sekisho-rule", "x-sekisho-decided-by"];
/// The assertion says when it was made.
const ASSERTION: &str = "x-sekisho-identity";

impl Seen {
    fn new(method: &str, path: &str, headers: impl Iterator<Item = (String, String)>) -> Self {
        let ours = headers.filter(|(name, _)| !OF_ENVOY.contains(&name.as_str()));
        let mut headers: Vec<_> = ours
            .map(|(name, value)| if name == ASSERTION { (name, "an assertion".to_owned()) } else { (name, value) })
            .collect();
        headers.sort();
        Self { method: method.to_owned(), path: path.to_owned(), headers }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Outcome {
    fn explained(&self, what: &str) -> &str {
        self.answer.get(&format!("x-sekisho-{what}")).map_or("", String::as_str)
    }

    /// Makes sure that this is what `row` says.
    fn expect(&self, row: &Row) -> Result<()> {
        ensure!(self.status == row.status, "status {}", self.status);
        ensure!(self.explained("reason") == row.code, "code {}", self.explained("reason"));
        ensure!(self.explained("route") == row.rule, "rule {}", self.explained("route"));
        if let Some(at) = &row.at {
            ensure!(self.explained("rule") == at, "decided by {}", self.explained("rule"));
        }
        for (name, value) in &row.answer {
            ensure!(self.answer.get(name) == Some(value), "{name}: {:?}", self.answer.get(name));
        }
        let is_admitted = row.status == 200;
        ensure!(self.upstream.is_some() == is_admitted, "the upstream saw {:?}", self.upstream);
        let Some(seen) = &self.upstream else { return Ok(()) };
        ensure!(seen.path == row.path_for_upstream(), "the upstream saw the path {}", seen.path);
        for (name, value) in &row.upstream {
            ensure!(seen.header(name) == value.as_deref(), "the upstream saw {name}: {:?}", seen.header(name));
        }
        Ok(())
    }
}

#[test]
fn the_core_decides_as_the_tables_say() {
    let tables = Table::all().unwrap();
    let rows: usize = tables.iter().map(|table| table.rows.len()).sum();
    assert!(rows >= 200, "{rows} rows");
    let mut wrong = Vec::new();
    for table in &tables {
        let mut core = Alone::new(&table.policy).unwrap_or_else(|error| panic!("{}: {error:?}", table.name));
        for row in &table.rows {
            if let Err(error) = core.ask(row).and_then(|outcome| outcome.expect(row)) {
                wrong.push(format!("{}: {row:?}: {error:#}", table.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {rows}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn envoy_with_the_filter_decides_as_the_core_does() {
    let plan = Plan { listeners: Listeners::FromFile, workers: 1, ..Plan::default() };
    story_in(plan, async |world| {
        let tables = Table::all()?;
        let envoy = through_envoy::with_listeners_for(world, &tables, [EDGE, BARE]).await?;
        let mut wrong = Vec::new();
        for table in &tables {
            let mut core = Alone::new(&table.policy)?;
            for row in &table.rows {
                let compared = async {
                    let through = envoy.ask(world, table, row).await?;
                    if let Some(status) = row.by_envoy {
                        ensure!(through.status == status && through.explained("reason").is_empty(), "{through:?}");
                        return Ok(());
                    }
                    through.expect(row)?;
                    let alone = core.ask(row)?;
                    ensure!(through == alone, "through Envoy {through:?}\nand alone {alone:?}");
                    Ok(())
                };
                if let Err(error) = compared.await {
                    wrong.push(format!("{}: {row:?}: {error:#}", table.name));
                }
            }
        }
        ensure!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
        ensure!(world.envoy.vm_reloads().await? == 0, "the filter failed");
        Ok(())
    });
}
