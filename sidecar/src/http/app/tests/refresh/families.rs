//! What follows for a whole family when one of its tokens is revoked, or shown after its exchange.

use super::*;
use crate::domain::audit::Outcome;
use crate::service::feed::registry::{Registry, Start};
use crate::store::redis::workers::RedisWorkers;

#[tokio::test]
async fn who_comes_with_an_exchanged_token_after_its_grace_time_ends_its_whole_family() {
    let world = World::start().await;
    let (first, other) = (id(&world.issue("n").await), id(&world.issue("other").await));
    let second = id(&refresh(&world, ANN, &first, json!({})).await.body);
    let third = id(&refresh(&world, ANN, &second, json!({})).await.body);
    shown(&world, &[&first]).await;
    assert_eq!(status(&world, &third).await, "active", "within the grace time nobody is a thief");
    later(&world, 301).await;
    for _ in 0..2 {
        shown(&world, &[&first]).await;
    }
    assert_eq!(status(&world, &third).await, "revoked");
    assert_eq!(status(&world, &other).await, "active", "another family");
    refresh(&world, ANN, &third, json!({})).await.is_problem(401, "unauthenticated");
    let events = events(&world, Action::TokenReused).await;
    assert_eq!(events.len(), 1, "reported once, however often it is shown");
    let event = &events[0];
    assert_eq!((event.outcome, event.target.as_deref()), (Outcome::Done, Some(ANN)));
    assert_eq!((&event.details["family"], &event.details["count"]), (&json!(first), &json!(1)));
}

#[tokio::test]
async fn a_worker_that_lags_behind_holds_up_no_other_family() {
    let world = World::start().await;
    let workers = RedisWorkers::new(world.redis.client());
    workers.record(&mesh::presence(7, "envoy-1", 2, None), Start::Held).await.unwrap();
    let (mut exchanged, mut successors) = (Vec::new(), Vec::new());
    for name in ["one", "other"] {
        let first = id(&world.issue(name).await);
        successors.push(id(&refresh(&world, ANN, &first, json!({})).await.body));
        exchanged.push(first);
    }
    later(&world, 301).await;
    world.services.tokens.shown(&exchanged).await.unwrap();
    assert_eq!(world.services.tokens.close_cases().await.unwrap(), 2);
    assert!(events(&world, Action::TokenReused).await.len() < 2, "the worker is still waited for");
    for successor in &successors {
        assert_eq!(status(&world, successor).await, "revoked");
    }
    let mut told = Vec::new();
    while told.len() < 2 {
        told = events(&world, Action::TokenReused).await;
    }
    for event in told {
        assert_eq!((&event.details["workers"], &event.details["lagging"]), (&json!(1), &json!(1)), "{event:?}");
    }
}

#[tokio::test]
async fn a_token_that_joins_its_family_while_that_is_being_revoked_is_not_good_either() {
    let world = World::start().await;
    let first = id(&world.issue("n").await);
    let second = id(&refresh(&world, ANN, &first, json!({})).await.body);
    // The family is sealed, and none of it is revoked yet.
    let _: () =
        world.redis.client().shared().zadd(format!("sekisho:token:members:{first}"), "!", "+inf").await.unwrap();
    refresh(&world, ANN, &second, json!({})).await.is_problem(409, "already_exchanged");
    let listed = world.user(Method::GET, "/api/token/list", None).await.body;
    let statuses: Vec<&str> =
        listed["tokens"].as_array().unwrap().iter().map(|token| token["status"].as_str().unwrap()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == "active").count(), 2, "only the two from before");
}

#[tokio::test]
async fn revoking_a_token_revokes_what_came_of_it_by_exchanges_and_not_what_was_generated_with_it() {
    let world = World::start().await;
    let first = id(&world.issue("laptop").await);
    let ci = generate_with(&world, &first).await;
    let second = id(&refresh(&world, ANN, &first, json!({})).await.body);
    let third = id(&refresh(&world, ANN, &second, json!({})).await.body);
    let ci_next = id(&refresh(&world, ANN, &ci, json!({})).await.body);
    let revoked = world.root(Method::DELETE, &format!("/api/admin/tokens/{first}"), None).await;
    assert_eq!(revoked.status, StatusCode::OK, "{}", revoked.body);
    assert_eq!(statuses(&world, &[&first, &second, &third]).await, ["revoked"; 3]);
    assert_eq!(statuses(&world, &[&ci, &ci_next]).await, ["active"; 2], "nobody wants the build to stop");
    let entry = format!("token|{third}");
    assert!(world.redis.client().shared().hexists::<_, _, bool>("sekisho:{feed}:entries", entry).await.unwrap());
    let events = events(&world, Action::TokenRevoked).await;
    assert_eq!((events.len(), &events[0].details["successors"]), (1, &json!(2)));
    shown(&world, &[&first, &second]).await;
    later(&world, 301).await;
    shown(&world, &[&first, &second]).await;
    assert_eq!(status(&world, &ci).await, "revoked", "it was exchanged, and its grace time is over");
    assert_eq!(status(&world, &ci_next).await, "active", "who comes with a token that its owner revoked is no thief");
}

