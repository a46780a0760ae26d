//! A token is exchanged for a new one, and what becomes of whoever comes with the old one after that.

use anyhow::{Context, Result, ensure};
use e2e::{Token, World, poll, story};
use reqwest::Method;
use serde_json::{Value, json};

use crate::CALM;

/// Longer than a grace time, the job that ends it, and the news of it take.
const SOON: std::time::Duration = std::time::Duration::from_secs(20);

async fn minted(world: &World, path: &str, token: &Token, body: &Value) -> Result<(Token, Value)> {
    let answer = world.app(Method::POST, path, token, Some(body)).await?.json_with(200)?;
    Ok((Token::minted(answer["token"].as_str().context("no token")?)?, answer))
}

async fn refresh(world: &World, token: &Token) -> Result<(Token, Value)> {
    minted(world, "/api/token/refresh", token, &json!({})).await
}

async fn status(world: &World, asker: &Token, token: &Token) -> Result<String> {
    let path = format!("/api/token/info?token_id={}", token.id());
    let answer = world.app(Method::GET, &path, asker, None).await?.json_with(200)?;
    Ok(answer["token_info"]["status"].as_str().context("no status")?.to_owned())
}

#[test]
fn an_exchanged_token_is_good_for_a_grace_time_and_the_new_one_for_its_life() {
    story(&CALM, async |world| {
        let user = world.user();
        let wish = json!({"token_name": "laptop", "expires_in": 3600});
        let (old, _) = minted(world, "/api/token/generate", &user.token, &wish).await?;
        let (new, answer) = refresh(world, &old).await?;
        assert_eq!((&answer["token_name"], &answer["expires_in"]), (&json!("laptop"), &json!(3600)));
        assert_eq!(answer["previous_token_id"], old.id());
        for token in [&new, &old] {
            assert_eq!(world.get("/v1/models", token).await?.status, 200);
        }
        poll::until("the old one is revoked", SOON, async || {
            let status = status(world, &new, &old).await?;
            ensure!(status == "revoked", "{status}");
            Ok(())
        })
        .await?;
        assert_eq!(world.get("/v1/models", &new).await?.status, 200, "nobody came with the old one");
        let (newest, _) = refresh(world, &new).await?;
        assert_eq!(world.get("/v1/models", &newest).await?.status, 200);
        Ok(())
    });
}

#[test]
fn a_thief_who_comes_with_an_exchanged_token_ends_the_whole_family_and_is_reported() {
    story(&CALM, async |world| {
        let user = world.user();
        let (stolen, _) = minted(world, "/api/token/generate", &user.token, &json!({"token_name": "n"})).await?;
        let (bystander, _) = minted(world, "/api/token/generate", &user.token, &json!({"token_name": "m"})).await?;
        let (new, _) = refresh(world, &stolen).await?;
        world.until_answered(&stolen, 401, SOON).await?;
        world.until_answered(&new, 401, SOON).await?;
        let answer = world.app(Method::POST, "/api/token/refresh", &new, Some(&json!({}))).await?;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(world.get("/v1/models", &bystander).await?.status, 200, "another family");
        let path = format!("/api/admin/audit?action=token.reused&target={}", user.email);
        let event = poll::until("it is in the trail", SOON, async || {
            let answer = world.app(Method::GET, &path, &world.admin_token(), None).await?.json_with(200)?;
            answer["events"].get(0).cloned().context("no event")
        })
        .await?;
        assert_eq!((&event["severity"], &event["outcome"]), (&json!("critical"), &json!("done")));
        assert_eq!(event["details"]["family"], stolen.id());
        Ok(())
    });
}
