//! `docs/performance.md`, which the benchmark writes whole: the words of `page.md` and `notes.md` with the figures of
//! the run.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use bench::figures::Target;
use e2e::components::repository;

use crate::crossings::Crossings;
use crate::flood::Flood;
use crate::rounds::Extent;
use crate::rows::Row;
use crate::statistics::{Times, median};
use crate::targets::to_same_calls;

const FILE: &str = "docs/performance.md";
const WORDS: &str = include_str!("page.md");
const NOTES: &str = include_str!("notes.md");

/// All that a run found out.
pub(crate) struct Findings {
    pub(crate) alone: Extent,
    pub(crate) crowded: Extent,
    pub(crate) travellers: usize,
    pub(crate) flood_connections: usize,
    /// The length of a token of each algorithm.
    pub(crate) token_bytes: Vec<(&'static str, usize)>,
    pub(crate) rows: Vec<Row>,
    pub(crate) floods: Vec<Flood>,
    pub(crate) calls: Vec<(&'static str, Crossings)>,
    pub(crate) targets: Vec<Target>,
}

/// Writes the page.
///
/// # Errors
/// The words want what no run finds out, or the file cannot be written.
pub(crate) fn write(findings: &Findings) -> Result<()> {
    let bytes = |(name, bytes): &(&str, usize)| format!("{bytes} bytes with {name}");
    let versions = std::fs::read_to_string(repository().join("scripts/versions.env"))?;
    let envoy = versions.lines().find_map(|line| line.strip_prefix("ENVOY_VERSION=")).context("which Envoy?")?;
    let text = [
        ("envoy", envoy.to_owned()),
        ("rounds", findings.alone.rounds.to_string()),
        ("requests", findings.alone.requests.to_string()),
        ("warm_up", findings.alone.warm_up.to_string()),
        ("crowded_rounds", findings.crowded.rounds.to_string()),
        ("crowded_requests", findings.crowded.requests.to_string()),
        ("travellers", findings.travellers.to_string()),
        ("flood_connections", findings.flood_connections.to_string()),
        ("token_bytes", findings.token_bytes.iter().map(bytes).collect::<Vec<_>>().join(", ")),
        ("rows", rows(&findings.rows)?),
        ("floods", floods(&findings.floods)?),
        ("calls", calls(&findings.calls)?),
        ("targets", targets(&findings.targets)?),
        ("same_calls", ratios(&to_same_calls(&findings.rows))),
        ("notes", NOTES.to_owned()),
    ];
    let page = text.iter().fold(WORDS.to_owned(), |page, (name, text)| page.replace(&format!("{{{{{name}}}}}"), text));
    ensure!(!page.contains("{{"), "the words of the page want something that is not there");
    Ok(std::fs::write(repository().join(FILE), page.trim_end().to_owned() + "\n")?)
}

fn rows(rows: &[Row]) -> Result<String> {
    let mut table = String::from(
        "| variant | mean | p50 | p99 | σ | added time | added CPU, Envoy | added CPU, server | 1/s, 1 connection | 1/s, 32 |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let Times { mean, p50, p99, sigma } = row.times;
        write!(table, "| `{}` | {mean:.1} | {p50:.1} | {p99:.1} | {sigma:.1} ", row.name)?;
        write!(table, "| {:.1} | {:.1} | {:.1} ", row.added_time, row.added_envoy, row.added_servers)?;
        writeln!(table, "| {:.0} | {:.0} |", row.per_second_alone, row.per_second_crowded)?;
    }
    Ok(table.trim_end().to_owned())
}

fn floods(floods: &[Flood]) -> Result<String> {
    let mut table = String::from(
        "| variant | CPU of Envoy for each forged token, µs | good requests without the flood: p50, p99, µs | beside it: p50, p99, µs | forged and refused |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    for flood in floods {
        let (calm, beside) = (Times::of(&flood.calm), Times::of(&flood.beside));
        write!(table, "| `{}` | {:.1} ", flood.name, median(&flood.envoy_us))?;
        write!(table, "| {:.0}, {:.0} | {:.0}, {:.0} ", calm.p50, calm.p99, beside.p50, beside.p99)?;
        writeln!(table, "| {} |", flood.refused)?;
    }
    Ok(table.trim_end().to_owned())
}

fn calls(calls: &[(&'static str, Crossings)]) -> Result<String> {
    let mut table = String::from(
        "| request | calls of the filter to Envoy | calls of Envoy into the filter |\n| --- | --- | --- |\n",
    );
    for (kind, crossings) in calls {
        writeln!(table, "| {kind} | {} | {} |", crossings.host_calls, crossings.callbacks)?;
    }
    Ok(table.trim_end().to_owned())
}

fn targets(targets: &[Target]) -> Result<String> {
    let mut table = String::from("| target | measured | at most | |\n| --- | --- | --- | --- |\n");
    for Target { name, value, limit, is_kept } in targets {
        writeln!(table, "| `{name}` | {value} | {limit} | {} |", if *is_kept { "ok" } else { "**MISSED**" })?;
    }
    Ok(table.trim_end().to_owned())
}

/// In one line.
fn ratios(ratios: &[(&str, f64)]) -> String {
    ratios.iter().map(|(name, value)| format!("`{name}`: {value:.2} ×")).collect::<Vec<_>>().join(", ")
}