#[tokio::test]
async fn a_token_that_is_exchanged_while_it_is_revoked_leaves_nothing_behind() {
    let world = World::with(&[("SEKISHO_TOKEN_REQUESTS_PER_MINUTE", "1000")]).await;
    for round in 0..30 {
        let token = id(&world.issue("n").await);
        let revoke = async {
            tokio::time::sleep(std::time::Duration::from_millis(round % 6)).await;
            world.root(Method::DELETE, &format!("/api/admin/tokens/{token}"), None).await
        };
        let body = json!({"token_name": "n"});
        let (refreshed, _, revoked) = tokio::join!(
            refresh(&world, ANN, &token, json!({})),
            call_with(&world, ANN, &token, "/api/token/refresh", body),
            revoke,
        );
        assert_eq!(revoked.status, StatusCode::OK, "{}", revoked.body);
        let listed = world.user(Method::GET, "/api/token/list", None).await.body;
        let left = listed["tokens"].as_array().unwrap().iter().filter(|token| token["status"] == "active").count();
        assert_eq!(left, 0, "round {round}: {}", refreshed.body);
    }
}

#[tokio::test]
async fn a_revocation_that_was_cut_short_is_finished_by_others() {
    let world = World::start().await;
    let first = id(&world.issue("n").await);
    let second = id(&refresh(&world, ANN, &first, json!({})).await.body);
    let mut redis = world.redis.client().shared();
    // Whoever began died before it wrote anything.
    let _: () = redis.zadd("sekisho:{tokens}:revoking", &first, UnixSeconds::now().get() + 10).await.unwrap();
    later(&world, 0).await;
    assert_eq!(statuses(&world, &[&first, &second]).await, ["active"; 2], "somebody is at it");
    later(&world, 11).await;
    assert_eq!(statuses(&world, &[&first, &second]).await, ["revoked"; 2]);
    assert!(!redis.exists::<_, bool>("sekisho:{tokens}:revoking").await.unwrap());
}

#[tokio::test]
async fn a_token_is_known_to_be_exchanged_as_soon_as_it_is_refused_for_that() {
    let world = World::start().await;
    let first = id(&world.issue("n").await);
    let second = id(&refresh(&world, ANN, &first, json!({})).await.body);
    let mut redis = world.redis.client().shared();
    world.redis.age_exchanges(301).await;
    // The record is written, and the feed can't be.
    let version: u64 = redis.get("sekisho:{feed}:version").await.unwrap_or(0);
    let _: () = redis.set("sekisho:{feed}:version", "none").await.unwrap();
    world.services.tokens.retire_exchanged().await.unwrap_err();
    let _: () = redis.set("sekisho:{feed}:version", version).await.unwrap();
    assert_eq!(statuses(&world, &[&first, &second]).await, ["revoked", "active"]);
    shown(&world, &[&first]).await;
    assert_eq!(status(&world, &second).await, "revoked");
    later(&world, 11).await;
    let entry = format!("token|{first}");
    assert!(redis.hexists::<_, _, bool>("sekisho:{feed}:entries", entry).await.unwrap(), "and it is finished");
}

