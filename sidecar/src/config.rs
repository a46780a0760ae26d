//! The sidecar's settings: from the environment, from files for secrets, and from an optional YAML
//! file. What comes out cannot be wrong; what is wrong is listed whole, each with what to do.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sekisho_protocol::Email;

use crate::domain::cleanup::schedule::Schedule;
use crate::domain::keyset::source::Source;
use crate::domain::oauth2_proxy::rules::Rules;
use crate::domain::rate::PerMinute;
use crate::domain::webhook::Webhook;

mod entry;
mod key_sources;
mod keys;
mod oauth2_proxy;
pub mod problem;
mod reader;
pub mod secret;
mod sections;
mod sign_in;
mod sources;
mod webhooks;

pub use keys::{is_secret, is_setting};
pub use problem::{Problem, Problems};
pub use secret::Secret;
pub use sign_in::SignIn;

use keys::KEYS;
use reader::Reader;

/// Fewest bytes of `JWT_SECRET`: HMAC-SHA256's own output length (RFC 7518 §3.2).
pub const JWT_SECRET_MIN_BYTES: usize = 32;

/// Everything that can be set, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    listen: Listen,
    mesh: Mesh,
    redis_url: Secret,
    encryption_key: Option<Secret>,
    other_encryption_keys: Vec<Secret>,
    database: Database,
    audit_retention: Duration,
    tokens: Tokens,
    sessions: Sessions,
    sign_in: Option<SignIn>,
    oauth2_proxy: Option<Rules>,
    admins: Admins,
    key_sources: Vec<Source>,
    webhooks: Vec<Webhook>,
    cleanup: Cleanup,
    log: Log,
    node: String,
    doctor: Doctor,
}

/// Where the three listeners listen.
#[derive(Debug, Clone, Copy)]
pub struct Listen {
    /// For filters only.
    pub mesh: SocketAddr,
    /// For people and programs, through Envoy.
    pub app: SocketAddr,
    /// For health checks and metrics.
    pub ops: SocketAddr,
}

/// The conversation with the filters.
#[derive(Debug, Clone)]
pub struct Mesh {
    /// What every filter and sidecar of the mesh knows.
    pub secret: Secret,
    /// How long a poll without news is held.
    pub feed_hold: Duration,
    /// How long a change waits for acknowledgement.
    pub acknowledgement_timeout: Duration,
}

/// Where the database is.
#[derive(Debug, Clone)]
pub enum Database {
    /// A SQLite file in this folder, which sidecars of one machine share.
    Folder(PathBuf),
    /// PostgreSQL, or a SQLite file elsewhere; the URL may hold a password.
    Url(Secret),
}

/// The tokens that the token API mints.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The HS256 key, `JWT_SECRET`.
    pub jwt_secret: Secret,
    /// Whether `jwt_secret` is shorter than it should be, as old installations may have it.
    pub jwt_secret_is_short: bool,
    /// The `iss` of new tokens.
    pub issuer: String,
    /// The `aud` of new tokens.
    pub audience: String,
    /// Longest life, in seconds.
    pub max_expires_in_s: u64,
    /// Life if none is asked for, in seconds.
    pub default_expires_in_s: u64,
    /// How many that can be used somebody may have.
    pub per_user: usize,
    /// How long a token is good for after it was exchanged for a new one, in seconds.
    pub refresh_grace_s: u64,
    /// How long after the first of them the last one ends of tokens that were exchanged one for the other, in seconds.
    pub refresh_max_age_s: u64,
    /// They are good while their owner has signed in within so many seconds; none: for as long as they live.
    pub recent_sign_in_s: Option<u64>,
    /// How many one caller may ask for.
    pub requests_per_minute: PerMinute,
}

/// For how long people stay signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sessions {
    /// A session that nobody uses for so many seconds ends.
    pub idle_s: u64,
    /// So many seconds after its owner signed in it ends in any case.
    pub lifetime_s: u64,
}

/// Clearing leftovers in Redis away.
#[derive(Debug, Clone)]
pub struct Cleanup {
    /// When it starts by itself, if it does.
    pub schedule: Option<Schedule>,
    /// How long the logs of runs are kept.
    pub log_retention_days: u64,
}

