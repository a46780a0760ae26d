//! The ban calls.

use sekisho_protocol::feed::FOREVER;

use super::*;
use crate::service::feed::registry::{Registry, Start};
use crate::store::redis::workers::RedisWorkers;

const BAN: &str = "/api/admin/sessions/revoke-user";

fn unban(who: &str) -> String {
    format!("/api/admin/sessions/unban/{who}")
}

/// What the feed says of somebody.
async fn entry(world: &World, who: &str) -> Option<Value> {
    let text: Option<String> =
        world.redis.client().shared().hget("sekisho:{feed}:entries", format!("ban|{who}")).await.unwrap();
    text.map(|text| serde_json::from_str(&text).unwrap())
}

#[tokio::test]
async fn a_ban_is_answered_in_the_old_shape_and_says_who_knows_of_it() {
    let world = World::start().await;
    let answer = world.root(Method::POST, BAN, Some(json!({"user_email": "Ann+Test@X.org"}))).await;
    let until = answer.body["banned_until"].as_u64().unwrap();
    let at = just_now(&json!(until - 604_800));
    let own = json!({"message": "User banned successfully", "user_email": ANN, "deleted_count": 0,
        "ban_duration_seconds": 604_800, "banned_until": until, "permanent": false, "reason": null, "deleted_by": ROOT});
    answer.is(200, &changed(own, &answer.body));
    assert_eq!(entry(&world, ANN).await.unwrap()["until"], until);

    let (key, mut redis) = (format!("active_user_deleted:{ANN}"), world.redis.client().shared());
    let record: String = redis.get(&key).await.unwrap();
    let ends: u64 = redis::cmd("EXPIRETIME").arg(&key).query_async(&mut redis).await.unwrap();
    assert_eq!((record, ends), (at.to_string(), until), "where the old gateway looks for it");
}

#[tokio::test]
async fn a_ban_says_how_many_sessions_it_ended() {
    let world = World::start().await;
    for (id, who) in [("s1", ANN), ("s2", "ANN+test@X.org"), ("s3", "bob@x.org")] {
        world.begin(id, who).await;
    }
    let ban = json!({"user_email": "Ann+TEST@x.org"});
    assert_eq!(world.root(Method::POST, BAN, Some(ban.clone())).await.body["deleted_count"], 2);
    assert_eq!(world.root(Method::POST, BAN, Some(ban)).await.body["deleted_count"], 0);
    let ended: Vec<String> = world.redis.client().shared().keys("sekisho:session:ended:*").await.unwrap();
    assert_eq!(ended.len(), 2, "{ended:?}");
}

#[tokio::test]
async fn a_ban_has_a_length_a_reason_or_no_end() {
    let world = World::start().await;
    let hour = json!({"user_email": ANN, "duration_seconds": 3_600, "reason": " spam "});
    let answer = world.root(Method::POST, BAN, Some(hour)).await.body;
    assert_eq!((&answer["ban_duration_seconds"], &answer["reason"]), (&json!(3_600), &json!("spam")));
    let answer = world.root(Method::POST, BAN, Some(json!({"user_email": ANN, "permanent": true}))).await.body;
    assert_eq!((&answer["ban_duration_seconds"], &answer["banned_until"]), (&Value::Null, &Value::Null));
    assert_eq!(entry(&world, ANN).await.unwrap()["until"], FOREVER);
    for bad in [
        json!({"user_email": "ann"}),
        json!({"user_email": ANN, "duration_seconds": 0}),
        json!({"user_email": ANN, "duration_seconds": 60, "permanent": true}),
        json!({"user_email": ANN, "reason": "a\nb"}),
    ] {
        world.root(Method::POST, BAN, Some(bad)).await.is_problem(400, "invalid_value");
    }
    world.root(Method::POST, BAN, Some(json!({}))).await.is_problem(400, "invalid_body");
}

#[tokio::test]
async fn a_plus_in_the_path_of_an_unban_means_itself() {
    let world = World::start().await;
    for spelling in ["ann+test@x.org", "ann%2Btest%40x.org", "ANN+test@X.org"] {
        world.root(Method::POST, BAN, Some(json!({"user_email": ANN}))).await;
        world.root(Method::DELETE, &unban("ann%20test@x.org"), None).await.is_problem(404, "not_banned");
        let answer = world.root(Method::DELETE, &unban(spelling), None).await;
        let own = json!({"message": "User unbanned successfully", "user_email": ANN, "unbanned_by": ROOT});
        answer.is(200, &changed(own, &answer.body));
        assert_eq!(entry(&world, ANN).await.unwrap()["until"], 0, "a lift is a versioned tombstone");
    }
    let none = world.root(Method::DELETE, &unban(ANN), None).await;
    none.is_problem(404, "not_banned");
    let expected = json!({"type": "about:blank", "title": "Not Found", "status": 404, "code": "not_banned",
        "detail": format!("{ANN} is not banned")});
    assert_eq!(none.body, expected);
}

