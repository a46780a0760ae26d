//! Before anything is measured: every listener refuses whom it must refuse, and no refused request reaches the
//! upstream. A variant that is fast because it lets everybody through would be noticed here.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::poll;

use crate::client::Client;
use crate::scene::Scene;
use crate::tokens::{self, BANNED};
use crate::traffic::request;
use crate::variant::{ALL, Variant};

/// How long another program's ban may take to be noticed.
const NOTICE: Duration = Duration::from_secs(10);

/// Tries them all.
///
/// # Errors
/// Somebody is let in.
pub(crate) async fn run(scene: &Scene) -> Result<()> {
    let ban = format!("active_user_deleted:{}", tokens::email(BANNED));
    for mesh in [&scene.mesh, &scene.million] {
        mesh.redis.set(&ban, "1", 3_600).await?;
    }
    for (number, variant) in ALL.iter().enumerate() {
        let before = scene.upstream.reached(number);
        of(scene, number, variant).await.with_context(|| format!("the listener of {}", variant.name))?;
        let reached = scene.upstream.reached(number).all - before.all;
        // While a ban is not yet noticed, requests pass; then one must not.
        let allowed = !variant.verifies() || variant.knows_bans();
        ensure!(allowed || reached == 0, "{reached} requests passed {}", variant.name);
    }
    Ok(())
}

async fn of(scene: &Scene, number: usize, variant: &Variant) -> Result<()> {
    let minted = scene.tokens.of(variant.algorithm);
    let mut client = Client::open(scene.listener(number))?;
    let mut ask = |token: Option<&str>| Ok::<_, anyhow::Error>(client.ask(&request(number, token))?.status);
    let refusal = if variant.verifies() { 401 } else { 200 };
    let forged = minted.forged().next().context("no forged token")?;
    for token in [None, Some(forged.as_str()), Some("e30.e30.AAAA")] {
        let status = ask(token)?;
        ensure!(status == refusal, "{status} for the token {token:?}");
    }
    if !variant.knows_bans() {
        return Ok(());
    }
    poll::until("somebody who is banned is refused", NOTICE, async || {
        let status = ask(Some(minted.banned()))?;
        ensure!(status == 401, "answered {status}");
        Ok(())
    })
    .await
}
