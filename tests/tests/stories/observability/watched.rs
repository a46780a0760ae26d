//! The world in which stories count, and ask why.
//!
//! Its filter says of each request how it was decided; behind it stands Envoy's own RBAC filter, which lets nothing
//! below `/guarded` pass that the filter did not allow.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::envoy::configuration::with_managers;
use e2e::exposition::Exposition;
use e2e::wire::{Connection, RawRequest};
use e2e::world::Leg;
use e2e::{Plan, Shared, World, poll};
use serde_json::{Value, json};

/// In which time a tick, or a report, has told what happened.
pub(super) const SOON: Duration = Duration::from_secs(10);

pub(super) static WATCHED: Shared =
    Shared::in_turn(|| Plan { links: &[Leg::Check], policy: told_all, envoy: guarded, ..Plan::default() });

fn told_all(policy: &mut Value) {
    policy["filter_state"] = "all".into();
    policy["explain"] = json!({});
    let route = |name: &str, prefix: &str| json!({"name": name, "match": {"prefix": prefix}, "access": "protected", "identity": "upstream"});
    let shadow = |name: &str, prefix: &str| {
        let mut route = route(name, prefix);
        route["shadow"] = true.into();
        route
    };
    let routes = [
        // Whatever an operator calls a rule, its labels can be told apart.
        route("counted.decision=x", "/counted"),
        route("asked", "/asked"),
        shadow("shadow", "/shadow"),
        shadow("guarded-shadow", "/guarded/shadow"),
        route("guarded", "/guarded"),
    ];
    if let Some(known) = policy["routes"].as_array_mut() {
        known.splice(0..0, routes);
    }
}

fn guarded(root: &mut Value) -> Result<()> {
    root["stats_flush_interval"] = "0.2s".into();
    let allowed = json!({"filter_state": {"key": "wasm.sekisho.decision", "string_match": {"exact": "allow"}}});
    let below = json!({"url_path": {"path": {"prefix": "/guarded"}}});
    let policies = json!({
        "allowed": {"permissions": [{"any": true}], "principals": [allowed]},
        "elsewhere": {"permissions": [{"not_rule": below}], "principals": [{"any": true}]},
    });
    let rbac = json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "ALLOW", "policies": policies},
        },
    });
    with_managers(root, |manager| {
        if let Some(filters) = manager.get_mut("http_filters").and_then(Value::as_array_mut) {
            filters.insert(1, rbac.clone());
        }
    })
}

/// What the filter counts in this world.
pub(super) async fn counted(world: &World) -> Result<Exposition> {
    world.envoy.exposition("^wasmcustom").await
}

/// Waits until the filter has counted exactly `expected` rows of `name`, each with its labels.
pub(super) async fn until_counted(world: &World, name: &str, expected: &[(u64, &[(&str, &str)])]) -> Result<()> {
    poll::until(&format!("{name} is counted"), SOON, async || {
        let page = counted(world).await?;
        for (count, labels) in expected {
            let found = page.sum(name, labels).context("not a whole number")?;
            ensure!(found == *count, "{labels:?}: {found}, not {count}: {page:?}");
        }
        Ok(())
    })
    .await
}

/// A stream under the rule `asked` is open, and then its user is banned.
pub(super) async fn cut_a_stream(world: &World) -> Result<()> {
    let user = world.user();
    let before = world.upstream.count();
    let mut stream = Connection::open(world.envoy.edge()).await?;
    let request = RawRequest::new("GET", "/asked/stream").header("authorization", user.token.bearer());
    // A body that does not come keeps the request open.
    stream.write(&request.header("content-length", "10").bytes()).await?;
    poll::until_true("the stream is open", SOON, async || Ok(world.upstream.count() > before)).await?;
    world.ban_until_acknowledged(&world.a, &user).await?;
    Ok(())
}
