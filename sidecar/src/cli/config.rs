//! `sekisho config check FILE`: the filter's configuration (JSON, or inside a configuration of Envoy, Istio or Envoy
//! Gateway) or the sidecar's (YAML), told apart by what is in the file. `sekisho config schema`: the filter's schema.

mod filter;
mod found;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;

use crate::cli::Exit;
use crate::cli::output::Output;
use crate::config::{Problem, Settings};
use found::Content;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check a file, and list everything that is wrong with it.
    Check {
        /// The filter's configuration as JSON, an envoy.yaml, WasmPlugin or EnvoyExtensionPolicy that holds it, or
        /// the sidecar's settings as YAML.
        file: PathBuf,
    },
    /// Print the JSON Schema of the filter's configuration, for editors.
    Schema,
}

pub(super) fn run(command: &Command, output: &Output) -> Result<(), Exit> {
    match command {
        Command::Check { file } => report(file, output),
        Command::Schema => {
            output.raw(&schema_text());
            Ok(())
        }
    }
}

/// The schema as it stands in `docs/filter.schema.json`.
fn schema_text() -> String {
    format!("{:#}\n", sekisho_core::config::schema())
}

fn report(file: &Path, output: &Output) -> Result<(), Exit> {
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
        return (Content::Filter, filter::check(text));
    }
    let documents = found::documents(text);
    match documents.as_deref().map(found::content) {
        Some(content @ (Content::Envoy | Content::Kubernetes)) => {
            (content, check_found(found::configurations(&documents.unwrap_or_default())))
        }
        // Also what is no YAML at all: the settings' own check says where.
        _ => (Content::Sidecar, Settings::check_file(text).iter().cloned().collect()),
    }
}

/// The configurations of filters in a file of any kind, those that can be read.
pub(super) fn filter_configurations(text: &str) -> Vec<String> {
    if text.trim_start().starts_with('{') {
        return vec![text.to_owned()];
    }
    let found = found::configurations(&found::documents(text).unwrap_or_default());
    found.into_iter().filter_map(|(_, text)| text.ok()).collect()
}

fn check_found(found: Vec<found::Found>) -> Vec<Problem> {
    if found.is_empty() {
        let message = "holds no configuration of a filter, so there is nothing to check: a wasm plugin with a \
                       StringValue, a WasmPlugin or an EnvoyExtensionPolicy";
        return vec![Problem { path: "(file)".into(), message: message.into() }];
    }
    found.into_iter().flat_map(|(place, text)| check_one(place, text)).collect()
}

fn check_one(place: String, text: Result<String, &'static str>) -> Vec<Problem> {
    match text {
        Err(message) => vec![Problem { path: place, message: message.into() }],
        Ok(text) => {
            let mut problems = filter::check(&text);
            for problem in &mut problems {
                problem.path = format!("{place}: {}", problem.path);
            }
            problems
        }
    }
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
    fn what_holds_no_filter_is_not_called_good() {
        for text in [
            "static_resources: {}\n",
            "apiVersion: v1\nkind: Secret\n",
            "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nspec: { url: oci://x }\n",
            "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyExtensionPolicy\nspec: { wasm: [{ name: x }] }\n",
        ] {
            assert_eq!(check(text).1.len(), 1, "{text}");
        }
    }

    #[test]
    fn a_problem_in_a_resource_says_in_which_document_and_where() {
        for (text, place) in [
            ("apiVersion: x\nkind: WasmPlugin\nspec: { pluginConfig: { a: 1 } }\n", "spec.pluginConfig: a"),
            ("apiVersion: x\nkind: WasmPlugin\nspec: { pluginConfig: '{\"a\": 1}' }\n", "spec.pluginConfig: a"),
            (
                "kind: Secret\napiVersion: v1\n---\napiVersion: x\nkind: WasmPlugin\nspec: { pluginConfig: { a: 1 } }\n",
                "document 2: spec.pluginConfig: a",
            ),
            (
                "apiVersion: x\nkind: EnvoyExtensionPolicy\nspec: { wasm: [{ config: { a: 1 } }] }\n",
                "spec.wasm[0].config: a",
            ),
        ] {
            let (content, problems) = check(text);
            assert_eq!(content, Content::Kubernetes, "{text}");
            assert!(problems.iter().any(|problem| problem.path == place), "{place} is not in {problems:#?}");
        }
    }

    #[test]
    fn the_schema_in_the_docs_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/filter.schema.json");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, schema_text()).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        let renewed = "`sekisho config schema > docs/filter.schema.json` renews it";
        assert!(found == schema_text(), "docs/filter.schema.json is out of date: {renewed}");
    }
}
