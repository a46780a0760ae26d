//! The token API through Envoy: minting, listing, looking up, revoking.

use anyhow::{Context, Result};
use e2e::wire::RawRequest;
use e2e::world::APP_HOST;
use e2e::{Token, User, World, story};
use reqwest::Method;
use serde_json::{Value, json};

use crate::CALM;

#[test]
fn a_minted_token_works_at_once_and_its_record_is_the_old_gateways() {
    story(&CALM, async |world| {
        let User { email, token } = world.user();
        let wanted = json!({"token_name": "laptop", "expires_in": 3600, "scopes": ["api:read"]});
        let minted = generate(world, &token, &wanted).await?;
        for (name, value) in [
            ("success", json!(true)),
            ("token_type", json!("Bearer")),
            ("token_name", json!("laptop")),
            ("expires_in", json!(3600)),
            ("scopes", json!(["api:read"])),
            ("user_email", json!(email)),
        ] {
            assert_eq!(minted[name], value, "{name}: {minted}");
        }
        assert!(minted["usage_instructions"].is_object() || minted["usage_instructions"].is_string(), "{minted}");
        assert_eq!(minted["expires_at"].as_u64(), minted["created_at"].as_u64().map(|at| at + 3600));

        let text = minted["token"].as_str().context("no token")?;
        let request = RawRequest::new("GET", "/v1/models").header("authorization", format!("Bearer {text}")).bytes();
        let received = world.raw(&request).await?.received()?;
        assert_eq!(received.one("x-forwarded-email"), Some(email.as_str()));
        assert_eq!(received.one("x-sekisho-token-id"), minted["token_id"].as_str());
        assert_eq!(received.one("x-sekisho-scopes"), Some("api:read"));

        let id = minted["token_id"].as_str().context("no id")?;
        let record: String = world.redis.command(redis::cmd("GET").arg(format!("token:info:{id}"))).await?;
        let record: Value = serde_json::from_str(&record)?;
        assert_eq!(
            (&record["token_id"], &record["user_email"], &record["token_name"]),
            (&json!(id), &json!(email), &json!("laptop"))
        );
        Ok(())
    });
}

#[test]
fn tokens_are_listed_looked_up_and_revoked_by_their_owner_only() {
    story(&CALM, async |world| {
        let (ann, eve) = (world.user(), world.user());
        let minted = generate(world, &ann.token, &json!({"token_name": "ci"})).await?;
        let id = minted["token_id"].as_str().context("no id")?;

        let list = world.app(Method::GET, "/api/token/list", &ann.token, None).await?.json_with(200)?;
        assert_eq!(
            (&list["success"], &list["count"], &list["user_email"]),
            (&json!(true), &json!(1), &json!(ann.email))
        );
        let listed = &list["tokens"][0];
        assert_eq!(
            (&listed["token_id"], &listed["token_name"], &listed["is_expired"]),
            (&json!(id), &json!("ci"), &json!(false))
        );
        assert_eq!(listed["scopes"], json!(["api:read", "api:write"]));

        let info = format!("/api/token/info?token_id={id}");
        let found = world.app(Method::GET, &info, &ann.token, None).await?.json_with(200)?;
        assert_eq!(found["token_info"]["token_id"], id);
        let revoke = json!({"token_id": id});
        for (what, answer, status) in [
            ("somebody else looks it up", world.app(Method::GET, &info, &eve.token, None).await?, 403),
            ("somebody else revokes it", post(world, "/api/token/revoke", &eve.token, &revoke).await?, 403),
            ("no id", world.app(Method::GET, "/api/token/info", &ann.token, None).await?, 400),
            ("an unknown id", world.app(Method::GET, "/api/token/info?token_id=none", &ann.token, None).await?, 404),
            ("revoking without an id", post(world, "/api/token/revoke", &ann.token, &json!({})).await?, 400),
            (
                "revoking an unknown id",
                post(world, "/api/token/revoke", &ann.token, &json!({"token_id": "none"})).await?,
                404,
            ),
        ] {
            assert_eq!(answer.status, status, "{what}: {answer:?}");
            assert!(answer.json()?["code"].is_string(), "{what}: {answer:?}");
        }

        let revoked = post(world, "/api/token/revoke", &ann.token, &revoke).await?.json_with(200)?;
        assert_eq!((&revoked["success"], &revoked["token_id"]), (&json!(true), &json!(id)));
        let text = minted["token"].as_str().context("no token")?;
        let request = RawRequest::new("GET", "/v1/models").header("authorization", format!("Bearer {text}")).bytes();
        assert_eq!(world.raw(&request).await?.status, 401);
        Ok(())
    });
}

