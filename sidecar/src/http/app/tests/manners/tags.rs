//! Tags of lists.

use super::*;

async fn get(world: &World, method: Method, path: &str, known: Option<&str>) -> Answer {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("x-sekisho-identity", assertion(ROOT, &["admin", "api:read"]));
    if let Some(known) = known {
        request = request.header(header::IF_NONE_MATCH, known);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

fn tag(answer: &Answer) -> String {
    answer.headers[header::ETAG].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn whoever_polls_a_list_is_told_in_a_few_bytes_that_it_is_the_same() {
    let world = World::start().await;
    let there = world.neighbour(&[]);
    for path in ["/api/token/list", "/api/admin/tokens", "/api/openapi.json"] {
        let first = get(&world, Method::GET, path, None).await;
        assert_eq!(first.status, StatusCode::OK, "{path}");
        let tag = tag(&first);
        assert!(tag.starts_with('"') && tag.len() > 20, "{path}: a strong tag: {tag}");
        for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".into()] {
            let same = get(&there, Method::GET, path, Some(&known)).await;
            assert_eq!((same.status, same.body), (StatusCode::NOT_MODIFIED, Value::Null), "{path} {known}");
            assert_eq!(same.headers[header::ETAG], tag);
            for name in [header::CACHE_CONTROL, header::CONTENT_SECURITY_POLICY, header::REFERRER_POLICY] {
                assert_eq!(same.headers.get(&name), first.headers.get(&name), "{path} {name}");
            }
            assert!(!same.headers.contains_key(header::CONTENT_TYPE), "{path}");
        }
        let head = get(&world, Method::HEAD, path, None).await;
        assert_eq!((head.status, self::tag(&head)), (StatusCode::OK, tag), "{path}");
        let other = get(&world, Method::GET, path, Some("\"x\"")).await;
        assert_eq!((other.status, &other.body), (StatusCode::OK, &first.body), "{path}");
    }
}

#[tokio::test]
async fn a_list_that_changed_has_another_tag() {
    let world = World::start().await;
    let before = tag(&get(&world, Method::GET, "/api/admin/tokens", None).await);
    world.issue("n").await;
    let after = get(&world, Method::GET, "/api/admin/tokens", Some(&before)).await;
    assert_eq!(after.status, StatusCode::OK);
    assert_ne!(tag(&after), before);
}

#[tokio::test]
async fn what_tells_the_time_and_what_is_refused_has_no_tag() {
    let world = World::start().await;
    for path in ["/api/admin/bans", "/api/admin/mesh", "/api/admin/keys", "/health"] {
        let answer = get(&world, Method::GET, path, Some("*")).await;
        assert_eq!((answer.status, answer.headers.get(header::ETAG)), (StatusCode::OK, None), "{path}");
    }
    let refused = world.user(Method::GET, "/api/admin/tokens", None).await;
    assert_eq!((refused.status, refused.headers.get(header::ETAG)), (StatusCode::FORBIDDEN, None));
    let missing = world.user(Method::GET, "/api/token/info?token_id=none", None).await;
    assert_eq!((missing.status, missing.headers.get(header::ETAG)), (StatusCode::NOT_FOUND, None));
}
