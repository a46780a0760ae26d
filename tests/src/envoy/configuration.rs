//! Turns the configuration that users run into that of one world: other ports, other files, a
//! second listener, and nothing else.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::peers::minted::SECRETS;
use crate::ports;
use crate::world::people::COOKIE;

/// The name of the listener that users run.
pub const EDGE: &str = "edge";
/// The name of the second listener, which lets hostile paths and trailers through to the filter and logs whole targets.
pub const BARE: &str = "bare";

/// Ports of one Envoy. They stay over a restart, and a hot restart hands them over.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// Its admin interface.
    pub admin: u16,
    /// The listener that users run.
    pub edge: u16,
    /// The second listener.
    pub bare: u16,
}

impl Ports {
    /// Free ones.
    ///
    /// # Errors
    /// There are none.
    pub fn free() -> Result<Self> {
        Ok(Self { admin: ports::free()?, edge: ports::free()?, bare: ports::free()? })
    }

    /// Where its admin interface is.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.admin))
    }
}

/// What a world puts in place of what `envoy/envoy.yaml` names.
pub struct Wiring<'a> {
    /// The compiled filter.
    pub filter: &'a str,
    /// Where Envoy itself listens.
    pub ports: Ports,
    /// Ports behind `sekisho_feed`.
    pub feed: Vec<u16>,
    /// Ports behind `sekisho_check`.
    pub check: Vec<u16>,
    /// Ports behind `sekisho_app`.
    pub app: Vec<u16>,
    /// Ports behind `upstream`.
    pub upstream: Vec<u16>,
    /// Changes the filter's own configuration.
    pub policy: &'a dyn Fn(&mut Value),
}

/// The configuration of a world, as JSON, which Envoy reads as well.
///
/// # Errors
/// The file has not the shape that is documented: one listener with the filter, and four clusters.
pub fn of_world(yaml: &str, wiring: &Wiring<'_>) -> Result<Value> {
    let mut root: Value = serde_norway::from_str(yaml).context("envoy.yaml is no YAML")?;
    root["admin"]["address"] = address(wiring.ports.admin);
    let resources = root.get_mut("static_resources").context("no static_resources")?;
    for (cluster, ports) in [
        ("sekisho_feed", &wiring.feed),
        ("sekisho_check", &wiring.check),
        ("sekisho_app", &wiring.app),
        ("upstream", &wiring.upstream),
    ] {
        set_endpoints(resources, cluster, ports)?;
    }
    // Envoy drops HTTP/1.1 trailers unless it is told to pass them on.
    set_protocol(resources, "upstream", &json!({"http_protocol_options": {"enable_trailers": true}}))?;
    let listeners = resources["listeners"].as_array_mut().context("no listeners")?;
    ensure!(listeners.len() == 1, "a user's configuration has one listener");
    let mut edge = listeners.remove(0);
    set_filter(&mut edge, wiring)?;
    let mut bare = edge.clone();
    without_normalisation(&mut bare);
    listeners.extend([named(edge, EDGE, wiring.ports.edge), named(bare, BARE, wiring.ports.bare)]);
    Ok(root)
}

/// Calls `change` with the HTTP connection manager of each listener: it speaks with the clients.
///
/// # Errors
/// `change` fails.
pub fn with_managers(root: &mut Value, change: impl Fn(&mut Map<String, Value>)) -> Result<()> {
    visit(root, &mut |object| {
        if object.contains_key("http_filters") {
            change(object);
        }
        Ok(())
    })
}

/// Lets Envoy speak HTTP/2 with the upstream, as gRPC needs it.
///
/// # Errors
/// There is no such cluster.
pub fn upstream_over_http2(root: &mut Value) -> Result<()> {
    let resources = root.get_mut("static_resources").context("no static_resources")?;
    set_protocol(resources, "upstream", &json!({"http2_protocol_options": {}}))
}

/// Lets Envoy lead what is for the upstream to another one.
///
/// # Errors
/// There is no such cluster.
pub fn lead_upstream_to(root: &mut Value, port: u16) -> Result<()> {
    set_endpoints(root.get_mut("static_resources").context("no static_resources")?, "upstream", &[port])
}

/// Takes the listeners out of `root`, which names `file` in their place: Envoy reads them from there,
/// and reads them again whenever another file is moved into that place.
///
/// # Errors
/// There are none in it.
pub fn with_listeners_in(root: &mut Value, file: &Path) -> Result<Value> {
    let resources = root["static_resources"].as_object_mut().context("no static_resources")?;
    let listeners = resources.remove("listeners").context("no listeners")?;
    let source = json!({"path_config_source": {"path": file}, "resource_api_version": "V3"});
    root["dynamic_resources"] = json!({"lds_config": source});
    Ok(listeners)
}

/// The same listeners as the file of [`with_listeners_in`] holds them.
#[must_use]
pub fn discovery_of(listeners: &Value) -> Value {
    const TYPE: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
    let typed = |listener: &Value| {
        let mut listener = listener.clone();
        listener["@type"] = TYPE.into();
        listener
    };
    let resources: Vec<Value> = listeners.as_array().into_iter().flatten().map(typed).collect();
    json!({"resources": resources})
}

