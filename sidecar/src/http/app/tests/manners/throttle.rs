//! Limits on requests for tokens.

use super::*;

const THREE: [(&str, &str); 1] = [("SEKISHO_TOKEN_REQUESTS_PER_MINUTE", "3")];

#[tokio::test]
async fn a_caller_gets_so_many_tokens_a_minute_over_all_sidecars() {
    let here = World::with(&THREE).await;
    let (there, name) = (here.neighbour(&THREE), json!({"token_name": "n"}));
    for (sidecar, left) in [(&here, 2), (&there, 1), (&here, 0)] {
        let answer = sidecar.send(with(post(GENERATE), &name)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.headers["ratelimit-policy"], "\"tokens\";q=3;w=60");
        let told = answer.headers["ratelimit"].to_str().unwrap();
        assert!(told.starts_with(&format!("\"tokens\";r={left};t=")), "{told}");
    }
    for sidecar in [&here, &there] {
        let refused = sidecar.send(with(post(GENERATE), &name)).await;
        refused.is_problem(429, "too_many_requests");
        let retry_after: u32 = refused.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=20).contains(&retry_after), "{retry_after}");
        assert!(refused.headers.contains_key("ratelimit"));
    }
    assert_eq!(here.tokens().await, 3, "other calls are not counted");
    let bob = here.send(with(post_of("bob@x.org", GENERATE), &name)).await;
    assert_eq!(bob.status, StatusCode::OK, "others have their own limit");
}

#[tokio::test]
async fn a_refusal_of_today_is_not_the_answer_of_tomorrow() {
    let world = World::with(&THREE).await;
    let name = json!({"token_name": "n"});
    for _ in 0..3 {
        world.send(with(post(GENERATE), &name)).await;
    }
    let request = || with(post(GENERATE).header("idempotency-key", "k"), &name);
    world.send(request()).await.is_problem(429, "too_many_requests");
    let mut redis = world.redis.client().shared();
    let counts: Vec<String> = redis.keys("sekisho:rate:*").await.unwrap();
    let _: () = redis.del(counts).await.unwrap();
    assert_eq!(world.send(request()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_call_that_is_sent_again_is_not_counted_again() {
    let world = World::with(&THREE).await;
    for _ in 0..5 {
        let request = with(post(GENERATE).header("idempotency-key", "k"), &json!({"token_name": "n"}));
        let answer = world.send(request).await;
        assert_eq!(answer.status, StatusCode::OK);
        let is_first = !answer.headers.contains_key("idempotency-replayed");
        assert_eq!(answer.headers.contains_key("ratelimit"), is_first, "what was left then says nothing now");
    }
    let answer = world.send(with(post(GENERATE), &json!({"token_name": "n"}))).await;
    assert!(answer.headers["ratelimit"].to_str().unwrap().contains("r=1;"), "{:?}", answer.headers);
}

#[tokio::test]
async fn who_is_nobody_is_not_counted() {
    let world = World::with(&THREE).await;
    for _ in 0..5 {
        let nobody = Request::post(GENERATE).body(Body::empty()).unwrap();
        world.send(nobody).await.is_problem(401, "unauthenticated");
    }
    let mut redis = world.redis.client().shared();
    assert_eq!(redis.keys::<_, Vec<String>>("sekisho:rate:*").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn revocations_are_counted_apart_and_a_thief_uses_up_nobody_elses() {
    let world = World::with(&THREE).await;
    let revoke = async |token_id: Option<&str>| {
        let issued_at = crate::domain::time::UnixSeconds::now().get() + 600;
        let own = json!({"email": ANN, "method": "jwt", "token_id": token_id, "token_issued_at": issued_at,
            "scopes": ["api:read"]});
        let request = Request::post("/api/token/revoke")
            .header("x-sekisho-identity", sign_own(MESH_SECRET, APP_AUDIENCE, ANN, own, 30))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(json!({"token_id": "none"}).to_string()))
            .unwrap();
        world.send(request).await
    };
    for _ in 0..3 {
        let answer = revoke(Some("stolen")).await;
        answer.is_problem(404, "token_not_found");
        assert_eq!(answer.headers["ratelimit-policy"], "\"revocations\";q=3;w=60");
    }
    revoke(Some("stolen")).await.is_problem(429, "too_many_requests");
    revoke(None).await.is_problem(404, "token_not_found");
    let answer = world.send(with(post(GENERATE), &json!({"token_name": "n"}))).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
}
