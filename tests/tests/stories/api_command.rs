//! `sekisho api` through Envoy, with a token and without any other setting.

use std::process::Output;

use anyhow::{Context, Result};
use e2e::world::APP_HOST;
use e2e::{Token, World, components, story};
use reqwest::Method;
use serde_json::Value;

use crate::CALM;

async fn api(world: &World, token: &Token, arguments: &[&str]) -> Result<Output> {
    let mut command = tokio::process::Command::new(components::sidecar()?);
    command.args(["api", "--host", APP_HOST]).args(arguments).env_clear();
    command.env("SEKISHO_URL", format!("http://{}", world.envoy.edge())).env("SEKISHO_TOKEN", token.text());
    Ok(command.output().await?)
}

async fn done(world: &World, token: &Token, arguments: &[&str]) -> Result<Value> {
    let output = api(world, token, arguments).await?;
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
    serde_json::from_slice(&output.stdout).with_context(|| format!("no JSON: {output:?}"))
}

#[test]
fn an_admin_does_from_the_command_line_what_the_api_does() {
    story(&CALM, async |world| {
        let (admin, user) = (world.admin_token(), world.user());
        let email = format!("user_email={}", user.email);
        let banned =
            done(world, &admin, &["/api/admin/sessions/revoke-user", "-f", &email, "-f", "duration_seconds=60"])
                .await?;
        assert_eq!((&banned["ban_duration_seconds"], &banned["lagging"]), (&60.into(), &Value::Array(vec![])));
        assert_eq!(world.get("/v1/models", &user.token).await?.status, 401);
        let bans = done(world, &admin, &["/api/admin/bans", "-f", "limit=1", "--paginate"]).await?;
        let is_listed =
            bans["bans"].as_array().is_some_and(|bans| bans.iter().any(|ban| ban["user_email"] == user.email));
        assert!(is_listed, "{bans}");
        let by_name = ["delete", "/api/admin/sessions/unban/{email}", "-f", &format!("email={}", user.email)];
        assert_eq!(done(world, &admin, &by_name).await?["user_email"], user.email);
        assert_eq!(world.get("/v1/models", &user.token).await?.status, 200);
        let again = api(world, &admin, &by_name).await?;
        assert_eq!(again.status.code(), Some(1), "{again:?}");
        assert!(String::from_utf8_lossy(&again.stderr).contains("404 not_banned"), "{again:?}");
        Ok(())
    });
}

#[test]
fn a_token_is_made_by_name_and_whoever_is_not_an_admin_is_told_so() {
    story(&CALM, async |world| {
        let user = world.user();
        let values = ["/api/token/generate", "-f", "token_name=ci", "-f", "expires_in=60", "-f", "scopes=api:read"];
        let made = done(world, &user.token, &values).await?;
        assert_eq!((&made["expires_in"], &made["scopes"][0]), (&60.into(), &"api:read".into()));
        let list = world.app(Method::GET, "/api/token/list", &user.token, None).await?.json_with(200)?;
        assert_eq!(list["count"], 1);
        for (arguments, code, expected) in [
            (&["/api/admin/bans"][..], 1, "Admin access only (403"),
            (&["/api/token/generate", "-f", "token_name="], 2, "(400 invalid_value)"),
            (&["/api/token/lists"], 2, "similar ones are /api/token/list,"),
        ] {
            let refused = api(world, &user.token, arguments).await?;
            assert_eq!(refused.status.code(), Some(code), "{arguments:?}: {refused:?}");
            assert!(String::from_utf8_lossy(&refused.stderr).contains(expected), "{arguments:?}: {refused:?}");
        }
        let stranger = api(world, &world.user().token.claim("exp", 1), &["/api/token/list"]).await?;
        assert_eq!(stranger.status.code(), Some(1), "{stranger:?}");
        assert!(String::from_utf8_lossy(&stranger.stderr).contains("(401 "), "{stranger:?}");
        Ok(())
    });
}
