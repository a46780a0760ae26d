//! A sidecar crashes while it issues a token, exchanges one, or revokes a family: whoever had a token keeps it, what
//! was begun can be done again, and a thief's family ends all the same.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::load::request;
use e2e::world::ADMIN;
use e2e::{Token, User, World, poll};
use reqwest::Method;
use sekisho_sidecar::failpoint::FailPoint;
use serde_json::{Value, json};

use crate::signing_keys::mint;
use crate::{DENY, NOTICED};

/// Longer than somebody who died may have something in hand.
const TAKEN_OVER: Duration = Duration::from_secs(30);

/// Whether this file has the story of `point`.
pub(crate) fn concerns(point: FailPoint) -> bool {
    matches!(
        point,
        FailPoint::TokenReserved
            | FailPoint::TokenInserted
            | FailPoint::ExchangeNoted
            | FailPoint::ExchangeJoined
            | FailPoint::ExchangeMarked
            | FailPoint::FamilyMarked
            | FailPoint::FamilyRevoked
    )
}

/// Lets sidecar A crash at `point`, alone in what it does, and sees that nothing is half done once both are back.
pub(crate) async fn cut_off(world: &World, point: FailPoint) -> Result<()> {
    let email = world.user().email;
    let token = mint(world, &email).await?;
    let user = User { email, token };
    world.b.kill().await?;
    world.a.kill().await?;
    world.a.start_to_crash_at(point.word()).await?;
    let successor = if let FailPoint::ExchangeMarked | FailPoint::FamilyMarked | FailPoint::FamilyRevoked = point {
        Some(ask(world, "/api/token/refresh", &user.token).await?)
    } else {
        None
    };
    poll::until_true("A has crashed", TAKEN_OVER, async || {
        match point {
            FailPoint::TokenReserved | FailPoint::TokenInserted => {
                drop(call(world, "/api/token/generate", &user.token).await);
            }
            FailPoint::ExchangeNoted | FailPoint::ExchangeJoined => {
                drop(call(world, "/api/token/refresh", &user.token).await);
            }
            // After its grace time this is a thief's.
            _ => drop(world.get(DENY, &user.token).await),
        }
        Ok(world.a.ops("/healthz").await.is_err())
    })
    .await?;
    world.a.has_crashed_at(point.word()).await?;
    world.b.start().await?;
    world.a.start().await?;
    match (point, successor) {
        (FailPoint::ExchangeMarked, Some(successor)) => {
            // It is revoked by whoever is next, and known for what it is from the first moment on.
            everywhere(world, &user, 401).await?;
            family_ends(world, &User { token: successor, ..user }).await
        }
        (_, Some(successor)) => family_ends(world, &User { token: successor, ..user }).await,
        (FailPoint::TokenReserved | FailPoint::TokenInserted, None) => {
            let token = ask(world, "/api/token/generate", &user.token).await?;
            everywhere(world, &User { token, email: user.email.clone() }, 200).await?;
            everywhere(world, &user, 200).await
        }
        (_, None) => {
            everywhere(world, &user, 200).await?;
            let token = ask(world, "/api/token/refresh", &user.token).await?;
            everywhere(world, &User { token, email: user.email.clone() }, 200).await?;
            poll::until("the old one is revoked", TAKEN_OVER, async || {
                let statuses = statuses(world, &user.email).await?;
                ensure!(statuses[user.token.id()] == "revoked", "{statuses}");
                Ok(())
            })
            .await
        }
    }
}

/// All tokens of the family are revoked, and it is in the trail that they were.
async fn family_ends(world: &World, user: &User) -> Result<()> {
    poll::until("the family is revoked", TAKEN_OVER, async || {
        let statuses = statuses(world, &user.email).await?;
        let all = statuses.as_object().context("no tokens")?;
        ensure!(all.len() == 2 && all.values().all(|status| status == "revoked"), "{statuses}");
        Ok(())
    })
    .await?;
    everywhere(world, user, 401).await?;
    let path = format!("/api/admin/audit?action=token.reused&target={}&outcome=done", user.email);
    poll::until("it is in the trail", TAKEN_OVER, async || {
        let answer = world.call_at(&world.a, ADMIN, Method::GET, &path, None).await?.json_with(200)?;
        ensure!(answer["count"] == 1, "{answer}");
        Ok(())
    })
    .await
}

/// Each worker answers with this status.
async fn everywhere(world: &World, user: &User, status: u16) -> Result<()> {
    for mut connection in world.connections_to_every_worker().await? {
        poll::until(&format!("{} gets {status}", user.email), NOTICED, async || {
            let answer = connection.send(&request(DENY, user)).await?;
            ensure!(answer.status == status, "{answer:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// What has become of somebody's tokens, by their ids.
async fn statuses(world: &World, email: &str) -> Result<Value> {
    let path = format!("/api/admin/tokens/{email}");
    let answer = world.call_at(&world.a, ADMIN, Method::GET, &path, None).await?.json_with(200)?;
    let tokens = answer["tokens"].as_array().context("no list")?;
    Ok(tokens
        .iter()
        .filter_map(|token| Some((token["token_id"].as_str()?.to_owned(), token["status"].clone())))
        .collect())
}

async fn call(world: &World, path: &str, token: &Token) -> Result<e2e::Answer> {
    world.app(Method::POST, path, token, Some(&json!({"token_name": "a story"}))).await
}

/// A token that the token API answers with, sooner or later: Envoy may still try a sidecar that is gone.
async fn ask(world: &World, path: &str, token: &Token) -> Result<Token> {
    poll::until(&format!("{path} answers"), NOTICED, async || {
        let answer = call(world, path, token).await?.json_with(200)?;
        Token::minted(answer["token"].as_str().context("no token")?)
    })
    .await
}
