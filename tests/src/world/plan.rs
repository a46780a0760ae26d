//! What a world is like: what a story changes about the world that users run.

use anyhow::Result;
use serde_json::{Value, json};

use super::{KeySource, People, World};
use crate::envoy::{Listeners, Restart};

/// Which sidecar does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    /// Both do everything, as users run it.
    Alike,
    /// A serves the app API, B the workers' feeds: what is told to A must travel.
    Split,
}

/// Whether the sidecars run when Envoy starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sidecars {
    /// They do, and the world is handed out when every worker has its snapshot.
    Running,
    /// They do not: Envoy starts alone.
    Absent,
}

/// A connection between parts that may lead over a [`Link`](crate::link::Link).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leg {
    /// From each Envoy to each sidecar, for the feed and the activity reports.
    Feed,
    /// From each Envoy to each sidecar, for checks.
    Check,
    /// From each sidecar to Redis.
    Redis,
}

/// Which filter the Envoys load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// The one that users run.
    Ordinary,
    /// The same with a trap that a request can set off.
    Trapping,
}

/// What a world is like.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many Envoys there are. They share the sidecars.
    pub envoys: usize,
    /// The workers of each Envoy.
    pub workers: u32,
    /// Where the Envoys have their listeners from.
    pub listeners: Listeners,
    /// How the Envoys may be restarted.
    pub restart: Restart,
    /// Which filter they load.
    pub filter: Filter,
    /// Connections that can be slowed down and cut; the others are direct.
    pub links: &'static [Leg],
    /// Which sidecar does what.
    pub roles: Roles,
    /// Whether there are sidecars from the beginning.
    pub sidecars: Sidecars,
    /// Changes to the filter's configuration.
    pub policy: fn(&mut Value),
    /// Changes to Envoy's own: see [`with_managers`](crate::envoy::configuration::with_managers) and
    /// [`upstream_over_http2`](crate::envoy::configuration::upstream_over_http2).
    pub envoy: fn(&mut Value) -> Result<()>,
    /// A provider whose keys the sidecars fetch, and whose tokens the filter accepts besides.
    pub provider: Option<KeySource>,
    /// How people sign in, if they do.
    pub people: Option<People>,
    /// Whether there is a [`Receiver`](crate::receiver::Receiver) that the sidecars tell of events.
    pub webhooks: bool,
    /// Whether the sidecars take sessions of an oauth2-proxy.
    pub oauth2_proxy: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            envoys: 1,
            workers: 2,
            listeners: Listeners::Static,
            restart: Restart::Cold,
            filter: Filter::Ordinary,
            links: &[],
            roles: Roles::Alike,
            sidecars: Sidecars::Running,
            policy: |_| {},
            envoy: |_| Ok(()),
            provider: None,
            people: None,
            webhooks: false,
            oauth2_proxy: false,
        }
    }
}

impl Plan {
    /// Starts a world like this.
    ///
    /// # Errors
    /// A component is missing or does not become ready.
    pub async fn start(self) -> Result<World> {
        World::of(self).await
    }
}

/// Adds `/available` beside the ordinary route, whose operator chose to let requests pass where nothing can
/// be checked (`on_unavailable: allow`).
pub fn with_available_route(policy: &mut Value) {
    if let Some(routes) = policy["routes"].as_array_mut() {
        let route = json!({"name": "available", "match": {"prefix": "/available"}, "access": "protected", "identity": "upstream",
                           "on_unavailable": "allow", "answers": {"shape": "llm"}});
        routes.insert(0, route);
    }
}
