//! A sidecar crashes while it bars somebody's tokens until they sign in, or lets them be used again: whoever is next does
//! the rest.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::load::request;
use e2e::token::now;
use e2e::{User, World, poll};
use redis::cmd;
use sekisho_sidecar::failpoint::FailPoint;
use serde_json::Value;

use crate::DENY;
use crate::signing_keys::mint;

/// How long a walk over all who have tokens may be away, and a walk over records.
const WALKED: Duration = Duration::from_secs(60);
const DAY_S: u64 = 86_400;
const WINDOW: &[(&str, &str)] = &[("SEKISHO_TOKENS_RECENT_SIGN_IN_SECONDS", "86400")];

/// Tokens need a recent sign-in, where sidecars say so.
pub(crate) fn with_recent_sign_ins(policy: &mut Value) {
    policy["providers"][0]["recent_sign_in"] = true.into();
}

/// Whether this file has the story of `point`.
pub(crate) fn concerns(point: FailPoint) -> bool {
    matches!(point, FailPoint::SignInRequired | FailPoint::SignInReleased)
}

/// Lets sidecar A crash at `point`, alone in what it does, and sees that nothing is half done once both are back.
pub(crate) async fn cut_off(world: &World, point: FailPoint) -> Result<()> {
    let email = world.user().email;
    let token = mint(world, &email).await?;
    let user = User { email, token };
    signed_in(world, &user, now() - DAY_S).await?;
    if point == FailPoint::SignInReleased {
        restart(world, WINDOW).await?;
        everywhere(world, &user, 401).await?;
    }
    world.a.kill().await?;
    world.b.kill().await?;
    if point == FailPoint::SignInReleased {
        signed_in(world, &user, now()).await?;
    }
    world.a.start_to_crash_with(point.word(), WINDOW).await?;
    world.a.has_crashed_at(point.word()).await?;
    let half_done = (is_on_record(world, &user).await?, is_in_the_feed(world, &user).await?);
    world.a.start_with(WINDOW).await?;
    world.b.start_with(WINDOW).await?;
    let is_required = point == FailPoint::SignInRequired;
    ensure!(half_done == (is_required, !is_required), "it crashed elsewhere: {half_done:?}");
    everywhere(world, &user, if is_required { 401 } else { 200 }).await?;
    poll::until("record and feed agree", WALKED, async || {
        let found = (is_on_record(world, &user).await?, is_in_the_feed(world, &user).await?);
        ensure!(found == (is_required, is_required), "{found:?}");
        Ok(())
    })
    .await?;
    restart(world, &[]).await
}

async fn restart(world: &World, settings: &[(&str, &str)]) -> Result<()> {
    for sidecar in [&world.a, &world.b] {
        sidecar.kill().await?;
        sidecar.start_with(settings).await?;
    }
    Ok(())
}

/// They signed in last at a moment.
async fn signed_in(world: &World, user: &User, at: u64) -> Result<()> {
    world.redis.set(&format!("sekisho:signed_in:{}", user.email), &at.to_string(), 90 * DAY_S).await
}

async fn is_on_record(world: &World, user: &User) -> Result<bool> {
    world.redis.command(cmd("EXISTS").arg(format!("sekisho:sign_in_needed:{}", user.email))).await
}

async fn is_in_the_feed(world: &World, user: &User) -> Result<bool> {
    let field = format!("sign_in|{}", user.email);
    let entry: Option<String> = world.redis.command(cmd("HGET").arg("sekisho:{feed}:entries").arg(field)).await?;
    Ok(entry.is_some_and(|entry| !entry.contains("\"until\":0,")))
}

/// Each worker answers with this status.
async fn everywhere(world: &World, user: &User, status: u16) -> Result<()> {
    for mut connection in world.connections_to_every_worker().await? {
        poll::until(&format!("{} gets {status}", user.email), WALKED, async || {
            let answer = connection.send(&request(DENY, user)).await?;
            ensure!(answer.status == status, "{answer:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}
