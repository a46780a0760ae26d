//! Whether this sidecar can do its work, and what is in the way. Says it for people: a sentence each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;

use crate::service::change::Durability;
use crate::service::error::StoreError;
use crate::service::feed::mirror::Mirror;
use crate::service::installation::{Database, Standing};

/// What the store says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vitals {
    /// Its version.
    pub server_version: String,
    /// `master` or `slave`: only a master can be written to.
    pub role: String,
    /// What it survives.
    pub durability: Durability,
    /// What it does when its memory is full; anything but `noeviction` loses bans.
    pub eviction_policy: String,
    /// Its setting for notices of changed keys; none if that may not be asked.
    pub notifications: Option<String>,
    /// Its clock, Unix milliseconds.
    pub clock_ms: u64,
}

impl Vitals {
    /// Whether the store throws keys away when its memory is full.
    #[must_use]
    pub fn evicts(&self) -> bool {
        self.eviction_policy != "noeviction"
    }
}

/// Asks the store how it is.
#[async_trait]
pub trait VitalsProbe: Send + Sync {
    /// How it is now.
    async fn vitals(&self) -> Result<Vitals, StoreError>;
}

/// Whether other programs' writes are noticed at once. Shared with the job that listens.
#[derive(Debug, Clone, Default)]
pub struct NoticeState(Arc<AtomicU8>);

/// How it stands with notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noticing {
    /// Not connected.
    Offline,
    /// Notices come.
    On,
    /// The store does not send any, and may not be told to.
    Forbidden,
}

impl NoticeState {
    /// Notes how it stands.
    pub fn set(&self, noticing: Noticing) {
        let number = match noticing {
            Noticing::Offline => 0,
            Noticing::On => 1,
            Noticing::Forbidden => 2,
        };
        self.0.store(number, Ordering::Relaxed);
    }

    /// How it stands.
    #[must_use]
    pub fn get(&self) -> Noticing {
        match self.0.load(Ordering::Relaxed) {
            1 => Noticing::On,
            2 => Noticing::Forbidden,
            _ => Noticing::Offline,
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What.
    pub name: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// Whether the sidecar is of no use without it.
    pub required: bool,
    /// How it is, and what to do.
    pub detail: String,
}

/// Everything that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether everything that is required is as it should be.
    pub ready: bool,
    /// One by one.
    pub checks: Vec<Finding>,
}

/// The finding about the database.
pub const DATABASE: &str = "database";

/// A sidecar whose copy of the feed is older than this is of no use to filters for long.
const FEED_MAX_AGE: Duration = Duration::from_secs(2);

/// Looks at everything.
#[derive(Clone)]
pub struct Readiness {
    mirror: Mirror,
    probe: Arc<dyn VitalsProbe>,
    notices: NoticeState,
    database: Database,
}

impl Readiness {
    /// Looks at the copy of the feed, the store, the notices, and the database.
    #[must_use]
    pub fn new(mirror: Mirror, probe: Arc<dyn VitalsProbe>, notices: NoticeState, database: Database) -> Self {
        Self { mirror, probe, notices, database }
    }

    /// How everything is.
    pub async fn report(&self) -> Report {
        let mut checks = self.store().await;
        checks.push(self.feed());
        checks.push(self.notices());
        checks.push(self.database());
        Report { ready: checks.iter().all(|check| check.ok || !check.required), checks }
    }

    async fn store(&self) -> Vec<Finding> {
        let vitals = match self.probe.vitals().await {
            Ok(vitals) => vitals,
            Err(error) => {
                tracing::debug!(%error, "the store does not answer");
                let detail = "Redis does not answer; see REDIS_URL and whether it runs".to_owned();
                return vec![Finding { name: "redis", ok: false, required: true, detail }];
            }
        };
        let answers = format!("Redis {} answers", vitals.server_version);
        let eviction = if vitals.evicts() {
            format!(
                "maxmemory-policy is {}: full memory would delete bans; set it to noeviction",
                vitals.eviction_policy
            )
        } else {
            "nothing is evicted".to_owned()
        };
        let durability = match vitals.durability {
            Durability::Memory => {
                "nothing is persisted: a restart of Redis loses tokens and old bans; set appendonly yes".to_owned()
            }
            durability => format!("persisted: {}", durability.word()),
        };
        let persists = vitals.durability != Durability::Memory;
        vec![
            Finding { name: "redis", ok: true, required: true, detail: answers },
            Finding { name: "eviction", ok: !vitals.evicts(), required: true, detail: eviction },
            Finding { name: "persistence", ok: persists, required: false, detail: durability },
        ]
    }

    fn feed(&self) -> Finding {
        let found = self.mirror.look(|state, age| (state.stamp().version, age));
        let (ok, detail) = match found {
            None => (false, "the feed was not loaded from Redis yet".to_owned()),
            Some((version, age)) => {
                let detail = format!("at version {version}, read from Redis {} ms ago", age.as_millis());
                (age <= FEED_MAX_AGE, detail)
            }
        };
        Finding { name: "feed", ok, required: true, detail }
    }

    /// Nothing that filters need is in there. But a sidecar with other settings than the rest is of no use.
    fn database(&self) -> Finding {
        let (ok, required, detail) = match self.database.standing() {
            Standing::Ours => (true, false, "it is open"),
            Standing::Unopened => (false, false, "it is not open yet; audit events wait in Redis"),
            Standing::Closed(why) => {
                tracing::debug!(why, "the database is not open");
                (false, false, "it can't be used, and audit events wait in Redis: see this sidecar's log")
            }
            // It would not have started if the database had answered then.
            Standing::Unusable(why) => {
                tracing::debug!(why, "the database must not be used");
                (false, true, "it is not the other sidecars', or the encryption key is not: see this sidecar's log")
            }
        };
        Finding { name: DATABASE, ok, required, detail: detail.to_owned() }
    }

    fn notices(&self) -> Finding {
        let (ok, detail) = match self.notices.get() {
            Noticing::On => (true, "bans by other programs are noticed at once"),
            Noticing::Offline => (
                false,
                "not connected; bans by other programs, and what oauth2-proxy deletes, are noticed by a scan every 30 s",
            ),
            Noticing::Forbidden => (
                false,
                "Redis sends no keyspace notices; set notify-keyspace-events to Kg$xe, or bans by other programs, and what oauth2-proxy deletes, take up to 30 s",
            ),
        };
        Finding { name: "notices", ok, required: false, detail: detail.to_owned() }
    }
}
