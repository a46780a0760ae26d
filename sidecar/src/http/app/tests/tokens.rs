//! The token calls, own and of administrators.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::testing::JWT_SECRET;

#[tokio::test]
async fn a_token_is_issued_in_the_old_shape() {
    let world = World::start().await;
    let token = world.issue("My token").await;
    assert_eq!(
        keys(&token),
        [
            "created_at",
            "expires_at",
            "expires_in",
            "scopes",
            "success",
            "token",
            "token_id",
            "token_name",
            "token_type",
            "usage_instructions",
            "user_email"
        ]
    );
    assert_eq!(token["success"], true);
    assert_eq!(token["token_type"], "Bearer");
    assert_eq!(token["token_name"], "My token");
    assert_eq!(token["user_email"], ANN);
    assert_eq!(token["scopes"], json!(["api:read", "api:write"]));
    assert_eq!(token["expires_in"], 2_592_000);
    assert_eq!(token["expires_at"].as_u64(), Some(token["created_at"].as_u64().unwrap() + 2_592_000));
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
async fn the_own_tokens_are_listed_the_newest_first_and_page_by_page() {
    let world = World::start().await;
    let empty = world.user(Method::GET, "/api/token/list", None).await;
    assert_eq!(empty.body["tokens"], json!([]));
    for name in ["one", "two", "three"] {
        world.issue(name).await;
    }
    world
        .call("bob@x.org", &["api:read"], Method::POST, "/api/token/generate", Some(json!({"token_name": "his"})))
        .await;
    let all = world.user(Method::GET, "/api/token/list", None).await.body;
    assert_eq!(keys(&all), ["count", "limit", "next_cursor", "success", "tokens", "user_email"]);
    assert_eq!((&all["count"], &all["limit"], &all["next_cursor"]), (&json!(3), &json!(10_000), &Value::Null));
    assert_eq!(
        keys(&all["tokens"][0]),
        [
            "created_at",
            "expires_at",
            "is_expired",
            "is_revoked",
            "last_used",
            "scopes",
            "status",
            "token_id",
            "token_name",
            "user_email"
        ]
    );
    let mut seen = Vec::new();
    let mut path = "/api/token/list?limit=1".to_owned();
    loop {
        let page = world.user(Method::GET, &path, None).await.body;
        assert_eq!(page["count"], 1);
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
async fn info_and_revoke_know_own_foreign_unknown_and_missing_ids() {
    let world = World::start().await;
    let id = world.issue("n").await["token_id"].as_str().unwrap().to_owned();
    let info = |id: &str| format!("/api/token/info?token_id={id}");

    let own = world.user(Method::GET, &info(&id), None).await;
    assert_eq!(keys(&own.body), ["success", "token_info"]);
    for key in ["token_id", "user_email", "token_name", "scopes", "created_at", "expires_at", "last_used"] {
        assert!(own.body["token_info"].get(key).is_some(), "{key}");
    }
    for path in ["/api/token/info".to_owned(), info("")] {
        world.user(Method::GET, &path, None).await.is_problem(400, "invalid_value");
    }
    for unknown in ["b5b0a4a0-0000-4000-8000-000000000000", "a%20b", "%2A"] {
        world.user(Method::GET, &info(unknown), None).await.is_problem(404, "token_not_found");
    }
    let foreign = world.call("bob@x.org", &["api:read"], Method::GET, &info(&id), None).await;
    foreign.is_problem(403, "not_your_token");

    let revoke = |who: &'static str, body: Value| {
        let world = &world;
        async move { world.call(who, &["api:read"], Method::POST, "/api/token/revoke", Some(body)).await }
    };
    revoke(ANN, json!({})).await.is_problem(400, "invalid_value");
    revoke(ANN, json!({"token_id": "unknown"})).await.is_problem(404, "token_not_found");
    revoke("bob@x.org", json!({"token_id": id})).await.is_problem(403, "not_your_token");
    let revoked = revoke(ANN, json!({"token_id": id})).await;
    assert_eq!(revoked.status, StatusCode::OK, "no filter has to be waited for");
    assert_eq!(keys(&revoked.body), changed(&["message", "success", "token_id"]));
    assert_eq!(revoke(ANN, json!({"token_id": id})).await.status, StatusCode::OK, "once more does no harm");
    let after = world.user(Method::GET, &info(&id), None).await.body;
    assert_eq!(after["token_info"]["status"], "revoked");
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

#[tokio::test]
async fn administrators_list_and_revoke_everybodys_tokens() {
    let world = World::start().await;
    let first = world.issue("first").await["token_id"].as_str().unwrap().to_owned();
    world.issue("second").await;
    let gone = world.root(Method::DELETE, &format!("/api/admin/tokens/{first}"), None).await;
    assert_eq!(gone.status, StatusCode::OK);
    assert_eq!(keys(&gone.body), changed(&["message", "revoked_by", "token_id", "user_email"]));
    assert_eq!((&gone.body["user_email"], &gone.body["revoked_by"]), (&json!(ANN), &json!(ROOT)));
    world.root(Method::DELETE, "/api/admin/tokens/unknown", None).await.is_problem(404, "token_not_found");

    let all = world.root(Method::GET, "/api/admin/tokens", None).await.body;
    assert_eq!(keys(&all), ["limit", "next_cursor", "summary", "tokens"]);
    assert_eq!(all["summary"], json!({"total": 2, "active": 1, "expired": 0, "revoked": 1}));
    for key in [
        "token_id",
        "token_name",
        "user_email",
        "created_at",
        "expires_at",
        "last_used",
        "is_expired",
        "is_revoked",
        "status",
    ] {
        assert!(all["tokens"][0].get(key).is_some(), "{key}");
    }
    let of_user = world.root(Method::GET, "/api/admin/tokens/ANN+test%40X.org", None).await.body;
    assert_eq!(keys(&of_user), ["count", "limit", "next_cursor", "tokens", "user_email"]);
    assert_eq!((&of_user["user_email"], &of_user["count"]), (&json!(ANN), &json!(2)));
    world.root(Method::GET, "/api/admin/tokens/nobody", None).await.is_problem(400, "invalid_value");
}

#[tokio::test]
async fn revoking_a_users_tokens_takes_all_that_work_also_those_of_the_old_gateway() {
    let world = World::start().await;
    world.issue("one").await;
    world.issue("two").await;
    let old = json!({"token_id": "old", "user_email": "Ann+Test@X.org", "token_name": "n", "scopes": [], "created_at": 5, "expires_at": 4_000_000_000_u64});
    let mut redis = world.redis.client().shared();
    // The lists were adopted just now; a decision must not rely on that.
    world.user(Method::GET, "/api/token/list", None).await;
    let _: () = redis.set("token:info:old", old.to_string()).await.unwrap();
    let revoke =
        || world.root(Method::POST, "/api/admin/tokens/revoke-user", Some(json!({"user_email": "ANN+test@x.org"})));
    let first = revoke().await;
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(keys(&first.body), changed(&["message", "revoked_by", "revoked_count", "user_email"]));
    assert_eq!((&first.body["revoked_count"], &first.body["user_email"]), (&json!(3), &json!(ANN)));
    let revoked: Vec<String> = redis.keys("revoked:token:*").await.unwrap();
    assert!(revoked.is_empty(), "one record for all of them is enough: {revoked:?}");
    assert_eq!(redis.hlen::<_, usize>("sekisho:{feed}:entries").await.unwrap(), 1);
    let listed = world.user(Method::GET, "/api/token/list", None).await.body;
    for token in listed["tokens"].as_array().unwrap() {
        assert_eq!((&token["status"], &token["is_revoked"]), (&json!("revoked"), &json!(true)), "{token}");
    }
    let second = revoke().await;
    assert_eq!((second.status, &second.body["revoked_count"]), (StatusCode::OK, &json!(0)));
    assert_eq!(keys(&second.body), keys(&first.body), "tokens that nobody has on record are revoked again");
}

#[tokio::test]
async fn administrators_search_sort_and_filter_everybodys_tokens_and_see_how_many_there_are() {
    let world = World::start().await;
    for (who, name) in [("bob@x.org", "Work"), ("bob@x.org", "home"), ("carl@y.org", "work")] {
        let wish = Some(json!({"token_name": name}));
        world.call(who, &["api:read", "api:write"], Method::POST, "/api/token/generate", wish).await;
    }
    let list = async |query: &str| {
        let answer = world.root(Method::GET, &format!("/api/admin/tokens?{query}"), None).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {}", answer.body);
        answer.body
    };
    let names = |body: &Value| -> Vec<String> {
        let row = |row: &Value| format!("{} {}", row["user_email"], row["token_name"]).replace('"', "");
        body["tokens"].as_array().unwrap().iter().map(row).collect()
    };
    let first = list("q=WORK&sort=user_email&order=asc&limit=1").await;
    assert_eq!(names(&first), ["bob@x.org Work"]);
    let next = first["next_cursor"].as_str().unwrap();
    let second = list(&format!("q=WORK&sort=user_email&order=asc&limit=1&cursor={next}")).await;
    assert_eq!((names(&second), &second["next_cursor"]), (vec!["carl@y.org work".to_owned()], &Value::Null));
    assert_eq!(
        names(&list("sort=token_name&order=asc").await),
        ["bob@x.org home", "bob@x.org Work", "carl@y.org work"]
    );
    let home = list("q=home").await["tokens"][0]["token_id"].as_str().unwrap().to_owned();
    world.root(Method::DELETE, &format!("/api/admin/tokens/{home}"), None).await;
    assert_eq!(names(&list("status=revoked").await), ["bob@x.org home"]);
    let active = list("status=active&limit=1&sort=user_email&order=asc").await;
    assert_eq!(names(&active), ["bob@x.org Work"]);
    assert_eq!(active["summary"], json!({"total": 3, "active": 2, "expired": 0, "revoked": 1}));
    for bad in ["sort=size", "order=up", "status=gone", "limit=0", "cursor=x", &format!("cursor={next}"), "q=%01"] {
        world.root(Method::GET, &format!("/api/admin/tokens?{bad}"), None).await.is_problem(400, "invalid_value");
    }
}
