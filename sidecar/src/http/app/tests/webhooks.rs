//! Webhooks over HTTP: for administrators, and without a secret.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ANN, Answer, World};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

async fn world() -> World {
    let list = json!([
        {"name": "ops", "url": "https://ops.example/very-secret", "secret": SECRET, "events": ["ban.*"]},
        {"name": "chat", "url": "https://hooks.example:8443/T0/very-secret", "format": "slack"},
    ]);
    World::with(&[("SEKISHO_WEBHOOKS", &list.to_string())]).await
}

fn hides_secrets(answer: &Answer) {
    let text = answer.body.to_string();
    assert!(!text.contains("very-secret") && !text.contains("MfKQ"), "{text}");
}

#[tokio::test]
async fn webhooks_are_listed_without_their_secrets() {
    let world = world().await;
    let answer = world.root(Method::GET, "/api/admin/webhooks", None).await;
    assert_eq!((answer.status, &answer.body["count"]), (StatusCode::OK, &json!(2)), "{}", answer.body);
    hides_secrets(&answer);
    let ops = json!({
        "name": "ops", "host": "ops.example", "format": "generic", "events": ["ban.*"], "per_minute": 60, "waiting": 0,
        "waiting_since_ms": null, "given_up": 0, "left_out": 0, "last_success_at_ms": null, "last_failure_at_ms": null,
        "last_failure": null, "paused_until_ms": null,
    });
    assert_eq!(answer.body["webhooks"][0], ops);
    assert_eq!(answer.body["webhooks"][1]["host"], "hooks.example:8443");
    let mut details = ops;
    details["given_up_events"] = json!([]);
    let answer = world.root(Method::GET, "/api/admin/webhooks/ops", None).await;
    assert_eq!(answer.body, details);
}

#[tokio::test]
async fn a_test_and_a_retry_name_what_they_did() {
    let world = world().await;
    let answer = world.root(Method::POST, "/api/admin/webhooks/chat/test", None).await;
    assert_eq!((answer.status, &answer.body["webhook"]), (StatusCode::ACCEPTED, &json!("chat")), "{}", answer.body);
    assert!(answer.body["event_id"].as_str().is_some_and(|id| id.len() == 36), "{}", answer.body);
    let answer = world.root(Method::POST, "/api/admin/webhooks/chat/retry", None).await;
    assert_eq!((answer.status, &answer.body["retried_count"]), (StatusCode::OK, &json!(0)), "{}", answer.body);
    hides_secrets(&answer);
}

#[tokio::test]
async fn nobody_but_an_admin_sees_or_touches_them_and_there_are_no_others() {
    let world = world().await;
    for (method, path) in [
        (Method::GET, "/api/admin/webhooks"),
        (Method::GET, "/api/admin/webhooks/ops"),
        (Method::POST, "/api/admin/webhooks/ops/test"),
        (Method::POST, "/api/admin/webhooks/ops/retry"),
    ] {
        let answer = world.user(method.clone(), path, None).await;
        assert_eq!(
            (answer.status, &answer.body),
            (StatusCode::FORBIDDEN, &json!({"error": "Admin access only", "user": ANN}))
        );
        assert_eq!(world.call(super::ROOT, &["api:read"], method.clone(), path, None).await.status, 403, "{path}");
        if path.contains("ops") {
            let other = path.replace("ops", "%27%3B--");
            world.root(method, &other, None::<Value>).await.is_problem(404, "webhook_not_found");
        }
    }
}
