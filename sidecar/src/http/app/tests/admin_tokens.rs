//! Everybody's tokens, for administrators.

use super::*;

#[tokio::test]
async fn administrators_list_everybodys_tokens_in_the_old_shape() {
    let world = World::start().await;
    old_tokens(&world).await;
    let summary = json!({"total": 3, "active": 1, "expired": 1, "revoked": 1});
    let tokens = [old_revoked(), old_good(), old_expired()];
    let all = world.root(Method::GET, "/api/admin/tokens", None).await;
    all.is(200, &json!({"tokens": tokens, "summary": summary, "limit": 10_000, "next_cursor": null}));
    for spelling in ["ANN+test%40X.org", "ann+test@x.org"] {
        let of_user = world.root(Method::GET, &format!("/api/admin/tokens/{spelling}"), None).await;
        of_user
            .is(200, &json!({"user_email": ANN, "tokens": tokens, "count": 3, "limit": 10_000, "next_cursor": null}));
    }
    let of_nobody = world.root(Method::GET, "/api/admin/tokens/bob@x.org", None).await;
    of_nobody
        .is(200, &json!({"user_email": "bob@x.org", "tokens": [], "count": 0, "limit": 10_000, "next_cursor": null}));
    world.root(Method::GET, "/api/admin/tokens/nobody", None).await.is_problem(400, "invalid_value");
}

#[tokio::test]
async fn administrators_revoke_anybodys_token_in_the_old_shape() {
    let world = World::start().await;
    old_tokens(&world).await;
    let gone = world.root(Method::DELETE, "/api/admin/tokens/t1", None).await;
    let own = json!({"message": "Token revoked successfully", "token_id": "t1", "user_email": ANN, "revoked_by": ROOT});
    gone.is(200, &changed(own, &gone.body));
    let record: String = world.redis.client().shared().get("revoked:token:t1").await.unwrap();
    assert_eq!(record, "1");
    let unknown = world.root(Method::DELETE, "/api/admin/tokens/unknown", None).await;
    unknown.is_problem(404, "token_not_found");
    assert_eq!(unknown.body["detail"], "there is no token with this id");
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
    let own = |count: usize| {
        json!({"message": "All tokens of the user revoked successfully", "user_email": ANN, "revoked_count": count,
            "revoked_by": ROOT})
    };
    first.is(200, &changed(own(3), &first.body));
    let revoked: Vec<String> = redis.keys("revoked:token:*").await.unwrap();
    assert!(revoked.is_empty(), "one record for all of them is enough: {revoked:?}");
    assert_eq!(redis.hlen::<_, usize>("sekisho:{feed}:entries").await.unwrap(), 1);
    let listed = world.user(Method::GET, "/api/token/list", None).await.body;
    for token in listed["tokens"].as_array().unwrap() {
        assert_eq!((&token["status"], &token["is_revoked"]), (&json!("revoked"), &json!(true)), "{token}");
    }
    let second = revoke().await;
    // Tokens that nobody has on record are revoked again.
    second.is(200, &changed(own(0), &second.body));
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

#[tokio::test]
async fn a_users_tokens_are_revoked_whatever_other_programs_wrote() {
    let world = World::start().await;
    let issued = world.issue("one").await;
    let mut redis = world.redis.client().shared();
    let _: () = redis.set(b"token:info:\xff\xfe", "x").await.unwrap();
    let endless = json!({"token_id": "endless", "user_email": "eve@x.org", "created_at": 5, "expires_at": i64::MAX});
    let _: () = redis.set("token:info:endless", endless.to_string()).await.unwrap();
    let body = json!({"user_email": ANN});
    let answer = world.root(Method::POST, "/api/admin/tokens/revoke-user", Some(body.clone())).await;
    assert_eq!((answer.status, &answer.body["revoked_count"]), (StatusCode::OK, &json!(1)), "{}", answer.body);
    // What takes away the means to count does not take away the revocation.
    let _: () = redis.del("sekisho:{tokens}:created").await.unwrap();
    let _: () = redis.set("sekisho:{tokens}:created", "no order").await.unwrap();
    let answer = world.root(Method::POST, "/api/admin/tokens/revoke-user", Some(body)).await;
    assert_eq!((answer.status, &answer.body["revoked_count"]), (StatusCode::OK, &json!(0)), "{}", answer.body);
    let since: u64 = redis.get(format!("sekisho:not_before:{ANN}")).await.unwrap();
    assert!(since > issued["created_at"].as_u64().unwrap());
}

#[tokio::test]
async fn no_list_walks_over_everything_that_is_in_redis() {
    let world = World::start().await;
    world.issue("one").await;
    let mut redis = world.redis.client().shared();
    let _: () = redis::cmd("CONFIG").arg("RESETSTAT").query_async(&mut redis).await.unwrap();
    world.user(Method::GET, "/api/token/list", None).await;
    for list in ["/api/admin/tokens".to_owned(), format!("/api/admin/tokens/{ANN}")] {
        assert_eq!(world.root(Method::GET, &list, None).await.status, StatusCode::OK);
    }
    let commands: String = redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await.unwrap();
    assert!(commands.contains("cmdstat_sscan:") && !commands.contains("cmdstat_scan:"), "{commands}");
}

#[tokio::test]
async fn every_cursor_that_is_given_out_is_taken_whatever_other_programs_call_their_tokens() {
    let world = World::start().await;
    world.issue("one").await;
    let mut redis = world.redis.client().shared();
    let odd =
        json!({"token_id": "a b", "user_email": ANN, "created_at": 4_000_000_000_u64, "expires_at": 4_000_000_001_u64});
    let _: () = redis.set("token:info:a b", odd.to_string()).await.unwrap();
    let _: () = redis.sadd(format!("user:tokens:{ANN}"), "a b").await.unwrap();
    // As a version before this one put it in order.
    for order in ["created", "expires"] {
        let _: () = redis.zadd(format!("sekisho:{{tokens}}:{order}"), "a b", 4_000_000_000_u64).await.unwrap();
    }
    world.root(Method::POST, "/api/admin/tokens/revoke-user", Some(json!({"user_email": "bob@x.org"}))).await;
    for (list, is_root) in [("/api/admin/tokens", true), ("/api/token/list", false)] {
        let get = async |path: &str| match is_root {
            true => world.root(Method::GET, path, None).await,
            false => world.user(Method::GET, path, None).await,
        };
        let (mut path, mut seen) = (format!("{list}?limit=1"), 0);
        for _ in 0..3 {
            let page = get(&path).await;
            assert_eq!(page.status, StatusCode::OK, "{path}: {}", page.body);
            seen += page.body["tokens"].as_array().unwrap().len();
            let Some(next) = page.body["next_cursor"].as_str() else { break };
            path = format!("{list}?limit=1&cursor={next}");
        }
        assert_eq!(seen, 1, "{list}");
    }
}
