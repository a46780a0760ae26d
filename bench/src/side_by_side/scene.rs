//! The parts that are measured: one Envoy with one worker, and everything around it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use bench::million;
use e2e::components::repository;
use e2e::envoy::configuration::Ports;
use e2e::envoy::{Envoy, Listeners, Restart, Setup};
use e2e::folder::Folder;
use e2e::process::Process;
use e2e::redis_server::RedisServer;
use e2e::sidecar::Sidecar;
use e2e::world::Keys;
use e2e::{poll, ports};
use serde_json::Value;

use crate::configuration::{self, Wiring};
use crate::cpu::{self, Processes};
use crate::people;
use crate::tokens::Tokens;
use crate::upstream::Upstream;
use crate::variant::{ALL, Machine};

/// Everything.
pub(crate) struct Scene {
    pub(crate) envoy: Envoy,
    pub(crate) mesh: Mesh,
    pub(crate) million: Mesh,
    pub(crate) upstream: Upstream,
    pub(crate) tokens: Tokens,
    /// The cookie of somebody who signed in.
    pub(crate) session: String,
    pub(crate) processes: Processes,
    listeners: Vec<u16>,
    _authz: Process,
    _folder: Folder,
}

/// A sidecar with its Redis.
pub(crate) struct Mesh {
    pub(crate) redis: RedisServer,
    pub(crate) sidecar: Sidecar,
    _folder: Folder,
}

impl Scene {
    /// Starts everything and waits until every worker has its snapshot.
    ///
    /// # Errors
    /// A component is missing or does not become ready.
    pub(crate) async fn start() -> Result<Self> {
        let (folder, keys) = (Folder::create()?, Keys::default());
        let ports = Ports::free()?;
        let mesh = Mesh::start("bench", ports, &keys).await?;
        let million = Mesh::start("million", ports, &keys).await?;
        let version = million.file().await?;
        let tokens = Tokens::mint(&keys.jwt)?;
        let session = people::sign_in(&mesh.redis.url(), &keys).await?;
        let upstream = Upstream::start()?;
        let (authz, authz_port) = authz(folder.path(), &mesh.redis).await?;
        let listeners = ALL.iter().map(|_| ports::free()).collect::<Result<Vec<_>>>()?;
        let wiring = Wiring {
            admin: ports.admin,
            listeners: &listeners,
            upstream: upstream.port(),
            mesh: mesh.sidecar.ports().mesh,
            million: million.sidecar.ports().mesh,
            authz: authz_port,
            empty_filter: component("the filter that does nothing", ".sekisho/empty.wasm")?,
            tokens: &tokens,
        };
        let setup = Setup {
            node: "bench".into(),
            folder: folder.path(),
            configuration: configuration::of(&wiring)?,
            ports,
            keys: &keys,
            workers: 1,
            listeners: Listeners::Static,
            restart: Restart::Cold,
        };
        let envoy = Envoy::start(setup).await?;
        // The main thread has a VM of each kind besides the worker.
        mesh.until_workers_hold(2 * Machine::OF_THE_MESH, 0).await?;
        million.until_workers_hold(2, version).await?;
        let processes = Processes {
            envoy: envoy.process_id().await?,
            servers: [authz.id()?, mesh.sidecar.process_id().await?, million.sidecar.process_id().await?],
            redis: mesh.redis.process_id().await?,
        };
        let scene = Self {
            envoy,
            mesh,
            million,
            upstream,
            tokens,
            session,
            processes,
            listeners,
            _authz: authz,
            _folder: folder,
        };
        cpu::settle(scene.processes)?;
        Ok(scene)
    }

    /// Where the clients of a variant go.
    pub(crate) fn listener(&self, variant: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.listeners.get(variant).copied().unwrap_or_default()))
    }
}

impl Mesh {
    async fn start(name: &str, envoy: Ports, keys: &Keys) -> Result<Self> {
        let folder = Folder::create()?;
        let redis = RedisServer::start(folder.path()).await?;
        let sidecar = Sidecar::new(name, folder.path(), &redis.url(), envoy.admin(), keys)?;
        sidecar.start().await?;
        Ok(Self { redis, sidecar, _folder: folder })
    }

    /// Puts a million entries in force; their last version.
    async fn file(&self) -> Result<u64> {
        let mut redis = redis::Client::open(self.redis.url())?.get_multiplexed_async_connection().await?;
        let version = million::file(&mut redis).await?;
        million::publish(&mut redis, version).await?;
        Ok(version)
    }

    /// The rows of its registry, one for each VM.
    ///
    /// # Errors
    /// Redis is away.
    pub(crate) async fn registry(&self) -> Result<Vec<Value>> {
        let rows = self.redis.hash("sekisho:{feed}:workers").await?;
        rows.iter().map(|(_, row)| Ok(serde_json::from_str(row)?)).collect()
    }

    async fn until_workers_hold(&self, count: usize, version: u64) -> Result<()> {
        poll::until("every worker has its snapshot", poll::START * 4, async || {
            let rows = self.registry().await?;
            let holds = |row: &&Value| row["epoch"].is_string() && row["version"].as_u64() >= Some(version);
            ensure!(rows.iter().filter(holds).count() >= count, "{rows:?}");
            Ok(())
        })
        .await
    }
}

/// Starts the server behind `ext_authz`; its port.
async fn authz(folder: &Path, redis: &RedisServer) -> Result<(Process, u16)> {
    let port = ports::free()?;
    let program: PathBuf = std::env::current_exe()?.with_file_name("bench-authz");
    let mut command = Command::new(program);
    command.arg(port.to_string()).arg(redis.url());
    let mut process = Process::start("authz", folder, command).await?;
    poll::until("the server behind ext_authz listens", poll::START, async || {
        process.still_runs()?;
        Ok(tokio::net::TcpStream::connect(("127.0.0.1", port)).await?)
    })
    .await?;
    Ok((process, port))
}

fn component(what: &str, file: &str) -> Result<String> {
    let path = repository().join(file);
    ensure!(path.is_file(), "{what} is missing at {file}: run scripts/bench");
    Ok(path.to_str().context("a path that is not UTF-8")?.to_owned())
}
