//! Activity: applied once, in the old gateway's keys.

use sekisho_protocol::activity::{ActivityReport, Method, SubjectActivity};
use sekisho_protocol::{PROTOCOL, ReplicaId};
use serde_json::Value;

use super::*;
use crate::service::activity::{ActivityStore, Taken};
use crate::store::redis::activity::RedisActivity;

fn report(sequence: u64, last_access: u64) -> ActivityReport {
    ActivityReport {
        protocol: PROTOCOL,
        replica: ReplicaId::from_bytes([1; 16]),
        sequence,
        subjects: vec![SubjectActivity {
            subject: subject("ann@x"),
            method: Method::Jwt,
            token_id: Some("t1".into()),
            requests: 3,
            last_access,
        }],
        outcomes: Vec::new(),
        verifications: Vec::new(),
        dropped: 0,
    }
}

async fn json(server: &RedisServer, key: &str) -> Value {
    serde_json::from_str(&raw::<String>(server, &["GET", key]).await).unwrap()
}

#[tokio::test]
async fn a_report_is_applied_once() {
    let server = RedisServer::start().await;
    let store = RedisActivity::new(server.client());
    assert_eq!(store.take(&report(1, 100)).await.unwrap(), Taken::Applied);
    assert_eq!(store.take(&report(1, 999)).await.unwrap(), Taken::Repeated);
    assert_eq!(store.take(&report(2, 200)).await.unwrap(), Taken::Applied);
    assert_eq!(json(&server, "active_user_metadata:ann@x").await["last_access"], 200);
    assert!(life(&server, &format!("sekisho:activity:{}", report(1, 1).replica)).await > 3_500);
}

#[tokio::test]
async fn a_tokens_last_use_is_kept_with_its_life_and_its_other_fields() {
    let server = RedisServer::start().await;
    let info = r#"{"token_id":"t1","token_name":"laptop","scopes":[],"last_used":null}"#;
    let _: String = raw(&server, &["SET", "token:info:t1", info, "EX", "500"]).await;
    let store = RedisActivity::new(server.client());
    store.take(&report(1, 100)).await.unwrap();
    store.take(&report(2, 50)).await.unwrap();
    let token = json(&server, "token:info:t1").await;
    assert_eq!(token["last_used"], 100, "an older report does not turn it back");
    assert_eq!((&token["token_name"], &token["scopes"]), (&Value::from("laptop"), &serde_json::json!([])));
    assert!((490..=500).contains(&life(&server, "token:info:t1").await));
    let person = json(&server, "active_user_metadata:ann@x").await;
    assert_eq!((&person["token_name"], &person["auth_method"]), (&Value::from("laptop"), &Value::from("jwt")));
}

#[tokio::test]
async fn a_token_that_is_gone_does_not_come_back() {
    let server = RedisServer::start().await;
    RedisActivity::new(server.client()).take(&report(1, 100)).await.unwrap();
    assert_eq!(life(&server, "token:info:t1").await, -2);
}

#[tokio::test]
async fn somebody_is_active_for_a_day_from_the_first_request_on() {
    let server = RedisServer::start().await;
    let store = RedisActivity::new(server.client());
    store.take(&report(1, 100)).await.unwrap();
    for key in ["active_user:ann@x", "active_user_metadata:ann@x"] {
        assert!(life(&server, key).await > 86_000, "{key}");
        let _: i64 = raw(&server, &["EXPIRE", key, "50"]).await;
    }
    store.take(&report(2, 200)).await.unwrap();
    for key in ["active_user:ann@x", "active_user_metadata:ann@x"] {
        assert!(life(&server, key).await <= 50, "{key}");
    }
    assert_eq!(raw::<Vec<String>>(&server, &["SMEMBERS", "active_users"]).await, ["ann@x"]);
    assert_eq!(raw::<Vec<String>>(&server, &["SMEMBERS", "active_user:ann@x"]).await, ["t1"]);
}
