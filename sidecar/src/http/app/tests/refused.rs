//! Refused admin calls are in the audit trail, as many as there may be.

use super::*;

/// The events in line for the trail, once there are `count`.
async fn events(world: &World, count: usize) -> Vec<Value> {
    let mut redis = world.redis.client().shared();
    for _ in 0..200 {
        let mut range = redis::cmd("XRANGE");
        range.arg("sekisho:{audit}:line").arg("-").arg("+");
        let entries: Vec<(String, Vec<(String, String)>)> = range.query_async(&mut redis).await.unwrap();
        if entries.len() >= count {
            return entries.iter().map(|(_, fields)| serde_json::from_str(&fields[0].1).unwrap()).collect();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("there are no {count} events")
}

#[tokio::test]
async fn who_was_refused_what_and_why_is_on_record() {
    let world = World::with(&[("ADMIN_EMAILS", "admin@x.org"), ("SEKISHO_AUDITOR_EMAILS", "eve@x.org")]).await;
    let of_root = json!({"user_email": ROOT});
    let (revoke, unban) = ("/api/admin/sessions/revoke-user", "/api/admin/sessions/unban/somebody@x.org");
    for (who, scopes, method, path, body, template, code) in [
        (ANN, &["admin"][..], Method::GET, "/api/admin/tokens?q=secret", None, "/api/admin/tokens", "admin_only"),
        (ROOT, &["api:read"], Method::GET, "/api/admin/bans", None, "/api/admin/bans", "admin_only"),
        ("eve@x.org", &["admin"], Method::DELETE, unban, None, "/api/admin/sessions/unban/{email}", "admin_only"),
        ("admin@x.org", &["admin"], Method::POST, "/api/admin/keys", None, "/api/admin/keys", "super_admin_only"),
        ("admin@x.org", &["admin"], Method::POST, revoke, Some(of_root), revoke, "super_admin_only"),
    ] {
        let before = world.redis.client().shared().xlen::<_, usize>("sekisho:{audit}:line").await.unwrap();
        world.call(who, scopes, method.clone(), path, body).await;
        let event = events(&world, before + 1).await.pop().unwrap();
        assert_eq!((&event["action"], &event["outcome"]), (&json!("access.refused"), &json!("refused")), "{event}");
        assert_eq!((&event["actor"], &event["kind"]), (&json!(who), &json!("caller")), "{event}");
        assert_eq!(event["target"], template, "{event}");
        assert_eq!(event["details"], json!({"method": method.as_str(), "code": code}), "{event}");
        assert!(!event.to_string().contains("secret") && !event.to_string().contains("somebody"), "{event}");
    }
    let nobody = Request::get("/api/admin/bans").header("x-request-id", "r-1").body(Body::empty()).unwrap();
    world.send(nobody).await;
    let event = events(&world, 6).await.pop().unwrap();
    assert_eq!((&event["actor"], &event["details"]["code"]), (&json!("unauthenticated"), &json!("unauthenticated")));
    assert_eq!(event["request_id"], "r-1");
}

#[tokio::test]
async fn a_stranger_fills_the_trail_no_faster_than_a_few_events_a_minute() {
    let world = World::start().await;
    for number in 0..40 {
        world.call(ANN, &["admin"], Method::GET, "/api/admin/bans", None).await;
        world.call(&format!("user{number}@x.org"), &[], Method::GET, "/api/admin/bans", None).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    let events = events(&world, 45).await;
    let of_ann = events.iter().filter(|event| event["actor"] == ANN).count();
    // A minute may have begun in between.
    assert!((5..=10).contains(&of_ann) && events.len() <= 50, "{of_ann} of {}", events.len());
    let left_out: u64 = events.iter().filter_map(|event| event["details"]["left_out"].as_u64()).sum();
    assert!(left_out >= 30, "{left_out}");
}

#[tokio::test]
async fn a_store_that_is_away_is_nobodys_refusal() {
    let mut world = World::start().await;
    world.redis.stop();
    world.call(ANN, &["admin"], Method::GET, "/api/admin/bans", None).await.is_problem(503, "unavailable");
}
