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
use crate::domain::sign_in::Origin;
use crate::domain::sign_in::admission::Admission;
use crate::domain::sign_in::registration::Registration;
use crate::domain::webhook::Webhook;

mod entry;
mod key_sources;
mod oauth2_proxy;
pub mod problem;
mod reader;
pub mod secret;
mod sections;
mod sign_in;
mod sources;
mod webhooks;

pub use problem::{Problem, Problems};
pub use secret::Secret;

use reader::Reader;
use sources::{Form, Key};

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

/// How people sign in.
#[derive(Debug, Clone)]
pub struct SignIn {
    /// How we are known to the identity provider.
    pub registration: Registration,
    /// Where people sign in.
    pub origins: Vec<Origin>,
    /// Who may.
    pub admission: Admission,
    /// After so many seconds the provider is asked about the owner of a session again, if ever.
    pub refresh_s: Option<u64>,
    /// Whether who signs out here signs out at the provider, too.
    pub leaves_provider: bool,
    /// Whether a logout that the provider tells of revokes tokens, too.
    pub logout_revokes: bool,
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

const fn key(path: &'static str, env: &'static str) -> Key {
    Key { path, env, form: Form::Text }
}

const fn secret(path: &'static str, env: &'static str) -> Key {
    Key { path, env, form: Form::Secret }
}

const fn structure(path: &'static str, env: &'static str) -> Key {
    Key { path, env, form: Form::Json }
}

/// Every setting there is.
const KEYS: &[Key] = &[
    key("listen.mesh", "SEKISHO_MESH_LISTEN"),
    key("listen.app", "SEKISHO_APP_LISTEN"),
    key("listen.ops", "SEKISHO_OPS_LISTEN"),
    secret("mesh.secret", "SEKISHO_MESH_SECRET"),
    key("mesh.feed_hold_ms", "SEKISHO_FEED_HOLD_MS"),
    key("mesh.acknowledgement_timeout_ms", "SEKISHO_ACK_TIMEOUT_MS"),
    secret("redis.url", "REDIS_URL"),
    key("redis.host", "REDIS_HOST"),
    key("redis.port", "REDIS_PORT"),
    secret("redis.encryption_key", "REDIS_ENCRYPTION_KEY"),
    secret("redis.other_encryption_keys", "SEKISHO_OTHER_ENCRYPTION_KEYS"),
    secret("database.url", "DATABASE_URL"),
    key("database.folder", "SEKISHO_DATA_DIR"),
    key("audit.retention_days", "SEKISHO_AUDIT_RETENTION_DAYS"),
    secret("tokens.jwt_secret", "JWT_SECRET"),
    key("tokens.allow_short_jwt_secret", "SEKISHO_ALLOW_SHORT_JWT_SECRET"),
    key("tokens.issuer", "SEKISHO_TOKEN_ISSUER"),
    key("tokens.audience", "SEKISHO_TOKEN_AUDIENCE"),
    key("tokens.max_expires_in_s", "MAX_EXPIRES_IN"),
    key("tokens.default_expires_in_s", "SEKISHO_DEFAULT_EXPIRES_IN"),
    key("tokens.per_user", "SEKISHO_TOKENS_PER_USER"),
    key("tokens.refresh_grace_s", "SEKISHO_REFRESH_GRACE"),
    key("tokens.refresh_max_age_s", "SEKISHO_REFRESH_MAX_AGE"),
    key("tokens.recent_sign_in_s", "SEKISHO_TOKENS_RECENT_SIGN_IN_SECONDS"),
    key("tokens.requests_per_minute", "SEKISHO_TOKEN_REQUESTS_PER_MINUTE"),
    key("sessions.idle_s", "SEKISHO_SESSION_IDLE_SECONDS"),
    key("sessions.lifetime_s", "SEKISHO_SESSION_LIFETIME_SECONDS"),
    key("sessions.refresh_s", "SEKISHO_SESSION_REFRESH_SECONDS"),
    key("sign_in.issuer", "SEKISHO_OIDC_ISSUER"),
    key("sign_in.client_id", "SEKISHO_OIDC_CLIENT_ID"),
    secret("sign_in.client_secret", "SEKISHO_OIDC_CLIENT_SECRET"),
    key("sign_in.scopes", "SEKISHO_OIDC_SCOPES"),
    key("sign_in.prompt", "SEKISHO_OIDC_PROMPT"),
    key("sign_in.email_verified", "SEKISHO_OIDC_EMAIL_VERIFIED"),
    key("sign_in.claims", "SEKISHO_OIDC_CLAIMS"),
    key("sign_in.acr_values", "SEKISHO_OIDC_ACR_VALUES"),
    key("sign_in.amr_values", "SEKISHO_OIDC_AMR_VALUES"),
    key("sign_in.origins", "SEKISHO_SIGN_IN_ORIGINS"),
    key("sign_in.allowed_domains", "SEKISHO_SIGN_IN_ALLOWED_DOMAINS"),
    key("sign_in.allowed_emails", "SEKISHO_SIGN_IN_ALLOWED_EMAILS"),
    key("sign_in.insecure", "SEKISHO_SIGN_IN_INSECURE"),
    key("sign_in.keep_at_provider", "SEKISHO_SIGN_OUT_HERE_ONLY"),
    key("sign_in.logout_revokes_tokens", "SEKISHO_PROVIDER_LOGOUT_REVOKES_TOKENS"),
    key("oauth2_proxy.enabled", "SEKISHO_OAUTH2_PROXY"),
    key("oauth2_proxy.cookie", "SEKISHO_OAUTH2_PROXY_COOKIE"),
    key("oauth2_proxy.expire_s", "SEKISHO_OAUTH2_PROXY_EXPIRE_SECONDS"),
    key("oauth2_proxy.email_domains", "SEKISHO_OAUTH2_PROXY_EMAIL_DOMAINS"),
    key("oauth2_proxy.outlives_tokens", "SEKISHO_OAUTH2_PROXY_OUTLIVES_TOKENS"),
    key("oauth2_proxy.patterns", "SEKISHO_OAUTH2_PROXY_PATTERNS"),
    key("admins.super_admin", "SUPER_ADMIN_EMAIL"),
    key("admins.emails", "ADMIN_EMAILS"),
    key("admins.domains", "ADMIN_DOMAINS"),
    key("admins.auditors", "SEKISHO_AUDITOR_EMAILS"),
    structure("key_sources", "SEKISHO_KEY_SOURCES"),
    structure("webhooks", "SEKISHO_WEBHOOKS"),
    key("cleanup.schedule", "SEKISHO_CLEANUP_SCHEDULE"),
    key("cleanup.log_retention_days", "CLEANUP_LOG_RETENTION_DAYS"),
    key("log.filter", "SEKISHO_LOG"),
    key("log.format", "SEKISHO_LOG_FORMAT"),
    key("node", "SEKISHO_NODE"),
    key("doctor.envoy_admin", "SEKISHO_ENVOY_ADMIN"),
    key("doctor.sidecars", "SEKISHO_SIDECARS"),
];

/// Whether an environment variable of this name is a setting.
#[must_use]
pub fn is_setting(variable: &str) -> bool {
    KEYS.iter().any(|key| key.env == variable)
}

/// Whether it is one that must not be shown.
#[must_use]
pub fn is_secret(variable: &str) -> bool {
    KEYS.iter().any(|key| key.env == variable && key.form == Form::Secret)
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
