//! `sekisho doctor`.

use serde_json::json;

use crate::cli::Exit;
use crate::cli::output::Output;
use crate::service::clock::now_ms;
use crate::service::doctor::{Doctor, Health, Verdict};

pub(super) async fn run(doctor: &Doctor, output: &Output) -> Result<(), Exit> {
    let verdicts = doctor.examine(now_ms).await;
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