#[tokio::test]
async fn a_ban_by_another_program_is_lifted_with_or_without_an_entry() {
    let world = World::start().await;
    let mut redis = world.redis.client().shared();
    let _: () = redis.set("active_user_deleted:Ann+Test@X.org", "1700000000").await.unwrap();
    assert_eq!(world.root(Method::DELETE, &unban(ANN), None).await.status, StatusCode::OK);
    assert!(!redis.exists::<_, bool>("active_user_deleted:Ann+Test@X.org").await.unwrap());
    world.root(Method::DELETE, &unban(ANN), None).await.is_problem(404, "not_banned");

    let _: () = redis.set("active_user_deleted:no-address", "1700000000").await.unwrap();
    assert_eq!(world.root(Method::DELETE, &unban("no-address"), None).await.status, StatusCode::OK);

    world.root(Method::POST, BAN, Some(json!({"user_email": ANN}))).await;
    let _: () = redis.del(format!("active_user_deleted:{ANN}")).await.unwrap();
    assert_eq!(world.root(Method::DELETE, &unban(ANN), None).await.status, StatusCode::OK, "an entry alone bars, too");
}

#[tokio::test]
async fn bans_are_listed_by_address_and_page_by_page() {
    let world = World::start().await;
    for who in ["carl@x.org", "ann@x.org", "bob@x.org"] {
        world.root(Method::POST, BAN, Some(json!({"user_email": who, "reason": "spam"}))).await;
    }
    world.root(Method::POST, BAN, Some(json!({"user_email": "gone@x.org"}))).await;
    world.root(Method::DELETE, &unban("gone@x.org"), None).await;
    let all = world.root(Method::GET, "/api/admin/bans", None).await.body;
    assert_eq!(keys(&all), ["bans", "count", "limit", "next_cursor"]);
    let names: Vec<&str> =
        all["bans"].as_array().unwrap().iter().map(|ban| ban["user_email"].as_str().unwrap()).collect();
    assert_eq!(names, ["ann@x.org", "bob@x.org", "carl@x.org"]);
    let ban = &all["bans"][0];
    assert_eq!((&ban["reason"], &ban["banned_by"], &ban["permanent"]), (&json!("spam"), &json!(ROOT), &json!(false)));
    assert!(ban["message"].as_str().unwrap().starts_with("User is banned for "), "{ban}");
    let page = world.root(Method::GET, "/api/admin/bans?limit=2", None).await.body;
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = world.root(Method::GET, &format!("/api/admin/bans?limit=2&cursor={cursor}"), None).await.body;
    assert_eq!((&rest["count"], &rest["bans"][0]["user_email"]), (&json!(1), &json!("carl@x.org")));
    assert_eq!(rest["next_cursor"], Value::Null);
}

#[tokio::test]
async fn a_ban_that_a_filter_has_not_applied_is_202_and_names_it() {
    let world = World::start().await;
    let workers = RedisWorkers::new(world.redis.client());
    workers.record(&mesh::presence(7, "envoy-1", 2, None), Start::Held).await.unwrap();
    let answer = world.root(Method::POST, BAN, Some(json!({"user_email": ANN}))).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!((&answer.body["workers"], &answer.body["acknowledged"]), (&json!(1), &json!(0)));
    assert_eq!(
        answer.body["lagging"],
        json!([{"replica": "07".repeat(16), "node": "envoy-1", "worker": 2, "version": 0}])
    );
    assert!(answer.body["elapsed_ms"].as_u64().unwrap() <= 1_000, "it waits no longer than it should");
}

#[tokio::test]
async fn bans_are_found_by_a_part_of_the_address_and_their_history_says_who_did_what() {
    let world = World::start().await;
    for who in ["ann@x.org", "bob@x.org", "Carl@y.org"] {
        let ban = json!({"user_email": who, "duration_seconds": 600, "reason": "spam"});
        world.root(Method::POST, "/api/admin/sessions/revoke-user", Some(ban)).await;
    }
    world.root(Method::DELETE, "/api/admin/sessions/unban/ann@x.org", None).await;
    let list = async |query: &str| world.root(Method::GET, &format!("/api/admin/bans{query}"), None).await.body;
    let names = |body: &Value| -> Vec<String> {
        let bans = body["bans"].as_array().unwrap().iter();
        bans.map(|ban| ban["user_email"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&list("?q=X.ORG").await), ["bob@x.org"]);
    let first = list("?q=org&limit=1").await;
    assert_eq!(names(&first), ["bob@x.org"]);
    let next = first["next_cursor"].as_str().unwrap();
    assert_eq!(names(&list(&format!("?q=org&limit=1&cursor={next}")).await), ["carl@y.org"]);
    assert!(names(&list("?q=%2A").await).is_empty());

    world.services.trail.carry().await.unwrap();
    let told = |body: &Value| -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        body["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| (text(&event["action"]), text(&event["target"])))
            .collect()
    };
    let of_ann = list("/history?user_email=Ann@x.org").await;
    let expected = [("ban.lifted", "ann@x.org"), ("ban.given", "ann@x.org")];
    assert_eq!(told(&of_ann), expected.map(|(action, target)| (action.to_owned(), target.to_owned())));
    assert_eq!(of_ann["events"][1]["actor"], ROOT);
    assert_eq!(of_ann["events"][1]["details"]["reason"], "spam");
    let all = list("/history?limit=3").await;
    assert_eq!(told(&all).len(), 3);
    let rest = list(&format!("/history?cursor={}", all["next_cursor"].as_str().unwrap())).await;
    assert_eq!(told(&rest), [("ban.given".to_owned(), "ann@x.org".to_owned())]);
    world.root(Method::GET, "/api/admin/bans/history?user_email=", None).await.is_problem(400, "invalid_value");
}
