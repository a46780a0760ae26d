//! The admin API through Envoy, and what somebody inside the network can't do with it.

use anyhow::{Context, Result};
use e2e::token::assertion;
use e2e::{Token, User, World, story};
use reqwest::Method;
use sekisho_protocol::identity::APP_AUDIENCE;
use sekisho_protocol::keys::app_identity_key;
use serde_json::{Value, json};

use crate::CALM;

/// Every admin call of this version.
const CALLS: &[(Method, &str)] = &[
    (Method::GET, "/api/admin/tokens"),
    (Method::GET, "/api/admin/tokens/ann@example.com"),
    (Method::DELETE, "/api/admin/tokens/00000000-0000-4000-8000-000000000000"),
    (Method::POST, "/api/admin/tokens/revoke-user"),
    (Method::GET, "/api/admin/audit"),
    (Method::GET, "/api/admin/bans"),
    (Method::POST, "/api/admin/sessions/revoke-user"),
    (Method::DELETE, "/api/admin/sessions/unban/ann@example.com"),
    (Method::POST, "/api/admin/sessions/logout-user"),
];

#[test]
fn e7_only_an_admin_with_the_admin_scope_gets_in() {
    story(&CALM, async |world| {
        let User { email, token } = world.user();
        let ambitious = token.clone().claim("scopes", json!(["admin", "api:write"])).claim("role", "admin");
        let everyday = world.token_of(e2e::world::ADMIN);
        for (method, path) in CALLS {
            let body = (*method == Method::POST).then(|| json!({"user_email": "ann@example.com"}));
            for (token, user) in [(&token, email.as_str()), (&ambitious, &email), (&everyday, e2e::world::ADMIN)] {
                let answer = world.app(method.clone(), path, token, body.as_ref()).await?;
                assert_eq!(
                    answer.json_with(403)?,
                    json!({"error": "Admin access only", "user": user}),
                    "{method} {path}"
                );
            }
        }
        Ok(())
    });
}

#[test]
fn nobody_is_believed_without_the_filters_signature() {
    story(&CALM, async |world| {
        let key = app_identity_key(world.keys.mesh.as_bytes());
        let admin = |key: &[u8], audience: &str| assertion(key, audience, e2e::world::ADMIN, &["admin"]);
        let genuine = admin(&key, APP_AUDIENCE);
        let (elsewhere, forged) = (admin(&key, "sample-upstream"), admin(world.keys.upstream.as_bytes(), APP_AUDIENCE));
        let identity = "x-sekisho-identity";
        for (what, headers, status) in [
            ("nothing", vec![], 401),
            ("the old gateway's header", vec![("x-forwarded-email", e2e::world::ADMIN)], 401),
            ("for another audience", vec![(identity, elsewhere.as_str())], 401),
            ("signed with an upstream's key", vec![(identity, forged.as_str())], 401),
            ("twice", vec![(identity, genuine.as_str()), (identity, genuine.as_str())], 400),
            ("genuine", vec![(identity, genuine.as_str())], 200),
        ] {
            let answer = world.a.app(Method::GET, "/api/admin/tokens", &headers, None).await?;
            assert_eq!(answer.status, status, "{what}: {answer:?}");
        }
        Ok(())
    });
}

#[test]
fn the_mesh_listener_answers_nobody_without_its_secret() {
    story(&CALM, async |world| {
        let client = reqwest::Client::new();
        for (what, secret) in
            [("none", None), ("a wrong one", Some("Bearer wrong")), ("a user's token", Some("Bearer a.b.c"))]
        {
            for path in [
                "/v1/feed?replica=00000000000000000000000000000000&fences=true&staleness_ms=3000",
                "/v1/check",
                "/v1/activity",
            ] {
                let url = format!("http://127.0.0.1:{}{path}", world.a.ports().mesh);
                let mut request =
                    if path.starts_with("/v1/feed") { client.get(url) } else { client.post(url).json(&json!({})) };
                if let Some(secret) = secret {
                    request = request.header("authorization", secret);
                }
                assert_eq!(request.send().await?.status(), 401, "{what}: {path}");
            }
        }
        Ok(())
    });
}

