//! Clean-ups over HTTP: the literal answers of the old gateway, for administrators alone.

use super::*;

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
async fn a_preview_looks_as_it_did() {
    let world = World::start().await;
    leftovers(&world).await;
    let answer = world.root(Method::GET, PREVIEW, None).await;
    let (targets, freed) = (&answer.body["targets"]["orphaned_jwt_token_ids"], &answer.body["estimated_freed_memory"]);
    let of_ann = |id: &str| json!({"type": "orphaned_jwt_token_id", "user_email": ANN, "token_id": id, "key": format!("user:tokens:{ANN}")});
    // A set has no order.
    let (one, two) = if targets[0]["token_id"] == "t1" { ("t1", "t2") } else { ("t2", "t1") };
    let of_bob = json!({"type": "orphaned_metadata", "user_email": "bob@x.org", "token_id": null,
        "key": "active_user_metadata:bob@x.org"});
    assert!(freed.as_u64().is_some_and(|bytes| bytes > 0), "{freed}");
    answer.is(
        200,
        &json!({"preview": true,
            "targets": {"orphaned_jwt_token_ids": [of_ann(one), of_ann(two)], "orphaned_metadata": [of_bob],
                "inactive_users": [], "orphaned_index_entries": []},
            "targets_left_out": 0,
            "counts": {"orphaned_jwt_token_ids": 2, "orphaned_metadata": 1, "inactive_users": 0,
                "orphaned_index_entries": 0, "total": 3},
            "estimated_freed_memory": freed, "config": {"log_retention_days": 30, "schedule": "0 3 * * *"},
            "note": "Nothing was deleted. POST /api/admin/redis/cleanup deletes these."}),
    );
}

#[tokio::test]
async fn a_run_and_its_log_look_as_they_did() {
    let world = World::start().await;
    leftovers(&world).await;
    let run = world.root(Method::POST, RUN, None).await;
    let log = &run.body;
    let (at, freed, took) = (just_now(&log["executed_at"]), &log["freed_memory"], &log["duration_ms"]);
    assert!(freed.as_u64().is_some_and(|bytes| bytes > 0) && took.is_u64(), "{log}");
    let item = |kind: &str, email: &str, id: Option<&str>, key: &str, reason: &str| {
        let items = log["deleted_items"].as_array().unwrap();
        let item = items.iter().find(|item| item["type"] == kind && item["token_id"] == json!(id)).unwrap();
        json!({"type": kind, "user_email": email, "token_id": id, "key": format!("{key}{email}"), "reason": reason,
            "timestamp": just_now(&item["timestamp"])})
    };
    let (tokens, gone) = ("user:tokens:", "token_info_not_found");
    let mut expected = vec![
        item("orphaned_jwt_token_id", ANN, Some("t1"), tokens, gone),
        item("orphaned_jwt_token_id", ANN, Some("t2"), tokens, gone),
        item("empty_token_set", ANN, None, tokens, "no_tokens_left"),
        item("orphaned_metadata", "bob@x.org", None, "active_user_metadata:", "active_user_not_found"),
    ];
    // A set has no order, and nobody is told about the one of different kinds.
    let place = |item: &Value| log["deleted_items"].as_array().unwrap().iter().position(|deleted| deleted == item);
    expected.sort_by_key(place);
    let id = crate::domain::cleanup::id_of(at);
    run.is(
        200,
        &json!({"cleanup_id": id, "executed_at": at, "executed_by": ROOT, "manual": true,
            "results": {"orphaned_jwt_token_ids_deleted": 2, "orphaned_metadata_deleted": 1,
                "empty_token_sets_deleted": 1, "inactive_users_deleted": 0, "orphaned_index_entries_deleted": 0},
            "total_deleted": 4, "freed_memory": freed, "duration_ms": took, "deleted_items": expected,
            "deleted_items_left_out": 0}),
    );
    let logs = world.root(Method::GET, LOGS, None).await;
    logs.is(
        200,
        &json!({"logs": [log], "count": 1, "total_logs": 1, "retention_days": 30, "limit": 10_000, "next_cursor": null}),
    );
    is_on_record(&world, &id, at, log).await;
}

/// The log is where the old gateway looks for it, for 30 days.
async fn is_on_record(world: &World, id: &str, at: u64, log: &Value) {
    let (key, mut redis) = (format!("cleanup:log:{id}"), world.redis.client().shared());
    let stored: String = redis.get(&key).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&stored).unwrap(), *log);
    let life: i64 = redis.ttl(&key).await.unwrap();
    assert!((2_591_990..=2_592_000).contains(&life), "{life}");
    let all: Vec<(String, u64)> = redis.zrange_withscores("cleanup:logs", 0, -1).await.unwrap();
    assert_eq!(all, [(id.to_owned(), at)]);
}

#[tokio::test]
async fn a_log_that_the_old_gateway_wrote_is_shown_as_it_is() {
    let world = World::start().await;
    let mut redis = world.redis.client().shared();
    let now = UnixSeconds::now().get();
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
            let request = Request::builder().method(method.clone()).uri(path).header(forged, ROOT);
            let request = request.header("x-sekisho-identity", assertion(ANN, &["admin"]));
            let request = request.header(header::CONTENT_TYPE, "application/json");
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!((answer.status, &answer.body["user"]), (StatusCode::FORBIDDEN, &json!(ANN)), "{path} {forged}");
        }
    }
    let preview = world.root(Method::GET, PREVIEW, None).await;
    assert_eq!(preview.body["counts"]["total"], 3, "nothing was deleted");
}
