//! Starts the Envoys of a world.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde_json::Value;

use super::key_source::accept;
use super::links::{Links, ports_over};
use super::people::with_console;
use super::{Filter, Keys, Plan, Roles};
use crate::components;
use crate::envoy::configuration::{Ports, Wiring, of_world};
use crate::envoy::{Envoy, Setup};
use crate::peers::Provider;
use crate::sidecar::Sidecar;

/// What the Envoys of a world have around them.
pub(super) struct Crew<'a> {
    pub(super) plan: Plan,
    pub(super) folder: &'a Path,
    pub(super) keys: &'a Keys,
    pub(super) links: &'a Links,
    pub(super) a: &'a Sidecar,
    pub(super) b: &'a Sidecar,
    pub(super) upstream_port: u16,
    pub(super) provider: Option<&'a Provider>,
}

impl Crew<'_> {
    /// One Envoy for each of `ports`.
    pub(super) async fn start(&self, ports: Vec<Ports>) -> Result<Vec<Arc<Envoy>>> {
        let mut envoys = Vec::new();
        for (index, ports) in ports.into_iter().enumerate() {
            envoys.push(Arc::new(Envoy::start(self.setup(index, ports)?).await?));
        }
        Ok(envoys)
    }

    fn setup(&self, index: usize, ports: Ports) -> Result<Setup<'_>> {
        let (a, b) = (self.a.ports(), self.b.ports());
        let feed = ports_over(self.links.feed.get(index), [a.mesh, b.mesh]);
        let alike = self.plan.roles == Roles::Alike;
        let filter = match self.plan.filter {
            Filter::Ordinary => components::filter()?,
            Filter::Trapping => components::trapping_filter()?,
        };
        let policy = |policy: &mut Value| {
            if self.plan.people.is_some() {
                with_console(policy);
            }
            (self.plan.policy)(policy);
            if let Some(provider) = self.provider {
                accept(policy, provider);
            }
        };
        let wiring = Wiring {
            filter: filter.to_str().context("the filter's path is not UTF-8")?,
            ports,
            feed: if alike { feed.to_vec() } else { vec![feed[1]] },
            check: ports_over(self.links.check.get(index), [a.mesh, b.mesh]).to_vec(),
            app: if alike { vec![a.app, b.app] } else { vec![a.app] },
            upstream: vec![self.upstream_port],
            policy: &policy,
        };
        let mut configuration = of_world(&std::fs::read_to_string(components::envoy_configuration()?)?, &wiring)?;
        (self.plan.envoy)(&mut configuration)?;
        Ok(Setup {
            node: node_of(index),
            folder: self.folder,
            configuration,
            ports,
            keys: self.keys,
            workers: self.plan.workers,
            listeners: self.plan.listeners,
            restart: self.plan.restart,
        })
    }
}

/// The first one is called as it is where there is only one.
fn node_of(index: usize) -> String {
    if index == 0 { "envoy".to_owned() } else { format!("envoy-{}", index + 1) }
}
