//! A world: Envoys, two sidecars, a Redis, an upstream that remembers, and clients by role.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::envoy::Envoy;
use crate::envoy::configuration::Ports;
use crate::folder::Folder;
use crate::leaks;
use crate::peers::minted::SECRETS;
use crate::peers::{Provider, SignInProvider};
use crate::receiver::Receiver;
use crate::redis_server::RedisServer;
use crate::sidecar::Sidecar;
use crate::story::runtime;
use crate::token::Token;
use crate::upstream::{Recorder, serve};
use crate::wire::Connection;
use crate::{Answer, poll};

mod crew;
mod everywhere;
pub mod key_source;
pub mod links;
pub mod operator;
pub mod people;
pub mod plan;

use crew::Crew;
pub use key_source::{Found, KeySource};
pub use links::Links;
pub use people::People;
pub use plan::{Filter, Leg, Plan, Roles, Sidecars};

/// The super admin of every world.
pub const ADMIN: &str = "root@example.com";
/// The host on which the app API answers.
pub const APP_HOST: &str = "sekisho.localhost";

/// The variable that Envoy gets from a file; the others stand in its environment.
pub const FROM_FILE: &str = "SEKISHO_UPSTREAM_IDENTITY_KEY";

/// The secrets of a world.
#[derive(Debug, Clone)]
pub struct Keys {
    /// Of the mesh.
    pub mesh: String,
    /// Of the token API's JWTs.
    pub jwt: String,
    /// Of the assertions for the upstream.
    pub upstream: String,
    /// Of those who may know why a request is decided as it is, where a plan lets the filter explain.
    pub explain: String,
    /// Under which private signing keys are sealed: 64 hex digits.
    pub encryption: String,
    /// With which an oauth2-proxy signs its cookies.
    pub cookies: String,
}

impl Default for Keys {
    /// The same in every world.
    fn default() -> Self {
        let key = |of: &str| format!("{of}: a secret of more than thirty-two bytes");
        let encryption = (0..32_u8).map(|byte| format!("{byte:02x}")).collect();
        let (mesh, jwt, upstream, explain) = (key("mesh"), key("jwt"), key("upstream"), key("explain"));
        Self { mesh, jwt, upstream, explain, encryption, cookies: key("cookies") }
    }
}

