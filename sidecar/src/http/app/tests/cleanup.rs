//! Clean-ups over HTTP: the literal answers of the old gateway, for administrators alone.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use redis::AsyncCommands;
use serde_json::{Value, json};

use super::{ANN, World, assertion, keys};

const RUN: &str = "/api/admin/redis/cleanup";
const PREVIEW: &str = "/api/admin/redis/cleanup/preview";
const LOGS: &str = "/api/admin/redis/cleanup/logs";

/// Two ids of tokens that ended, all that their owner had, and what is known of somebody who is active no more.
async fn leftovers(world: &World) {
    let mut redis = world.redis.client().shared();
    let _: () = redis.sadd(format!("user:tokens:{ANN}"), &["t1", "t2"]).await.unwrap();
    let _: () = redis.set("active_user_metadata:bob@x.org", "{}").await.unwrap();
}

#[tokio::test]
async fn a_preview_a_run_and_its_log_look_as_they_did() {
    let world = World::start().await;
    leftovers(&world).await;
    let preview = world.root(Method::GET, PREVIEW, None).await;
    assert_eq!(preview.status, StatusCode::OK, "{}", preview.body);
    let body = preview.body;
    assert_eq!(
        (&body["preview"], &body["config"]),
        (&json!(true), &json!({"log_retention_days": 30, "schedule": "0 3 * * *"}))
    );
    assert_eq!(
        body["counts"],
        json!({"orphaned_jwt_token_ids": 2, "orphaned_metadata": 1, "inactive_users": 0, "orphaned_index_entries": 0, "total": 3})
    );
    assert_eq!(
        body["targets"]["orphaned_metadata"],
        json!([{"type": "orphaned_metadata", "user_email": "bob@x.org", "token_id": null, "key": "active_user_metadata:bob@x.org"}])
    );
    assert_eq!(body["targets"]["orphaned_jwt_token_ids"].as_array().unwrap().len(), 2);
    assert!(
        body["estimated_freed_memory"].as_u64().is_some_and(|bytes| bytes > 0) && body["note"].is_string(),
        "{body}"
    );

    let run = world.root(Method::POST, RUN, None).await;
    assert_eq!(run.status, StatusCode::OK, "{}", run.body);
    let log = run.body;
    assert_eq!(
        keys(&log),
        [
            "cleanup_id",
            "deleted_items",
            "deleted_items_left_out",
            "duration_ms",
            "executed_at",
            "executed_by",
            "freed_memory",
            "manual",
            "results",
            "total_deleted"
        ]
    );
    assert!(log["cleanup_id"].as_str().is_some_and(|id| id.starts_with("cleanup_2") && id.len() == 23), "{log}");
    assert_eq!(
        (&log["executed_by"], &log["manual"], &log["total_deleted"]),
        (&json!(super::ROOT), &json!(true), &json!(4))
    );
    assert_eq!(log["results"]["empty_token_sets_deleted"], 1);
    let items = log["deleted_items"].as_array().unwrap();
    assert!(items.iter().all(|item| keys(item) == ["key", "reason", "timestamp", "token_id", "type", "user_email"]));

    let logs = world.root(Method::GET, LOGS, None).await.body;
    assert_eq!((&logs["logs"], &logs["total_logs"], &logs["retention_days"]), (&json!([log]), &json!(1), &json!(30)));
    let stored: String = world
        .redis
        .client()
        .shared()
        .get(format!("cleanup:log:{}", log["cleanup_id"].as_str().unwrap()))
        .await
        .unwrap();
    assert_eq!(serde_json::from_str::<Value>(&stored).unwrap(), log);
}

#[tokio::test]
async fn a_log_that_the_old_gateway_wrote_is_shown_as_it_is() {
    let world = World::start().await;
    let mut redis = world.redis.client().shared();
    let now = crate::domain::time::UnixSeconds::now().get();
    let old = json!({"cleanup_id": "cleanup_20260101_030000", "executed_by": "cron@system", "odd": [1]});
    let _: () = redis.set("cleanup:log:cleanup_20260101_030000", old.to_string()).await.unwrap();
    let _: () = redis.zadd("cleanup:logs", "cleanup_20260101_030000", now - 10).await.unwrap();
    let _: () = redis.zadd("cleanup:logs", "cleanup_20250101_030000", now - 31 * 86_400).await.unwrap();
    let logs = world.root(Method::GET, LOGS, None).await.body;
    assert_eq!(
        (&logs["logs"], &logs["total_logs"]),
        (&json!([old]), &json!(1)),
        "and what is older than the retention goes"
    );
    world.root(Method::GET, &format!("{LOGS}?cursor=x"), None).await.is_problem(400, "invalid_value");
}

#[tokio::test]
async fn nobody_starts_a_clean_up_but_an_admin_and_no_header_makes_one() {
    let world = World::start().await;
    leftovers(&world).await;
    for (method, path) in [(Method::GET, PREVIEW), (Method::POST, RUN), (Method::GET, LOGS)] {
        for forged in ["x-forwarded-email", "x-forwarded-user", "x-auth-request-email", "x-admin-action"] {
            let request = Request::builder().method(method.clone()).uri(path).header(forged, "cron@system");
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            answer.is_problem(401, "unauthenticated");
            let request = Request::builder().method(method.clone()).uri(path).header(forged, super::ROOT);
            let request = request.header("x-sekisho-identity", assertion(ANN, &["admin"]));
            let request = request.header(header::CONTENT_TYPE, "application/json");
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!((answer.status, &answer.body["user"]), (StatusCode::FORBIDDEN, &json!(ANN)), "{path} {forged}");
        }
    }
    let preview = world.root(Method::GET, PREVIEW, None).await;
    assert_eq!(preview.body["counts"]["total"], 3, "nothing was deleted");
}
