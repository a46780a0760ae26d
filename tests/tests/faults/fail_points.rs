//! A sidecar crashes at every place where a crash could lose something; it is started again, and nothing
//! is lost.

use anyhow::{Context, Result, ensure};
use e2e::load::request;
use e2e::receiver::{CHAT, GENERIC};
use e2e::world::ADMIN;
use e2e::{Answer, Plan, User, World, poll, story_in};
use redis::cmd;
use reqwest::Method;
use sekisho_sidecar::failpoint::FailPoint;
use serde_json::{Value, json};

use crate::people::with_sessions;
use crate::signing_keys::{self, kid, mint, rotate};
use crate::{DENY, NOTICED, encryption, exchanges, sessions, sign_ins};

/// What somebody is after the crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Refused, with the reason.
    Barred,
    /// Let in.
    LetIn,
}

#[test]
fn p8_a_sidecar_that_crashes_between_any_two_writes_loses_nothing() {
    let policy = |policy: &mut Value| {
        with_sessions(policy);
        sign_ins::with_recent_sign_ins(policy);
    };
    story_in(Plan { webhooks: true, policy, ..Plan::default() }, async |world| {
        for point in FailPoint::ALL {
            let outcome = crash_and_come_back(world, point).await;
            let fate = outcome.with_context(|| format!("fail point {}", point.word()))?;
            eprintln!("fail point {}: {fate:?}", point.word());
        }
        Ok(())
    });
}

/// Lets sidecar A crash at `point`, starts it again, and sees on every worker what has become of whom the
/// crash concerned.
async fn crash_and_come_back(world: &World, point: FailPoint) -> Result<Fate> {
    if let FailPoint::EncryptionBatch | FailPoint::EncryptionResealed | FailPoint::EncryptionRotated = point {
        // No sidecar does that, but somebody at the command line.
        encryption::cut_off(world, point).await?;
        return Ok(Fate::LetIn);
    }
    if sessions::concerns(point) {
        sessions::cut_off(world, point).await?;
        return Ok(Fate::LetIn);
    }
    if exchanges::concerns(point) {
        exchanges::cut_off(world, point).await?;
        return Ok(Fate::LetIn);
    }
    if sign_ins::concerns(point) {
        sign_ins::cut_off(world, point).await?;
        return Ok(if point == FailPoint::SignInRequired { Fate::Barred } else { Fate::LetIn });
    }
    let user = somebody(world, point).await?;
    world.a.kill().await?;
    world.a.start_to_crash_at(point.word()).await?;
    provoke(world, point, &user).await?;
    world.a.has_crashed_at(point.word()).await?;
    let told = [told_so_far(world, GENERIC)?, told_so_far(world, CHAT)?];
    let fate = come_back(world, point, &user).await?;
    is_on_record(world, point, &user, &told).await?;
    let status = if fate == Fate::Barred { 401 } else { 200 };
    for mut connection in world.connections_to_every_worker().await? {
        poll::until(&format!("{} gets {status}", user.email), NOTICED, async || {
            let answer = connection.send(&request(DENY, &user)).await?;
            ensure!(answer.status == status, "{answer:?}");
            Ok(())
        })
        .await?;
    }
    Ok(fate)
}

/// Somebody with a token that the token API knows, banned already where the point asks for it.
async fn somebody(world: &World, point: FailPoint) -> Result<User> {
    if let FailPoint::KeysetRecorded | FailPoint::KeysetEntered = point {
        return somebody_with_a_former_key(world).await;
    }
    let email = world.user().email;
    let id = mint(world, &email).await?.id().to_owned();
    // Issued so long ago that a logout concerns it.
    let earlier = e2e::token::now() - 10;
    let token = world.token_of(&email).claim("jti", id).claim("iat", earlier).claim("nbf", earlier);
    let user = User { email, token };
    match point {
        FailPoint::BanRecorded
        | FailPoint::BanEntered
        | FailPoint::TokenReserved
        | FailPoint::TokenInserted
        | FailPoint::ExchangeNoted
        | FailPoint::ExchangeJoined
        | FailPoint::ExchangeMarked
        | FailPoint::FamilyMarked
        | FailPoint::FamilyRevoked
        | FailPoint::SignInRequired
        | FailPoint::SignInReleased
        | FailPoint::TokenRecorded
        | FailPoint::TokenEntered
        | FailPoint::NotBeforeRecorded
        | FailPoint::NotBeforeEntered
        | FailPoint::SessionRecorded
        | FailPoint::SessionEntered
        | FailPoint::SessionsPart
        | FailPoint::KeysetRecorded
        | FailPoint::KeysetEntered
        | FailPoint::AuditOpened
        | FailPoint::AuditChanged
        | FailPoint::EncryptionBatch
        | FailPoint::EncryptionResealed
        | FailPoint::EncryptionRotated
        | FailPoint::ReconcilePut => {}
        FailPoint::UnbanRemoved
        | FailPoint::UnbanLifted
        | FailPoint::EpochBegun
        | FailPoint::RestoreEntered
        | FailPoint::RestoreRecorded
        | FailPoint::AuditAppended
        | FailPoint::OutboxLeased
        | FailPoint::OutboxDelivered
        | FailPoint::PollRecorded
        | FailPoint::ActivityTaken => {
            world.ban_until_acknowledged(&world.b, &user).await?;
        }
    }
    Ok(user)
}

