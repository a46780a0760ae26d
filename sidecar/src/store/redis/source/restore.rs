//! Writing back what Redis lost of the feed (rule P2), and the records that belong to it.

use std::sync::LazyLock;

use redis::Script;
use redis::aio::MultiplexedConnection;
use sekisho_protocol::feed::{FOREVER, Kind};
use serde_json::json;

use super::super::feed::entry;
use super::super::keys::{BAN_DETAILS, BAN_RECORD, BANS, ENTRIES, EPOCH, STREAM, VERSION, record_prefix};
use super::super::not_before;
use crate::domain::feed::kind_word;
use crate::domain::feed::position::EpochRecord;
use crate::domain::feed::write::{Says, Write};
use crate::domain::time::UnixSeconds;
use crate::failpoint::{FailPoint, reach};
use crate::service::error::StoreError;

static RESTORE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(concat!(include_str!("../scripts/write.lua"), include_str!("../scripts/restore.lua")))
});
static DROP_RECORD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/drop_record.lua")));

/// Writes in one round trip.
pub(super) const CHUNK: usize = 500;
/// The reason of a bar whose own was lost.
const REASON: &str = "restored after Redis lost data";

/// A write that is in the feed again, and the record that belongs to it.
struct Restored<'a> {
    write: &'a Write,
    until: u64,
    /// The number of the new write.
    version: String,
    key: String,
    value: String,
}

/// Writes `held` back, except where the feed knows something newer: how many were written.
pub(super) async fn restore(
    redis: &mut MultiplexedConnection,
    held: &[Write],
    epoch: &EpochRecord,
) -> Result<usize, StoreError> {
    let mut pipe = redis::pipe();
    for write in held {
        let (until, floor, lifted_at) = entry::numbers(write.says);
        let mut call = RESTORE.key(EPOCH);
        call.key(VERSION).key(STREAM).key(ENTRIES).key(BANS).arg(epoch.id.as_str()).arg(epoch.base.get());
        call.arg(kind_word(write.kind)).arg(&write.name);
        call.arg(until).arg(floor).arg(lifted_at).arg(write.version.get());
        pipe.invoke_script(&call);
    }
    // A pipeline names scripts by their digest only, and Redis may have been restarted.
    RESTORE.load_async(redis).await?;
    let outcomes: Vec<String> = pipe.query_async(redis).await?;
    if outcomes.iter().any(|outcome| outcome == "OTHER") {
        return Err(StoreError::unavailable("another epoch began meanwhile"));
    }
    let written = held.iter().zip(outcomes).filter(|(_, outcome)| outcome != "NEWER");
    let now = UnixSeconds::now().get();
    let (mut count, mut records) = (0, Vec::new());
    for (write, version) in written {
        count += 1;
        records.extend(record(write, version, now));
    }
    reach(FailPoint::RestoreEntered);
    restore_not_befores(redis, held).await?;
    restore_records(redis, records, now).await?;
    Ok(count)
}

/// Raises since when people's tokens are valid to what was held. Nothing lifts that, so that no care is
/// needed about who else writes.
async fn restore_not_befores(redis: &mut MultiplexedConnection, held: &[Write]) -> Result<(), StoreError> {
    let mut pipe = redis::pipe();
    for write in held.iter().filter(|write| write.kind == Kind::NotBefore) {
        if let Says::Holds { until, floor } = write.says {
            pipe.invoke_script(&not_before::restore(&write.name, floor, until)).ignore();
        }
    }
    if pipe.is_empty() {
        return Ok(());
    }
    not_before::RAISE.load_async(redis).await?;
    Ok(pipe.query_async(redis).await?)
}

/// The record of a ban or a revocation that is written back, unless there is one.
fn record(write: &Write, version: String, now: u64) -> Option<Restored<'_>> {
    let prefix = record_prefix(write.kind).filter(|_| write.kind != Kind::NotBefore)?;
    let Says::Holds { until, .. } = write.says else { return None };
    let value = match write.kind {
        Kind::Ban => now.to_string(),
        Kind::SignIn => json!({"reason": REASON, "at": now}).to_string(),
        _ => "1".to_owned(),
    };
    Some(Restored { write, until, version, key: format!("{prefix}{}", write.name), value })
}

/// Puts records back where there are none. If somebody lifts an entry at the same time, its record
/// goes again: otherwise it would count as a new ban (rule P8).
async fn restore_records(
    redis: &mut MultiplexedConnection,
    records: Vec<Restored<'_>>,
    now: u64,
) -> Result<(), StoreError> {
    if records.is_empty() {
        return Ok(());
    }
    let mut pipe = redis::pipe();
    for record in &records {
        pipe.cmd("SET").arg(&record.key).arg(&record.value).arg("NX");
        if record.until < FOREVER {
            pipe.arg("EXAT").arg(record.until);
        }
    }
    let written: Vec<Option<String>> = pipe.query_async(redis).await?;
    let ours: Vec<Restored<'_>> =
        records.into_iter().zip(written).filter_map(|(record, written)| written.map(|_| record)).collect();
    restore_details(redis, &ours, now).await?;
    reach(FailPoint::RestoreRecorded);
    drop_lifted(redis, &ours).await
}

async fn restore_details(redis: &mut MultiplexedConnection, bans: &[Restored<'_>], now: u64) -> Result<(), StoreError> {
    let mut pipe = redis::pipe();
    for ban in bans.iter().filter(|record| record.key.starts_with(BAN_RECORD)) {
        let key = format!("{BAN_DETAILS}{}", ban.write.name);
        let (at, until) = (now.to_string(), ban.until.to_string());
        for (field, value) in [("reason", REASON), ("by", "sekisho"), ("at", &at), ("until", &until)] {
            pipe.cmd("HSETNX").arg(&key).arg(field).arg(value).ignore();
        }
        if ban.until < FOREVER {
            pipe.cmd("EXPIREAT").arg(&key).arg(ban.until).ignore();
        }
    }
    if pipe.is_empty() { Ok(()) } else { Ok(pipe.query_async(redis).await?) }
}

async fn drop_lifted(redis: &mut MultiplexedConnection, records: &[Restored<'_>]) -> Result<(), StoreError> {
    let mut pipe = redis::pipe();
    for record in records {
        pipe.cmd("HGET").arg(ENTRIES).arg(entry::field(record.write.kind, &record.write.name));
    }
    if records.is_empty() {
        return Ok(());
    }
    let present: Vec<Option<String>> = pipe.query_async(redis).await?;
    for (record, present) in records.iter().zip(present) {
        let is_ours = present.is_some_and(|present| present.contains(&format!("\"version\":{},", record.version)));
        if !is_ours {
            let _: i64 = DROP_RECORD.key(&record.key).arg(&record.value).invoke_async(redis).await?;
        }
    }
    Ok(())
}
