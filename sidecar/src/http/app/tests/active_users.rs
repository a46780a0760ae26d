//! Active users, as administrators see them.

use sekisho_protocol::activity::{ActivityReport, Method as Credential, SubjectActivity};
use sekisho_protocol::{PROTOCOL, ReplicaId};

use super::*;

async fn seen(world: &World, replica: u8, who: &str, token_id: &str) {
    let report = ActivityReport {
        protocol: PROTOCOL,
        replica: ReplicaId::from_bytes([replica; 16]),
        sequence: 1,
        subjects: vec![SubjectActivity {
            subject: who.to_owned().try_into().unwrap(),
            method: Credential::Jwt,
            token_id: Some(token_id.to_owned()),
            requests: 2,
            last_access: UnixSeconds::now().get() - u64::from(replica),
            address: Some("2001:db8::7".parse().unwrap()),
        }],
        outcomes: Vec::new(),
        verifications: Vec::new(),
        dropped: 0,
    };
    world.services.activities.take(&report).await.unwrap();
}

#[tokio::test]
async fn active_users_are_listed_in_the_old_shape_with_what_sekisho_knows_besides() {
    let world = World::start().await;
    let token = world.issue("laptop").await["token_id"].as_str().unwrap().to_owned();
    seen(&world, 1, ANN, &token).await;
    seen(&world, 2, ANN, "other").await;
    seen(&world, 3, "bob@x.org", "b").await;
    let ban = json!({"user_email": ANN, "duration_seconds": 600_000});
    world.root(Method::POST, "/api/admin/sessions/revoke-user", Some(ban)).await;
    let answer = world.root(Method::GET, "/api/admin/sessions/active-users", None).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let expected = ["active_sessions", "active_users", "banned_count", "current_time", "limit", "next_cursor", "total"];
    assert_eq!(keys(&answer.body), expected);
    let count = |name: &str| answer.body[name].as_u64().unwrap();
    assert_eq!((count("total"), count("banned_count"), count("active_sessions")), (2, 1, 3));
    let (ann, bob) = (&answer.body["active_users"][0], &answer.body["active_users"][1]);
    let expected = [
        "address",
        "auth_method",
        "ban_message",
        "ban_remaining_seconds",
        "created_at",
        "email",
        "expires_at",
        "is_banned",
        "last_access",
        "request_count",
        "session_count",
        "token_name",
        "ttl_seconds",
    ];
    assert_eq!(keys(ann), expected);
    assert_eq!((&ann["email"], &ann["session_count"], &ann["request_count"]), (&json!(ANN), &json!(2), &json!(4)));
    assert_eq!((&ann["auth_method"], &ann["address"]), (&json!("jwt"), &json!("2001:db8::7")));
    assert_eq!((&ann["token_name"], &ann["is_banned"]), (&json!("laptop"), &json!(true)));
    assert_eq!(ann["ban_message"], "User is banned for 6 days 22 hours");
    assert!((599_990..=600_000).contains(&ann["ban_remaining_seconds"].as_u64().unwrap()));
    let of = |name: &str| ann[name].as_u64().unwrap();
    assert!((86_390..=86_400).contains(&of("ttl_seconds")), "{ann}");
    assert!(of("created_at") <= of("last_access") && of("expires_at") == of("created_at") + 86_400, "{ann}");
    let none = json!({"is_banned": false, "ban_message": null, "ban_remaining_seconds": null});
    for (name, value) in none.as_object().unwrap() {
        assert_eq!(&bob[name], value, "{name}");
    }
    let found = world.root(Method::GET, "/api/admin/sessions/active-users?q=BOB&limit=1", None).await.body;
    assert_eq!((&found["active_users"][0]["email"], &found["next_cursor"]), (&json!("bob@x.org"), &Value::Null));
    world.root(Method::GET, "/api/admin/sessions/active-users?cursor=x", None).await.is_problem(400, "invalid_value");
}

#[tokio::test]
async fn what_expired_is_cleared_away_and_recorded() {
    let world = World::start().await;
    seen(&world, 1, ANN, "t").await;
    let _: () = world.redis.client().shared().sadd("active_users", "gone@x.org").await.unwrap();
    let path = "/api/admin/sessions/cleanup-expired";
    let answer = world.root(Method::POST, path, None).await;
    assert_eq!(
        answer.body,
        json!({"message": "Expired users cleaned up successfully", "cleaned_count": 1,
            "cleaned_users": ["gone@x.org"], "cleaned_by": ROOT})
    );
    assert_eq!(world.user(Method::POST, path, None).await.status, StatusCode::FORBIDDEN);
    world.services.trail.carry().await.unwrap();
    let events = world.root(Method::GET, "/api/admin/audit?action=active_users.cleaned", None).await.body;
    assert_eq!(events["events"][0]["details"], json!({"count": 1}));
}