/// Who is an admin by configuration.
#[derive(Debug, Clone, Default)]
pub struct Admins {
    /// Those who may appoint others.
    pub super_admins: Vec<Email>,
    /// By address.
    pub emails: Vec<Email>,
    /// Everybody of these domains, in lower case.
    pub domains: Vec<String>,
    /// Those who may read, by address.
    pub auditors: Vec<Email>,
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct Log {
    /// Directives of `tracing`'s filter, such as `info` or `sekisho_sidecar=debug`.
    pub filter: String,
    /// Lines for people or for machines.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Whom `sekisho doctor` visits.
#[derive(Debug, Clone)]
pub struct Doctor {
    /// Envoy's admin address, as a URL.
    pub envoy_admin: String,
    /// The `ops` addresses of all sidecars, as URLs.
    pub sidecars: Vec<String>,
}

impl Settings {
    /// The settings of this process: its environment, and the YAML file if there is one.
    ///
    /// # Errors
    /// Everything that is missing or wrong.
    pub fn load(file: Option<&Path>) -> Result<Self, Problems> {
        let yaml = match file.map(|path| (path, std::fs::read_to_string(path))) {
            None => None,
            Some((_, Ok(text))) => Some(text),
            Some((path, Err(error))) => {
                let mut problems = Problems::default();
                problems.push(path.display().to_string(), format!("cannot be read: {error}"));
                return Err(problems);
            }
        };
        Self::parse(yaml.as_deref(), &|name| std::env::var(name).ok())
    }

    /// The settings in `yaml` and in the environment that `env` looks up; the environment wins.
    ///
    /// # Errors
    /// Everything that is missing or wrong.
    pub fn parse(yaml: Option<&str>, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let found = sources::collect(KEYS, yaml, env, &mut problems);
        let mut reader = Reader { keys: KEYS, found, problems };
        let listen = sections::listen(&mut reader);
        let encryption_key = sections::encryption_key(&mut reader);
        let settings = Self {
            listen,
            mesh: sections::mesh(&mut reader),
            redis_url: sections::redis_url(&mut reader),
            other_encryption_keys: sections::other_encryption_keys(&mut reader, encryption_key.as_ref()),
            encryption_key,
            database: sections::database(&mut reader),
            audit_retention: sections::audit_retention(&mut reader),
            tokens: sections::tokens(&mut reader),
            sessions: sections::sessions(&mut reader),
            sign_in: sign_in::read(&mut reader),
            oauth2_proxy: oauth2_proxy::read(&mut reader),
            admins: sections::admins(&mut reader),
            key_sources: key_sources::read(&mut reader),
            webhooks: webhooks::read(&mut reader),
            cleanup: sections::cleanup(&mut reader),
            log: sections::log(&mut reader),
            node: sections::node(&mut reader, listen.ops),
            doctor: sections::doctor(&mut reader, listen.ops),
        };
        let (mesh, jwt) = (&settings.mesh.secret, &settings.tokens.jwt_secret);
        if !mesh.expose().is_empty() && mesh == jwt {
            // Whoever verifies tokens could speak as a filter, and the other way round.
            reader.wrong("mesh.secret", "must not be the same as JWT_SECRET");
        }
        if reader.problems.is_empty() { Ok(settings) } else { Err(reader.problems) }
    }

    /// What is wrong with a YAML file by itself. Secrets may be missing: they belong elsewhere.
    #[must_use]
    pub fn check_file(yaml: &str) -> Problems {
        let stand_in = |name: &str| match name {
            "SEKISHO_MESH_SECRET" => Some("a stand-in for the mesh secret, never used".to_owned()),
            "JWT_SECRET" => Some("a stand-in for the token secret, never used".to_owned()),
            _ => None,
        };
        let given = sources::collect(KEYS, Some(yaml), &|_| None, &mut Problems::default());
        let missing = |name: &str| {
            let is_given = KEYS.iter().any(|key| key.env == name && given.contains_key(key.path));
            if is_given { None } else { stand_in(name) }
        };
        Self::parse(Some(yaml), &missing).err().unwrap_or_default()
    }

    /// Where the listeners listen.
    #[must_use]
    pub fn listen(&self) -> Listen {
        self.listen
    }

    /// The conversation with the filters.
    #[must_use]
    pub fn mesh(&self) -> &Mesh {
        &self.mesh
    }

    /// Where Redis is; may hold a password.
    #[must_use]
    pub fn redis_url(&self) -> &Secret {
        &self.redis_url
    }

    /// The 32 bytes under which secrets are sealed before a store keeps them, if there are any.
    #[must_use]
    pub fn encryption_key(&self) -> Option<&Secret> {
        self.encryption_key.as_ref()
    }

    /// Keys, 32 bytes each, under which nothing is sealed any more, or not yet: they open only.
    #[must_use]
    pub fn other_encryption_keys(&self) -> &[Secret] {
        &self.other_encryption_keys
    }

    /// Where the database is.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// How long audit events are kept.
    #[must_use]
    pub fn audit_retention(&self) -> Duration {
        self.audit_retention
    }

    /// The tokens that the token API mints.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// For how long people stay signed in.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        self.sessions
    }

    /// How people sign in, if they do here.
    #[must_use]
    pub fn sign_in(&self) -> Option<&SignIn> {
        self.sign_in.as_ref()
    }

    /// What is made of oauth2-proxy's sessions; none if nothing is.
    #[must_use]
    pub fn oauth2_proxy(&self) -> Option<&Rules> {
        self.oauth2_proxy.as_ref()
    }

    /// Who is an admin by configuration.
    #[must_use]
    pub fn admins(&self) -> &Admins {
        &self.admins
    }

    /// Where the keys of identity providers come from.
    #[must_use]
    pub fn key_sources(&self) -> &[Source] {
        &self.key_sources
    }

    /// Who is told of events.
    #[must_use]
    pub fn webhooks(&self) -> &[Webhook] {
        &self.webhooks
    }

    /// Clearing leftovers in Redis away.
    #[must_use]
    pub fn cleanup(&self) -> &Cleanup {
        &self.cleanup
    }

    /// What is logged, and how.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The name of this sidecar, for people.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Whom `sekisho doctor` visits.
    #[must_use]
    pub fn doctor(&self) -> &Doctor {
        &self.doctor
    }
}

#[cfg(test)]
mod tests;
