//! Dependencies point one way (ARCHITECTURE.md): `filter → core → protocol ← sidecar`, and inside the
//! sidecar `main → app → {http, jobs, cli} → service → domain`, while `store` implements what
//! `service` asks for.

use std::fs;

use anyhow::{Context, Result};
use e2e::components::repository;

use super::source::{files_below, paths_in};

/// A part, and what nothing in it may name.
struct Rule {
    part: &'static [&'static str],
    never: &'static [&'static str],
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        part: &["filter/core/src"],
        never: &["proxy_wasm", "tokio", "axum", "redis", "reqwest", "hyper", "sqlx", "sekisho_sidecar", "log"],
        why: "the core decides and makes no call",
    },
    Rule {
        part: &["filter/core/src", "filter/protocol/src"],
        never: &[
            "std::time::SystemTime",
            "std::time::Instant",
            "std::env",
            "std::fs",
            "std::net::TcpListener",
            "std::net::TcpStream",
            "std::net::ToSocketAddrs",
            "std::net::UdpSocket",
            "std::thread",
            "std::process",
        ],
        why: "time, randomness and the environment are parameters of pure code",
    },
    Rule {
        part: &["filter/protocol/src"],
        never: &["sekisho_core", "sekisho_filter", "sekisho_sidecar", "proxy_wasm", "tokio", "axum", "redis", "log"],
        why: "both sides depend on the protocol, and it on neither",
    },
    Rule {
        part: &["filter/src"],
        never: &["sekisho_sidecar", "tokio", "axum", "redis", "reqwest"],
        why: "the shell talks to its host only",
    },
    Rule {
        part: &["sidecar/src/domain.rs", "sidecar/src/domain"],
        never: &[
            "axum",
            "tokio",
            "redis",
            "sqlx",
            "reqwest",
            "hyper",
            "tower",
            "clap",
            "std::env",
            "std::fs",
            "std::net::TcpStream",
            "std::time::SystemTime",
            "std::time::Instant",
            "crate::app",
            "crate::cli",
            "crate::client",
            "crate::config",
            "crate::http",
            "crate::jobs",
            "crate::service",
            "crate::store",
        ],
        why: "the domain is pure and knows nobody above it",
    },
    Rule {
        part: &["sidecar/src/service.rs", "sidecar/src/service"],
        never: &[
            "axum",
            "redis",
            "sqlx",
            "hyper",
            "clap",
            "crate::app",
            "crate::cli",
            "crate::client",
            "crate::http",
            "crate::jobs",
            "crate::store",
        ],
        why: "a use case names the traits that it needs, never who implements them",
    },
    Rule {
        part: &["sidecar/src/http.rs", "sidecar/src/http"],
        never: &["redis", "sqlx", "crate::app", "crate::cli", "crate::client", "crate::jobs", "crate::store"],
        why: "a handler calls a service and never names a store",
    },
    Rule {
        part: &["sidecar/src/jobs.rs", "sidecar/src/jobs"],
        never: &["axum", "redis", "sqlx", "clap", "crate::app", "crate::cli", "crate::http", "crate::store"],
        why: "a job calls a service and never names a store",
    },
    Rule {
        part: &["sidecar/src/store.rs", "sidecar/src/store"],
        never: &["axum", "clap", "crate::app", "crate::cli", "crate::http", "crate::jobs"],
        why: "a store implements what a service asks for and knows nothing above",
    },
];

/// What each pure package may depend on, besides packages of its own side.
const PACKAGES: &[(&str, &[&str])] = &[
    ("filter/protocol/Cargo.toml", &["base64", "hkdf", "hmac", "serde", "sha2", "siphasher", "thiserror"]),
    (
        "filter/core/Cargo.toml",
        &[
            "base64",
            "ed25519-dalek",
            "hmac",
            "ipnet",
            "p256",
            "p384",
            "p521",
            "regex-lite",
            "rsa",
            "schemars",
            "sekisho-protocol",
            "serde",
            "serde_json",
            "sha2",
            "siphasher",
            "subtle",
            "thiserror",
            "time",
            "zeroize",
        ],
    ),
];

#[test]
fn dependencies_point_one_way() -> Result<()> {
    let mut broken = Vec::new();
    for rule in RULES {
        let (mut files, root) = (Vec::new(), repository());
        for part in rule.part.iter().map(|part| root.join(part)).filter(|part| part.exists()) {
            files.extend(files_below(&part)?);
        }
        assert!(!files.is_empty(), "{:?} has no sources: has it been renamed?", rule.part);
        for file in files {
            for path in paths_in(&fs::read_to_string(&file)?) {
                if let Some(never) = rule.never.iter().find(|never| names(&path, never)) {
                    let file = file.strip_prefix(&root).unwrap_or(&file).display();
                    broken.push(format!("{file} names {never} ({path}): {}", rule.why));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

/// Whether `path` is `never` or something in it.
fn names(path: &str, never: &str) -> bool {
    let path = path.trim_start_matches("::");
    path.strip_prefix(never).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

#[test]
fn the_pure_packages_depend_on_pure_packages_only() -> Result<()> {
    for (manifest, allowed) in PACKAGES {
        let text = fs::read_to_string(repository().join(manifest)).with_context(|| (*manifest).to_owned())?;
        let section = text.split("\n[").find_map(|section| section.strip_prefix("dependencies]"));
        let lines = section.with_context(|| format!("{manifest} has no dependencies"))?.lines();
        for line in lines.filter(|line| !line.trim_start().starts_with('#')) {
            if let Some((name, _)) = line.split_once(['.', '=']) {
                assert!(allowed.contains(&name.trim()), "{manifest} depends on {}", name.trim());
            }
        }
    }
    Ok(())
}

#[test]
fn the_filter_is_built_without_the_schema_of_its_configuration() -> Result<()> {
    let core = fs::read_to_string(repository().join("filter/core/Cargo.toml"))?;
    assert!(core.lines().any(|line| line.starts_with("schemars = ") && line.contains("optional = true")));
    let filter = fs::read_to_string(repository().join("filter/Cargo.toml"))?;
    assert!(!filter.contains("\"schema\""), "the filter enables the schema");
    Ok(())
}
