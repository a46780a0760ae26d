//! Envoy's configuration: a listener for each variant, alike but for the filters, and one upstream behind all.

use anyhow::{Context, Result};
use e2e::components;
use e2e::envoy::configuration::policy_of;
use serde_json::{Value, json};

use crate::tokens::{AUDIENCE, Algorithm, Tokens};
use crate::variant::{ALL, Calls, Guard, Machine, TokenCache, Transport};

const FILTERS: &str = "type.googleapis.com/envoy.extensions.filters";
/// The clusters of the machine whose replica holds a million entries are those of the others with this behind.
const MILLION: &str = "_million";

/// Where everything is.
pub(crate) struct Wiring<'a> {
    pub(crate) admin: u16,
    /// The listeners, in the order of the variants.
    pub(crate) listeners: &'a [u16],
    pub(crate) upstream: u16,
    /// The sidecar.
    pub(crate) mesh: u16,
    /// The sidecar with a million entries.
    pub(crate) million: u16,
    /// The server behind `ext_authz`.
    pub(crate) authz: u16,
    /// The filter that does nothing.
    pub(crate) empty_filter: String,
    pub(crate) tokens: &'a Tokens,
}

/// The whole configuration.
///
/// # Errors
/// A part of the product is missing.
pub(crate) fn of(wiring: &Wiring<'_>) -> Result<Value> {
    let mut listeners = Vec::new();
    for (variant, port) in ALL.iter().zip(wiring.listeners) {
        listeners.push(listener(variant.name, *port, filters(variant.guard, wiring)?));
    }
    let clusters = [
        cluster("upstream", wiring.upstream, false),
        cluster("authz_http", wiring.authz, false),
        cluster("authz_grpc", wiring.authz, true),
        cluster("sekisho_feed", wiring.mesh, true),
        cluster("sekisho_check", wiring.mesh, true),
        cluster(&format!("sekisho_feed{MILLION}"), wiring.million, true),
        cluster(&format!("sekisho_check{MILLION}"), wiring.million, true),
    ];
    Ok(json!({
        "admin": {"address": address(wiring.admin)},
        "static_resources": {"listeners": listeners, "clusters": clusters},
    }))
}

fn filters(guard: Guard, wiring: &Wiring<'_>) -> Result<Vec<Value>> {
    Ok(match guard {
        Guard::Nobody => vec![],
        Guard::EmptyWasm(Calls::Nothing) => vec![wasm("empty", &wiring.empty_filter, &json!({}))],
        Guard::EmptyWasm(Calls::Cached) => {
            vec![wasm("same_calls", &wiring.empty_filter, &json!({"calls": "cached"}))]
        }
        Guard::JwtAuthn(algorithm, cache) => vec![jwt_authn(wiring.tokens, algorithm, cache)],
        Guard::ExtAuthz(algorithm, transport) => {
            vec![jwt_authn(wiring.tokens, algorithm, TokenCache::Off), ext_authz(transport)]
        }
        Guard::Sekisho(machine) => vec![sekisho(wiring.tokens, machine)?],
    })
}

fn listener(name: &str, port: u16, mut filters: Vec<Value>) -> Value {
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": format!("{FILTERS}.http.router.v3.Router")},
    }));
    let manager = json!({
        "@type": format!("{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": name,
        "use_remote_address": true,
        "generate_request_id": false,
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "upstream"}}],
        }]},
    });
    let filter = json!({"name": "envoy.filters.network.http_connection_manager", "typed_config": manager});
    json!({"name": name, "address": address(port), "filter_chains": [{"filters": [filter]}]})
}

fn address(port: u16) -> Value {
    json!({"socket_address": {"address": "127.0.0.1", "port_value": port}})
}

fn cluster(name: &str, port: u16, is_http2: bool) -> Value {
    const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let explicit = if is_http2 { json!({"http2_protocol_options": {}}) } else { json!({"http_protocol_options": {}}) };
    let endpoint = json!({"endpoint": {"address": address(port)}});
    json!({
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "typed_extension_protocol_options": {
            OPTIONS: {"@type": format!("type.googleapis.com/{OPTIONS}"), "explicit_http_config": explicit},
        },
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    })
}

/// Envoy's own filter. Like Sekisho it takes the token away and tells the upstream who asks.
fn jwt_authn(tokens: &Tokens, algorithm: Algorithm, cache: TokenCache) -> Value {
    let mut provider = json!({
        "issuer": algorithm.issuer(),
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": tokens.of(algorithm).jwks().to_string()},
        "claim_to_headers": [
            {"header_name": "x-user", "claim_name": "user_email"},
            {"header_name": "x-token-id", "claim_name": "jti"},
        ],
    });
    if let (TokenCache::On, Some(provider)) = (cache, provider.as_object_mut()) {
        provider.insert("jwt_cache_config".into(), json!({"jwt_cache_size": 1_000}));
    }
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": format!("{FILTERS}.http.jwt_authn.v3.JwtAuthentication"),
            "providers": {"tokens": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "tokens"}}],
        },
    })
}

