//! Running the sidecar: listen, start the jobs, end when told to.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::App;
use crate::config::Settings;
use crate::service::change::Durability;
use crate::service::error::StoreError;
use crate::service::installation::Database;
use crate::service::readiness::VitalsProbe;
use crate::{http, logging};

/// How long a start waits for Redis before it goes on without: the sidecar is then up, and not ready.
const WAIT_FOR_REDIS: Duration = Duration::from_secs(5);
/// How long a start waits for the database.
const WAIT_FOR_DATABASE: Duration = Duration::from_secs(5);
/// How long jobs may take to end, on top of [`http::DRAIN`].
const CLOSE: Duration = Duration::from_millis(500);

/// Runs the sidecar until it is told to end (SIGTERM, SIGINT).
///
/// # Errors
/// It cannot listen, or must not run on this Redis.
pub(super) async fn serve(settings: Settings) -> anyhow::Result<()> {
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
    refuse_other_database(&app.services.database, &closing).await?;
    let mut running = JoinSet::new();
    app.start_jobs(&settings, &mut running);
    for (listener, router) in listeners {
        running.spawn(http::serve(listener, router, closing.clone()));
    }
    closing.cancelled().await;
    tracing::info!("closing");
    let ended = async { while running.join_next().await.is_some() {} };
    if timeout(http::DRAIN + CLOSE, ended).await.is_err() {
        tracing::warn!("not everything ended in time");
    }
    Ok(())
}

async fn bind(name: &str, variable: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        anyhow::anyhow!("cannot listen on {address} ({variable}): {error}; is another sidecar running there?")
    })?;
    tracing::info!(listener = name, address = %listener.local_addr()?, "listening");
    Ok(listener)
}

/// A Redis that evicts would silently let the banned in again.
async fn refuse_eviction(probe: &dyn VitalsProbe, closing: &CancellationToken) -> anyhow::Result<()> {
    let deadline = Instant::now() + WAIT_FOR_REDIS;
    loop {
        match probe.vitals().await {
            Ok(vitals) if vitals.evicts() => anyhow::bail!(
                "Redis has maxmemory-policy {}, and would delete bans when its memory is full; set it to noeviction",
                vitals.eviction_policy
            ),
            Ok(vitals) => {
                if vitals.durability == Durability::Memory {
                    tracing::warn!("Redis persists nothing: a restart loses tokens and bans; set appendonly yes");
                }
                return Ok(());
            }
            Err(error) if Instant::now() >= deadline || closing.is_cancelled() => {
                tracing::warn!(%error, "Redis does not answer; the sidecar is not ready until it does");
                return Ok(());
            }
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Sidecars with a database each would each keep half of the audit trail. One whose database is away serves filters all
/// the same: what it has to record waits in Redis.
async fn refuse_other_database(database: &Database, closing: &CancellationToken) -> anyhow::Result<()> {
    let deadline = Instant::now() + WAIT_FOR_DATABASE;
    loop {
        match database.open().await {
            Ok(()) => return Ok(()),
            Err(error @ StoreError::Unusable { .. }) => anyhow::bail!("the database can't be used: {error}"),
            Err(error) if Instant::now() >= deadline || closing.is_cancelled() => {
                tracing::warn!(%error, "the database does not answer; audit events wait in Redis until it does");
                return Ok(());
            }
            Err(_) => sleep(Duration::from_millis(100)).await,
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
