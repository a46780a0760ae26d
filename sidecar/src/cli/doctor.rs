//! `sekisho doctor`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::cli::Exit;
use crate::cli::output::Output;
use crate::service::doctor::{Doctor, Health, Verdict};

pub(super) async fn run(doctor: &Doctor, output: &Output) -> Result<(), Exit> {
    let verdicts = doctor.examine(clock_ms).await;
    let worst = verdicts.iter().map(|verdict| verdict.status).max().unwrap_or(Health::Ok);
    output.result(|| text(&verdicts), || json!({"ok": worst != Health::Fail, "checks": verdicts}));
    if worst == Health::Fail { Err(Exit::NotReady) } else { Ok(()) }
}

fn text(verdicts: &[Verdict]) -> String {
    let line = |verdict: &Verdict| {
        let mark = match verdict.status {
            Health::Ok => "ok  ",
            Health::Warn => "warn",
            Health::Fail => "FAIL",
        };
        format!("{mark}  {}: {}", verdict.name, verdict.detail)
    };
    verdicts.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
