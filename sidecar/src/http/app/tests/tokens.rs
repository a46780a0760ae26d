//! The token calls, own and of administrators.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::testing::JWT_SECRET;

#[tokio::test]
async fn a_token_is_issued_in_the_old_shape() {
    let world = World::start().await;
    for (wish, life_s, scopes) in [
        (json!({"token_name": "My token"}), 2_592_000, &["api:read", "api:write"][..]),
        (json!({"token_name": "My token", "expires_in": 3_600, "scopes": ["api:read"]}), 3_600, &["api:read"]),
        (json!({"token_name": "My token", "expires_in": 99_999_999}), 7_776_000, &["api:read", "api:write"]),
    ] {
        let answer = world.user(Method::POST, "/api/token/generate", Some(wish)).await;
        let (token, id, at) = (&answer.body["token"], &answer.body["token_id"], just_now(&answer.body["created_at"]));
        let usage = json!({"header": "Authorization: Bearer <token>",
            "note": "Keep the token safe: it is not shown again."});
        answer.is(
            200,
            &json!({"success": true, "token": token, "token_type": "Bearer", "token_id": id, "token_name": "My token",
                "expires_in": life_s, "expires_at": at + life_s, "created_at": at, "scopes": scopes,
                "user_email": ANN, "usage_instructions": usage}),
        );
    }
}

#[tokio::test]
async fn a_token_claims_exactly_what_the_old_gateways_claimed() {
    let world =
        World::with(&[("SEKISHO_TOKEN_ISSUER", "llm.example"), ("SEKISHO_TOKEN_AUDIENCE", "litellm-api")]).await;
    let issued = world.issue("ci").await;
    let token = issued["token"].as_str().unwrap();
    let part = |index: usize| -> Value {
        let text = token.split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
    };
    assert_eq!(part(0), json!({"typ": "JWT", "alg": "HS256"}));
    let at = issued["created_at"].as_u64().unwrap();
    assert_eq!(
        part(1),
        json!({"jti": issued["token_id"], "user_email": ANN, "user_id": ANN, "token_name": "ci",
            "scopes": ["api:read", "api:write"], "iat": at, "nbf": at, "exp": at + 2_592_000,
            "iss": "llm.example", "aud": "litellm-api"})
    );
    let jti = uuid::Uuid::parse_str(issued["token_id"].as_str().unwrap()).unwrap();
    assert_eq!(jti.get_version_num(), 4);
    let key = HS256Key::from_bytes(JWT_SECRET.as_bytes());
    key.verify_token::<Value>(token, None).unwrap();
}

#[tokio::test]
async fn a_life_is_cut_to_the_maximum_and_scopes_to_what_is_held() {
    let world = World::with(&[("MAX_EXPIRES_IN", "600")]).await;
    let generate = |scopes: &'static [&'static str], body: Value| {
        let world = &world;
        async move { world.call(ANN, scopes, Method::POST, "/api/token/generate", Some(body)).await }
    };
    let cut = generate(&["api:read"], json!({"token_name": "n", "expires_in": 9_999_999})).await;
    assert_eq!(cut.body["expires_in"], 600);
    assert_eq!(cut.body["scopes"], json!(["api:read"]), "of the default, what the caller holds");
    let short = generate(&["api:read"], json!({"token_name": "n", "expires_in": 60})).await;
    assert_eq!(short.body["expires_in"], 60);
    let more = generate(&["api:read"], json!({"token_name": "n", "scopes": ["api:read", "admin"]})).await;
    more.is_problem(403, "scope_not_held");
    let held = generate(&["admin"], json!({"token_name": "n", "scopes": ["admin"]})).await;
    assert_eq!(held.body["scopes"], json!(["admin"]));
}

#[tokio::test]
async fn a_bad_wish_is_refused_with_the_name_of_what_is_bad() {
    let world = World::start().await;
    for (body, field) in [
        (json!({"token_name": ""}), "token_name"),
        (json!({"token_name": "x".repeat(101)}), "token_name"),
        (json!({"token_name": "a\u{0}b"}), "token_name"),
        (json!({"token_name": "n", "expires_in": 0}), "expires_in"),
        (json!({"token_name": "n", "scopes": ["a b"]}), "scopes"),
    ] {
        let answer = world.user(Method::POST, "/api/token/generate", Some(body)).await;
        answer.is_problem(400, "invalid_value");
        assert!(answer.body["detail"].as_str().unwrap().starts_with(field), "{}", answer.body);
    }
}

#[tokio::test]
async fn the_own_tokens_are_listed_in_the_old_shape_also_those_that_the_old_gateway_issued() {
    let world = World::start().await;
    old_tokens(&world).await;
    for (who, tokens) in [(ANN, &[old_revoked(), old_good(), old_expired()][..]), ("bob@x.org", &[])] {
        let list = world.call(who, &["api:read"], Method::GET, "/api/token/list", None).await;
        list.is(
            200,
            &json!({"success": true, "tokens": tokens, "count": tokens.len(), "user_email": who, "limit": 10_000,
                "next_cursor": null}),
        );
    }
}

