//! The composition root: it alone names the implementations, builds the services from them, and runs
//! the listeners and the jobs. What to read next: [`crate::http::mesh`] for what filters ask,
//! [`crate::http::app`] for what people and programs ask, [`crate::jobs::follow`] for the feed.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use clap::Parser;
use sekisho_protocol::keys::digest_key;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::{self, Cli, Program};
use crate::client::web::HttpWeb;
use crate::config::Settings;
use crate::domain::admin::AdminRules;
use crate::domain::strength::Strength;
use crate::domain::token::Lifetimes;
use crate::http::app::Api;
use crate::http::app::caller::Verifier;
use crate::http::mesh::Mesh;
use crate::http::ops::Ops;
use crate::logging::{self, LogLevel};
use crate::service::Services;
use crate::service::acknowledgement::Acknowledgements;
use crate::service::activity::Activities;
use crate::service::admins::Admins;
use crate::service::bans::Bans;
use crate::service::change::Changes;
use crate::service::checks::Checks;
use crate::service::doctor::{Doctor, Round};
use crate::service::error::StoreError;
use crate::service::feed::mirror::Mirror;
use crate::service::feed::polls::Polls;
use crate::service::feed::reconcile::Reconciler;
use crate::service::metrics::Metrics;
use crate::service::readiness::{NoticeState, Readiness, VitalsProbe};
use crate::service::tokens::Tokens;
use crate::service::tokens::issuer::Issuer;
use crate::store::redis::RedisClient;
use crate::store::redis::activity::RedisActivity;
use crate::store::redis::admins::RedisAdmins;
use crate::store::redis::bans::RedisBans;
use crate::store::redis::feed::RedisFeed;
use crate::store::redis::notices::RedisNotices;
use crate::store::redis::records::RedisRecords;
use crate::store::redis::source::RedisFeedSource;
use crate::store::redis::tokens::RedisTokens;
use crate::store::redis::vitals::RedisVitals;
use crate::store::redis::workers::RedisWorkers;
use crate::{http, jobs};

/// What [`crate::cli`] runs: this program.
struct Sekisho;

/// Reads the command line and does what it says.
pub async fn run() -> ExitCode {
    cli::run(Cli::parse(), &Sekisho).await
}

#[async_trait]
impl Program for Sekisho {
    fn connect(&self, settings: &Settings) -> Result<Services, StoreError> {
        Ok(App::new(settings, CancellationToken::new())?.services)
    }

    fn doctor(&self, settings: &Settings, services: &Services) -> Doctor {
        let (probe, registry) = (Arc::clone(&services.probe), Arc::clone(&services.registry));
        Doctor::new(probe, registry, Arc::new(HttpWeb::default()), round(settings))
    }

    fn openapi(&self) -> anyhow::Result<String> {
        Ok(http::app::document::text()?)
    }

    async fn serve(&self, settings: Settings) -> anyhow::Result<()> {
        serve(settings).await
    }
}

/// The services, and what the jobs need besides.
pub struct App {
    /// The services.
    pub services: Services,
    redis: RedisClient,
    closing: CancellationToken,
}

impl App {
    /// Everything, connected to the Redis that `settings` name; nothing runs yet. Polls are no longer
    /// held once `closing` is cancelled. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// The address of Redis is none. Redis itself may be away.
    pub fn new(settings: &Settings, closing: CancellationToken) -> Result<Self, StoreError> {
        let redis = RedisClient::open(&String::from_utf8_lossy(settings.redis_url().expose()))?;
        let services = services(settings, &redis, &closing);
        Ok(Self { services, redis, closing })
    }

    /// Starts the jobs.
    pub fn start_jobs(&self, settings: &Settings, running: &mut JoinSet<()>) {
        let services = &self.services;
        let key = digest_key(settings.mesh().secret.expose());
        let source = RedisFeedSource::new(self.redis.clone());
        let follower = jobs::follow::Follower::new(source, services.mirror.clone(), key);
        running.spawn(follower.run(self.closing.clone()));
        let wake = Arc::new(Notify::new());
        running.spawn(jobs::watch::run(
            RedisNotices::new(self.redis.clone()),
            services.reconciler.clone(),
            services.notices.clone(),
            Arc::clone(&wake),
            self.closing.clone(),
        ));
        running.spawn(jobs::reconcile::run(services.reconciler.clone(), wake, self.closing.clone()));
        running.spawn(jobs::sweep::run(
            services.mirror.clone(),
            Arc::clone(&services.records),
            Arc::clone(&services.registry),
            self.closing.clone(),
        ));
    }

    /// The routes of the `mesh` listener.
    #[must_use]
    pub fn mesh(&self, settings: &Settings) -> Router {
        let services = &self.services;
        http::mesh::router(Mesh {
            secret: settings.mesh().secret.clone(),
            polls: services.polls.clone(),
            checks: services.checks.clone(),
            activities: services.activities.clone(),
        })
    }

    /// The routes of the `app` listener.
    #[must_use]
    pub fn api(&self, settings: &Settings) -> Router {
        let services = &self.services;
        http::app::router(Api {
            bans: services.bans.clone(),
            tokens: services.tokens.clone(),
            admins: services.admins.clone(),
            verifier: Arc::new(Verifier::new(settings.mesh().secret.expose())),
        })
    }

    /// The routes of the `ops` listener.
    #[must_use]
    pub fn ops(&self, settings: &Settings, log_level: LogLevel) -> Router {
        let services = &self.services;
        http::ops::router(Ops {
            node: settings.node().to_owned(),
            secret: settings.mesh().secret.clone(),
            readiness: services.readiness.clone(),
            metrics: services.metrics.clone(),
            mirror: services.mirror.clone(),
            log_level,
        })
    }
}

