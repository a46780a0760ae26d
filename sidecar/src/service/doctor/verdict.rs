//! Judgements: from what was found to how it is and what to do. Pure.

use sekisho_protocol::keyset::Standing;
use serde::Deserialize;

use crate::domain::signing::ring::Ring;
use crate::domain::strength::{STRONG_BITS, Strength};
use crate::service::change::Durability;
use crate::service::doctor::{Health, Verdict};
use crate::service::error::StoreError;
use crate::service::feed::registry::{Roll, Worker};
use crate::service::keysets::overview::Overview;
use crate::service::mesh::Condition;
use crate::service::readiness::{DATABASE, Vitals};
use crate::service::signing_keys::ClosedKey;
use crate::service::webhooks;

mod cookie;
mod database;

pub(super) use cookie::session_cookie;
pub(super) use database::{backlog, database, encryption, no_database};

/// Clocks may differ by so much, in milliseconds, before anything goes wrong.
const SKEW_OK_MS: u64 = 1_000;
/// From here on assertions and tokens are refused for their times.
const SKEW_BAD_MS: u64 = 5_000;
/// Most workers that are named; the others are counted.
const NAMED_MAX: usize = 10;

/// Something that could not be asked.
pub(super) fn unknown(name: &'static str, error: &StoreError) -> Verdict {
    Verdict::new(
        name,
        Health::Fail,
        format!("{error}; see REDIS_URL (or REDIS_HOST and REDIS_PORT), and whether Redis runs"),
    )
}

/// Everything about Redis. It was asked between the two moments of this machine's clock.
pub(super) fn redis(vitals: &Vitals, before_ms: u64, after_ms: u64) -> Vec<Verdict> {
    vec![
        Verdict::new(
            "redis",
            Health::Ok,
            format!("Redis {} answers in {} ms", vitals.server_version, after_ms.saturating_sub(before_ms)),
        ),
        role(&vitals.role),
        persistence(vitals.durability),
        eviction(&vitals.eviction_policy),
        notifications(vitals.notifications.as_deref()),
        clock(vitals.clock_ms, before_ms.midpoint(after_ms)),
    ]
}

fn role(role: &str) -> Verdict {
    if role == "master" {
        return Verdict::new("redis role", Health::Ok, "it is a master");
    }
    Verdict::new(
        "redis role",
        Health::Fail,
        format!("it is a {role}, and can't be written to; let REDIS_URL name the master"),
    )
}

fn persistence(durability: Durability) -> Verdict {
    let (status, detail) = match durability {
        Durability::Always => (Health::Ok, "the append-only file is synced before each answer"),
        Durability::EverySecond => (Health::Ok, "the append-only file is synced every second"),
        Durability::AppendOnly => {
            (Health::Warn, "the append-only file is synced when the system likes; set appendfsync everysec")
        }
        Durability::Snapshots => {
            (Health::Warn, "only snapshots: a crash loses the bans since the last one; set appendonly yes")
        }
        Durability::Memory => {
            (Health::Fail, "nothing is persisted: a restart of Redis loses every token and ban; set appendonly yes")
        }
        Durability::Unknown => {
            (Health::Warn, "Redis does not say what it persists; see to it that its append-only file is on")
        }
    };
    Verdict::new("redis persistence", status, detail)
}

fn eviction(policy: &str) -> Verdict {
    if policy == "noeviction" {
        return Verdict::new("redis eviction", Health::Ok, "nothing is evicted");
    }
    let detail = format!("maxmemory-policy is {policy}: full memory would delete bans; set it to noeviction");
    Verdict::new("redis eviction", Health::Fail, detail)
}

fn notifications(setting: Option<&str>) -> Verdict {
    const NAME: &str = "redis notices";
    let Some(setting) = setting else {
        let detail = "Redis does not let its settings be read; see to it that notify-keyspace-events holds Kg$xe, or bans by other programs, and what oauth2-proxy deletes, take up to 30 s";
        return Verdict::new(NAME, Health::Warn, detail);
    };
    // `A` stands for every class of events, but not for the channel.
    let has = |class| setting.contains(class) || (class != 'K' && setting.contains('A'));
    let missing: String = "Kg$xe".chars().filter(|class| !has(*class)).filter(|class| *class != 'e').collect();
    if missing.is_empty() {
        return Verdict::new(NAME, Health::Ok, format!("notify-keyspace-events is {setting}"));
    }
    let detail = format!(
        "notify-keyspace-events is \"{setting}\" and lacks {missing}: bans by other programs, and what oauth2-proxy deletes, take up to 30 s; a running sidecar sets it, unless CONFIG is forbidden"
    );
    Verdict::new(NAME, Health::Warn, detail)
}

fn clock(redis_ms: u64, here_ms: u64) -> Verdict {
    let skew = redis_ms.abs_diff(here_ms);
    let (status, advice) = match skew {
        skew if skew <= SKEW_OK_MS => (Health::Ok, ""),
        skew if skew <= SKEW_BAD_MS => (Health::Warn, "; let both machines follow a time server"),
        _ => (Health::Fail, ": tokens and bans begin and end at wrong times; let both machines follow a time server"),
    };
    Verdict::new("clock", status, format!("this machine and Redis differ by {skew} ms{advice}"))
}

