//! Each call of the description, by each role: what reads admits auditors, what changes something does not.

use super::*;

/// An admin call of the description, with something in each variable part.
struct Call {
    method: Method,
    path: String,
    is_for_super_admins: bool,
}

/// All of them. What a new call must be like is thus decided here, not where it is written.
fn calls() -> Vec<Call> {
    let described: Value = serde_json::from_str(&super::super::document::text().unwrap()).unwrap();
    let mut calls = Vec::new();
    for (template, operations) in described["paths"].as_object().unwrap() {
        if !template.starts_with("/api/admin/") {
            continue;
        }
        for name in operations.as_object().unwrap().keys() {
            let Ok(method) = name.to_uppercase().parse::<Method>() else { panic!("{template}: {name}") };
            let mut path = template.clone();
            while let (Some(open), Some(close)) = (path.find('{'), path.find('}')) {
                path.replace_range(open..=close, "ann@x.org");
            }
            let is_of_super_admins = ["/api/admin/manage", "/api/admin/keys"].iter().any(|of| template.starts_with(of));
            let is_for_super_admins = is_of_super_admins && method != Method::GET;
            calls.push(Call { method, path, is_for_super_admins });
        }
    }
    assert!(calls.len() > 15, "{}", calls.len());
    calls
}

#[tokio::test]
async fn auditors_may_make_every_call_that_reads_and_none_that_changes_something() {
    let world = World::with(&[("SEKISHO_AUDITOR_EMAILS", "eve@x.org")]).await;
    let mut redis = world.redis.client().shared();
    let _: () = redis.sadd("sekisho:auditor:emails", "added@x.org").await.unwrap();
    for Call { method, path, .. } in calls() {
        for who in ["eve@x.org", "added@x.org"] {
            let answer = world.call(who, &["admin"], method.clone(), &path, None).await;
            if method == Method::GET {
                assert!(!matches!(answer.status.as_u16(), 401 | 403 | 405), "{method} {path}: {}", answer.body);
            } else {
                answer.is(403, &json!({"error": "Admin access only", "user": who}));
            }
            let without_scope = world.call(who, &["api:read"], method.clone(), &path, None).await;
            assert_eq!(without_scope.status, StatusCode::FORBIDDEN, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn administrators_may_make_every_call_but_those_of_super_administrators() {
    let world = World::with(&[("ADMIN_EMAILS", "admin@x.org")]).await;
    for Call { method, path, is_for_super_admins } in calls() {
        let answer = world.call("admin@x.org", &["admin"], method.clone(), &path, None).await;
        if is_for_super_admins {
            answer.is_problem(403, "super_admin_only");
        } else {
            assert!(!matches!(answer.status.as_u16(), 401 | 403 | 405), "{method} {path}: {}", answer.body);
        }
        let root = world.root(method.clone(), &path, None).await;
        assert!(!matches!(root.status.as_u16(), 401 | 403 | 405), "{method} {path}: {}", root.body);
        let stranger = world.call(ANN, &["admin"], method.clone(), &path, None).await;
        stranger.is(403, &json!({"error": "Admin access only", "user": ANN}));
        let nobody = Request::builder().method(&method).uri(&path).body(Body::empty()).unwrap();
        assert_eq!(world.send(nobody).await.status, StatusCode::UNAUTHORIZED, "{method} {path}");
    }
}

/// The commands that Redis ran since it started, as its statistics name them.
async fn commands(world: &World) -> String {
    redis::cmd("INFO").arg("commandstats").query_async(&mut world.redis.client().shared()).await.unwrap()
}

#[tokio::test]
async fn no_call_has_redis_list_all_its_keys_in_one_command() {
    let world = World::start().await;
    old_tokens(&world).await;
    let mut redis = world.redis.client().shared();
    let _: () = redis.sadd("active_users", ANN).await.unwrap();
    for Call { method, path, .. } in calls() {
        let body = (method == Method::POST).then(|| json!({"user_email": ANN, "email": ANN, "algorithm": "EdDSA"}));
        world.root(method, &path, body).await;
    }
    for (method, path, body) in [
        (Method::GET, "/api/token/list", None),
        (Method::GET, "/api/token/info?token_id=t1", None),
        (Method::POST, "/api/token/generate", Some(json!({"token_name": "n"}))),
        (Method::POST, "/api/token/revoke", Some(json!({"token_id": "t1"}))),
    ] {
        let answer = world.user(method, path, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
    }
    let now = UnixSeconds::now();
    world.services.tokens.tidy(now).await.unwrap();
    world.services.active_users.tidy(now).await.unwrap();
    let ran = commands(&world).await;
    assert!(ran.contains("cmdstat_scan:") && !ran.contains("cmdstat_keys:"), "{ran}");
    let _: Vec<String> = redis.keys("*").await.unwrap();
    assert!(commands(&world).await.contains("cmdstat_keys:"), "it would have shown");
}
