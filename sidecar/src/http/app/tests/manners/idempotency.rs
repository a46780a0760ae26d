//! Calls that are sent twice and carried out once.

use std::sync::Arc;

use super::*;
use crate::domain::idempotency::{BODY_MAX_BYTES, Fingerprint, KeptAnswer, Slot};
use crate::domain::seal::SealingKey;
use crate::service::idempotency::{Begun, Idempotency};
use crate::store::redis::answers::RedisAnswers;

fn keyed(key: &str) -> Builder {
    post(GENERATE).header("idempotency-key", key)
}

fn named(name: &str) -> Value {
    json!({"token_name": name})
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

#[tokio::test]
async fn a_call_that_is_sent_again_gets_the_first_answer_from_any_sidecar() {
    let world = World::start().await;
    let first = world.send(with(keyed("k"), &named("n"))).await;
    assert_eq!((first.status, is_replayed(&first)), (StatusCode::OK, false));
    for sidecar in [&world, &world.neighbour(&[])] {
        let again = sidecar.send(with(keyed("k"), &named("n"))).await;
        assert_eq!((again.status, is_replayed(&again)), (StatusCode::OK, true));
        assert_eq!(again.body, first.body, "the token, too");
        assert_eq!(again.media_type, first.media_type);
        assert_eq!(again.headers["x-content-type-options"], "nosniff");
        assert_eq!(again.headers[header::CACHE_CONTROL], "no-store");
    }
    assert_eq!(world.tokens().await, 1);
    let other = world.send(with(keyed("other"), &named("n"))).await;
    assert_ne!(other.body["token_id"], first.body["token_id"]);
    assert_eq!(world.tokens().await, 2);
}

#[tokio::test]
async fn a_key_belongs_to_one_call_of_one_caller() {
    let world = World::start().await;
    world.send(with(keyed("k"), &named("n"))).await;
    world.send(with(keyed("k"), &named("m"))).await.is_problem(422, "idempotency_key_reused");
    let revoke = post("/api/token/revoke").header("idempotency-key", "k");
    world.send(with(revoke, &named("n"))).await.is_problem(422, "idempotency_key_reused");
    let queried = post("/api/token/generate?a=b").header("idempotency-key", "k");
    world.send(with(queried, &named("n"))).await.is_problem(422, "idempotency_key_reused");
    // A weaker credential of the same person must not get what a stronger one got.
    let weaker = Request::post(GENERATE)
        .header("x-sekisho-identity", assertion(ANN, &["api:read"]))
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", "k");
    world.send(with(weaker, &named("n"))).await.is_problem(422, "idempotency_key_reused");
    let bob = world.send(with(post_of("bob@x.org", GENERATE).header("idempotency-key", "k"), &named("n"))).await;
    assert_eq!((bob.status, &bob.body["user_email"]), (StatusCode::OK, &json!("bob@x.org")));
    assert!(!is_replayed(&bob));
}

#[tokio::test]
async fn of_calls_at_the_same_time_on_two_sidecars_one_is_carried_out() {
    let (here, body) = (World::start().await, named("n"));
    let there = here.neighbour(&[]);
    for round in 0..10 {
        let key = format!("k{round}");
        let calls = (0..6).map(|call| {
            let sidecar = if call % 2 == 0 { &here } else { &there };
            sidecar.send(with(keyed(&key), &body))
        });
        let answers = futures_util::future::join_all(calls).await;
        let (done, waiting): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == StatusCode::OK);
        assert_eq!(done.iter().filter(|answer| !is_replayed(answer)).count(), 1, "round {round}");
        assert!(done.iter().all(|answer| answer.body == done[0].body));
        for answer in waiting {
            answer.is_problem(409, "idempotency_in_progress");
            assert_eq!(answer.headers[header::RETRY_AFTER], "1");
        }
        let again = there.send(with(keyed(&key), &body)).await;
        assert_eq!((again.status, is_replayed(&again)), (StatusCode::OK, true));
    }
    assert_eq!(here.tokens().await, 10);
}

#[tokio::test]
async fn a_refusal_is_kept_and_a_failure_is_not() {
    let world = World::start().await;
    world.send(with(keyed("bad"), &named(""))).await.is_problem(400, "invalid_value");
    let again = world.send(with(keyed("bad"), &named(""))).await;
    again.is_problem(400, "invalid_value");
    assert!(is_replayed(&again));

    // Something else stands where the keys should be, so nothing can be signed.
    let mut redis = world.redis.client().shared();
    let _: () = redis.set("sekisho:signing_keys", "in the way").await.unwrap();
    let failed = world.send(with(keyed("k"), &named("n"))).await;
    assert!(failed.status.is_server_error(), "{}", failed.body);
    let _: () = redis.del("sekisho:signing_keys").await.unwrap();
    let done = world.send(with(keyed("k"), &named("n"))).await;
    assert_eq!((done.status, is_replayed(&done)), (StatusCode::OK, false), "{}", done.body);
}