/// Adds a listener like the one called `like`, on another port and with another configuration of the filter.
///
/// # Errors
/// There is no such listener.
pub fn add_listener(listeners: &mut Value, like: &str, name: &str, port: u16, policy: &Value) -> Result<()> {
    let listeners = listeners.as_array_mut().context("no listeners")?;
    let found = listeners.iter().find(|listener| listener["name"] == like).cloned();
    let mut listener = named(found.with_context(|| format!("no listener is called {like}"))?, name, port);
    change_policy(&mut listener, &mut |old| *old = policy.clone())?;
    listeners.push(listener);
    Ok(())
}

/// The filter's own configuration in `yaml`.
///
/// # Errors
/// There is none.
pub fn policy_of(yaml: &str) -> Result<Value> {
    let mut root: Value = serde_norway::from_str(yaml).context("envoy.yaml is no YAML")?;
    let mut policy = None;
    change_policy(&mut root, &mut |found| policy = Some(found.clone()))?;
    policy.context("there is no filter with a vm_config")
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

/// Ports differ from world to world, so counters need names of their own.
fn named(mut listener: Value, name: &str, port: u16) -> Value {
    listener["name"] = name.into();
    listener["stat_prefix"] = name.into();
    listener["address"] = address(port);
    listener
}

fn cluster<'a>(resources: &'a mut Value, name: &str) -> Result<&'a mut Value> {
    let clusters = resources["clusters"].as_array_mut().context("no clusters")?;
    let cluster = clusters.iter_mut().find(|cluster| cluster["name"] == name);
    cluster.with_context(|| format!("no cluster is called {name}"))
}

/// Sets which protocol Envoy speaks with a cluster, and how.
fn set_protocol(resources: &mut Value, name: &str, explicit: &Value) -> Result<()> {
    const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let typed = json!({"@type": format!("type.googleapis.com/{OPTIONS}"), "explicit_http_config": explicit});
    cluster(resources, name)?["typed_extension_protocol_options"] = json!({OPTIONS: typed});
    Ok(())
}

fn set_endpoints(resources: &mut Value, name: &str, ports: &[u16]) -> Result<()> {
    let cluster = cluster(resources, name)?;
    let endpoints: Vec<Value> = ports.iter().map(|port| json!({"endpoint": {"address": address(*port)}})).collect();
    cluster["type"] = "STATIC".into();
    cluster["load_assignment"] = json!({"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]});
    Ok(())
}

/// Sets the compiled filter's file and applies the world's changes to its configuration.
fn set_filter(listener: &mut Value, wiring: &Wiring<'_>) -> Result<()> {
    visit(listener, &mut |object| {
        if let Some(machine) = object.get_mut("vm_config") {
            machine["code"] = json!({"local": {"filename": wiring.filter}});
            let variables = &mut machine["environment_variables"]["host_env_keys"];
            let variables = variables.as_array_mut().context("no host_env_keys")?;
            variables.extend(SECRETS.map(|(_, variable, _)| Value::from(variable)));
        }
        Ok(())
    })?;
    change_policy(listener, &mut |policy| {
        // Worlds speak plain HTTP.
        policy["sessions"]["cookie"] = COOKIE.into();
        (wiring.policy)(policy);
    })
}

/// Calls `change` with the configuration of every filter in `value`.
///
/// # Errors
/// The configuration of a filter is no JSON.
pub fn change_policy(value: &mut Value, change: &mut impl FnMut(&mut Value)) -> Result<()> {
    visit(value, &mut |object| {
        if !object.contains_key("vm_config") {
            return Ok(());
        }
        let text =
            object.get_mut("configuration").and_then(|c| c.get_mut("value")).context("no configuration.value")?;
        let mut policy: Value = serde_json::from_str(text.as_str().unwrap_or_default())?;
        change(&mut policy);
        *text = policy.to_string().into();
        Ok(())
    })
}

fn without_normalisation(listener: &mut Value) {
    let _infallible: Result<()> = visit(listener, &mut |object| {
        if object.contains_key("http_filters") {
            for setting in ["normalize_path", "merge_slashes", "path_with_escaped_slashes_action"] {
                object.remove(setting);
            }
            if let Some(common) = object.get_mut("common_http_protocol_options").and_then(Value::as_object_mut) {
                common.remove("headers_with_underscores_action");
            }
            object.insert("http_protocol_options".into(), json!({"enable_trailers": true}));
        }
        // As an access log that an operator wrote without care: with the whole target.
        if let Some(fields) = object.get_mut("json_format").and_then(Value::as_object_mut) {
            fields.insert("target".into(), "%REQ(:PATH)%".into());
        }
        Ok(())
    });
}

/// Calls `change` with every object in `value`, the outer ones first.
fn visit(value: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>) -> Result<()>) -> Result<()> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| visit(item, change)),
        Value::Object(object) => {
            change(object)?;
            object.values_mut().try_for_each(|item| visit(item, change))
        }
        _ => Ok(()),
    }
}