#[test]
fn a_token_never_lives_longer_or_does_more_than_it_may() {
    story(&CALM, async |world| {
        let User { token, .. } = world.user();
        let long = generate(world, &token, &json!({"token_name": "x", "expires_in": 99_999_999})).await?;
        assert_eq!(long["expires_in"], 7_776_000);
        let usual = generate(world, &token, &json!({"token_name": "x"})).await?;
        assert_eq!(usual["expires_in"], 2_592_000);

        let reader = world.token_of(&world.user().email).claim("scopes", json!(["api:read"]));
        let narrow = generate(world, &reader, &json!({"token_name": "x"})).await?;
        assert_eq!(narrow["scopes"], json!(["api:read"]), "the default is cut to what the caller holds");
        for scope in ["admin", "api:write"] {
            let answer =
                post(world, "/api/token/generate", &reader, &json!({"token_name": "x", "scopes": [scope]})).await?;
            assert_eq!(answer.json_with(403)?["code"], "scope_not_held", "{scope}");
        }
        Ok(())
    });
}

#[test]
fn a_write_that_is_no_json_or_makes_no_sense_is_refused() {
    story(&CALM, async |world| {
        let User { token, .. } = world.user();
        for (what, content_type, body, status) in [
            ("a form", "application/x-www-form-urlencoded", "token_name=x", 415),
            ("text", "text/plain", r#"{"token_name":"x"}"#, 415),
            ("no JSON", "application/json", "{", 400),
            ("no name", "application/json", "{}", 400),
            ("an empty name", "application/json", r#"{"token_name":""}"#, 400),
            ("no time to live", "application/json", r#"{"token_name":"x","expires_in":0}"#, 400),
        ] {
            let mut request = RawRequest::to_host("POST", "/api/token/generate", APP_HOST)
                .header("authorization", token.bearer())
                .header("content-type", content_type)
                .header("content-length", body.len().to_string())
                .bytes();
            request.extend(body.as_bytes());
            let answer = world.raw(&request).await?;
            assert_eq!(answer.status, status, "{what}: {answer:?}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
        }
        Ok(())
    });
}

#[test]
fn the_command_line_issues_lists_and_revokes_like_the_api() {
    story(&CALM, async |world| {
        let User { email, .. } = world.user();
        let issued = world.a.cli(&["token", "issue", "--email", &email, "--name", "ci", "--scope", "api:read"]).await?;
        assert_eq!(issued.status.code(), Some(0), "{issued:?}");
        // Just the token, so that a shell can take it as it is.
        let text = String::from_utf8(issued.stdout)?;
        assert_eq!((text.lines().count(), text.split('.').count()), (1, 3), "{text}");
        let request = RawRequest::new("GET", "/v1/models").header("authorization", format!("Bearer {}", text.trim()));
        let received = world.raw(&request.clone().bytes()).await?.received()?;
        let id = received.one("x-sekisho-token-id").context("no id")?;

        let listed = world.a.cli(&["token", "list", "--email", &email, "--json"]).await?;
        assert!(String::from_utf8_lossy(&listed.stdout).contains(id), "{listed:?}");
        let revoked = world.b.cli(&["token", "revoke", id]).await?;
        assert_eq!(revoked.status.code(), Some(0), "{revoked:?}");
        assert_eq!(world.raw(&request.bytes()).await?.status, 401);
        let unknown = world.a.cli(&["token", "revoke", "none"]).await?;
        assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
        Ok(())
    });
}

#[test]
fn the_health_of_the_app_is_public_and_its_description_is_not_hidden() {
    story(&CALM, async |world| {
        let answer = world.raw(&RawRequest::to_host("GET", "/health", APP_HOST).bytes()).await?;
        assert_eq!(answer.json_with(200)?, json!({"status": "healthy"}));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let User { token, .. } = world.user();
        let description = world.app(Method::GET, "/api/openapi.json", &token, None).await?.json_with(200)?;
        assert!(description["paths"]["/api/token/generate"].is_object(), "{description}");
        Ok(())
    });
}

async fn post(world: &World, path: &str, token: &Token, body: &Value) -> Result<e2e::Answer> {
    world.app(Method::POST, path, token, Some(body)).await
}

async fn generate(world: &World, token: &Token, body: &Value) -> Result<Value> {
    post(world, "/api/token/generate", token, body).await?.json_with(200)
}
