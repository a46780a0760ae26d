//! Exchanging tokens: what the caller gets, and how long the old one is good.

use super::*;
use crate::domain::audit::{Action, Event, Question};
use crate::domain::page::Window;

mod families;

/// A call to refresh by somebody who comes with this token.
async fn refresh(world: &World, who: &str, token_id: &str, body: Value) -> Answer {
    call_with(world, who, token_id, "/api/token/refresh", body).await
}

/// A call by somebody who comes with this token.
async fn call_with(world: &World, who: &str, token_id: &str, path: &str, body: Value) -> Answer {
    let issued_at = UnixSeconds::now().get() + 600;
    let own = json!({"email": who, "method": "jwt", "token_id": token_id, "token_issued_at": issued_at,
        "scopes": ["api:read", "api:write"]});
    let request = Request::post(path)
        .header("x-sekisho-identity", sign_own(MESH_SECRET, APP_AUDIENCE, who, own, 30))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    world.send(request).await
}

fn id(body: &Value) -> String {
    body["token_id"].as_str().unwrap().to_owned()
}

async fn status(world: &World, token_id: &str) -> Value {
    let answer = world.user(Method::GET, &format!("/api/token/info?token_id={token_id}"), None).await;
    answer.body["token_info"]["status"].clone()
}

/// What the job does, in so many seconds.
async fn later(world: &World, seconds: u64) {
    world.redis.age_exchanges(seconds).await;
    world.services.tokens.retire_exchanged().await.unwrap();
    world.services.tokens.close_cases().await.unwrap();
    world.services.tokens.finish_revocations().await.unwrap();
}

/// Somebody comes with these tokens, and the job sees to it.
async fn shown(world: &World, ids: &[&str]) {
    let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    world.services.tokens.shown(&ids).await.unwrap();
    later(world, 0).await;
}

