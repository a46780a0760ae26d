//! `envoy/envoy.yaml` lets upstreams answer for as long as the gateway did that Sekisho replaces.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::compose::yaml;

#[test]
fn an_upstream_may_stream_without_end_and_be_silent_for_ten_minutes() -> Result<()> {
    let configuration = yaml("envoy/envoy.yaml")?;
    let routes = find(&configuration, "virtual_hosts").and_then(Value::as_array).context("no virtual hosts")?;
    let upstream = routes.iter().find(|host| host["name"] == "upstream").context("no upstream")?;
    let everything_else = upstream["routes"].as_array().and_then(|routes| routes.last()).context("no routes")?;
    let expected = json!({"match": {"prefix": "/"},
        "route": {"cluster": "upstream", "timeout": "0s", "idle_timeout": "600s"}});
    assert_eq!(*everything_else, expected);
    Ok(())
}

/// The first member of this name, wherever it stands.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members.get(name).or_else(|| members.values().find_map(|value| find(value, name))),
        Value::Array(items) => items.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}