#[tokio::test]
async fn a_token_that_was_shown_is_looked_at_until_that_succeeds() {
    let world = World::start().await;
    let first = id(&world.issue("n").await);
    refresh(&world, ANN, &first, json!({})).await;
    later(&world, 301).await;
    let (mut redis, key) = (world.redis.client().shared(), format!("sekisho:token:exchange:{first}"));
    let _: () = redis.rename(&key, "aside").await.unwrap();
    let _: () = redis.set(&key, "what can't be read").await.unwrap();
    let closing = CancellationToken::new();
    let (tokens, shown) = (world.services.tokens.clone(), world.services.shown.clone());
    let watch = tokio::spawn(crate::jobs::tokens::watch(tokens, shown.clone(), closing.clone()));
    shown.notice(&first);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let _: () = redis.rename("aside", &key).await.unwrap();
    for _ in 0..100 {
        if redis.exists::<_, bool>("sekisho:{tokens}:cases").await.unwrap() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(redis.zrange::<_, Vec<String>>("sekisho:{tokens}:cases", 0, -1).await.unwrap(), [first]);
    closing.cancel();
    watch.await.unwrap();
}

#[tokio::test]
async fn a_thief_keeps_nothing_that_was_generated_with_the_stolen_token() {
    let world = World::with(&[("SEKISHO_TOKEN_REQUESTS_PER_MINUTE", "1000")]).await;
    let (stolen, other) = (id(&world.issue("n").await), id(&world.issue("other").await));
    let laptop = id(&refresh(&world, ANN, &stolen, json!({})).await.body);
    let mut loot = vec![generate_with(&world, &stolen).await];
    for _ in 0..10 {
        let next = generate_with(&world, loot.last().unwrap()).await;
        let exchanged = id(&refresh(&world, ANN, &next, json!({})).await.body);
        loot.extend([next, exchanged]);
    }
    later(&world, 301).await;
    shown(&world, &[&stolen]).await;
    for token in loot.iter().chain([&stolen, &laptop]) {
        assert_eq!(status(&world, token).await, "revoked");
    }
    assert_eq!(status(&world, &other).await, "active");
    let last = loot.last().unwrap();
    call_with(&world, ANN, last, "/api/token/generate", json!({"token_name": "n"}))
        .await
        .is_problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_leak_of_what_was_generated_does_not_concern_the_token_with_which_it_was() {
    let world = World::start().await;
    let laptop = id(&world.issue("laptop").await);
    let (ci, other_ci) = (generate_with(&world, &laptop).await, generate_with(&world, &laptop).await);
    let ci_next = id(&refresh(&world, ANN, &ci, json!({})).await.body);
    later(&world, 301).await;
    shown(&world, &[&ci]).await;
    assert_eq!(status(&world, &ci_next).await, "revoked");
    assert_eq!(statuses(&world, &[&laptop, &other_ci]).await, ["active"; 2]);
}

#[tokio::test]
async fn nothing_is_generated_while_the_family_is_being_revoked() {
    let world = World::start().await;
    let first = id(&world.issue("n").await);
    let _: () =
        world.redis.client().shared().zadd(format!("sekisho:token:members:{first}"), "!+", "+inf").await.unwrap();
    let wish = json!({"token_name": "n"});
    call_with(&world, ANN, &first, "/api/token/generate", wish).await.is_problem(401, "unauthenticated");
    let listed = world.user(Method::GET, "/api/token/list", None).await.body;
    let active = listed["tokens"].as_array().unwrap().iter().filter(|token| token["status"] == "active").count();
    assert_eq!(active, 1, "only the one from before");
}

#[tokio::test]
async fn revoking_a_revoked_token_finishes_what_was_left_of_that_and_otherwise_changes_nothing() {
    let world = World::start().await;
    let (first, cut_short) = (id(&world.issue("n").await), id(&world.issue("n").await));
    let mut redis = world.redis.client().shared();
    let revoke = async |id: &str| {
        let answer = world.user(Method::POST, "/api/token/revoke", Some(json!({"token_id": id}))).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body["version"].as_u64().unwrap()
    };
    let version = revoke(&first).await;
    for _ in 0..3 {
        assert_eq!(revoke(&first).await, version);
        world.root(Method::DELETE, &format!("/api/admin/tokens/{first}"), None).await;
    }
    assert_eq!(events(&world, Action::TokenRevoked).await.len(), 1);
    assert_eq!(redis.get::<_, u64>("sekisho:{feed}:version").await.unwrap(), version);
    // Whoever revoked it died before the feed had it.
    let _: () = redis.set(format!("revoked:token:{cut_short}"), 1).await.unwrap();
    assert_eq!(revoke(&cut_short).await, version + 1);
    assert_eq!(revoke(&cut_short).await, version + 1);
    // A token that was revoked since its grace time was over: what came of it is good until its owner says otherwise.
    let old = id(&world.issue("n").await);
    let new = id(&refresh(&world, ANN, &old, json!({})).await.body);
    later(&world, 301).await;
    assert_eq!(statuses(&world, &[&old, &new]).await, ["revoked", "active"]);
    assert_eq!(revoke(&old).await, version + 4, "both are written");
    assert_eq!(status(&world, &new).await, "revoked");
}
