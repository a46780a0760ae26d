//! `docs/tokens.md` names the tests that hold RFC 8725, point by point.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use e2e::components::repository;

#[test]
fn each_point_of_rfc_8725_has_tests_that_exist() -> Result<()> {
    let page = fs::read_to_string(repository().join("docs/tokens.md"))?;
    let (_, table) = page.split_once("## RFC 8725").context("docs/tokens.md has no table of RFC 8725")?;
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| 3.")).collect();
    assert_eq!(rows.len(), 12, "RFC 8725 has twelve points");
    let mut sources = String::new();
    for folder in ["filter/core/src", "tests/tests/stories"] {
        read_all(&repository().join(folder), &mut sources)?;
    }
    for row in rows {
        let cell = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let tests: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            let found = sources.split_once(&format!("fn {test}()"));
            let marked = found.is_some_and(|(before, _)| before.lines().rev().take(3).any(|line| line == "#[test]"));
            assert!(marked, "docs/tokens.md names the test `{test}`, which is nowhere");
        }
    }
    Ok(())
}

fn read_all(folder: &Path, into: &mut String) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_all(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}