/// A secret, by what its bytes show.
pub(super) fn secret(name: &'static str, strength: &Strength) -> Verdict {
    let make = "make one with: openssl rand -base64 48";
    let length = strength.length_bytes;
    if strength.has_word {
        return Verdict::new(name, Health::Warn, format!("it holds a word, as nothing random does; {make}"));
    }
    if !strength.is_strong() {
        let detail =
            format!("its {length} bytes hold at most {:.0} bits, fewer than {STRONG_BITS:.0}; {make}", strength.bits);
        return Verdict::new(name, Health::Warn, detail);
    }
    if length < 32 {
        return Verdict::new(name, Health::Warn, format!("{length} bytes are fewer than 32; {make}"));
    }
    Verdict::new(name, Health::Ok, format!("{length} bytes, nothing speaks against them"))
}

/// The database that knows how webhooks stand could not be asked.
pub(super) fn unknown_webhooks(error: &StoreError) -> Verdict {
    Verdict::new("webhooks", Health::Fail, format!("{error}; see DATABASE_URL or SEKISHO_DATA_DIR"))
}

/// A webhook: what was given up is lost in a week, unless somebody looks after it.
pub(super) fn webhook(webhooks::Overview { webhook, standing }: &webhooks::Overview) -> Verdict {
    let (name, host) = (&webhook.name, webhook.target.host());
    let failure = standing.last_failure.as_deref().unwrap_or("no attempt failed").escape_debug().to_string();
    let (status, detail) = match standing {
        standing if standing.given_up > 0 => {
            let count = standing.given_up;
            (
                Health::Warn,
                format!("{count} events were given up ({failure}); repair it, then: sekisho webhook retry {name}"),
            )
        }
        standing if standing.last_failure_at_ms > standing.last_success_at_ms => {
            (Health::Warn, format!("the last attempt failed ({failure}), and {} events wait", standing.waiting))
        }
        standing => (Health::Ok, format!("{} events wait", standing.waiting)),
    };
    Verdict::new("webhook", status, format!("{name} ({host}): {detail}"))
}

/// The keys that sign tokens: this machine must be able to open those that sign or will, and Redis to keep them.
pub(super) fn signing_keys(ring: &Ring, closed: &[ClosedKey], durability: Durability) -> Verdict {
    const NAME: &str = "signing keys";
    let signs = ring.signing().map_or_else(
        || "JWT_SECRET signs with HS256".to_owned(),
        |key| format!("{} signs with {}", key.kid, key.algorithm),
    );
    let counts = format!("{signs}; {} on record", ring.keys().len());
    if !closed.is_empty() {
        let is_needed = ring.signing().is_some_and(|key| closed.iter().any(|closed| closed.kid == key.kid));
        let status = if is_needed { Health::Fail } else { Health::Warn };
        let keys: Vec<String> = closed.iter().map(|closed| format!("{}: {}", closed.kid, closed.why)).collect();
        let advice = "set REDIS_ENCRYPTION_KEY to what it was when the key was made, add that to SEKISHO_OTHER_ENCRYPTION_KEYS, or let a new key sign with `sekisho keys rotate`";
        return Verdict::new(NAME, status, format!("{counts}; {}; {advice}", keys.join("; ")));
    }
    if durability == Durability::Memory && !ring.keys().is_empty() {
        let detail = format!(
            "{counts}; nothing is persisted: a restart of Redis loses them, and if the sidecars forget them, too, their tokens are refused; set appendonly yes"
        );
        return Verdict::new(NAME, Health::Warn, detail);
    }
    Verdict::new(NAME, Health::Ok, counts)
}

/// Envoy, by the answer of its admin address.
pub(super) fn envoy(url: &str, answer: Result<(u16, String), String>) -> Verdict {
    match answer {
        Ok((200, _)) => Verdict::new("envoy", Health::Ok, format!("{url} says that it is ready")),
        Ok((status, body)) => Verdict::new(
            "envoy",
            Health::Fail,
            format!("{url}/ready answers {status} {}; see Envoy's log", body.trim()),
        ),
        Err(error) => {
            let detail = format!(
                "{url} can't be reached ({error}); start Envoy, or set SEKISHO_ENVOY_ADMIN to its admin address"
            );
            Verdict::new("envoy", Health::Fail, detail)
        }
    }
}

