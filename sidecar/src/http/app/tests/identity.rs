//! Who is believed, and who may administer.

use super::*;

/// A call with these headers and nothing else that says who it is.
async fn with_headers(world: &World, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get("/api/token/list");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn only_the_filters_own_assertion_for_this_api_is_believed() {
    let world = World::start().await;
    let good = assertion(ANN, &["api:read"]);
    assert_eq!(with_headers(&world, &[("x-sekisho-identity", &good)]).await.status, StatusCode::OK);

    let tampered = format!("{}x", &good[..good.len() - 1]);
    let other_key = sign("another mesh secret of more than 32 bytes", APP_AUDIENCE, ANN, &["api:read"], 30);
    let other_audience = sign(MESH_SECRET, "sample-upstream", ANN, &["api:read"], 30);
    let too_long_a_life = sign(MESH_SECRET, APP_AUDIENCE, ANN, &["api:read"], 31);
    for (what, assertion) in [
        ("nothing", ""),
        ("no JWT", "ann@x.org"),
        ("a tampered signature", &tampered),
        ("another mesh's key", &other_key),
        ("an assertion for an upstream", &other_audience),
        ("one that lives too long", &too_long_a_life),
    ] {
        let answer = with_headers(&world, &[("x-sekisho-identity", assertion)]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
        answer.is_problem(401, "unauthenticated");
        assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
    }
}

#[tokio::test]
async fn an_expired_assertion_is_refused_and_so_is_one_without_an_end() {
    let world = World::start().await;
    let key = HS256Key::from_bytes(&app_identity_key(MESH_SECRET.as_bytes()));
    let own = json!({"email": ANN, "method": "jwt", "scopes": ["api:read"]});
    let base = || {
        Claims::with_custom_claims(own.clone(), Duration::from_secs(30))
            .with_issuer(ISSUER)
            .with_audience(APP_AUDIENCE)
            .with_subject(ANN)
    };
    let mut expired = base();
    expired.issued_at = expired.issued_at.map(|at| at - Duration::from_secs(60));
    expired.expires_at = expired.expires_at.map(|at| at - Duration::from_secs(60));
    let mut endless = base();
    endless.expires_at = None;
    let mut ageless = base();
    ageless.issued_at = None;
    let several = base().with_audiences([APP_AUDIENCE, "sample-upstream"].map(str::to_owned).into_iter().collect());
    for (what, claims) in
        [("expired", expired), ("no exp", endless), ("no iat", ageless), ("several audiences", several)]
    {
        let assertion = authenticate(&key, claims);
        let answer = with_headers(&world, &[("x-sekisho-identity", &assertion)]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
    }
}

#[tokio::test]
async fn rfc_8725_3_11_what_does_not_say_that_it_is_an_assertion_is_none() {
    let world = World::start().await;
    let key = HS256Key::from_bytes(&app_identity_key(MESH_SECRET.as_bytes()));
    let own = json!({"email": ANN, "method": "jwt", "scopes": ["api:read"]});
    let claims = || {
        Claims::with_custom_claims(own.clone(), Duration::from_secs(30))
            .with_issuer(ISSUER)
            .with_audience(APP_AUDIENCE)
            .with_subject(ANN)
    };
    let plain = key.authenticate(claims()).unwrap();
    for (assertion, expected) in [(authenticate(&key, claims()), 200), (plain, 401)] {
        let answer = with_headers(&world, &[("x-sekisho-identity", &assertion)]).await;
        assert_eq!(answer.status.as_u16(), expected, "{}", answer.body);
    }
}

#[tokio::test]
async fn a_header_that_anybody_could_send_is_no_identity() {
    let world = World::start().await;
    for name in ["x-forwarded-email", "x-auth-request-email", "x-authenticated-email", "remote-user"] {
        with_headers(&world, &[(name, ANN)]).await.is_problem(401, "unauthenticated");
    }
    // The user's own token is no assertion either, even when it is validly signed.
    let token = world.issue("n").await;
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    with_headers(&world, &[("authorization", &bearer)]).await.is_problem(401, "unauthenticated");
    with_headers(&world, &[("x-sekisho-identity", token["token"].as_str().unwrap())])
        .await
        .is_problem(401, "unauthenticated");
}

#[tokio::test]
async fn e4_two_identities_are_none() {
    let world = World::start().await;
    let (ann, root) = (assertion(ANN, &["api:read"]), assertion(ROOT, &["admin"]));
    let twice = [("x-sekisho-identity", ann.as_str()), ("x-sekisho-identity", root.as_str())];
    with_headers(&world, &twice).await.is_problem(400, "repeated_identity");
}

#[tokio::test]
async fn e7_admin_calls_need_the_role_and_the_scope() {
    let world = World::with(&[("ADMIN_EMAILS", "Second@x.org"), ("ADMIN_DOMAINS", "ops.example")]).await;
    let mut redis = world.redis.client().shared();
    let _: () = redis.sadd("admin:emails", "Added@X.org").await.unwrap();
    for (who, scopes, expected) in [
        (ROOT, &["admin"][..], 200),
        ("second@x.org", &["admin"], 200),
        ("anybody@ops.example", &["admin"], 200),
        ("added@x.org", &["admin"], 200),
        (ROOT, &["api:read", "api:write"], 403),
        ("added@x.org", &[], 403),
        (ANN, &["admin"], 403),
    ] {
        let answer = world.call(who, scopes, Method::GET, "/api/admin/tokens", None).await;
        assert_eq!(answer.status.as_u16(), expected, "{who} {scopes:?}");
        if expected == 403 {
            assert_eq!(answer.body, json!({"error": "Admin access only", "user": who}));
            assert_eq!(answer.media_type, "application/json");
        }
    }
    let _: () = redis.del("admin:emails").await.unwrap();
    let answer = world.call("added@x.org", &["admin"], Method::GET, "/api/admin/tokens", None).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "the role is looked up for each call");
}

#[tokio::test]
async fn every_admin_call_is_for_administrators() {
    let world = World::start().await;
    for (method, path) in [
        (Method::GET, "/api/admin/tokens"),
        (Method::GET, "/api/admin/tokens/ann@x.org"),
        (Method::DELETE, "/api/admin/tokens/t"),
        (Method::POST, "/api/admin/tokens/revoke-user"),
        (Method::GET, "/api/admin/bans"),
        (Method::POST, "/api/admin/sessions/revoke-user"),
        (Method::DELETE, "/api/admin/sessions/unban/ann@x.org"),
        (Method::POST, "/api/admin/sessions/logout-user"),
    ] {
        // Without a body: who may not call learns nothing about how to.
        let answer = world.user(method.clone(), path, None).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
        let request = Request::builder().method(method.clone()).uri(path).body(Body::empty()).unwrap();
        assert_eq!(world.send(request).await.status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
}