#[tokio::test]
async fn the_own_tokens_are_listed_the_newest_first_and_page_by_page() {
    let world = World::start().await;
    for name in ["one", "two", "three"] {
        world.issue(name).await;
    }
    world
        .call("bob@x.org", &["api:read"], Method::POST, "/api/token/generate", Some(json!({"token_name": "his"})))
        .await;
    let all = world.user(Method::GET, "/api/token/list", None).await.body;
    assert_eq!((&all["count"], &all["limit"], &all["next_cursor"]), (&json!(3), &json!(10_000), &Value::Null));
    let mut seen = Vec::new();
    let mut path = "/api/token/list?limit=1".to_owned();
    loop {
        let page = world.user(Method::GET, &path, None).await.body;
        assert_eq!((&page["count"], &page["limit"]), (&json!(1), &json!(1)));
        seen.push(page["tokens"][0]["token_id"].clone());
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/token/list?limit=1&cursor={cursor}");
    }
    let expected: Vec<Value> =
        all["tokens"].as_array().unwrap().iter().map(|token| token["token_id"].clone()).collect();
    assert_eq!(seen, expected);
    for bad in ["limit=0", "limit=10001", "limit=x"] {
        let answer = world.user(Method::GET, &format!("/api/token/list?{bad}"), None).await;
        answer.is_problem(400, "invalid_value");
    }
}

#[tokio::test]
async fn a_token_is_looked_up_and_revoked_in_the_old_shape() {
    let world = World::start().await;
    old_tokens(&world).await;
    let info = async |id: &str| world.user(Method::GET, &format!("/api/token/info?token_id={id}"), None).await;
    for (id, token) in [("t1", old_good()), ("t2", old_revoked()), ("t3", old_expired())] {
        info(id).await.is(200, &json!({"success": true, "token_info": token}));
    }
    let mut versions = Vec::new();
    for _ in 0..2 {
        let revoked = world.user(Method::POST, "/api/token/revoke", Some(json!({"token_id": "t1"}))).await;
        let own = json!({"success": true, "message": "Token revoked successfully", "token_id": "t1"});
        revoked.is(200, &changed(own, &revoked.body));
        versions.push(revoked.body["version"].clone());
    }
    assert_eq!(versions[0], versions[1], "once more does no harm, and changes nothing");
    let mut revoked = old_good();
    (revoked["is_revoked"], revoked["status"]) = (json!(true), json!("revoked"));
    info("t1").await.is(200, &json!({"success": true, "token_info": revoked}));
}

#[tokio::test]
async fn looking_up_and_revoking_are_400_without_an_id_404_for_an_unknown_one_and_403_for_somebody_elses() {
    let world = World::start().await;
    old_tokens(&world).await;
    let (missing, unknown) = ("token_id: is missing", "there is no token with this id");
    for (who, id, status, title, code, detail) in [
        (ANN, None, 400, "Bad Request", "invalid_value", missing),
        (ANN, Some(""), 400, "Bad Request", "invalid_value", missing),
        (ANN, Some("b5b0a4a0-0000-4000-8000-000000000000"), 404, "Not Found", "token_not_found", unknown),
        (ANN, Some("a b"), 404, "Not Found", "token_not_found", unknown),
        (ANN, Some("*"), 404, "Not Found", "token_not_found", unknown),
        ("bob@x.org", Some("t1"), 403, "Forbidden", "not_your_token", "this token belongs to somebody else"),
    ] {
        let query = id.map(|id| format!("?token_id={}", id.replace(' ', "%20").replace('*', "%2A")));
        let path = format!("/api/token/info{}", query.unwrap_or_default());
        let looked_up = world.call(who, &["api:read"], Method::GET, &path, None).await;
        let body = id.map_or_else(|| json!({}), |id| json!({"token_id": id}));
        let revoked = world.call(who, &["api:read"], Method::POST, "/api/token/revoke", Some(body)).await;
        for answer in [looked_up, revoked] {
            answer.is_problem(status, code);
            let expected = json!({"type": "about:blank", "title": title, "status": status, "code": code,
                "detail": detail});
            assert_eq!(answer.body, expected, "{who} {id:?}");
        }
    }
    let kept = world.user(Method::GET, "/api/token/info?token_id=t1", None).await.body;
    assert_eq!(kept["token_info"], old_good(), "nobody revoked it");
}

#[tokio::test]
async fn p10_a_revocation_outlives_the_token_in_record_and_feed() {
    let world = World::start().await;
    let token = world.issue("n").await;
    let (id, exp) = (token["token_id"].as_str().unwrap(), token["expires_at"].as_u64().unwrap());
    world.user(Method::POST, "/api/token/revoke", Some(json!({"token_id": id}))).await;
    let mut redis = world.redis.client().shared();
    let ends: u64 = redis::cmd("EXPIRETIME").arg(format!("revoked:token:{id}")).query_async(&mut redis).await.unwrap();
    assert_eq!(ends, exp + 360);
    let entry: String = redis.hget("sekisho:{feed}:entries", format!("token|{id}")).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&entry).unwrap()["until"], exp + 360);
}
