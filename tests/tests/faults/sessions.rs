//! A sidecar crashes while it ends somebody's sessions, because they are banned: once the ban is lifted none of those
//! sessions comes back, on no worker, while their token does and a new session holds.

use anyhow::{Result, ensure};
use e2e::load::request;
use e2e::world::ADMIN;
use e2e::{World, poll};
use redis::cmd;
use reqwest::Method;
use sekisho_sidecar::failpoint::FailPoint;

use crate::people::{SignedIn, asking, sign_in};
use crate::{DENY, NOTICED};

/// More than a sidecar ends at the same time.
const SESSIONS: usize = 40;

/// Whether this file has the story of `point`.
pub(crate) fn concerns(point: FailPoint) -> bool {
    matches!(point, FailPoint::SessionRecorded | FailPoint::SessionEntered | FailPoint::SessionsPart)
}

/// Lets sidecar A crash at `point`, while every worker knows all of the sessions.
pub(crate) async fn cut_off(world: &World, point: FailPoint) -> Result<()> {
    let user = world.user();
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        sessions.push(sign_in(world, &user.email).await?);
    }
    everywhere(world, &sessions, 200).await?;
    world.a.kill().await?;
    world.a.start_to_crash_at(point.word()).await?;
    drop(world.ban_at(&world.a, &user).await);
    world.a.has_crashed_at(point.word()).await?;
    let mut ended = 0;
    for SignedIn { session, .. } in &sessions {
        let record = format!("sekisho:session:ended:{}", session.id);
        ended += world.redis.command::<usize>(cmd("EXISTS").arg(record)).await?;
    }
    ensure!((1..SESSIONS).contains(&ended), "it crashed in the middle: {ended} of {SESSIONS} are ended on record");
    everywhere(world, &sessions, 403).await?;
    world.a.start().await?;
    let unban = format!("/api/admin/sessions/unban/{}", user.email);
    world.call_at(&world.b, ADMIN, Method::DELETE, &unban, None).await?.json_with(200)?;
    everywhere(world, &sessions, 401).await?;
    everywhere(world, &[sign_in(world, &user.email).await?], 200).await?;
    for mut connection in world.connections_to_every_worker().await? {
        let answer = connection.send(&request(DENY, &user)).await?;
        ensure!(answer.status == 200, "the token is let in again: {answer:?}");
    }
    Ok(())
}

/// Each worker answers with this status.
async fn everywhere(world: &World, sessions: &[SignedIn], status: u16) -> Result<()> {
    for mut connection in world.connections_to_every_worker().await? {
        for SignedIn { cookie, .. } in sessions {
            let request = asking(cookie).bytes();
            poll::until(&format!("a session gets {status}"), NOTICED, async || {
                let answer = connection.send(&request).await?;
                ensure!(answer.status == status, "{answer:?}");
                Ok(())
            })
            .await?;
        }
    }
    Ok(())
}
