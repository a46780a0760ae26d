//! Judgements of what is kept in SQL and sealed: the database, the encryption keys, and what waits for the trail.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::seal::SealingKeyId;
use crate::service::audit::{Backlog, WAITING_MAX};
use crate::service::doctor::{Health, Verdict};
use crate::service::encryption::Inventory;
use crate::service::encryption::canary::State;
use crate::service::error::StoreError;
use crate::service::installation::Examined;

/// So many events in line for the trail are more than a job carries in a few rounds.
const BACKLOG_MANY: u64 = 5_000;
/// Events are carried every quarter of a second; one that has waited for so long waits for something.
const BACKLOG_OLD: Duration = Duration::from_secs(30);
const ROTATE: &str = "run `sekisho keys rotate-encryption`";

/// A database that could not be asked.
pub(in crate::service::doctor) fn no_database(error: &StoreError) -> Verdict {
    let detail = format!("{error}; see DATABASE_URL or SEKISHO_DATA_DIR, and whether the database runs");
    Verdict::new("database", Health::Fail, detail)
}

/// The database: whether it is there, its tables are those of this version, and it is the one that is announced.
pub(in crate::service::doctor) fn database(examined: &Examined) -> Vec<Verdict> {
    if !examined.look.exists {
        let detail =
            "there is none yet: start `sekisho serve`, or set SEKISHO_DATA_DIR to the folder that the sidecars use";
        return vec![Verdict::new("database", Health::Fail, detail)];
    }
    vec![migrations(examined), identity(examined)]
}

fn migrations(examined: &Examined) -> Verdict {
    const NAME: &str = "database";
    let (applied, known) = (&examined.look.applied, &examined.known);
    let run = applied.iter().filter(|version| known.contains(version)).count();
    let counts = format!("{run} of {} migrations", known.len());
    if let Some(version) = applied.iter().find(|version| !known.contains(version)) {
        let detail = format!(
            "a newer Sekisho has changed it (migration {version}; this one knows {}); run the newer one",
            known.len()
        );
        return Verdict::new(NAME, Health::Fail, detail);
    }
    if run < known.len() {
        return Verdict::new(
            NAME,
            Health::Warn,
            format!("{counts}; a sidecar of this version runs the others when it starts"),
        );
    }
    Verdict::new(NAME, Health::Ok, counts)
}

fn identity(examined: &Examined) -> Verdict {
    const NAME: &str = "database id";
    match (&examined.look.id, &examined.announced) {
        (Some(ours), Some(theirs)) if ours == theirs => Verdict::new(NAME, Health::Ok, format!("{ours}, as announced")),
        (Some(ours), Some(theirs)) => {
            let detail = format!(
                "the sidecars on this Redis use another database ({theirs}; this one is {ours}): give all of them the same DATABASE_URL or SEKISHO_DATA_DIR"
            );
            Verdict::new(NAME, Health::Fail, detail)
        }
        (_, Some(theirs)) => {
            let detail = format!("{theirs} is announced, and this database has no id: no sidecar has opened it");
            Verdict::new(NAME, Health::Fail, detail)
        }
        (_, None) => Verdict::new(NAME, Health::Warn, "none is announced: no sidecar has opened a database yet"),
    }
}

/// Whether the keys here are the right ones, and everything is sealed under the present one.
pub(in crate::service::doctor) fn encryption(canary: &State, places: &[Inventory]) -> Verdict {
    let verdict = |status, detail: String| Verdict::new("encryption", status, detail);
    if let Some(complaint) = canary.complaint() {
        return verdict(Health::Fail, complaint);
    }
    let damaged: usize = places.iter().map(|place| place.damaged).sum();
    match canary {
        State::Missing { present: None } => {
            verdict(Health::Ok, "REDIS_ENCRYPTION_KEY is not set, and nothing was ever sealed here".to_owned())
        }
        State::Missing { present: Some(id) } => {
            verdict(Health::Warn, format!("no sidecar with a key has opened the database yet; the key here is {id}"))
        }
        State::NoKey { theirs } => {
            let theirs = theirs.map_or_else(|| "a key".to_owned(), |id| format!("the key {id}"));
            verdict(Health::Warn, format!("things are sealed under {theirs}; set REDIS_ENCRYPTION_KEY"))
        }
        State::Opens { under, present } => {
            let left = left(places, *present);
            let opens = format!("the canary opens under the key {under}");
            if under != present || !left.is_empty() {
                let left =
                    if left.is_empty() { String::new() } else { format!(", {} sealed under other keys", sum(&left)) };
                let detail = format!("{opens}, the present key is {present}{left}: a rotation is unfinished; {ROTATE}");
                return verdict(Health::Warn, detail);
            }
            if damaged > 0 {
                return verdict(Health::Warn, format!("{opens}, but {damaged} sealed values are damaged"));
            }
            verdict(Health::Ok, format!("{opens}, and everything is sealed under it"))
        }
        State::Closed { .. } | State::Damaged => verdict(Health::Fail, "the canary does not open".to_owned()),
    }
}

/// Values under other keys than the present one.
fn left(places: &[Inventory], present: SealingKeyId) -> BTreeMap<(&'static str, SealingKeyId), usize> {
    let all = places.iter().flat_map(|place| place.under.iter().map(|(id, count)| ((place.name, *id), *count)));
    all.filter(|((_, id), _)| *id != present).collect()
}

fn sum(left: &BTreeMap<(&'static str, SealingKeyId), usize>) -> String {
    let texts = left.iter().map(|((name, id), count)| format!("{count} {name} ({id})"));
    texts.collect::<Vec<_>>().join(", ")
}

/// What waits for the trail.
pub(in crate::service::doctor) fn backlog(backlog: &Backlog) -> Verdict {
    let Backlog { waiting, oldest, open } = *backlog;
    let verdict = |status, detail| Verdict::new("audit events", status, detail);
    let counts = format!(
        "{waiting} wait for the database, the oldest for {} s; {open} are of changes that go on",
        oldest.as_secs()
    );
    if waiting >= WAITING_MAX {
        return verdict(Health::Fail, format!("{counts}: no more fit, and changes are refused; see the database"));
    }
    if waiting >= BACKLOG_MANY || (waiting > 0 && oldest >= BACKLOG_OLD) {
        return verdict(Health::Warn, format!("{counts}; see whether a sidecar runs and reaches the database"));
    }
    verdict(Health::Ok, counts)
}