/// A question about each request to the benchmark's own server.
fn ext_authz(transport: Transport) -> Value {
    let mut filter = json!({
        "@type": format!("{FILTERS}.http.ext_authz.v3.ExtAuthz"),
        "transport_api_version": "V3",
    });
    let (name, service) = match transport {
        Transport::Http => {
            filter["allowed_headers"] = json!({"patterns": [{"exact": "x-user"}, {"exact": "x-token-id"}]});
            let uri = json!({"uri": "http://127.0.0.1", "cluster": "authz_http", "timeout": "1s"});
            ("http_service", json!({"server_uri": uri, "path_prefix": "/authz"}))
        }
        Transport::Grpc => ("grpc_service", json!({"envoy_grpc": {"cluster_name": "authz_grpc"}, "timeout": "1s"})),
    };
    filter[name] = service;
    json!({"name": "envoy.filters.http.ext_authz", "typed_config": filter})
}

/// Sekisho as users run it, with two more issuers, in a VM of its own.
fn sekisho(tokens: &Tokens, machine: Machine) -> Result<Value> {
    let filter = components::filter()?;
    let filter = filter.to_str().context("the filter's path is not UTF-8")?;
    let mut policy = policy_of(&std::fs::read_to_string(components::envoy_configuration()?)?)?;
    let providers = policy["providers"].as_array_mut().context("no providers")?;
    for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
        providers.push(json!({
            "name": algorithm.name(),
            "issuers": [algorithm.issuer()],
            "audiences": [AUDIENCE],
            "jwks": tokens.of(algorithm).jwks(),
            "email_claim": "user_email",
            "email_domains": ["*"],
            "email_verified": "ignored",
            "email_required": true,
        }));
    }
    let id = match machine {
        Machine::Warm => "warm".to_owned(),
        Machine::Cold => "cold".to_owned(),
        Machine::Told => {
            policy["filter_state"] = "all".into();
            "told".to_owned()
        }
        Machine::Rules(count) => {
            let routes = policy["routes"].as_array_mut().context("no routes")?;
            let last = routes.pop().context("no routes")?;
            *routes = (1..count).map(rule_of_others).chain([last]).collect();
            format!("rules_{count}")
        }
        Machine::ColdPlain => {
            let routes = policy["routes"].as_array_mut().context("no routes")?;
            routes.iter_mut().filter_map(Value::as_object_mut).for_each(|route| drop(route.remove("identity")));
            "cold_plain".to_owned()
        }
        Machine::People => {
            let routes = policy["routes"].as_array_mut().context("no routes")?;
            routes.last_mut().context("no routes")?["sessions"] = "accept".into();
            "people".to_owned()
        }
        Machine::Million => {
            policy["mesh"]["feed_cluster"] = format!("sekisho_feed{MILLION}").into();
            policy["mesh"]["check_cluster"] = format!("sekisho_check{MILLION}").into();
            "million".to_owned()
        }
    };
    Ok(wasm(&id, filter, &policy))
}

/// A rule that no request of the benchmark meets, of each kind in turn. None has a regular expression, which costs what
/// it costs.
fn rule_of_others(number: usize) -> Value {
    let matching = match number % 5 {
        0 => json!({"path": format!("/service{number}/status")}),
        1 => json!({"prefix": format!("/service{number}/")}),
        2 => json!({"template": format!("/{{tenant}}/service{number}/{{*rest}}")}),
        3 => json!({"host": format!("service{number}.example.com"), "prefix": "/api/", "methods": ["GET", "POST"]}),
        _ => json!({"prefix": "/", "headers": [{"name": "x-service", "equals": format!("service{number}")}]}),
    };
    json!({"name": format!("rule{number}"), "match": matching, "access": "protected", "identity": "upstream"})
}

fn wasm(id: &str, file: &str, configuration: &Value) -> Value {
    json!({
        "name": id,
        "typed_config": {
            "@type": format!("{FILTERS}.http.wasm.v3.Wasm"),
            "config": {
                "name": id, "root_id": id, "failure_policy": "FAIL_RELOAD",
                "vm_config": {
                    "vm_id": id,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": file}},
                    "environment_variables": {
                        "host_env_keys":
                            ["SEKISHO_MESH_SECRET", "JWT_SECRET", "SEKISHO_UPSTREAM_IDENTITY_KEY", "SEKISHO_EXPLAIN_KEY"],
                    },
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": configuration.to_string(),
                },
            },
        },
    })
}