#[test]
fn an_admin_sees_and_revokes_everybodys_tokens() {
    story(&CALM, async |world| {
        let (admin, user) = (world.admin_token(), world.user());
        let (first, second) = (generate(world, &user.token).await?, generate(world, &user.token).await?);

        let all = world.app(Method::GET, "/api/admin/tokens", &admin, None).await?.json_with(200)?;
        for field in ["total", "active", "expired", "revoked"] {
            assert!(all["summary"][field].is_u64(), "{field}: {all}");
        }
        let path = format!("/api/admin/tokens/{}", user.email);
        let theirs = world.app(Method::GET, &path, &admin, None).await?.json_with(200)?;
        assert_eq!((&theirs["user_email"], &theirs["count"]), (&json!(user.email), &json!(2)));

        let path = format!("/api/admin/tokens/{first}");
        let deleted = world.app(Method::DELETE, &path, &admin, None).await?.json_with(200)?;
        assert_eq!((&deleted["token_id"], &deleted["user_email"]), (&json!(first), &json!(user.email)));
        assert_eq!(deleted["revoked_by"], e2e::world::ADMIN);
        let revoked: i64 = world.redis.command(redis::cmd("EXISTS").arg(format!("revoked:token:{first}"))).await?;
        assert_eq!(revoked, 1);

        let body = json!({"user_email": user.email});
        let rest =
            world.app(Method::POST, "/api/admin/tokens/revoke-user", &admin, Some(&body)).await?.json_with(200)?;
        assert_eq!((&rest["user_email"], &rest["revoked_by"]), (&json!(user.email), &json!(e2e::world::ADMIN)));
        assert_eq!(rest["revoked_count"], 1, "the other one was revoked before: {second}");
        let unknown = world.app(Method::DELETE, "/api/admin/tokens/unknown", &admin, None).await?;
        assert_eq!(unknown.status, 404, "{unknown:?}");
        Ok(())
    });
}

#[test]
fn bans_are_listed_with_their_reason_until_they_are_lifted() {
    story(&CALM, async |world| {
        let (admin, user) = (world.admin_token(), world.user());
        // `+` is a letter of the address, not a space (compatibility).
        let email = user.email.replace('@', "+tag@");
        let body = json!({"user_email": email, "duration_seconds": 3600, "reason": "abuse"});
        world.app(Method::POST, "/api/admin/sessions/revoke-user", &admin, Some(&body)).await?.json_with(200)?;
        let listed = find_ban(world, &admin, &email).await?.context("the ban is not listed")?;
        assert_eq!((&listed["reason"], &listed["banned_by"]), (&json!("abuse"), &json!(e2e::world::ADMIN)), "{listed}");

        let path = format!("/api/admin/sessions/unban/{email}");
        let lifted = world.app(Method::DELETE, &path, &admin, None).await?.json_with(200)?;
        assert_eq!((&lifted["user_email"], &lifted["unbanned_by"]), (&json!(email), &json!(e2e::world::ADMIN)));
        assert_eq!(find_ban(world, &admin, &email).await?, None);
        let again = world.app(Method::DELETE, &path, &admin, None).await?;
        assert_eq!(again.json_with(404)?["code"], "not_banned");
        Ok(())
    });
}

async fn find_ban(world: &World, admin: &Token, email: &str) -> Result<Option<Value>> {
    let mut cursor = String::new();
    loop {
        let path = format!("/api/admin/bans?limit=100{cursor}");
        let page = world.app(Method::GET, &path, admin, None).await?.json_with(200)?;
        let bans = page["bans"].as_array().with_context(|| format!("no bans: {page}"))?;
        if let Some(found) = bans.iter().find(|ban| ban["user_email"] == email) {
            return Ok(Some(found.clone()));
        }
        match page["cursor"].as_str().or(page["next_cursor"].as_str()) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(None),
        }
    }
}

async fn generate(world: &World, token: &Token) -> Result<String> {
    let body = json!({"token_name": "a story"});
    let minted = world.app(Method::POST, "/api/token/generate", token, Some(&body)).await?.json_with(200)?;
    minted["token_id"].as_str().map(str::to_owned).context("no id")
}

#[test]
fn an_auditor_who_was_added_reads_and_changes_nothing_until_removed() {
    story(&CALM, async |world| {
        let (manage, root) = ("/api/admin/manage", world.admin_token());
        let user = world.user();
        let token = world.token_of(&user.email).claim("scopes", json!(["admin"]));
        let role = |role: &str| json!({"email": user.email, "role": role});
        let ban = json!({"user_email": "nobody@example.com", "duration_seconds": 1});
        let ban_path = "/api/admin/sessions/revoke-user";
        world.app(Method::GET, "/api/admin/bans", &token, None).await?.json_with(403)?;
        world.app(Method::POST, manage, &root, Some(&role("auditor"))).await?.json_with(201)?;
        world.app(Method::GET, "/api/admin/bans", &token, None).await?.json_with(200)?;
        world.app(Method::POST, ban_path, &token, Some(&ban)).await?.json_with(403)?;
        world.app(Method::POST, manage, &root, Some(&role("admin"))).await?.json_with(201)?;
        world.app(Method::POST, ban_path, &token, Some(&ban)).await?.json_with(200)?;
        let refused = world.app(Method::POST, manage, &token, Some(&role("admin"))).await?.json_with(403)?;
        assert_eq!(refused["code"], "super_admin_only");
        let last = json!({"user_email": e2e::world::ADMIN});
        let refused = world.app(Method::POST, ban_path, &root, Some(&last)).await?.json_with(409)?;
        assert_eq!(refused["code"], "last_super_admin");
        let removed = world.a.cli(&["admin", "remove", &user.email]).await?;
        assert!(removed.status.success(), "{removed:?}");
        world.app(Method::GET, "/api/admin/bans", &token, None).await?.json_with(403)?;
        Ok(())
    });
}
