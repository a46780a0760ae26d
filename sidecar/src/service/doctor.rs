//! The doctor: looks at everything that an installation needs, and says what to do about the rest.
//!
//! It asks; [`verdict`] judges, so that each judgement can be tested without the thing that it judges.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;

use crate::domain::sign_in::cookie_name;
use crate::domain::strength::Strength;
use crate::service::Services;
use crate::service::change::Durability;

pub mod verdict;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Ok,
    /// It works, but not as it should.
    Warn,
    /// It does not do what it must.
    Fail,
}

/// What was found out about one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What was looked at.
    pub name: &'static str,
    /// How it is.
    pub status: Health,
    /// A sentence: how it is, and what to do.
    pub detail: String,
}

impl Verdict {
    fn new(name: &'static str, status: Health, detail: impl Into<String>) -> Self {
        Self { name, status, detail: detail.into() }
    }
}

/// Asks things over HTTP.
#[async_trait]
pub trait Web: Send + Sync {
    /// Status and body of what is at `url`, or why there is no answer.
    async fn get(&self, url: &str) -> Result<(u16, String), String>;
}

/// Whom to visit.
#[derive(Debug, Clone)]
pub struct Round {
    /// Envoy's admin address, as a URL.
    pub envoy_admin: String,
    /// The `ops` addresses of all sidecars, as URLs.
    pub sidecars: Vec<String>,
    /// The secrets' names, and what their bytes show.
    pub secrets: Vec<(&'static str, Strength)>,
}

/// Looks at everything.
#[derive(Clone)]
pub struct Doctor {
    services: Services,
    web: Arc<dyn Web>,
    round: Round,
}

impl Doctor {
    /// Looks at these services, and by means of `web` at what is elsewhere.
    #[must_use]
    pub fn new(services: Services, web: Arc<dyn Web>, round: Round) -> Self {
        Self { services, web, round }
    }

    /// What there is to say. `clock_ms` tells this machine's time, Unix milliseconds.
    pub async fn examine(&self, clock_ms: impl Fn() -> u64 + Send + Sync) -> Vec<Verdict> {
        let mut verdicts = self.examine_redis(clock_ms).await;
        verdicts.extend(self.round.secrets.iter().map(|(name, strength)| verdict::secret(name, strength)));
        verdicts.push(self.examine_signing_keys().await);
        verdicts.extend(self.examine_database().await);
        verdicts.push(match self.services.trail.backlog().await {
            Ok(backlog) => verdict::backlog(&backlog),
            Err(error) => verdict::unknown("audit events", &error),
        });
        verdicts.push(self.examine_envoy().await);
        verdicts.extend(self.examine_session_cookie().await);
        verdicts.push(match self.services.registry.roll().await {
            Ok(roll) => verdict::workers(&roll),
            Err(error) => verdict::unknown("filters", &error),
        });
        match self.services.keysets.overview().await {
            Ok(sources) => verdicts.extend(sources.iter().map(verdict::provider_keys)),
            Err(error) => verdicts.push(verdict::unknown("provider keys", &error)),
        }
        verdicts.extend(self.examine_webhooks().await);
        for url in &self.round.sidecars {
            let url = url.trim_end_matches('/');
            let (ready, alive) = (format!("{url}/readyz"), format!("{url}/healthz"));
            let (ready, alive) = tokio::join!(self.web.get(&ready), self.web.get(&alive));
            verdicts.push(verdict::sidecar(url, ready, alive));
        }
        verdicts
    }

    async fn examine_redis(&self, clock_ms: impl Fn() -> u64 + Send + Sync) -> Vec<Verdict> {
        let before = clock_ms();
        match self.services.probe.vitals().await {
            Ok(vitals) => verdict::redis(&vitals, before, clock_ms()),
            Err(error) => vec![verdict::unknown("redis", &error)],
        }
    }

    async fn examine_signing_keys(&self) -> Verdict {
        let (ring, vitals) = tokio::join!(self.services.signing_keys.ring(), self.services.probe.vitals());
        match ring {
            Ok(ring) => {
                let durability = vitals.map_or(Durability::Unknown, |vitals| vitals.durability);
                verdict::signing_keys(&ring, &self.services.signing_keys.closed(&ring), durability)
            }
            Err(error) => verdict::unknown("signing keys", &error),
        }
    }

    async fn examine_database(&self) -> Vec<Verdict> {
        let encryption = &self.services.encryption;
        let (examined, inventory) = tokio::join!(self.services.database.examine(), encryption.inventory());
        let examined = match examined {
            Ok(examined) => examined,
            Err(error) => return vec![verdict::no_database(&error)],
        };
        let mut verdicts = verdict::database(&examined);
        verdicts.push(match inventory {
            Ok(places) => verdict::encryption(&encryption.canary().judge(examined.look.canary.as_ref()), &places),
            Err(failure) => Verdict::new("encryption", Health::Fail, failure.to_string()),
        });
        verdicts
    }

    async fn examine_webhooks(&self) -> Vec<Verdict> {
        if self.services.webhooks.all().is_empty() {
            return Vec::new();
        }
        match self.services.webhooks.overview().await {
            Ok(webhooks) => webhooks.iter().map(verdict::webhook).collect(),
            Err(error) => vec![verdict::unknown_webhooks(&error)],
        }
    }

    async fn examine_session_cookie(&self) -> Option<Verdict> {
        let cookie = cookie_name(self.services.sign_in.as_ref()?.is_secure());
        let url = self.round.envoy_admin.trim_end_matches('/');
        Some(verdict::session_cookie(cookie, self.web.get(&format!("{url}/config_dump")).await))
    }

    async fn examine_envoy(&self) -> Verdict {
        let url = self.round.envoy_admin.trim_end_matches('/');
        verdict::envoy(url, self.web.get(&format!("{url}/ready")).await)
    }
}