fn services(settings: &Settings, redis: &RedisClient, closing: &CancellationToken) -> Services {
    let feed = Arc::new(RedisFeed::new(redis.clone()));
    let registry = Arc::new(RedisWorkers::new(redis.clone()));
    let records = Arc::new(RedisRecords::new(redis.clone()));
    let vitals = Arc::new(RedisVitals::new(redis.clone()));
    let (mirror, metrics, notices) = (Mirror::default(), Metrics::default(), NoticeState::default());
    let acknowledgements = Acknowledgements::new(registry.clone(), settings.mesh().acknowledgement_timeout);
    let changes = Changes::new(acknowledgements.clone(), vitals.clone());
    let (tokens, admins) = (settings.tokens(), settings.admins());
    let issuer = Issuer::new(tokens.jwt_secret.expose(), tokens.issuer.clone(), tokens.audience.clone());
    let lifetimes = Lifetimes { default_s: tokens.default_expires_in_s, max_s: tokens.max_expires_in_s };
    let rules = AdminRules::new(admins.super_admin.clone(), admins.emails.clone(), admins.domains.clone());
    let polls = Polls::new(
        mirror.clone(),
        registry.clone(),
        metrics.clone(),
        settings.node().to_owned(),
        settings.mesh().feed_hold,
        closing.clone(),
    );
    Services {
        bans: Bans::new(Arc::new(RedisBans::new(redis.clone())), feed.clone(), registry.clone(), changes.clone()),
        tokens: Tokens::new(Arc::new(RedisTokens::new(redis.clone())), feed.clone(), changes, issuer, lifetimes),
        admins: Admins::new(rules, Arc::new(RedisAdmins::new(redis.clone()))),
        acknowledgements,
        polls,
        checks: Checks::new(mirror.clone(), records.clone(), metrics.clone()),
        activities: Activities::new(Arc::new(RedisActivity::new(redis.clone())), metrics.clone()),
        reconciler: Reconciler::new(feed.clone(), records.clone(), mirror.clone()),
        readiness: Readiness::new(mirror.clone(), vitals.clone(), notices.clone()),
        feed,
        registry,
        records,
        probe: vitals,
        mirror,
        notices,
        metrics,
    }
}

/// Whom the doctor visits.
fn round(settings: &Settings) -> Round {
    let doctor = settings.doctor();
    Round {
        envoy_admin: doctor.envoy_admin.clone(),
        sidecars: doctor.sidecars.clone(),
        secrets: vec![
            ("SEKISHO_MESH_SECRET", Strength::of(settings.mesh().secret.expose())),
            ("JWT_SECRET", Strength::of(settings.tokens().jwt_secret.expose())),
        ],
    }
}

/// How long a start waits for Redis before it goes on without: the sidecar is then up, and not ready.
const WAIT_FOR_REDIS: Duration = Duration::from_secs(5);
/// How long jobs may take to end, on top of [`http::DRAIN`].
const CLOSE: Duration = Duration::from_millis(500);

/// Runs the sidecar until it is told to end (SIGTERM, SIGINT).
///
/// # Errors
/// It cannot listen, or must not run on this Redis.
pub async fn serve(settings: Settings) -> anyhow::Result<()> {
    let log_level = logging::start(settings.log())?;
    if settings.tokens().jwt_secret_is_short {
        tracing::warn!("JWT_SECRET is shorter than 32 bytes and can be guessed; plan to replace it");
    }
    let closing = CancellationToken::new();
    close_on_signal(closing.clone())?;
    let app = App::new(&settings, closing.clone())?;
    let listen = settings.listen();
    let listeners = [
        (bind("mesh", "SEKISHO_MESH_LISTEN", listen.mesh).await?, app.mesh(&settings)),
        (bind("app", "SEKISHO_APP_LISTEN", listen.app).await?, app.api(&settings)),
        (bind("ops", "SEKISHO_OPS_LISTEN", listen.ops).await?, app.ops(&settings, log_level)),
    ];
    refuse_eviction(&*app.services.probe, &closing).await?;
    let mut running = JoinSet::new();
    app.start_jobs(&settings, &mut running);
    for (listener, router) in listeners {
        running.spawn(http::serve(listener, router, closing.clone()));
    }
    closing.cancelled().await;
    tracing::info!("closing");
    let ended = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(http::DRAIN + CLOSE, ended).await.is_err() {
        tracing::warn!("not everything ended in time");
    }
    Ok(())
}

async fn bind(name: &str, variable: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| anyhow::anyhow!("cannot listen on {address} ({variable}): {error}; is another sidecar running there?"))?;
    tracing::info!(listener = name, address = %listener.local_addr()?, "listening");
    Ok(listener)
}

/// A Redis that evicts would silently let the banned in again.
async fn refuse_eviction(probe: &dyn VitalsProbe, closing: &CancellationToken) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + WAIT_FOR_REDIS;
    loop {
        match probe.vitals().await {
            Ok(vitals) if vitals.evicts() => anyhow::bail!(
                "Redis has maxmemory-policy {}, and would delete bans when its memory is full; set it to noeviction",
                vitals.eviction_policy
            ),
            Ok(vitals) => {
                if vitals.durability == crate::service::change::Durability::Memory {
                    tracing::warn!("Redis persists nothing: a restart loses tokens and bans; set appendonly yes");
                }
                return Ok(());
            }
            Err(error) if tokio::time::Instant::now() >= deadline || closing.is_cancelled() => {
                tracing::warn!(%error, "Redis does not answer; the sidecar is not ready until it does");
                return Ok(());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

fn close_on_signal(closing: CancellationToken) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        closing.cancel();
    });
    Ok(())
}
