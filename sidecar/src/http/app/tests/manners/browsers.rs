//! What keeps pages of other sites out.

use super::*;

#[tokio::test]
async fn e7_a_page_of_another_site_changes_nothing() {
    let world = World::start().await;
    let name = json!({"token_name": "n"});
    for (header, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example"), ("cookie", "s=1")] {
        let request = post(GENERATE).header("host", "sekisho.localhost").header(header, value);
        world.send(with(request, &name)).await.is_problem(403, "cross_site");
    }
    assert_eq!(world.tokens().await, 0);
    for (header, value) in [("sec-fetch-site", "same-origin"), ("origin", "http://sekisho.localhost:8080")] {
        let request = post(GENERATE).header("host", "sekisho.localhost").header(header, value).header("cookie", "s=1");
        assert_eq!(world.send(with(request, &name)).await.status, StatusCode::OK, "{header}");
    }
    let read = Request::get("/health").header("sec-fetch-site", "cross-site").header("cookie", "s=1");
    assert_eq!(world.send(read.body(Body::empty()).unwrap()).await.status, StatusCode::OK, "reading is no change");
}

#[tokio::test]
async fn every_answer_bears_the_headers_for_browsers() {
    let world = World::start().await;
    let answers = [
        world.user(Method::GET, "/api/token/list", None).await,
        world.user(Method::GET, "/api/nothing", None).await,
        world.user(Method::PUT, "/api/token/list", None).await,
        world.user(Method::POST, GENERATE, Some(json!({}))).await,
        world.user(Method::GET, "/api/admin/bans", None).await,
        world.send(Request::get("/health").body(Body::empty()).unwrap()).await,
        world.send(Request::get("/api/token/list").body(Body::empty()).unwrap()).await,
        world.send(Request::post(GENERATE).header("cookie", "s=1").body(Body::empty()).unwrap()).await,
        world.send(Request::get("/api/openapi.json").body(Body::empty()).unwrap()).await,
        world.send(Request::get("/.well-known/jwks.json").body(Body::empty()).unwrap()).await,
    ];
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses, [200, 404, 405, 400, 403, 200, 401, 403, 200, 200]);
    for answer in &answers {
        for (name, expected) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            let values: Vec<_> = answer.headers.get_all(name).iter().collect();
            assert_eq!(values, [expected], "{name} of {}: {}", answer.status, answer.body);
        }
    }
    let caching: Vec<_> =
        answers.iter().map(|answer| answer.headers[header::CACHE_CONTROL].to_str().unwrap()).collect();
    assert_eq!(caching[..9], ["no-store"; 9]);
    assert_eq!(caching[9], "public, max-age=300", "public keys are everybody's");
}