/// A token that Ann makes with this one.
async fn generate_with(world: &World, token_id: &str) -> String {
    let answer = call_with(world, ANN, token_id, "/api/token/generate", json!({"token_name": "ci"})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    id(&answer.body)
}

async fn statuses(world: &World, ids: &[&str]) -> Vec<Value> {
    let mut all = Vec::new();
    for id in ids {
        all.push(status(world, id).await);
    }
    all
}

/// The events of this kind in the trail.
async fn events(world: &World, action: Action) -> Vec<Event> {
    world.services.trail.carry().await.unwrap();
    let question = Question { actions: vec![action], ..Question::default() };
    let rows = world.services.trail.list(&question, &Window::choose(None, None).unwrap()).await.unwrap().rows;
    rows.into_iter().map(|row| row.event).collect()
}

#[tokio::test]
async fn a_token_is_exchanged_for_one_like_it_and_the_old_one_is_good_for_a_grace_time() {
    let world = World::with(&[("SEKISHO_REFRESH_GRACE", "60")]).await;
    let wish = json!({"token_name": "laptop", "expires_in": 5_000, "scopes": ["api:read"]});
    let old = world.user(Method::POST, "/api/token/generate", Some(wish)).await.body;
    let answer = refresh(&world, ANN, &id(&old), json!({})).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let new = answer.body;
    let mut expected = keys(&old);
    expected.extend(["previous_expires_at", "previous_token_id"]);
    expected.sort_unstable();
    assert_eq!(keys(&new), expected);
    assert_ne!(new["token"], old["token"]);
    assert_eq!((&new["token_name"], &new["expires_in"]), (&json!("laptop"), &json!(5_000)));
    assert_eq!(new["previous_token_id"], old["token_id"]);
    let until = new["previous_expires_at"].as_u64().unwrap();
    assert!((55..=60).contains(&(until - UnixSeconds::now().get())), "{until}");
    later(&world, 30).await;
    assert_eq!(status(&world, &id(&old)).await, "active");
    later(&world, 31).await;
    assert_eq!(status(&world, &id(&old)).await, "revoked");
    assert_eq!(status(&world, &id(&new)).await, "active");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_within_the_grace_time_but_not_for_ever() {
    let world = World::start().await;
    let old = id(&world.issue("n").await);
    for _ in 0..5 {
        assert_eq!(refresh(&world, ANN, &old, json!({})).await.status, StatusCode::OK);
    }
    refresh(&world, ANN, &old, json!({})).await.is_problem(409, "already_exchanged");
    later(&world, 301).await;
    refresh(&world, ANN, &old, json!({})).await.is_problem(401, "unauthenticated");
}

#[tokio::test]
async fn only_a_token_of_this_api_that_is_the_callers_own_can_be_exchanged() {
    let world = World::start().await;
    let of_ann = id(&world.issue("n").await);
    refresh(&world, "bob@x.org", &of_ann, json!({})).await.is_problem(400, "not_exchangeable");
    refresh(&world, ANN, "unknown", json!({})).await.is_problem(400, "not_exchangeable");
    refresh(&world, ANN, "no id!", json!({})).await.is_problem(400, "not_exchangeable");
    refresh(&world, ANN, &of_ann, json!({"expires_in": 0})).await.is_problem(400, "invalid_value");
    world.user(Method::POST, "/api/token/revoke", Some(json!({"token_id": of_ann}))).await;
    refresh(&world, ANN, &of_ann, json!({})).await.is_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_family_gets_only_so_old() {
    let world = World::with(&[("SEKISHO_REFRESH_MAX_AGE", "3600")]).await;
    let first = id(&world.issue("n").await);
    let second = refresh(&world, ANN, &first, json!({"expires_in": 7_200})).await.body;
    assert!(second["expires_in"].as_u64().unwrap() <= 3_600, "{second}");
    let old = json!({"token_id": "old", "user_email": ANN, "token_name": "n", "scopes": ["api:read"], "created_at": 5,
        "expires_at": 9_999_999_999_u64});
    let _: () = world.redis.client().shared().set("token:info:old", old.to_string()).await.unwrap();
    refresh(&world, ANN, "old", json!({})).await.is_problem(403, "family_too_old");
}

#[tokio::test]
async fn somebody_with_as_many_tokens_as_allowed_gets_no_more_but_may_exchange_them() {
    let world = World::with(&[("SEKISHO_TOKENS_PER_USER", "2")]).await;
    let (one, two) = (id(&world.issue("1").await), id(&world.issue("2").await));
    let generate = || world.user(Method::POST, "/api/token/generate", Some(json!({"token_name": "3"})));
    generate().await.is_problem(409, "too_many_tokens");
    assert_eq!(refresh(&world, ANN, &one, json!({})).await.status, StatusCode::OK);
    generate().await.is_problem(409, "too_many_tokens");
    later(&world, 301).await;
    generate().await.is_problem(409, "too_many_tokens");
    world.user(Method::POST, "/api/token/revoke", Some(json!({"token_id": two}))).await;
    assert_eq!(generate().await.status, StatusCode::OK);
    let logout = json!({"user_email": ANN});
    world.root(Method::POST, "/api/admin/sessions/logout-user", Some(logout)).await;
    for _ in 0..2 {
        assert_eq!(generate().await.status, StatusCode::OK, "a logout frees all places");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_made_leaves_no_place_taken() {
    let world = World::with(&[("SEKISHO_TOKENS_PER_USER", "2")]).await;
    let old = id(&world.issue("n").await);
    let places = format!("sekisho:tokens:places:{ANN}");
    let mut redis = world.redis.client().shared();
    for _ in 0..5 {
        refresh(&world, ANN, &old, json!({})).await;
    }
    let before: Vec<String> = redis.zrange(&places, 0, -1).await.unwrap();
    assert_eq!(before.len(), 6);
    refresh(&world, ANN, &old, json!({})).await.is_problem(409, "already_exchanged");
    assert_eq!(redis.zrange::<_, Vec<String>>(&places, 0, -1).await.unwrap(), before);
}
