//! The links of one world, by what they connect.

use anyhow::Result;

use super::plan::{Leg, Plan};
use crate::link::Link;
use crate::redis_server::{RedisServer, url_of};

/// The links that a plan wants; lists are empty where the parts are connected directly.
pub struct Links {
    /// By Envoy, then by sidecar: for the feed and the activity reports.
    pub feed: Vec<[Link; 2]>,
    /// By Envoy, then by sidecar: for checks.
    pub check: Vec<[Link; 2]>,
    /// By sidecar: to Redis.
    pub redis: Vec<Link>,
}

impl Links {
    /// Those to a Redis on `port`.
    pub(super) async fn to_redis(plan: &Plan, port: u16) -> Result<Self> {
        let redis = match plan.links.contains(&Leg::Redis) {
            true => vec![Link::to(port).await?, Link::to(port).await?],
            false => Vec::new(),
        };
        Ok(Self { feed: Vec::new(), check: Vec::new(), redis })
    }

    /// Adds those to the mesh listeners on `ports`.
    pub(super) async fn add_to_sidecars(&mut self, plan: &Plan, [a, b]: [u16; 2]) -> Result<()> {
        for _ in 0..plan.envoys {
            if plan.links.contains(&Leg::Feed) {
                self.feed.push([Link::to(a).await?, Link::to(b).await?]);
            }
            if plan.links.contains(&Leg::Check) {
                self.check.push([Link::to(a).await?, Link::to(b).await?]);
            }
        }
        Ok(())
    }

    /// All of them between Envoys and sidecars.
    pub fn to_sidecars(&self) -> impl Iterator<Item = &Link> {
        self.feed.iter().chain(&self.check).flatten()
    }

    /// By which URL the sidecar number `sidecar` reaches `redis`.
    pub(super) fn redis_url(&self, sidecar: usize, redis: &RedisServer) -> String {
        self.redis.get(sidecar).map_or_else(|| redis.url(), |link| url_of(link.port()))
    }
}

/// By which ports something reaches the sidecars that listen on `direct`.
pub(super) fn ports_over(links: Option<&[Link; 2]>, direct: [u16; 2]) -> [u16; 2] {
    links.map_or(direct, |links| [links[0].port(), links[1].port()])
}
