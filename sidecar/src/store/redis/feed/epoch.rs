//! Epochs on record, and the incarnation of Redis that they belong to.

use std::sync::LazyLock;

use redis::aio::ConnectionLike;
use redis::{Pipeline, Script};
use sekisho_protocol::Epoch;

use super::super::keys::{EPOCH, STREAM, VERSION};
use super::{entry::epoch_id, new_epoch_id};
use crate::domain::feed::Version;
use crate::domain::feed::position::{EpochRecord, Lineage, Position};
use crate::service::error::StoreError;

static BEGIN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../scripts/begin_epoch.lua")));

/// The fields of an epoch on record: id, lineage, base.
pub(crate) type Fields = (Option<String>, Option<String>, Option<u64>);

/// Where the feed stands: one round trip.
pub(crate) async fn position(redis: &mut impl ConnectionLike) -> Result<Position, StoreError> {
    let (version, record, server, replication): (Option<u64>, Fields, String, String) =
        ask(&mut redis::pipe()).query_async(redis).await?;
    answered(version, record, &server, &replication)
}

/// Asks where the feed stands; [`answered`] takes the four answers.
pub(crate) fn ask(pipe: &mut Pipeline) -> &mut Pipeline {
    pipe.get(VERSION).cmd("HMGET").arg(EPOCH).arg(&["id", "lineage", "base"]);
    pipe.cmd("INFO").arg("server").cmd("INFO").arg("replication")
}

/// The position that the answers to [`ask`] tell of.
pub(crate) fn answered(
    version: Option<u64>,
    (id, began_on, base): Fields,
    server: &str,
    replication: &str,
) -> Result<Position, StoreError> {
    let epoch = match (id, began_on, base) {
        (Some(id), Some(lineage), Some(base)) => {
            Some(EpochRecord { id: epoch_id(id)?, lineage: Lineage(lineage), base: Version::new(base) })
        }
        _ => None,
    };
    let lineage = parse_lineage(server, replication)?;
    Ok(Position { epoch, version: version.map(Version::new), lineage })
}

/// The incarnation that answers.
pub(crate) async fn lineage(redis: &mut impl ConnectionLike) -> Result<Lineage, StoreError> {
    let (server, replication): (String, String) =
        redis::pipe().cmd("INFO").arg("server").cmd("INFO").arg("replication").query_async(redis).await?;
    parse_lineage(&server, &replication)
}

/// Begins an epoch in place of `old`, unless somebody else did; the one in force afterwards.
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
    Ok(EpochRecord { id: epoch_id(id)?, lineage: Lineage(began_on), base: Version::new(base) })
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