/// Somebody with a token of the key that signed before the one that signs now.
async fn somebody_with_a_former_key(world: &World) -> Result<User> {
    rotate(world).await?;
    let user = signing_keys::somebody(world).await?;
    rotate(world).await?;
    // A key that signed nothing would go by itself later, and A would reach the point with that.
    signing_keys::somebody(world).await?;
    Ok(user)
}

/// Does what makes A reach the point. What it answers is of no interest: it crashes.
async fn provoke(world: &World, point: FailPoint, user: &User) -> Result<()> {
    match point {
        FailPoint::BanRecorded | FailPoint::BanEntered | FailPoint::AuditOpened | FailPoint::AuditChanged => {
            drop(world.ban_at(&world.a, user).await);
        }
        // Either sidecar carries events to the trail, and from there to webhooks: A must be the only one. It may crash over this event or an earlier one.
        FailPoint::AuditAppended | FailPoint::OutboxLeased | FailPoint::OutboxDelivered => {
            world.b.kill().await?;
            drop(world.ban_at(&world.a, &world.user()).await);
        }
        FailPoint::UnbanRemoved | FailPoint::UnbanLifted => drop(unban(world, user).await),
        FailPoint::TokenRecorded | FailPoint::TokenEntered => {
            let body = json!({"token_id": user.token.id()});
            drop(world.call_at(&world.a, &user.email, Method::POST, "/api/token/revoke", Some(&body)).await);
        }
        FailPoint::NotBeforeRecorded | FailPoint::NotBeforeEntered => {
            let (path, body) = ("/api/admin/sessions/logout-user", json!({"user_email": user.email}));
            drop(world.call_at(&world.a, ADMIN, Method::POST, path, Some(&body)).await);
        }
        FailPoint::KeysetRecorded | FailPoint::KeysetEntered => {
            let path = format!("/api/admin/keys/{}?now=true", kid(user)?);
            drop(world.call_at(&world.a, ADMIN, Method::DELETE, &path, None).await);
        }
        FailPoint::ReconcilePut => {
            // Every sidecar hears of what other programs write, and the first one files it.
            world.b.kill().await?;
            let record = format!("active_user_deleted:{}", user.email);
            world.redis.set(&record, &e2e::token::now().to_string(), 604_800).await?;
        }
        FailPoint::EpochBegun | FailPoint::RestoreEntered | FailPoint::RestoreRecorded => {
            // A is the first to notice. What it does not get to, the other one has to do.
            world.b.pause().await?;
            world.redis.command::<()>(&cmd("FLUSHALL")).await?;
        }
        FailPoint::PollRecorded
        | FailPoint::EncryptionBatch
        | FailPoint::EncryptionResealed
        | FailPoint::EncryptionRotated
        | FailPoint::SessionRecorded
        | FailPoint::SessionEntered
        | FailPoint::SessionsPart
        | FailPoint::TokenReserved
        | FailPoint::TokenInserted
        | FailPoint::ExchangeNoted
        | FailPoint::ExchangeJoined
        | FailPoint::ExchangeMarked
        | FailPoint::FamilyMarked
        | FailPoint::FamilyRevoked
        | FailPoint::SignInRequired
        | FailPoint::SignInReleased => {}
        // Polls and reports take turns between the sidecars. Where each poll is followed by one report, all
        // reports go to the same one; a ban makes for a poll more.
        FailPoint::ActivityTaken => {
            poll::until_true("A has taken a report", NOTICED, async || {
                world.get(DENY, &user.token).await?;
                world.ban_at(&world.b, &world.user()).await?;
                Ok(world.a.ops("/healthz").await.is_err())
            })
            .await?;
        }
    }
    Ok(())
}

