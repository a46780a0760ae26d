//! No secret is left behind. Each story is looked through when it ends (`e2e::leaks`); this one shows that it would be noticed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::leaks::files_with;
use e2e::story::runtime;
use e2e::{Plan, Token, User, World, poll};
use reqwest::Method;
use serde_json::json;

/// Longer than Redis takes to write its file, and a job to carry events to the database.
const WRITTEN: Duration = Duration::from_secs(15);

#[test]
fn a_secret_that_is_left_behind_anywhere_is_found_and_none_is() -> Result<()> {
    runtime().block_on(async {
        let world = Plan { webhooks: true, ..Plan::default() }.start().await?;
        let token = everything(&world).await?;
        world.leaves_no_secret().context("before anything is planted")?;
        // One after the other: what is planted stays in the file.
        world.redis.set("planted", &token.text(), 600).await?;
        poll::until("the planted token is found", WRITTEN, async || {
            ensure!(world.leaves_no_secret().is_err(), "nothing is found");
            Ok(())
        })
        .await?;
        let text = format!("{:?}", world.leaves_no_secret());
        ensure!(!text.contains(&token.text()), "what is found is not shown whole");
        Ok(())
    })
}

/// Makes, uses, exchanges and revokes tokens and keys, bans somebody, and waits until all that is written. Gives a token.
async fn everything(world: &World) -> Result<Token> {
    let User { email, token } = world.user();
    let minted = world.app(Method::POST, "/api/token/generate", &token, Some(&json!({"token_name": "n"}))).await?;
    let minted = Token::minted(minted.json_with(200)?["token"].as_str().context("no token")?)?;
    ensure!(world.get("/v1/models", &minted).await?.status == 200, "the token does not work");
    let admin = world.admin_token();
    for (path, body) in [
        ("/api/admin/keys/rotate", json!({"algorithm": "EdDSA"})),
        ("/api/admin/sessions/logout-user", json!({"user_email": email})),
        ("/api/admin/sessions/revoke-user", json!({"user_email": email, "reason": "left-in-every-file"})),
    ] {
        world.app(Method::POST, path, &admin, Some(&body)).await?.json_with(200)?;
    }
    // The control: these files are looked through, and what happened is in them.
    poll::until("what happened is in Redis's file and in the database", WRITTEN, async || {
        let files: Vec<String> =
            files_with(world.folder(), "left-in-every-file").iter().map(|file| file.display().to_string()).collect();
        for part in [".aof", "sekisho.db"] {
            ensure!(files.iter().any(|file| file.contains(part)), "{part}: {files:?}");
        }
        ensure!(files.len() >= 2 && !files_with(world.folder(), "listening").is_empty(), "no log of a sidecar");
        Ok(())
    })
    .await?;
    Ok(minted)
}
