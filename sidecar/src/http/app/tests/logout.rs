//! Logging somebody out everywhere.

use super::*;

const LOGOUT: &str = "/api/admin/sessions/logout-user";
const REVOKE: &str = "/api/admin/tokens/revoke-user";

#[tokio::test]
async fn a_logout_says_what_is_invalid_now() {
    let world = World::start().await;
    world.begin("s1", ANN).await;
    let before = UnixSeconds::now().get();
    let answer = world.root(Method::POST, LOGOUT, Some(json!({"user_email": "ANN+test@x.org"}))).await;
    let issued_before = answer.body["issued_before"].as_u64().unwrap();
    let own = json!({"message": "User logged out successfully", "user_email": ANN, "issued_before": issued_before,
        "deleted_count": 1, "logged_out_by": ROOT});
    answer.is(200, &changed(own, &answer.body));
    assert!((before + 2..=UnixSeconds::now().get() + 2).contains(&issued_before));
    let mut redis = world.redis.client().shared();
    let record: u64 = redis.get(format!("sekisho:not_before:{ANN}")).await.unwrap();
    let entry: String = redis.hget("sekisho:{feed}:entries", format!("not_before|{ANN}")).await.unwrap();
    let entry: Value = serde_json::from_str(&entry).unwrap();
    assert_eq!((record, &entry["issued_before"]), (issued_before, &json!(issued_before)));
    let version = entry["version"].as_u64().unwrap();
    assert_eq!(answer.body["version"], version + 1, "the end of the session is the last write");
}

#[tokio::test]
async fn a_logout_needs_an_address() {
    let world = World::start().await;
    world.root(Method::POST, LOGOUT, Some(json!({"user_email": "ann"}))).await.is_problem(400, "invalid_value");
    world.root(Method::POST, LOGOUT, Some(json!({}))).await.is_problem(400, "invalid_body");
}

#[tokio::test]
async fn a_logout_fails_whole_without_redis() {
    let mut world = World::start().await;
    world.redis.stop();
    for path in [LOGOUT, REVOKE] {
        let answer = world.root(Method::POST, path, Some(json!({"user_email": ANN}))).await;
        answer.is_problem(503, "unavailable");
    }
}

#[tokio::test]
async fn a_token_from_right_after_is_valid_at_once() {
    for path in [LOGOUT, REVOKE] {
        let world = World::start().await;
        let old = world.issue("old").await;
        world.root(Method::POST, path, Some(json!({"user_email": ANN}))).await;
        let new = world.issue("new").await;
        let mut redis = world.redis.client().shared();
        let issued_before: u64 = redis.get(format!("sekisho:not_before:{ANN}")).await.unwrap();
        let (iat, exp) = (new["created_at"].as_u64().unwrap(), new["expires_at"].as_u64().unwrap());
        assert!(old["created_at"].as_u64().unwrap() < issued_before && issued_before <= iat, "{path}: {old} {new}");
        assert_eq!(exp, iat + 2_592_000, "its life counts from then on");
        for (token, status) in [(&old, "revoked"), (&new, "active")] {
            let info = format!("/api/token/info?token_id={}", token["token_id"].as_str().unwrap());
            let info = world.user(Method::GET, &info, None).await.body["token_info"].clone();
            assert_eq!((&info["status"], &info["is_revoked"]), (&json!(status), &json!(status == "revoked")), "{path}");
        }
        let all = world.root(Method::GET, "/api/admin/tokens", None).await.body;
        assert_eq!(all["summary"], json!({"total": 2, "active": 1, "expired": 0, "revoked": 1}), "{path}");
    }
}

#[tokio::test]
async fn a_token_that_was_logged_out_mints_none_though_the_filter_let_it_pass() {
    let world = World::start().await;
    let generate = |token: &Value| {
        // Nobody else's record says that it is revoked, as with a token of another issuer.
        let own = json!({"email": ANN, "method": "jwt", "token_id": "of another issuer",
            "token_issued_at": token["created_at"], "scopes": ["api:read"]});
        let request = Request::post("/api/token/generate")
            .header("x-sekisho-identity", sign_own(MESH_SECRET, APP_AUDIENCE, ANN, own, 30))
            .header(header::CONTENT_TYPE, "application/json");
        world.send(request.body(Body::from(json!({"token_name": "n"}).to_string())).unwrap())
    };
    let old = world.issue("old").await;
    assert_eq!(generate(&old).await.status, StatusCode::OK);
    world.root(Method::POST, LOGOUT, Some(json!({"user_email": ANN}))).await;
    generate(&old).await.is_problem(401, "unauthenticated");
    let new = world.issue("new").await;
    assert_eq!(generate(&new).await.status, StatusCode::OK);
}

#[tokio::test]
async fn somebody_without_any_token_on_record_is_logged_out_too() {
    let world = World::start().await;
    let revoked = world.root(Method::POST, REVOKE, Some(json!({"user_email": "eve@x.org"}))).await;
    assert_eq!((revoked.status, &revoked.body["revoked_count"]), (StatusCode::OK, &json!(0)));
    let mut redis = world.redis.client().shared();
    assert!(redis.hexists::<_, _, bool>("sekisho:{feed}:entries", "not_before|eve@x.org").await.unwrap());
}
