//! A sidecar with a Redis of its own, and what an administrator and a filter ask of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bench::figures::Samples;
use e2e::folder::Folder;
use e2e::poll;
use e2e::redis_server::RedisServer;
use e2e::sidecar::Sidecar;
use e2e::token::assertion;
use e2e::world::{ADMIN, Keys};
use redis::cmd;
use reqwest::{Client, Method};
use sekisho_protocol::identity::APP_AUDIENCE;
use sekisho_protocol::keys::app_identity_key;
use sekisho_sidecar::store::redis::RedisClient;
use sekisho_sidecar::store::sql::{Address, Sql};
use serde_json::Value;
use tokio::time::Instant;

/// How often each question is asked.
const ROUNDS: usize = 40;
/// Redis notes commands that take longer than so many microseconds.
const SLOW_US: u64 = 10_000;

/// The parts.
pub(crate) struct Scene {
    pub(crate) sidecar: Sidecar,
    pub(crate) redis: RedisServer,
    pub(crate) keys: Keys,
    folder: Folder,
}

impl Scene {
    /// Starts them, with SQLite in the data folder.
    ///
    /// # Errors
    /// A component is missing or does not become ready.
    pub(crate) async fn start() -> Result<Self> {
        Self::start_with(&[]).await
    }

    /// The same, with these settings besides.
    ///
    /// # Errors
    /// A component is missing or does not become ready.
    pub(crate) async fn start_with(settings: &[(&str, String)]) -> Result<Self> {
        let (folder, keys) = (Folder::create()?, Keys::default());
        let redis = RedisServer::start(folder.path()).await?;
        let nobody = ([127, 0, 0, 1], 9).into();
        let mut sidecar = Sidecar::new("a", folder.path(), &redis.url(), nobody, &keys)?;
        for (name, value) in settings {
            sidecar.set(name, value.clone());
        }
        sidecar.start().await?;
        let scene = Self { sidecar, redis, keys, folder };
        for (name, value) in [("slowlog-log-slower-than", SLOW_US), ("slowlog-max-len", 10_000)] {
            scene.redis.command::<()>(cmd("CONFIG").arg("SET").arg(name).arg(value)).await?;
        }
        Ok(scene)
    }

    /// The sidecar's process.
    ///
    /// # Errors
    /// It has ended.
    pub(crate) async fn process(&self) -> Result<u32> {
        self.sidecar.process_id().await
    }

    /// Its Redis, as it reaches it itself.
    ///
    /// # Errors
    /// The URL is none.
    pub(crate) fn client(&self) -> Result<RedisClient> {
        Ok(RedisClient::open(&self.redis.url())?)
    }

    /// The SQLite database in its data folder.
    pub(crate) fn sqlite(&self) -> Sql {
        Sql::new(Address::Sqlite(self.folder.path().join("data/sekisho.db")))
    }

    /// What the administrator is answered, and after how long.
    ///
    /// # Errors
    /// It is not 200.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(Value, Duration)> {
        let key = app_identity_key(self.keys.mesh.as_bytes());
        let identity = assertion(&key, APP_AUDIENCE, ADMIN, &["api:read", "api:write", "admin"]);
        let begin = Instant::now();
        let answer = self.sidecar.app(method, path, &[("x-sekisho-identity", identity.as_str())], body).await?;
        let taken = begin.elapsed();
        Ok((answer.json_with(200).with_context(|| path.to_owned())?, taken))
    }

    /// How long the answer to a question takes that finds something, again and again.
    ///
    /// # Errors
    /// It finds nothing, or the sidecar does not answer.
    pub(crate) async fn ask(&self, path: &str, list: &str) -> Result<Samples> {
        let mut samples = Samples::default();
        for _ in 0..ROUNDS {
            let (answer, taken) = self.call(Method::GET, path, None).await?;
            let rows = answer.get(list).and_then(Value::as_array).map_or(0, Vec::len);
            ensure!(rows > 0, "{path} has no {list}");
            samples.push(taken);
        }
        Ok(samples)
    }

    /// Waits until nothing waits for the trail any more.
    ///
    /// # Errors
    /// It goes on waiting.
    pub(crate) async fn trail_is_written(&self) -> Result<()> {
        poll::until_true("every event is in the trail", Duration::from_secs(120), async || {
            Ok(self.redis.command::<u64>(cmd("XLEN").arg("sekisho:{audit}:line")).await? == 0)
        })
        .await
    }

    /// The commands that took Redis longer than it may take: how many, and the longest in milliseconds, by its name.
    ///
    /// # Errors
    /// Redis is away.
    pub(crate) async fn slow_commands(&self) -> Result<(usize, f64, String)> {
        type Row = (u64, u64, u64, Vec<String>, String, String);
        let rows: Vec<Row> = self.redis.command(cmd("SLOWLOG").arg("GET").arg(-1)).await?;
        let slowest = rows.iter().max_by_key(|row| row.2);
        let named =
            |row: &Row| row.3.iter().take(2).map(|word| word.chars().take(60).collect()).collect::<Vec<String>>();
        let (us, name) = slowest.map_or((0, String::new()), |row| (row.2, named(row).join(" ")));
        Ok((rows.len(), Duration::from_micros(us).as_secs_f64() * 1_000.0, name))
    }
}

/// A client of the mesh listener, as Envoy is one: one connection, many calls at a time.
///
/// # Errors
/// It cannot be made.
pub(crate) fn envoy() -> Result<Client> {
    Ok(Client::builder().http2_prior_knowledge().build()?)
}
