//! Logs of runs: `cleanup:log:{id}`, JSON, and `cleanup:logs`, a sorted set of their ids by time.

use redis::AsyncCommands as _;
use redis::aio::ConnectionManager;
use serde_json::Value;

use crate::domain::cleanup::CleanupLog;
use crate::domain::time::UnixSeconds;
use crate::service::cleanup::Logged;
use crate::service::error::StoreError;
use crate::store::redis::ranked::whole;

/// + id: a log.
const LOG: &str = "cleanup:log:";
/// The ids.
const LOGS: &str = "cleanup:logs";
/// No answer holds more bytes of logs, but for the first.
const ANSWER_MAX_BYTES: usize = 8 * 1024 * 1024;
const DAY_S: u64 = 86_400;

pub(super) async fn keep(redis: &mut ConnectionManager, log: &CleanupLog, days: u64) -> Result<bool, StoreError> {
    let key = format!("{LOG}{}", log.cleanup_id);
    let json = serde_json::to_string(log).map_err(|error| StoreError::corrupt(&key, error))?;
    let mut set = redis::cmd("SET");
    set.arg(&key).arg(json).arg("NX").arg("EX").arg(days * DAY_S);
    if set.query_async::<Option<String>>(redis).await?.is_none() {
        return Ok(false);
    }
    let _: () = redis.zadd(LOGS, &log.cleanup_id, log.executed_at).await?;
    Ok(true)
}

/// Logs from before `before`, the newest first; how many there are in all. With a limit of 0, whether there is one: it is
/// empty then.
pub(super) async fn read(
    redis: &mut ConnectionManager,
    before: Option<u64>,
    limit: usize,
    days: u64,
) -> Result<(Vec<Logged>, u64), StoreError> {
    let forgotten = UnixSeconds::now().get().saturating_sub(days * DAY_S);
    let mut pipe = redis::pipe();
    pipe.zrembyscore(LOGS, "-inf", format!("({forgotten}")).ignore();
    let from = before.map_or_else(|| "+inf".to_owned(), |before| format!("({before}"));
    pipe.cmd("ZRANGE").arg(LOGS).arg(from).arg("-inf").arg("BYSCORE").arg("REV");
    pipe.arg("LIMIT").arg(0).arg(limit.max(1)).arg("WITHSCORES").zcard(LOGS);
    let (ids, total): (Vec<(String, f64)>, u64) = pipe.query_async(redis).await?;
    let (mut logs, mut bytes) = (Vec::new(), 0);
    for (id, score) in ids {
        let at = whole(score).unwrap_or(0);
        if limit == 0 {
            return Ok((vec![Logged { at, log: Value::Null }], total));
        }
        let text: Option<String> = redis.get(format!("{LOG}{id}")).await?;
        // Its end comes a moment before that of its place in the set.
        let Some(log) = text.as_deref().and_then(|text| serde_json::from_str(text).ok()) else { continue };
        bytes += text.map_or(0, |text| text.len());
        if bytes > ANSWER_MAX_BYTES && !logs.is_empty() {
            break;
        }
        logs.push(Logged { at, log });
    }
    Ok((logs, total))
}