#[tokio::test]
async fn who_may_make_an_admin_call_is_looked_up_again_before_its_answer_is_told_again() {
    let world = World::start().await;
    let mut redis = world.redis.client().shared();
    let ban = || {
        let request = Request::post("/api/admin/sessions/revoke-user");
        let request = request.header("x-sekisho-identity", assertion("new@x.org", &["admin"]));
        let request = request.header(header::CONTENT_TYPE, "application/json").header("idempotency-key", "k");
        with(request, &json!({"user_email": ANN}))
    };
    let refused = world.send(ban()).await;
    assert_eq!((refused.status, is_replayed(&refused)), (StatusCode::FORBIDDEN, false));
    let _: () = redis.sadd("admin:emails", "new@x.org").await.unwrap();
    for replayed in [false, true] {
        let banned = world.send(ban()).await;
        assert_eq!((banned.status, is_replayed(&banned)), (StatusCode::OK, replayed), "{}", banned.body);
    }
    let _: () = redis.srem("admin:emails", "new@x.org").await.unwrap();
    let _: () = redis.sadd("sekisho:auditor:emails", "new@x.org").await.unwrap();
    world.send(ban()).await.is_problem(422, "idempotency_key_reused");
    let _: () = redis.srem("sekisho:auditor:emails", "new@x.org").await.unwrap();
    assert_eq!(world.send(ban()).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn redis_never_sees_a_token_that_it_keeps() {
    let world = World::start().await;
    let answer = world.send(with(keyed("k"), &named("n"))).await;
    let (token, id) = (answer.body["token"].as_str().unwrap(), answer.body["token_id"].as_str().unwrap());
    let mut redis = world.redis.client().shared();
    let keys: Vec<String> = redis.keys("*").await.unwrap();
    let mut dumps = Vec::new();
    for key in &keys {
        let dump: Vec<u8> = redis::cmd("DUMP").arg(key).query_async(&mut redis).await.unwrap();
        dumps.push([key.as_bytes(), &dump].concat());
    }
    let holds = |text: &str| dumps.iter().any(|dump| dump.windows(text.len()).any(|part| part == text.as_bytes()));
    assert!(keys.iter().any(|key| key.starts_with("sekisho:answers:")), "{keys:?}");
    assert!(holds(id), "the search finds what is there");
    for part in token.split('.') {
        assert!(!holds(part), "a part of the token is in Redis");
    }
}

#[tokio::test]
async fn whoever_died_with_a_call_keeps_its_key_for_seconds_only() {
    let world = World::start().await;
    world.send(with(keyed("k"), &named("n"))).await;
    let mut redis = world.redis.client().shared();
    let keys: Vec<String> = redis.keys("sekisho:answers:*:*").await.unwrap();
    let [call] = keys.as_slice() else { panic!("{keys:?}") };
    // As a sidecar that carries the call out would have it.
    let _: () = redis.hdel(call, "answer").await.unwrap();
    let _: () = redis.hset(call, "claim", "of a sidecar that died").await.unwrap();
    world.send(with(keyed("k"), &named("n"))).await.is_problem(409, "idempotency_in_progress");
    let _: () = redis.pexpire(call, 1).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    let again = world.send(with(keyed("k"), &named("n"))).await;
    assert_eq!((again.status, is_replayed(&again)), (StatusCode::OK, false));
}

#[tokio::test]
async fn a_caller_who_goes_away_finds_the_answer_later() {
    let world = World::start().await;
    let sent = world.send(with(keyed("k"), &named("n")));
    // The client is gone as soon as its call was begun.
    let mut redis = world.redis.client().shared();
    tokio::select! {
        biased;
        () = async {
            while redis.keys::<_, Vec<String>>("sekisho:answers:*:*").await.unwrap().is_empty() {}
        } => {}
        _ = sent => {}
    }
    let answer = loop {
        let answer = world.send(with(keyed("k"), &named("n"))).await;
        if answer.status == StatusCode::OK {
            break answer;
        }
        answer.is_problem(409, "idempotency_in_progress");
    };
    assert!(is_replayed(&answer));
    assert_eq!(world.tokens().await, 1);
}

#[tokio::test]
async fn what_is_no_key_is_refused_and_nothing_is_done() {
    let world = World::start().await;
    for keys in [&["a", "b"][..], &["a", "a"], &["a\tb"], &[&"k".repeat(256)], &[""]] {
        let request = keys.iter().fold(post(GENERATE), |request, key| request.header("idempotency-key", *key));
        world.send(with(request, &named("n"))).await.is_problem(400, "invalid_value");
    }
    assert_eq!(world.tokens().await, 0);
    let large = keyed("k").body(Body::from("x".repeat(70_000))).unwrap();
    world.send(large).await.is_problem(413, "too_large");
    let nobody = Request::post(GENERATE).header("idempotency-key", "k").body(Body::empty()).unwrap();
    world.send(nobody).await.is_problem(401, "unauthenticated");
    let ban =
        with(post("/api/admin/sessions/revoke-user").header("idempotency-key", "ban"), &json!({"user_email": ANN}));
    let refused = world.send(ban).await;
    assert_eq!((refused.status, &refused.body["error"]), (StatusCode::FORBIDDEN, &json!("Admin access only")));
}

#[tokio::test]
async fn an_answer_that_can_not_be_told_again_keeps_the_call_from_being_made_again() {
    let world = World::start().await;
    let store = Arc::new(RedisAnswers::new(world.redis.client()));
    let sealed_under = |byte| Idempotency::new(store.clone(), SealingKey::new(&[byte; 32]));
    let print = Fingerprint::from_text("a");
    for (key, bytes, other, is_told) in
        [("small", BODY_MAX_BYTES, 1, true), ("large", BODY_MAX_BYTES + 1, 1, false), ("other secret", 1, 2, false)]
    {
        let slot = Slot { caller: "ann".into(), key: key.into() };
        let Begun::Mine(claim) = sealed_under(1).begin(slot.clone(), &print).await.unwrap() else { panic!("{key}") };
        let answer = KeptAnswer { status: 200, headers: vec![], body: vec![b'x'; bytes].into() };
        claim.keep(&answer).await;
        match sealed_under(other).begin(slot, &print).await {
            Ok(Begun::Answered(told)) => assert!(is_told && told == answer, "{key}"),
            Err(failure) => assert!(!is_told && failure.code() == "idempotency_answer_lost", "{key}: {failure}"),
            Ok(Begun::Mine(_)) => panic!("{key}: it would be carried out again"),
        }
    }
}