/// The filters, by the registry: some must be there, and none may be behind.
pub(super) fn workers(roll: &Roll) -> Verdict {
    const NAME: &str = "filters";
    let in_condition = |wanted: &[Condition]| -> Vec<&Worker> {
        roll.workers.iter().filter(|worker| wanted.contains(&Condition::of(worker, roll))).collect()
    };
    let current = in_condition(&[Condition::Live]).len();
    let behind = in_condition(&[Condition::Loading, Condition::Lagging]);
    let silent = in_condition(&[Condition::Fenced, Condition::Silent]);
    let polling = current + behind.len();
    if polling == 0 {
        let detail = format!(
            "no filter polls the feed ({}): see that Envoy has loaded the filter, that its cluster sekisho_feed leads to the mesh listener, and that SEKISHO_MESH_SECRET is the same on both sides",
            named("silent", &silent)
        );
        return Verdict::new(NAME, Health::Fail, detail);
    }
    let version = roll.version;
    let counts =
        format!("{polling} poll the feed, {current} of them at its version {version}, {}", named("silent", &silent));
    if !behind.is_empty() {
        let detail = format!("{counts}, {}; look again in a moment, then see Envoy's log", named("behind", &behind));
        return Verdict::new(NAME, Health::Warn, detail);
    }
    let status = if silent.is_empty() { Health::Ok } else { Health::Warn };
    Verdict::new(NAME, status, counts)
}

/// The keys of an identity provider.
pub(super) fn provider_keys(source: &Overview) -> Verdict {
    let (name, place, origin) = (&source.source, &source.place, &source.record.origin);
    let verdict = |status, detail| Verdict::new("provider keys", status, detail);
    let age = source.age.map_or_else(|| "never".to_owned(), |age| format!("{} s ago", age.as_secs()));
    let count = source.record.keys.len();
    let left_out = match origin.left_out {
        0 => String::new(),
        some => format!(", and {some} that cannot be used: see the sidecars' logs"),
    };
    let have = format!("{name} ({place}): {count} keys{left_out}, fetched {age}");
    match (source.standing, &origin.failure) {
        (Standing::Current, _) => verdict(Health::Ok, have),
        (_, Some(failure)) if count > 0 => verdict(Health::Warn, format!("{have}; the last attempt failed: {failure}")),
        (_, Some(failure)) => verdict(Health::Fail, format!("{name} ({place}) has no keys: {failure}")),
        (_, None) => verdict(Health::Fail, format!("{name} ({place}) was never asked; start `sekisho serve` with it")),
    }
}

/// How many there are, and who: a few of them by name. Names come from outside, so they are escaped.
fn named(what: &str, workers: &[&Worker]) -> String {
    let presences = workers.iter().map(|worker| &worker.presence);
    let names = presences.map(|presence| format!("worker {} of {}", presence.worker, presence.node.escape_debug()));
    let some: Vec<String> = names.take(NAMED_MAX).collect();
    let more = workers.len() - some.len();
    match (some.is_empty(), more) {
        (true, _) => format!("0 {what}"),
        (false, 0) => format!("{} {what} ({})", workers.len(), some.join(", ")),
        (false, more) => format!("{} {what} ({} and {more} more: see `sekisho mesh`)", workers.len(), some.join(", ")),
    }
}

/// What `/readyz` of a sidecar says, as far as the doctor cares.
#[derive(Deserialize)]
struct Ready {
    ready: bool,
    checks: Vec<ReadyCheck>,
}

#[derive(Deserialize)]
struct ReadyCheck {
    name: String,
    ok: bool,
    detail: String,
}

/// What `/healthz` of a sidecar says, as far as the doctor cares.
#[derive(Deserialize)]
struct Alive {
    version: String,
    node: String,
}

/// A sidecar, by what its `ops` listener says at `/readyz` and `/healthz`.
pub(super) fn sidecar(
    url: &str,
    ready: Result<(u16, String), String>,
    alive: Result<(u16, String), String>,
) -> Verdict {
    let verdict = |status, detail| Verdict::new("sidecar", status, detail);
    let ((_, ready), (_, alive)) = match (ready, alive) {
        (Ok(ready), Ok(alive)) => (ready, alive),
        (Err(error), _) | (_, Err(error)) => {
            let advice = "start `sekisho serve`, or set SEKISHO_SIDECARS to the ops addresses";
            return verdict(Health::Fail, format!("{url} can't be reached ({error}); {advice}"));
        }
    };
    let (Ok(ready), Ok(alive)) = (serde_json::from_str::<Ready>(&ready), serde_json::from_str::<Alive>(&alive)) else {
        return verdict(Health::Fail, format!("{url} does not answer as a sidecar's ops listener does"));
    };
    let (node, version, ours) = (alive.node, alive.version, env!("CARGO_PKG_VERSION"));
    if !ready.ready {
        let faults =
            ready.checks.iter().filter(|check| !check.ok).map(|check| format!("{}: {}", check.name, check.detail));
        let faults: Vec<String> = faults.collect();
        return verdict(Health::Fail, format!("{node} at {url} is not ready: {}", faults.join("; ")));
    }
    if version != ours {
        let detail = format!("{node} at {url} is ready and runs {version}, but this is {ours}; let all run the same");
        return verdict(Health::Warn, detail);
    }
    if let Some(fault) = ready.checks.iter().find(|check| check.name == DATABASE && !check.ok) {
        return verdict(Health::Warn, format!("{node} at {url} is ready, but of its database: {}", fault.detail));
    }
    verdict(Health::Ok, format!("{node} at {url} is ready and runs {version}"))
}

#[cfg(test)]
mod tests;
