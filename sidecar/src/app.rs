//! The composition root: it alone names the implementations, builds the services from them, and runs
//! the listeners and the jobs. What to read next: [`crate::http::mesh`] for what filters ask,
//! [`crate::http::app`] for what people and programs ask, [`crate::jobs::follow`] for the feed.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::Router;
use clap::Parser;
use sekisho_protocol::keys::digest_key;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::{self, Cli, Program};
use crate::client::gateway::HttpGateway;
use crate::client::web::HttpWeb;
use crate::config::Settings;
use crate::http::app::Api;
use crate::http::app::caller::Verifier;
use crate::http::mesh::Mesh;
use crate::http::ops::Ops;
use crate::logging::LogLevel;
use crate::service::Services;
use crate::service::doctor::Doctor;
use crate::service::error::StoreError;
use crate::service::gateway::Gateway;
use crate::service::sign_in::refresh::Due;
use crate::store::redis::RedisClient;
use crate::store::redis::notices::RedisNotices;
use crate::store::redis::oauth2_proxy::deletions::RedisDeletions;
use crate::store::redis::source::RedisFeedSource;
use crate::store::sql::Sql;
use crate::{http, jobs};

mod compose;
mod serve;

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
        Doctor::new(services.clone(), Arc::new(HttpWeb::default()), compose::round(settings))
    }

    fn gateway(&self) -> Box<dyn Gateway> {
        Box::new(HttpGateway::default())
    }

    fn openapi(&self) -> anyhow::Result<String> {
        Ok(http::app::document::text()?)
    }

    async fn serve(&self, settings: Settings) -> anyhow::Result<()> {
        serve::serve(settings).await
    }
}

/// The services, and what the jobs need besides.
pub struct App {
    /// The services.
    pub services: Services,
    redis: RedisClient,
    /// Until the job takes it.
    due: Mutex<Option<Due>>,
    closing: CancellationToken,
}

impl App {
    /// Everything, connected to the Redis that `settings` name; nothing runs yet. Polls are no longer
    /// held once `closing` is cancelled. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// The address of Redis or of the database is none. Both may be away.
    pub fn new(settings: &Settings, closing: CancellationToken) -> Result<Self, StoreError> {
        let redis = RedisClient::open(&String::from_utf8_lossy(settings.redis_url().expose()))?;
        let sql = Sql::new(compose::database(settings)?);
        let (services, due) = compose::services(settings, &redis, &sql, &closing);
        Ok(Self { services, redis, due: Mutex::new(Some(due)), closing })
    }

    /// Starts the jobs.
    pub fn start_jobs(&self, settings: &Settings, running: &mut JoinSet<()>) {
        let due = self.due.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(sign_in), Some(due)) = (&self.services.sign_in, due) {
            running.spawn(jobs::refresh::run(sign_in.clone(), due, self.closing.clone()));
        }
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
        for source in services.keysets.names() {
            running.spawn(jobs::keysets::run(services.keysets.clone(), source.clone(), self.closing.clone()));
        }
        running.spawn(jobs::tokens::run(services.tokens.clone(), self.closing.clone()));
        running.spawn(jobs::tokens::tidy(services.tokens.clone(), self.closing.clone()));
        running.spawn(jobs::tokens::watch(services.tokens.clone(), services.shown.clone(), self.closing.clone()));
        running.spawn(jobs::recent_sign_in::run(services.recent_sign_in.clone(), self.closing.clone()));
        running.spawn(jobs::active_users::run(services.active_users.clone(), self.closing.clone()));
        running.spawn(jobs::sessions::run(services.sessions.clone(), self.closing.clone()));
        running.spawn(jobs::survey::run(services.mesh.clone(), services.metrics.clone(), self.closing.clone()));
        running.spawn(jobs::signing_keys::run(services.signing_keys.clone(), self.closing.clone()));
        let (database, retention) = (services.database.clone(), settings.audit_retention());
        running.spawn(jobs::audit::run(database, services.trail.clone(), retention, self.closing.clone()));
        self.start_webhooks(running);
        if let (Some(service), Some(rules)) = (&services.oauth2_proxy, settings.oauth2_proxy()) {
            let deletions = RedisDeletions::new(self.redis.clone(), rules.cookie.clone());
            running.spawn(jobs::oauth2_proxy::run(deletions, service.clone(), self.closing.clone()));
        }
        running.spawn(jobs::cleanup::run(services.cleanup.clone(), self.closing.clone()));
    }

    fn start_webhooks(&self, running: &mut JoinSet<()>) {
        let (database, webhooks) = (&self.services.database, &self.services.webhooks);
        running.spawn(jobs::outbox::tidy(database.clone(), webhooks.clone(), self.closing.clone()));
        for webhook in webhooks.all() {
            let (database, webhooks) = (database.clone(), webhooks.clone());
            running.spawn(jobs::outbox::run(database, webhooks, webhook.clone(), self.closing.clone()));
        }
    }

    /// The routes of the `mesh` listener.
    pub fn mesh(&self, settings: &Settings) -> Router {
        let services = &self.services;
        http::mesh::router(Mesh {
            secret: settings.mesh().secret.clone(),
            polls: services.polls.clone(),
            checks: services.checks.clone(),
            sessions: services.sessions.clone(),
            oauth2_proxy: services.oauth2_proxy.clone(),
            keysets: services.keysets.clone(),
            activities: services.activities.clone(),
            metrics: services.metrics.clone(),
        })
    }

    /// The routes of the `app` listener.
    pub fn api(&self, settings: &Settings) -> Router {
        let services = &self.services;
        http::app::router(Api {
            bans: services.bans.clone(),
            tokens: services.tokens.clone(),
            signing_keys: services.signing_keys.clone(),
            jwks: services.jwks.clone(),
            sessions: services.sessions.clone(),
            all_sessions: services.all_sessions.clone(),
            logouts: services.logouts.clone(),
            active_users: services.active_users.clone(),
            mesh: services.mesh.clone(),
            keysets: services.keysets.clone(),
            trail: services.trail.clone(),
            webhooks: services.webhooks.clone(),
            cleanup: services.cleanup.clone(),
            admins: services.admins.clone(),
            sign_in: services.sign_in.clone(),
            idempotency: services.idempotency.clone(),
            throttle: services.throttle.clone(),
            refusals: services.refusals.clone(),
            verifier: Arc::new(Verifier::new(settings.mesh().secret.expose())),
        })
    }

    /// The routes of the `ops` listener.
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
