//! The sections of the settings, read one by one. What is wrong is noted, and a default stands in its
//! place: then the rest can be read, too.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use sekisho_protocol::keys::MESH_SECRET_MIN_BYTES;
use zeroize::Zeroizing;

use super::reader::Reader;
use super::{
    Admins, Cleanup, Database, Doctor, JWT_SECRET_MIN_BYTES, Listen, Log, LogFormat, Mesh, Secret, Sessions, Tokens,
};
use crate::domain::cleanup::schedule::Schedule;
use crate::domain::rate::PerMinute;
use crate::domain::seal::KEY_BYTES;
use crate::domain::seal::keys::OTHERS_MAX;
use crate::domain::token::{LIFE_MAX_S, SIGN_IN_WINDOW_MAX_S};

/// Most tokens that somebody may be allowed to have: a list shows them at once.
const PER_USER_MAX: u64 = 1_000;
/// The shortest, for trials.
const SESSION_MIN_S: u64 = 4;
/// The longest life of a session: a week.
const SESSION_LIFETIME_MAX_S: u64 = 604_800;
/// Where the database's file is, if nobody says otherwise (FHS 3.0 §5.8).
const DATA_FOLDER: &str = "/var/lib/sekisho";
/// When leftovers are cleared away, if nobody says otherwise: at night, in most places from which people come.
const CLEANUP_SCHEDULE: &str = "0 3 * * *";
/// The command that makes a good encryption key.
const MAKE_ENCRYPTION_KEY: &str = "openssl rand -hex 32";
/// Fewer different bytes than this in one, and it was typed, not drawn.
const DISTINCT_BYTES_MIN: usize = 8;

pub(super) fn listen(reader: &mut Reader) -> Listen {
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    Listen {
        mesh: reader.address("listen.mesh", local(9400)),
        app: reader.address("listen.app", local(9401)),
        ops: reader.address("listen.ops", local(9402)),
    }
}

pub(super) fn mesh(reader: &mut Reader) -> Mesh {
    Mesh {
        secret: reader.secret("mesh.secret", MESH_SECRET_MIN_BYTES),
        feed_hold: reader.millis("mesh.feed_hold_ms", 1_000, 50..=2_000),
        acknowledgement_timeout: reader.millis("mesh.acknowledgement_timeout_ms", 2_000, 50..=30_000),
    }
}

