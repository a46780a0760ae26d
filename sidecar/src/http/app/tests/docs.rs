//! The reference page.

use super::*;

#[tokio::test]
async fn the_reference_page_is_one_file_that_loads_nothing() {
    let world = World::start().await;
    let get = |known: Option<&str>| {
        let request =
            known.iter().fold(Request::get("/api/docs"), |request, tag| request.header("if-none-match", *tag));
        world.router.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    let answer = get(None).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
    assert_eq!(answer.headers()[header::CACHE_CONTROL], "no-cache");
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    for part in
        ["default-src 'none'", "style-src 'sha256-", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let tag = answer.headers()[header::ETAG].to_str().unwrap().to_owned();
    let page = axum::body::to_bytes(answer.into_body(), 1 << 22).await.unwrap();
    let page = String::from_utf8(page.to_vec()).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("<code>/api/token/generate</code>"));
    let same = get(Some(&tag)).await.unwrap();
    assert_eq!(
        (same.status(), same.headers()["content-security-policy"].to_str().unwrap()),
        (StatusCode::NOT_MODIFIED, &*policy)
    );
    if let Some(file) = std::env::var_os("SHOW") {
        std::fs::write(file, page).unwrap();
    }
}
