//! Where filters' configurations stand in a file: alone, in Envoy's configuration, or in resources of Istio or Envoy
//! Gateway, one or several documents.

use serde::Deserialize as _;
use serde_norway::Value;

/// What a file turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Filter,
    Envoy,
    Kubernetes,
    Sidecar,
}

impl Content {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Filter => "filter configuration",
            Self::Envoy => "Envoy configuration with the filter's",
            Self::Kubernetes => "set of Kubernetes resources with the filter's configuration",
            Self::Sidecar => "sidecar settings",
        }
    }
}

/// A filter's configuration as JSON, and its place; why it has none, otherwise.
pub(super) type Found = (String, Result<String, &'static str>);

/// The documents of a YAML file; none if it is no YAML.
pub(super) fn documents(text: &str) -> Option<Vec<Value>> {
    let documents = serde_norway::Deserializer::from_str(text).map(Value::deserialize);
    let documents = documents.collect::<Result<Vec<_>, _>>().ok()?;
    Some(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// What a file with these documents is.
pub(super) fn content(documents: &[Value]) -> Content {
    let has_one_of =
        |keys: &[&str]| documents.iter().any(|document| keys.iter().any(|key| document.get(key).is_some()));
    // Only Envoy's bootstrap and its dynamic resources have these at their top.
    if has_one_of(&["static_resources", "dynamic_resources", "resources", "filter_chains"]) {
        Content::Envoy
    } else if has_one_of(&["apiVersion"]) {
        Content::Kubernetes
    } else {
        Content::Sidecar
    }
}

/// Every configuration of a filter in these documents.
pub(super) fn configurations(documents: &[Value]) -> Vec<Found> {
    let mut found = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let place = if documents.len() == 1 { String::new() } else { format!("document {}: ", index + 1) };
        let spec = document.get("spec");
        match document.get("kind").and_then(Value::as_str) {
            Some("WasmPlugin") => {
                let config = spec.and_then(|spec| spec.get("pluginConfig"));
                found.push((format!("{place}spec.pluginConfig"), json_of(config)));
            }
            Some("EnvoyExtensionPolicy") => {
                let plugins = spec.and_then(|spec| spec.get("wasm")).and_then(Value::as_sequence);
                for (index, plugin) in plugins.into_iter().flatten().enumerate() {
                    found.push((format!("{place}spec.wasm[{index}].config"), json_of(plugin.get("config"))));
                }
            }
            _ => collect_plugins(document, place, &mut found),
        }
    }
    found
}

/// Both hand the filter JSON, whether it is written as YAML or as a text.
fn json_of(config: Option<&Value>) -> Result<String, &'static str> {
    match config {
        None | Some(Value::Null) => Err("is missing: without it the filter refuses every request"),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(config) => serde_json::to_string(config).map_err(|_| "holds what JSON has no word for"),
    }
}

/// Every wasm plugin's configuration, with its place: a mapping that has a `vm_config` is one.
fn collect_plugins(value: &Value, place: String, found: &mut Vec<Found>) {
    match value {
        Value::Mapping(mapping) => {
            let text = value.get("configuration").and_then(string_value);
            if let (Some(text), true) = (text, value.get("vm_config").is_some()) {
                found.push((format!("{place}.configuration"), Ok(text)));
            }
            for (key, inner) in mapping {
                let key = key.as_str().unwrap_or("?");
                let dot = if place.is_empty() || place.ends_with(' ') { "" } else { "." };
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
