//! The encryption key is replaced while requests flow and sidecars are restarted one by one, and whoever does it is cut
//! off: everybody goes on signing and verifying.

use std::os::unix::process::ExitStatusExt as _;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use e2e::world::{ADMIN, Keys};
use e2e::{Load, Plan, World, poll, story_in};
use reqwest::Method;
use sekisho_sidecar::failpoint::FailPoint;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::signing_keys::{rotate, somebody};
use crate::{DENY, NOTICED};

/// Signal 6: how a program ends that aborts.
const SIGABRT: i32 = 6;

/// The key with which a world begins, and the one that is to come.
fn old_and_new() -> (String, String) {
    let old = Keys::default().encryption;
    let new = old.chars().rev().collect();
    (old, new)
}

/// Settings with a key that seals and another that only opens.
fn ring<'a>(present: &'a str, other: &'a str) -> [(&'a str, &'a str); 2] {
    [("REDIS_ENCRYPTION_KEY", present), ("SEKISHO_OTHER_ENCRYPTION_KEYS", other)]
}

#[test]
fn an_encryption_key_is_replaced_without_a_refused_request_or_a_token_that_cannot_be_issued() {
    story_in(Plan::default(), async |world| {
        rotate(world).await?;
        let user = somebody(world).await?;
        let (begun, load) = (Instant::now(), Load::start(&world.envoys, DENY, &[&user]));
        let (old, new) = old_and_new();
        restart_each_with(world, &ring(&old, &new)).await?;
        restart_each_with(world, &ring(&new, &old)).await?;
        let rotated = rotated(&world.a.cli_with(&ring(&new, &old), &["keys", "rotate-encryption", "--json"]).await?)?;
        ensure!(rotated["places"][0]["resealed"] == 1, "{rotated}");
        restart_each_with(world, &[("REDIS_ENCRYPTION_KEY", &new)]).await?;
        let records = load.stop().await?;
        for status in [401, 503] {
            assert_eq!(records.count(&user, begun, status), 0, "answers with {status}");
        }
        is_on_record(world).await
    });
}

/// A rotation is cut off at `point`, and made again; then back to the key with which the world began.
pub(crate) async fn cut_off(world: &World, point: FailPoint) -> Result<()> {
    rotate(world).await?;
    let (old, new) = old_and_new();
    let again = ["keys", "rotate-encryption", "--json"];
    let [present, others] = ring(&new, &old);
    let crash = [present, others, ("SEKISHO_FAILPOINT", point.word())];
    let crashed = world.a.cli_with(&crash, &again).await?;
    ensure!(crashed.status.signal() == Some(SIGABRT), "{crashed:?}");
    rotated(&world.a.cli_with(&ring(&new, &old), &again).await?)?;
    rotated(&world.a.cli_with(&ring(&old, &new), &again).await?)?;
    somebody(world).await.map(drop)
}

/// Restarts both sidecars, one after the other. Each signs when it is back.
async fn restart_each_with(world: &World, settings: &[(&str, &str)]) -> Result<()> {
    for sidecar in [&world.a, &world.b] {
        sidecar.terminate().await?;
        sidecar.start_with(settings).await?;
        let name = json!({"token_name": "after a restart"});
        let answer = world.call_at(sidecar, ADMIN, Method::POST, "/api/token/generate", Some(&name)).await?;
        answer.json_with(200)?;
    }
    Ok(())
}

fn rotated(output: &Output) -> Result<Value> {
    ensure!(output.status.success(), "{output:?}");
    let rotated: Value = serde_json::from_slice(&output.stdout)?;
    ensure!(rotated["unneeded"].as_array().context("no list")?.len() == 1, "{rotated}");
    Ok(rotated)
}

/// Who replaced the key is in the trail, and the key is not.
async fn is_on_record(world: &World) -> Result<()> {
    let path = "/api/admin/audit?action=encryption.rotated";
    let found = poll::until("the rotation is in the trail", NOTICED, async || {
        let answer = world.call_at(&world.a, ADMIN, Method::GET, path, None).await?.json_with(200)?;
        ensure!(answer["count"] == 1, "{answer}");
        Ok(answer)
    });
    let found = found.await?;
    assert_eq!(
        (&found["events"][0]["outcome"], &found["events"][0]["actor_kind"]),
        (&json!("done"), &json!("operator"))
    );
    let (old, new) = old_and_new();
    ensure!(!found.to_string().contains(&old) && !found.to_string().contains(&new), "a key is in the trail");
    Ok(())
}
