//! The sidecar's settings: from the environment, from files for secrets, and from an optional YAML
//! file. What comes out cannot be wrong; what is wrong is listed whole, each with what to do.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use sekisho_protocol::Email;
use sekisho_protocol::keys::MESH_SECRET_MIN_BYTES;

pub mod problem;
mod reader;
pub mod secret;
mod sources;

pub use problem::{Problem, Problems};
pub use secret::Secret;

use reader::Reader;
use sources::Key;

/// Fewest bytes of `JWT_SECRET`: HMAC-SHA256's own output length (RFC 7518 §3.2).
pub const JWT_SECRET_MIN_BYTES: usize = 32;

/// Everything that can be set, checked.
#[derive(Debug, Clone)]
pub struct Settings {
    listen: Listen,
    mesh: Mesh,
    redis_url: Secret,
    tokens: Tokens,
    admins: Admins,
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
}

/// Who is an admin by configuration.
#[derive(Debug, Clone, Default)]
pub struct Admins {
    /// The one who may appoint others.
    pub super_admin: Option<Email>,
    /// By address.
    pub emails: Vec<Email>,
    /// Everybody of these domains, in lower case.
    pub domains: Vec<String>,
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
    Key { path, env, secret: false }
}

const fn secret(path: &'static str, env: &'static str) -> Key {
    Key { path, env, secret: true }
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
    secret("tokens.jwt_secret", "JWT_SECRET"),
    key("tokens.allow_short_jwt_secret", "SEKISHO_ALLOW_SHORT_JWT_SECRET"),
    key("tokens.issuer", "SEKISHO_TOKEN_ISSUER"),
    key("tokens.audience", "SEKISHO_TOKEN_AUDIENCE"),
    key("tokens.max_expires_in_s", "MAX_EXPIRES_IN"),
    key("tokens.default_expires_in_s", "SEKISHO_DEFAULT_EXPIRES_IN"),
    key("admins.super_admin", "SUPER_ADMIN_EMAIL"),
    key("admins.emails", "ADMIN_EMAILS"),
    key("admins.domains", "ADMIN_DOMAINS"),
    key("log.filter", "SEKISHO_LOG"),
    key("log.format", "SEKISHO_LOG_FORMAT"),
    key("node", "SEKISHO_NODE"),
    key("doctor.envoy_admin", "SEKISHO_ENVOY_ADMIN"),
    key("doctor.sidecars", "SEKISHO_SIDECARS"),
];

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
        let listen = listen(&mut reader);
        let settings = Self {
            listen,
            mesh: mesh(&mut reader),
            redis_url: redis_url(&mut reader),
            tokens: tokens(&mut reader),
            admins: admins(&mut reader),
            log: log(&mut reader),
            node: node(&mut reader, listen.ops),
            doctor: doctor(&mut reader, listen.ops),
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

    /// The tokens that the token API mints.
    #[must_use]
    pub fn tokens(&self) -> &Tokens {
        &self.tokens
    }

    /// Who is an admin by configuration.
    #[must_use]
    pub fn admins(&self) -> &Admins {
        &self.admins
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

fn listen(reader: &mut Reader) -> Listen {
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Listen {
        mesh: reader.address("listen.mesh", local(9400)),
        app: reader.address("listen.app", local(9401)),
        ops: reader.address("listen.ops", local(9402)),
    }
}

fn mesh(reader: &mut Reader) -> Mesh {
    Mesh {
        secret: reader.secret("mesh.secret", MESH_SECRET_MIN_BYTES),
        feed_hold: reader.millis("mesh.feed_hold_ms", 1_000, 50..=30_000),
        acknowledgement_timeout: reader.millis("mesh.acknowledgement_timeout_ms", 2_000, 50..=30_000),
    }
}

fn redis_url(reader: &mut Reader) -> Secret {
    if let Some(url) = reader.text("redis.url") {
        let secret = Secret::new(url);
        if !["redis://", "redis+unix://", "unix://"].iter().any(|scheme| url.starts_with(scheme)) {
            // The text may hold a password, so the message doesn't hold the text.
            reader.wrong("redis.url", "must begin with redis:// or unix://");
        }
        return secret;
    }
    let host = reader.label("redis.host", "127.0.0.1", 253);
    if host.contains(['/', '@', ' ', '?', '#']) {
        reader.wrong("redis.host", format!("`{host}` is not a host name"));
    }
    let port = reader.number("redis.port", 6379, 1..=65_535);
    // An IPv6 address stands in brackets in a URL (RFC 3986 §3.2.2).
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
    Secret::new(format!("redis://{host}:{port}"))
}

fn tokens(reader: &mut Reader) -> Tokens {
    let allow_short = reader.flag("tokens.allow_short_jwt_secret");
    let jwt_secret = reader.secret("tokens.jwt_secret", if allow_short { 1 } else { JWT_SECRET_MIN_BYTES });
    let max_expires_in_s = reader.number("tokens.max_expires_in_s", 7_776_000, 1..=315_360_000);
    let default_expires_in_s = reader.number("tokens.default_expires_in_s", 2_592_000, 1..=315_360_000);
    Tokens {
        jwt_secret_is_short: jwt_secret.expose().len() < JWT_SECRET_MIN_BYTES,
        jwt_secret,
        issuer: reader.label("tokens.issuer", "sekisho", 256),
        audience: reader.label("tokens.audience", "litellm-api", 256),
        max_expires_in_s,
        // A lower maximum alone must be enough to shorten every token.
        default_expires_in_s: default_expires_in_s.min(max_expires_in_s),
    }
}

fn admins(reader: &mut Reader) -> Admins {
    let domains = reader.list("admins.domains");
    let mut admins = Admins { emails: reader.emails("admins.emails"), ..Admins::default() };
    for domain in domains {
        // `@example.com` is how some write it; anything else with `@` or `*` would never match.
        let name = domain.trim_start_matches('@').to_ascii_lowercase();
        if name.is_empty() || name.contains(['@', '*', ' ', '/']) {
            reader.wrong("admins.domains", format!("`{domain}` is not a domain such as example.com"));
        }
        admins.domains.push(name);
    }
    let mut super_admins = reader.emails("admins.super_admin");
    if super_admins.len() > 1 {
        reader.wrong("admins.super_admin", "there is one super admin; the others belong to ADMIN_EMAILS");
    }
    admins.super_admin = super_admins.pop();
    admins
}

fn log(reader: &mut Reader) -> Log {
    let filter = reader.text_or("log.filter", "info");
    if let Err(error) = crate::logging::parse(&filter) {
        reader.wrong("log.filter", format!("`{filter}` is no filter: {error}"));
    }
    let format = match reader.text("log.format") {
        None | Some("text") => LogFormat::Text,
        Some("json") => LogFormat::Json,
        Some(other) => {
            let message = format!("`{other}` is neither text nor json");
            reader.wrong("log.format", message);
            LogFormat::Text
        }
    };
    Log { filter, format }
}

fn node(reader: &mut Reader, ops: SocketAddr) -> String {
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    let default = format!("{}:{}", host.chars().take(100).collect::<String>(), ops.port());
    reader.label("node", &default, 128)
}

fn doctor(reader: &mut Reader, ops: SocketAddr) -> Doctor {
    let envoy_admin = reader.text_or("doctor.envoy_admin", "http://127.0.0.1:9901");
    let mut sidecars = reader.list("doctor.sidecars");
    if sidecars.is_empty() {
        sidecars.push(format!("http://{ops}"));
    }
    for (path, url) in std::iter::once(("doctor.envoy_admin", &envoy_admin))
        .chain(sidecars.iter().map(|url| ("doctor.sidecars", url)))
    {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            reader.wrong(path, format!("`{url}` is not an http URL"));
        }
    }
    Doctor { envoy_admin, sidecars }
}

#[cfg(test)]
mod tests;
