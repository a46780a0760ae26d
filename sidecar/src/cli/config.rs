//! `sekisho config check FILE`: the filter's configuration (JSON, or inside an Envoy configuration)
//! or the sidecar's (YAML), told apart by what is in the file.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use serde_norway::Value;

use crate::cli::Exit;
use crate::cli::output::Output;
use crate::config::{Problem, Settings};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check a file, and list everything that is wrong with it.
    Check {
        /// The filter's configuration as JSON, an envoy.yaml that holds it, or the sidecar's settings as YAML.
        file: PathBuf,
    },
}

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Filter,
    Envoy,
    Sidecar,
}

impl Content {
    fn word(self) -> &'static str {
        match self {
            Self::Filter => "filter configuration",
            Self::Envoy => "Envoy configuration with the filter's",
            Self::Sidecar => "sidecar settings",
        }
    }
}

pub(super) fn run(Command::Check { file }: &Command, output: &Output) -> Result<(), Exit> {
    let (content, problems) = check(&read(file)?);
    if !problems.is_empty() {
        return Err(Exit::Misconfigured(problems));
    }
    output.result(
        || format!("{}: a good {}", file.display(), content.word()),
        || json!({"ok": true, "content": content.word(), "problems": []}),
    );
    Ok(())
}

pub(super) fn read(file: &Path) -> Result<String, Exit> {
    let wrong = |error| vec![Problem { path: file.display().to_string(), message: format!("cannot be read: {error}") }];
    std::fs::read_to_string(file).map_err(|error| Exit::Misconfigured(wrong(error)))
}

fn check(text: &str) -> (Content, Vec<Problem>) {
    if text.trim_start().starts_with('{') {
        return (Content::Filter, check_filter(text));
    }
    match serde_norway::from_str::<Value>(text) {
        Ok(document) if is_envoy(&document) => (Content::Envoy, check_envoy(&document)),
        // Also what is no YAML at all: the settings' own check says where.
        _ => (Content::Sidecar, Settings::check_file(text).iter().cloned().collect()),
    }
}

/// The configurations of filters in a file of any kind, each with its place in it.
pub(super) fn filter_configurations(text: &str) -> Vec<(String, String)> {
    if text.trim_start().starts_with('{') {
        return vec![("(document)".into(), text.to_owned())];
    }
    let mut found = Vec::new();
    if let Ok(document) = serde_norway::from_str::<Value>(text) {
        collect_plugins(&document, String::new(), &mut found);
    }
    found
}

fn check_filter(text: &str) -> Vec<Problem> {
    let found = sekisho_core::config::check(text);
    found.into_iter().map(|problem| Problem { path: problem.path, message: problem.message }).collect()
}

/// Only Envoy's bootstrap and its dynamic resources have these at their top.
fn is_envoy(document: &Value) -> bool {
    ["static_resources", "dynamic_resources", "resources", "filter_chains"]
        .iter()
        .any(|key| document.get(key).is_some())
}

fn check_envoy(document: &Value) -> Vec<Problem> {
    let mut plugins = Vec::new();
    collect_plugins(document, String::new(), &mut plugins);
    if plugins.is_empty() {
        let message = "holds no wasm plugin with a StringValue as its configuration, so there is nothing to check";
        return vec![Problem { path: "(file)".into(), message: message.into() }];
    }
    plugins.iter().flat_map(|(place, text)| check_plugin(place, text)).collect()
}

fn check_plugin(place: &str, text: &str) -> Vec<Problem> {
    let mut problems = check_filter(text);
    for problem in &mut problems {
        problem.path = format!("{place}: {}", problem.path);
    }
    problems
}

/// Every wasm plugin's configuration, with its place: a mapping that has a `vm_config` is one.
fn collect_plugins(value: &Value, place: String, found: &mut Vec<(String, String)>) {
    match value {
        Value::Mapping(mapping) => {
            let text = value.get("configuration").and_then(string_value);
            if let (Some(text), true) = (text, value.get("vm_config").is_some()) {
                found.push((format!("{place}.configuration"), text));
            }
            for (key, inner) in mapping {
                let key = key.as_str().unwrap_or("?");
                let dot = if place.is_empty() { "" } else { "." };
                collect_plugins(inner, format!("{place}{dot}{key}"), found);
            }
        }
        Value::Sequence(sequence) => {
            for (index, inner) in sequence.iter().enumerate() {
                collect_plugins(inner, format!("{place}[{index}]"), found);
            }
        }
        _ => {}
    }
}

fn string_value(configuration: &Value) -> Option<String> {
    let is_string = configuration.get("@type")?.as_str()?.ends_with("google.protobuf.StringValue");
    is_string.then(|| configuration.get("value")?.as_str().map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVOY: &str = r#"
static_resources:
  listeners:
    - name: main
      filter:
        config:
          vm_config: { vm_id: sekisho }
          configuration:
            "@type": type.googleapis.com/google.protobuf.StringValue
            value: |
              { "nonsense": true }
"#;

    #[test]
    fn a_file_is_told_by_what_is_in_it() {
        for (text, expected) in [
            (" {\"routes\": []}", Content::Filter),
            (ENVOY, Content::Envoy),
            ("listen: {}\n", Content::Sidecar),
            ("a: [", Content::Sidecar),
        ] {
            assert_eq!(check(text).0, expected, "{text}");
        }
    }

    #[test]
    fn a_problem_in_an_envoy_configuration_says_where() {
        let problems = check(ENVOY).1;
        assert!(!problems.is_empty());
        for problem in &problems {
            assert!(
                problem.path.starts_with("static_resources.listeners[0].filter.config.configuration: "),
                "{problem}"
            );
        }
    }

    #[test]
    fn an_envoy_configuration_without_the_filter_is_not_called_good() {
        assert_eq!(check("static_resources: {}\n").1.len(), 1);
    }
}
