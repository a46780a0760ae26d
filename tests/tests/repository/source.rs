//! Reads Rust sources as far as needed to know what they name: `use` trees and paths in the code.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Every `.rs` file below `folder`, and `folder` itself if it is one. Modules of tests are left out:
/// a suite on a real Redis names more than the code that it tests may.
pub(crate) fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    if folder.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

/// The paths that `text` names: those of `use` declarations, expanded, and those that stand in the
/// code with `::`. Comments and inline modules of tests count for nothing.
pub(crate) fn paths_in(text: &str) -> Vec<String> {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let (before, declaration) = code.split_at(at);
        let begins = before.chars().next_back().is_none_or(|c| c.is_whitespace() || c == ')');
        if let (true, Some((tree, _))) = (begins, declaration.trim_start_matches("use ").split_once(';')) {
            expand("", &tree.split_whitespace().collect::<Vec<_>>().join(" "), &mut paths);
        }
    }
    let part_of_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    paths.extend(code.split(|c| !part_of_path(c)).filter(|word| word.contains("::")).map(str::to_owned));
    paths
}

/// `a::{b, c::{d, e}}` → `a::b`, `a::c::d`, `a::c::e`.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    match tree.split_once('{') {
        None => paths.push(format!("{prefix}{}", tree.split(" as ").next().unwrap_or(tree).trim())),
        Some((head, rest)) => {
            let inner = rest.trim_end().strip_suffix('}').unwrap_or(rest);
            for branch in branches(inner) {
                expand(&format!("{prefix}{}", head.trim()), branch, paths);
            }
        }
    }
}

/// Splits at the commas that are in no braces.
fn branches(trees: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_u32, 0, Vec::new());
    for (at, c) in trees.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.extend(trees.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(trees.get(start..));
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[test]
fn a_use_tree_is_expanded_and_comments_are_not_read() {
    let text =
        "use a::{b, c::{d as x, e}};\n// use redis::Client;\npub(crate) use f;\nfn g() { std::mem::drop(h::i()) }\n";
    let paths = paths_in(text);
    for expected in ["a::b", "a::c::d", "a::c::e", "f", "std::mem::drop", "h::i"] {
        assert!(paths.iter().any(|path| path == expected), "{expected} is not in {paths:?}");
    }
    assert!(!paths.iter().any(|path| path.contains("redis")), "{paths:?}");
}
