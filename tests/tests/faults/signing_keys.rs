//! Redis loses the signing keys: tokens that they signed go on, but not those of a key that was retired.

use anyhow::{Context, Result, ensure};
use e2e::load::request;
use e2e::world::ADMIN;
use e2e::{Load, Plan, Token, User, World, poll, story_in};
use redis::cmd;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{DENY, NOTICED};

#[test]
fn p2_tokens_of_lost_keys_go_on_and_those_of_a_retired_key_never_pass_again() {
    story_in(Plan::default(), async |world| {
        rotate(world).await?;
        let stolen = somebody(world).await?;
        rotate(world).await?;
        let kept = somebody(world).await?;
        retire_now(world, kid(&stolen)?).await?;
        let (retired_at, load) = (Instant::now(), Load::start(&world.envoys, DENY, &[&stolen, &kept]));

        world.redis.command::<()>(&cmd("FLUSHALL")).await?;
        let field = format!("key|{}", kid(&kept)?);
        poll::until("the key is taken up again", NOTICED, async || {
            let there: bool = world.redis.command(cmd("HEXISTS").arg("sekisho:signing_keys").arg(&field)).await?;
            ensure!(there, "there is no {field}");
            Ok(())
        })
        .await?;
        for (user, status) in [(&kept, 200), (&stolen, 401)] {
            for mut connection in world.connections_to_every_worker().await? {
                poll::until(&format!("{} gets {status}", user.email), NOTICED, async || {
                    let answer = connection.send(&request(DENY, user)).await?;
                    ensure!(answer.status == status, "{answer:?}");
                    Ok(())
                })
                .await?;
            }
        }
        // The private part is lost for ever.
        ensure!(mint(world, &kept.email).await?.header("kid").is_none(), "a lost key has signed");
        let records = load.stop().await?;
        records.expect_barred(&stolen, retired_at)?;
        ensure!(records.count(&kept, retired_at, 401) == 0, "a token of a lost key was refused");
        Ok(())
    });
}

/// Somebody with a token of the key that signs now.
pub(crate) async fn somebody(world: &World) -> Result<User> {
    let email = world.user().email;
    Ok(User { token: mint(world, &email).await?, email })
}

/// Lets a new key sign.
pub(crate) async fn rotate(world: &World) -> Result<()> {
    let (path, body) = ("/api/admin/keys/rotate", json!({"algorithm": "ES256"}));
    let rotated = world.call_at(&world.b, ADMIN, Method::POST, path, Some(&body)).await?.json_with(200)?;
    ensure!(rotated["signing"] == true, "{rotated}");
    Ok(())
}

/// A token of `email` that the token API makes.
pub(crate) async fn mint(world: &World, email: &str) -> Result<Token> {
    let name = json!({"token_name": "a story"});
    let minted = world.call_at(&world.b, email, Method::POST, "/api/token/generate", Some(&name)).await?;
    Token::minted(minted.json_with(200)?["token"].as_str().context("no token")?)
}

/// The key that signed somebody's token.
pub(crate) fn kid(user: &User) -> Result<&str> {
    user.token.header("kid").context("no kid")
}

async fn retire_now(world: &World, kid: &str) -> Result<Value> {
    let path = format!("/api/admin/keys/{kid}?now=true");
    world.call_at(&world.b, ADMIN, Method::DELETE, &path, None).await?.json_with(200)
}
