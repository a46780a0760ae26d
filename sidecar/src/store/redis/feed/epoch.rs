//! Epochs on record, and the incarnation of Redis that they belong to.

use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Pipeline, Script};
use sekisho_protocol::Epoch;

use super::super::keys::{EPOCH, STREAM, VERSION};
use super::{entry::epoch_id, new_epoch_id};
use crate::domain::feed::Version;
use crate::domain::feed::position::{EpochRecord, Lineage, Position};
use crate::service::error::StoreError;

static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/begin_epoch.lua")));

/// The fields of an epoch on record: id, lineage, base, Unix milliseconds of its beginning.
pub(crate) type Fields = (Option<String>, Option<String>, Option<u64>, Option<u64>);
/// Seconds and microseconds, as `TIME` tells them.
pub(crate) type Time = (u64, u64);
/// The answers to [`ask`].
pub(crate) type Answers = (Option<u64>, Fields, Time, String, String);

/// Where the feed stands: one round trip.
pub(crate) async fn position(redis: &mut impl ConnectionLike) -> Result<Position, StoreError> {
    answered(ask(&mut redis::pipe()).query_async(redis).await?)
}

/// Asks where the feed stands; [`answered`] takes the answers.
pub(crate) fn ask(pipe: &mut Pipeline) -> &mut Pipeline {
    pipe.get(VERSION).cmd("HMGET").arg(EPOCH).arg(&["id", "lineage", "base", "begun_at_ms"]).cmd("TIME");
    pipe.cmd("INFO").arg("server").cmd("INFO").arg("replication")
}

/// The position that the answers to [`ask`] tell of.
pub(crate) fn answered(answers: Answers) -> Result<Position, StoreError> {
    let (version, (id, began_on, base, begun_at_ms), (seconds, micros), server, replication) = answers;
    let epoch = match (id, began_on, base) {
        (Some(id), Some(lineage), Some(base)) => {
            let now_ms = seconds * 1_000 + micros / 1_000;
            // An older sidecar wrote no beginning; it served the epoch at once.
            let age = begun_at_ms.map_or(Duration::MAX, |at| Duration::from_millis(now_ms.saturating_sub(at)));
            Some(EpochRecord { id: epoch_id(id)?, lineage: Lineage(lineage), base: Version::new(base), age })
        }
        _ => None,
    };
    let lineage = parse_lineage(&server, &replication)?;
    Ok(Position { epoch, version: version.map(Version::new), lineage })
}

/// The incarnation that answers.
pub(crate) async fn lineage(redis: &mut impl ConnectionLike) -> Result<Lineage, StoreError> {
    let (server, replication): (String, String) =
        redis::pipe().cmd("INFO").arg("server").cmd("INFO").arg("replication").query_async(redis).await?;
    parse_lineage(&server, &replication)
}

/// Begins an epoch in place of `old`, unless somebody else did; the one in force afterwards. In either case
/// it has only just begun.
pub(crate) async fn begin(
    redis: &mut (impl ConnectionLike + Clone),
    old: Option<&Epoch>,
    highest: Version,
    lineage: &Lineage,
) -> Result<EpochRecord, StoreError> {
    let mut call = BEGIN.key(EPOCH);
    call.key(VERSION).key(STREAM);
    call.arg(old.map_or("", Epoch::as_str)).arg(new_epoch_id().as_str()).arg(&lineage.0).arg(highest.get());
    let (id, began_on, base): (String, String, u64) = call.invoke_async(redis).await?;
    Ok(EpochRecord { id: epoch_id(id)?, lineage: Lineage(began_on), base: Version::new(base), age: Duration::ZERO })
}

/// A line of `INFO`.
pub(crate) fn info<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

fn parse_lineage(server: &str, replication: &str) -> Result<Lineage, StoreError> {
    match (info(server, "run_id"), info(replication, "master_replid"), info(replication, "role")) {
        (Some(run_id), Some(replication_id), Some("master")) => Ok(Lineage(format!("{run_id}/{replication_id}"))),
        // A replica lags, and may be behind what another sidecar wrote: nothing that it says is fresh.
        (_, _, Some("slave")) => Err(StoreError::unavailable("this Redis is a replica, not the master")),
        _ => Err(StoreError::corrupt("INFO", "run_id, master_replid or role is missing")),
    }
}