pub(super) fn redis_url(reader: &mut Reader) -> Secret {
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

/// 32 bytes, as 64 hex digits. The text is a secret, so no message holds it.
pub(super) fn encryption_key(reader: &mut Reader) -> Option<Secret> {
    let read = read_encryption_key(reader.text("redis.encryption_key")?);
    read.map_err(|problem| reader.wrong("redis.encryption_key", problem)).ok()
}

/// As many of those, told apart by commas or line ends. `present` is the key that seals.
pub(super) fn other_encryption_keys(reader: &mut Reader, present: Option<&Secret>) -> Vec<Secret> {
    const PATH: &str = "redis.other_encryption_keys";
    let texts = reader.text(PATH).unwrap_or_default().split([',', '\n', '\r']).map(str::trim);
    let texts = Zeroizing::new(texts.filter(|text| !text.is_empty()).map(str::to_owned).collect::<Vec<_>>());
    if !texts.is_empty() && reader.text("redis.encryption_key").is_none() {
        reader.wrong(PATH, "needs REDIS_ENCRYPTION_KEY: these keys open only, and something has to seal");
    }
    if texts.len() > OTHERS_MAX {
        reader.wrong(PATH, format!("has {} keys, more than {OTHERS_MAX}: drop those that nothing needs", texts.len()));
    }
    let mut keys: Vec<Secret> = Vec::new();
    for (number, text) in (1..).zip(texts.iter()) {
        match read_encryption_key(text) {
            Err(problem) => reader.wrong(PATH, format!("key {number} {problem}")),
            Ok(key) if Some(&key) == present => {
                reader.wrong(PATH, format!("key {number} is the same as REDIS_ENCRYPTION_KEY; leave it out here"));
            }
            Ok(key) if keys.contains(&key) => reader.wrong(PATH, format!("key {number} is there twice")),
            Ok(key) => keys.push(key),
        }
    }
    keys
}

/// The key in `text`, or what is wrong with it.
fn read_encryption_key(text: &str) -> Result<Secret, String> {
    let text = text.as_bytes();
    let (digits, _) = text.as_chunks::<2>();
    let byte = |digits: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    // `from_str_radix` takes a sign, too.
    let is_hex = text.len() == 2 * KEY_BYTES && text.iter().all(u8::is_ascii_hexdigit);
    let key: Option<Vec<u8>> = if is_hex { digits.iter().map(byte).collect() } else { None };
    let Some(key) = key.map(Secret::new) else {
        return Err(format!("is not 64 hex digits; make one with `{MAKE_ENCRYPTION_KEY}`"));
    };
    if key.expose().iter().collect::<BTreeSet<_>>().len() < DISTINCT_BYTES_MIN {
        return Err(format!("can be guessed; make one with `{MAKE_ENCRYPTION_KEY}`"));
    }
    Ok(key)
}

pub(super) fn database(reader: &mut Reader) -> Database {
    if let Some(url) = reader.text("database.url") {
        let secret = Secret::new(url);
        if !["postgres://", "postgresql://", "sqlite:"].iter().any(|scheme| url.starts_with(scheme)) {
            // The text may hold a password, so the message doesn't hold the text.
            reader.wrong("database.url", "must begin with postgres:// or sqlite:");
        }
        return Database::Url(secret);
    }
    Database::Folder(reader.text_or("database.folder", DATA_FOLDER).into())
}

pub(super) fn audit_retention(reader: &mut Reader) -> Duration {
    Duration::from_secs(86_400 * reader.number("audit.retention_days", 90, 1..=36_500))
}

pub(super) fn tokens(reader: &mut Reader) -> Tokens {
    let allow_short = reader.flag("tokens.allow_short_jwt_secret");
    let jwt_secret = reader.secret("tokens.jwt_secret", if allow_short { 1 } else { JWT_SECRET_MIN_BYTES });
    let max_expires_in_s = reader.number("tokens.max_expires_in_s", 7_776_000, 1..=LIFE_MAX_S);
    let default_expires_in_s = reader.number("tokens.default_expires_in_s", 2_592_000, 1..=LIFE_MAX_S);
    Tokens {
        jwt_secret_is_short: jwt_secret.expose().len() < JWT_SECRET_MIN_BYTES,
        jwt_secret,
        issuer: reader.label("tokens.issuer", "sekisho", 256),
        audience: reader.label("tokens.audience", "litellm-api", 256),
        max_expires_in_s,
        // A lower maximum alone must be enough to shorten every token.
        default_expires_in_s: default_expires_in_s.min(max_expires_in_s),
        per_user: usize::try_from(reader.number("tokens.per_user", 100, 1..=PER_USER_MAX)).unwrap_or(usize::MAX),
        refresh_grace_s: reader.number("tokens.refresh_grace_s", 300, 0..=86_400),
        refresh_max_age_s: reader.number("tokens.refresh_max_age_s", 31_536_000, 60..=LIFE_MAX_S),
        recent_sign_in_s: recent_sign_in(reader),
        requests_per_minute: requests_per_minute(reader),
    }
}

/// None if nothing is said.
fn recent_sign_in(reader: &mut Reader) -> Option<u64> {
    const PATH: &str = "tokens.recent_sign_in_s";
    reader.text(PATH)?;
    Some(reader.number(PATH, 86_400, 60..=SIGN_IN_WINDOW_MAX_S))
}

pub(super) fn sessions(reader: &mut Reader) -> Sessions {
    Sessions {
        idle_s: reader.number("sessions.idle_s", 3_600, SESSION_MIN_S..=SESSION_LIFETIME_MAX_S),
        lifetime_s: reader.number("sessions.lifetime_s", 86_400, SESSION_MIN_S..=SESSION_LIFETIME_MAX_S),
    }
}

fn requests_per_minute(reader: &mut Reader) -> PerMinute {
    let calls = reader.number("tokens.requests_per_minute", 30, 1..=1_000_000);
    let calls = u32::try_from(calls).ok().and_then(NonZeroU32::new);
    PerMinute(calls.unwrap_or(NonZeroU32::MIN))
}

pub(super) fn admins(reader: &mut Reader) -> Admins {
    let domains = reader.list("admins.domains");
    let mut admins = Admins {
        super_admins: reader.emails("admins.super_admin"),
        emails: reader.emails("admins.emails"),
        auditors: reader.emails("admins.auditors"),
        domains: Vec::new(),
    };
    admins.domains = domains.iter().map(|domain| email_domain(reader, "admins.domains", domain)).collect();
    admins
}

/// A domain of addresses, in lower case.
pub(super) fn email_domain(reader: &mut Reader, path: &'static str, domain: &str) -> String {
    // `@example.com` is how some write it; anything else with `@` or `*` would never match.
    let name = domain.trim_start_matches('@').to_ascii_lowercase();
    if name.is_empty() || name.contains(['@', '*', ' ', '/']) {
        reader.wrong(path, format!("`{domain}` is not a domain such as example.com"));
    }
    name
}

pub(super) fn cleanup(reader: &mut Reader) -> Cleanup {
    let schedule = match reader.text_or("cleanup.schedule", CLEANUP_SCHEDULE).as_str() {
        "off" => None,
        text => Schedule::parse(text)
            .map_err(|error| {
                let text = text.escape_debug();
                let message =
                    format!("`{text}` is neither off nor a cron expression such as {CLEANUP_SCHEDULE}: {error}");
                reader.wrong("cleanup.schedule", message);
            })
            .ok(),
    };
    Cleanup { schedule, log_retention_days: reader.number("cleanup.log_retention_days", 30, 1..=3_650) }
}

pub(super) fn log(reader: &mut Reader) -> Log {
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

pub(super) fn node(reader: &mut Reader, ops: SocketAddr) -> String {
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    let default = format!("{}:{}", host.chars().take(100).collect::<String>(), ops.port());
    reader.label("node", &default, 128)
}

pub(super) fn doctor(reader: &mut Reader, ops: SocketAddr) -> Doctor {
    let envoy_admin = reader.text_or("doctor.envoy_admin", "http://127.0.0.1:9901");
    let mut sidecars = reader.list("doctor.sidecars");
    if sidecars.is_empty() {
        sidecars.push(format!("http://{ops}"));
    }
    for (path, url) in
        std::iter::once(("doctor.envoy_admin", &envoy_admin)).chain(sidecars.iter().map(|url| ("doctor.sidecars", url)))
    {
        if !url.starts_with("http://") && !url.starts_with("https://") {
            reader.wrong(path, format!("`{url}` is not an http URL"));
        }
    }
    Doctor { envoy_admin, sidecars }
}