impl Keys {
    /// The environment of Envoy. The secrets of the peers are the same in every world.
    #[must_use]
    pub fn of_envoy(&self) -> Vec<(String, String)> {
        let ours = [
            ("SEKISHO_MESH_SECRET", self.mesh.as_str()),
            ("JWT_SECRET", &self.jwt),
            (FROM_FILE, &self.upstream),
            ("SEKISHO_EXPLAIN_KEY", &self.explain),
            ("OAUTH2_PROXY_COOKIE_SECRET", &self.cookies),
        ];
        let peers = SECRETS.map(|(_, variable, secret)| (variable, secret));
        ours.into_iter().chain(peers).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// Somebody with a valid token.
#[derive(Debug, Clone)]
pub struct User {
    /// The address; nobody else in this process has it.
    pub email: String,
    /// A token of theirs.
    pub token: Token,
}

/// Envoys, two sidecars, a Redis, an upstream.
pub struct World {
    /// The first Envoy; in most worlds, the only one.
    pub envoy: Arc<Envoy>,
    /// All Envoys, the first one included.
    pub envoys: Vec<Arc<Envoy>>,
    /// The first sidecar.
    pub a: Sidecar,
    /// The second sidecar.
    pub b: Sidecar,
    /// Their Redis.
    pub redis: RedisServer,
    /// The links that the plan wants.
    pub links: Links,
    /// What reached the upstream.
    pub upstream: Recorder,
    /// The secrets.
    pub keys: Keys,
    /// Whose keys the sidecars fetch, if the plan wants that.
    provider: Option<Provider>,
    /// Where people sign in, if the plan wants that.
    people: Option<SignInProvider>,
    /// Who is told of events, if the plan wants that.
    receiver: Option<Receiver>,
    client: Client,
    folder: Folder,
}

impl World {
    /// A world as users run it: two workers, everything ready.
    ///
    /// # Errors
    /// A component is missing or does not become ready.
    pub async fn start() -> Result<Self> {
        Plan::default().start().await
    }

    async fn of(plan: Plan) -> Result<Self> {
        let (folder, keys) = (Folder::create()?, Keys::default());
        let ports = (0..plan.envoys).map(|_| Ports::free()).collect::<Result<Vec<_>>>()?;
        let admin = ports.first().context("a world has at least one Envoy")?.admin();
        let redis = RedisServer::start(folder.path()).await?;
        let mut links = Links::to_redis(&plan, redis.port()).await?;
        let provider = provider_of(&plan, folder.path()).await?;
        let sidecar = |name, index| Sidecar::new(name, folder.path(), &links.redis_url(index, &redis), admin, &keys);
        let (mut a, mut b) = (sidecar("a", 0)?, sidecar("b", 1)?);
        if let (Some(source), Some(provider)) = (plan.provider, &provider) {
            let file = folder.path().join("sidecar.yaml");
            // JSON is YAML.
            std::fs::write(&file, source.settings(provider).to_string())?;
            a.read_settings(&file);
            b.read_settings(&file);
        }
        let people = match plan.people {
            Some(people) => {
                let edge = ports.first().map_or(0, |ports| ports.edge);
                let provider = people.start(&folder, edge).await?;
                people.tell(&mut a, &provider, edge);
                people.tell(&mut b, &provider, edge);
                Some(provider)
            }
            None => None,
        };
        let receiver = if plan.webhooks { Some(Receiver::start().await?) } else { None };
        let webhooks = receiver.as_ref().map(|receiver| ("SEKISHO_WEBHOOKS", receiver.settings()));
        let oauth2_proxy = plan.oauth2_proxy.then(|| ("SEKISHO_OAUTH2_PROXY", "1".to_owned()));
        for (name, value) in webhooks.into_iter().chain(oauth2_proxy) {
            a.set(name, value.clone());
            b.set(name, value);
        }
        links.add_to_sidecars(&plan, [a.ports().mesh, b.ports().mesh]).await?;
        if plan.sidecars == Sidecars::Running {
            tokio::try_join!(a.start(), b.start())?;
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let upstream_port = listener.local_addr()?.port();
        let upstream = Recorder::remembering();
        runtime().spawn(serve(listener, upstream.clone()));
        let crew = Crew {
            plan,
            folder: folder.path(),
            keys: &keys,
            links: &links,
            a: &a,
            b: &b,
            upstream_port,
            provider: provider.as_ref(),
        };
        let envoys = crew.start(ports).await?;
        let envoy = envoys.first().cloned().context("a world has at least one Envoy")?;
        let client = Client::new();
        let world =
            Self { envoy, envoys, a, b, redis, links, upstream, keys, provider, people, receiver, client, folder };
        if plan.sidecars == Sidecars::Running {
            world.every_worker_has_its_snapshot().await?;
        }
        Ok(world)
    }

    /// The temporary folder, with a log of each child.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The provider whose keys the sidecars fetch.
    ///
    /// # Errors
    /// The plan wants none.
    pub fn provider(&self) -> Result<&Provider> {
        self.provider.as_ref().context("there is no provider in this world")
    }

    /// Who is told of events.
    ///
    /// # Errors
    /// The plan wants nobody.
    pub fn receiver(&self) -> Result<&Receiver> {
        self.receiver.as_ref().context("nobody is told of events in this world")
    }

    /// Waits until the registry of replicas names every worker with a snapshot.
    ///
    /// # Errors
    /// It does not in time.
    pub async fn every_worker_has_its_snapshot(&self) -> Result<()> {
        poll::until("every worker has its snapshot", poll::START, async || {
            let replicas = self.redis.hash("sekisho:{feed}:workers").await?;
            let holding = replicas.iter().filter(|(_, json)| holds_a_snapshot(json)).count();
            let machines: usize = self.envoys.iter().map(|envoy| envoy.machines()).sum();
            ensure!(holding >= machines, "{holding} of {replicas:?}");
            Ok(())
        })
        .await
    }

    /// Whether no log, no file of Redis and no database holds a secret.
    ///
    /// # Errors
    /// One does.
    pub fn leaves_no_secret(&self) -> Result<()> {
        let mut others = if self.receiver.is_some() { Receiver::secrets() } else { Vec::new() };
        others.extend(SignInProvider::secrets_in(self.folder()));
        leaks::look(self.folder(), &self.keys, &others)
    }

    /// Somebody new, with a valid token.
    #[must_use]
    pub fn user(&self) -> User {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let email = format!("user{number}@example.com");
        User { token: self.token_of(&email), email }
    }

    /// A valid token of `email`.
    #[must_use]
    pub fn token_of(&self, email: &str) -> Token {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Token::new(&self.keys.jwt, &format!("00000000-0000-4000-8000-{number:012}"), email)
    }

    /// A valid token of an admin, with the scope that admin calls need.
    #[must_use]
    pub fn admin_token(&self) -> Token {
        let scopes = ["api:read", "api:write", "admin"].map(Value::from).to_vec();
        self.token_of(ADMIN).claim("scopes", scopes)
    }

    /// GET through Envoy with a token.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn get(&self, path: &str, token: &Token) -> Result<Answer> {
        let request = self.client.get(format!("http://{}{path}", self.envoy.edge()));
        Answer::of(request.header("authorization", token.bearer()).send().await?).await
    }

    /// A call of the app API through Envoy.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn app(&self, method: Method, path: &str, token: &Token, body: Option<&Value>) -> Result<Answer> {
        let request = self.client.request(method, format!("http://{}{path}", self.envoy.edge()));
        let mut request = request.header("host", APP_HOST).header("authorization", token.bearer());
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::of(request.send().await?).await
    }

    /// Sends bytes to the listener of users, over a connection of its own.
    ///
    /// # Errors
    /// No readable answer came.
    pub async fn raw(&self, request: &[u8]) -> Result<Answer> {
        self.raw_to(self.envoy.edge(), request).await
    }

    /// Sends bytes to `listener`, over a connection of its own.
    ///
    /// # Errors
    /// No readable answer came.
    pub async fn raw_to(&self, listener: SocketAddr, request: &[u8]) -> Result<Answer> {
        Connection::open(listener).await?.send(request).await
    }

    /// Waits until `token` is answered with `status` on the LLM path.
    ///
    /// # Errors
    /// Not within `deadline`.
    pub async fn until_answered(&self, token: &Token, status: u16, deadline: Duration) -> Result<Answer> {
        poll::until(&format!("the answer is {status}"), deadline, async || {
            let answer = self.get("/v1/models", token).await?;
            ensure!(answer.status == status, "{answer:?}");
            Ok(answer)
        })
        .await
    }
}

async fn provider_of(plan: &Plan, folder: &Path) -> Result<Option<Provider>> {
    let Some(source) = plan.provider else { return Ok(None) };
    let provider = Provider::new(folder, source.algorithm)?;
    if source.running {
        provider.start().await?;
        if source.found == Found::InFile {
            provider.write_keys().await?;
        }
    }
    Ok(Some(provider))
}

fn holds_a_snapshot(json: &str) -> bool {
    serde_json::from_str::<Value>(json).is_ok_and(|replica| replica["epoch"].is_string() && replica["version"].is_u64())
}
