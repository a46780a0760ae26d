//! Active users, as administrators see them.

use sekisho_protocol::activity::{ActivityReport, Method as Credential, SubjectActivity};
use sekisho_protocol::{PROTOCOL, ReplicaId};

use super::*;

/// Two requests of somebody, the last one at `at`, as the worker `replica` reports them.
async fn seen(world: &World, replica: u8, who: &str, token_id: &str, at: u64) {
    let report = ActivityReport {
        protocol: PROTOCOL,
        replica: ReplicaId::from_bytes([replica; 16]),
        sequence: 1,
        subjects: vec![SubjectActivity {
            subject: who.to_owned().try_into().unwrap(),
            method: Credential::Jwt,
            token_id: Some(token_id.to_owned()),
            requests: 2,
            last_access: at,
            address: Some("2001:db8::7".parse().unwrap()),
        }],
        outcomes: Vec::new(),
        verifications: Vec::new(),
        dropped: 0,
    };
    world.services.activities.take(&report).await.unwrap();
}

/// Somebody whom the old gateway saw, with two sessions of a browser.
async fn seen_by_the_old_gateway(world: &World, who: &str, at: u64) {
    let metadata = json!({"email": who, "created_at": at, "last_access": at + 7, "expire_at": at + 86_400,
        "expires_at": at + 86_400, "session_ttl": 86_400, "session_count": 2, "auth_method": "oauth2",
        "token_name": null});
    let mut redis = world.redis.client().shared();
    let _: () = redis.set(format!("active_user_metadata:{who}"), metadata.to_string()).await.unwrap();
    let _: () = redis.sadd(format!("active_user:{who}"), &["_oauth2_proxy-1", "_oauth2_proxy-2"]).await.unwrap();
    let _: () = redis.sadd("active_users", who).await.unwrap();
    world.services.active_users.tidy(UnixSeconds::now()).await.unwrap();
}

#[tokio::test]
async fn active_users_are_listed_in_the_old_shape_with_what_sekisho_knows_besides() {
    let world = World::start().await;
    let token = world.issue("laptop").await["token_id"].as_str().unwrap().to_owned();
    let at = UnixSeconds::now().get() - 100;
    seen(&world, 1, ANN, &token, at).await;
    seen(&world, 2, ANN, "other", at + 50).await;
    seen(&world, 3, "bob@x.org", "b", at + 40).await;
    seen_by_the_old_gateway(&world, "carl@x.org", at).await;
    let ban = json!({"user_email": ANN, "duration_seconds": 600_000});
    world.root(Method::POST, "/api/admin/sessions/revoke-user", Some(ban)).await;
    let answer = world.root(Method::GET, "/api/admin/sessions/active-users", None).await;
    let (now, left) =
        (just_now(&answer.body["current_time"]), &answer.body["active_users"][0]["ban_remaining_seconds"]);
    assert!(left.as_u64().is_some_and(|left| (599_990..=600_000).contains(&left)), "{left}");
    let ttl_s = at + 86_400 - now;
    let ann = json!({"email": ANN, "session_count": 2, "created_at": at, "last_access": at + 50,
        "expires_at": at + 86_400, "ttl_seconds": ttl_s, "is_banned": true, "ban_remaining_seconds": left,
        "ban_message": "User is banned for 6 days 22 hours", "auth_method": "jwt", "request_count": 4,
        "address": "2001:db8::7", "token_name": "laptop"});
    let bob = json!({"email": "bob@x.org", "session_count": 1, "created_at": at + 40, "last_access": at + 40,
        "expires_at": at + 86_440, "ttl_seconds": ttl_s + 40, "is_banned": false, "ban_remaining_seconds": null,
        "ban_message": null, "auth_method": "jwt", "request_count": 2, "address": "2001:db8::7", "token_name": null});
    let carl = json!({"email": "carl@x.org", "session_count": 2, "created_at": at, "last_access": at + 7,
        "expires_at": at + 86_400, "ttl_seconds": ttl_s, "is_banned": false, "ban_remaining_seconds": null,
        "ban_message": null, "auth_method": "oauth2", "request_count": null, "address": null, "token_name": null});
    answer.is(
        200,
        &json!({"active_users": [ann, bob, carl], "total": 3, "banned_count": 1, "active_sessions": 3,
            "current_time": now, "limit": 10_000, "next_cursor": null}),
    );
    let mut redis = world.redis.client().shared();
    let _: () = redis::cmd("CONFIG").arg("RESETSTAT").query_async(&mut redis).await.unwrap();
    let found = world.root(Method::GET, "/api/admin/sessions/active-users?q=BOB&limit=1", None).await.body;
    let commands: String = redis::cmd("INFO").arg("commandstats").query_async(&mut redis).await.unwrap();
    assert!(!commands.contains("cmdstat_zrangebylex"), "not every list counts every ban: {commands}");
    assert_eq!(found["banned_count"], 1);
    assert_eq!((&found["active_users"][0]["email"], &found["next_cursor"]), (&json!("bob@x.org"), &Value::Null));
    world.root(Method::GET, "/api/admin/sessions/active-users?cursor=x", None).await.is_problem(400, "invalid_value");
}

#[tokio::test]
async fn what_expired_is_cleared_away_and_recorded() {
    let world = World::start().await;
    seen(&world, 1, ANN, "t", UnixSeconds::now().get()).await;
    let _: () = world.redis.client().shared().sadd("active_users", "gone@x.org").await.unwrap();
    let path = "/api/admin/sessions/cleanup-expired";
    let answer = world.root(Method::POST, path, None).await;
    answer.is(
        200,
        &json!({"message": "Expired users cleaned up successfully", "cleaned_count": 1,
            "cleaned_users": ["gone@x.org"], "cleaned_sessions": 0, "cleaned_by": ROOT}),
    );
    assert_eq!(world.user(Method::POST, path, None).await.status, StatusCode::FORBIDDEN);
    world.services.trail.carry().await.unwrap();
    let events = world.root(Method::GET, "/api/admin/audit?action=active_users.cleaned", None).await.body;
    assert_eq!(events["events"][0]["details"], json!({"count": 1}));
}