/// Starts again what does not run; what was cut off and may be half done is asked for again.
async fn come_back(world: &World, point: FailPoint, user: &User) -> Result<Fate> {
    match point {
        FailPoint::ReconcilePut | FailPoint::AuditAppended | FailPoint::OutboxLeased | FailPoint::OutboxDelivered => {
            world.b.start().await?;
        }
        FailPoint::EpochBegun | FailPoint::RestoreEntered | FailPoint::RestoreRecorded => world.b.go_on().await?,
        _ => {}
    }
    world.a.start().await?;
    match point {
        FailPoint::UnbanRemoved => {
            let answer = unban(world, user).await?;
            ensure!(matches!(answer.status, 200 | 404), "{answer:?}");
            Ok(Fate::LetIn)
        }
        // A ban that was ordered, and not begun.
        FailPoint::UnbanLifted | FailPoint::AuditOpened => Ok(Fate::LetIn),
        _ => Ok(Fate::Barred),
    }
}

/// Who ordered a change that was cut short is in the journal; what was carried to the trail already is there once.
async fn is_on_record(world: &World, point: FailPoint, user: &User, told: &[Vec<Told>]) -> Result<()> {
    match point {
        FailPoint::AuditOpened | FailPoint::AuditChanged => {
            let open: Vec<String> = world.redis.command(cmd("HVALS").arg("sekisho:{audit}:open")).await?;
            ensure!(open.iter().any(|event| event.contains(&user.email) && event.contains(ADMIN)), "{open:?}");
        }
        FailPoint::AuditAppended => {
            let path = format!("/api/admin/audit?action=ban.given&target={}", user.email);
            poll::until("the event is in the trail, and no more in line", NOTICED, async || {
                let answer = world.call_at(&world.a, ADMIN, Method::GET, &path, None).await?.json_with(200)?;
                let waiting: u64 = world.redis.command(cmd("XLEN").arg("sekisho:{audit}:line")).await?;
                ensure!(answer["count"] == 1 && waiting == 0, "{answer}, {waiting} wait");
                Ok(())
            })
            .await?;
        }
        FailPoint::OutboxLeased => everything_is_told(world).await?,
        FailPoint::OutboxDelivered => {
            everything_is_told(world).await?;
            // Each webhook has a task of its own, and one of them crashed over the last that it delivered.
            let since = [told_so_far(world, GENERIC)?, told_so_far(world, CHAT)?];
            let again = told.iter().zip(&since).any(|(before, all)| {
                before.last().is_some_and(|last| all.get(before.len()..).is_some_and(|since| since.contains(last)))
            });
            ensure!(again, "what was delivered and not noted is delivered again: {told:?}, {since:?}");
        }
        _ => {}
    }
    Ok(())
}

/// The id and the body of what a webhook was told.
type Told = (Option<String>, Value);

/// All that a webhook took, in order.
fn told_so_far(world: &World, webhook: &str) -> Result<Vec<Told>> {
    Ok(world.receiver()?.taken(webhook)?.into_iter().map(|delivery| (delivery.id, delivery.body)).collect())
}

/// Waits until each ban that is in the trail was told, and nothing more is to be.
async fn everything_is_told(world: &World) -> Result<()> {
    let path = "/api/admin/audit?action=ban.given&limit=10000";
    poll::until("every ban is told", 2 * NOTICED, async || {
        let trail = world.call_at(&world.a, ADMIN, Method::GET, path, None).await?.json_with(200)?;
        let told = told_so_far(world, GENERIC)?;
        let events = trail["events"].as_array().context("no events")?;
        let missing = events.iter().filter(|event| !told.iter().any(|(id, _)| event["id"].as_str() == id.as_deref()));
        let missing = missing.count();
        let webhooks =
            world.call_at(&world.a, ADMIN, Method::GET, "/api/admin/webhooks", None).await?.json_with(200)?;
        let waiting = webhooks["webhooks"].as_array().context("no webhooks")?.iter().any(|one| one["waiting"] != 0);
        ensure!(missing == 0 && !waiting, "{missing} bans are not told: {webhooks}");
        Ok(())
    })
    .await
}

async fn unban(world: &World, user: &User) -> Result<Answer> {
    let path = format!("/api/admin/sessions/unban/{}", user.email);
    world.call_at(&world.a, ADMIN, Method::DELETE, &path, None).await
}
