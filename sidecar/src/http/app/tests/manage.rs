//! Who administers: listed, added, removed; and who may do what to whom.

use super::*;

const MANAGE: &str = "/api/admin/manage";
const ADMIN: &str = "admin@x.org";
const SECOND: &str = "second@x.org";
const BAN: &str = "/api/admin/sessions/revoke-user";

async fn world() -> World {
    World::with(&[
        ("SUPER_ADMIN_EMAIL", "root@x.org, Second@x.org"),
        ("ADMIN_EMAILS", ADMIN),
        ("ADMIN_DOMAINS", "ops.example"),
        ("SEKISHO_AUDITOR_EMAILS", "audit@x.org"),
    ])
    .await
}

fn row(email: &str, role: &str, source: &str) -> Value {
    json!({"email": email, "source": source, "removable": source == "redis", "role": role})
}

/// Adds somebody, as root.
async fn add(world: &World, body: Value) -> Answer {
    world.root(Method::POST, MANAGE, Some(body)).await
}

async fn remove(world: &World, email: &str) -> Answer {
    world.root(Method::DELETE, &format!("{MANAGE}/{email}"), None).await
}

#[tokio::test]
async fn everybody_who_administers_is_listed_with_why_and_as_what() {
    let world = world().await;
    let mut redis = world.redis.client().shared();
    // As the old gateway, or somebody by hand, may have written them.
    let members = ["Added@X.org", "added@x.org", "admin@x.org", "no address", "audit2@x.org"];
    let _: () = redis.sadd("admin:emails", &members[..4]).await.unwrap();
    let _: () = redis.sadd("sekisho:auditor:emails", members[4]).await.unwrap();
    let expected = [
        row("added@x.org", "admin", "redis"),
        row(ADMIN, "admin", "environment"),
        row("audit2@x.org", "auditor", "redis"),
        row("audit@x.org", "auditor", "environment"),
        row(ROOT, "super_admin", "super_admin"),
        row(SECOND, "super_admin", "super_admin"),
    ];
    let answer = world.root(Method::GET, MANAGE, None).await;
    answer.is(
        200,
        &json!({"admins": expected, "total": 6, "domains": ["ops.example"], "limit": 10_000, "next_cursor": null}),
    );
    let first = world.root(Method::GET, &format!("{MANAGE}?limit=4"), None).await.body;
    assert_eq!((&first["admins"], &first["total"]), (&json!(expected[..4]), &json!(6)));
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = world.root(Method::GET, &format!("{MANAGE}?limit=4&cursor={cursor}"), None).await.body;
    assert_eq!((&second["admins"], &second["next_cursor"]), (&json!(expected[4..]), &Value::Null));
    world.root(Method::GET, &format!("{MANAGE}?limit=0"), None).await.is_problem(400, "invalid_value");
}

#[tokio::test]
async fn an_admin_is_added_may_administer_at_once_and_is_removed() {
    let world = world().await;
    let list = async |who: &str| world.call(who, &["admin"], Method::GET, "/api/admin/bans", None).await.status;
    assert_eq!(list(ANN).await, StatusCode::FORBIDDEN);
    let added = add(&world, json!({"email": "ANN+test@x.org"})).await;
    added.is(201, &json!({"message": "Admin added successfully", "email": ANN, "role": "admin", "added_by": ROOT}));
    assert_eq!(list(ANN).await, StatusCode::OK);
    let members: Vec<String> = world.redis.client().shared().smembers("admin:emails").await.unwrap();
    assert_eq!(members, [ANN], "where the old gateway had them");
    add(&world, json!({"email": ANN})).await.is_problem(409, "already_admin");

    // `+` in a path means itself.
    let removed = remove(&world, ANN).await;
    let expected = json!({"message": "Admin removed successfully", "email": ANN, "removed_by": ROOT,
                          "remaining_role": null});
    removed.is(200, &expected);
    assert_eq!(list(ANN).await, StatusCode::FORBIDDEN);
    remove(&world, ANN).await.is_problem(404, "admin_not_found");

    add(&world, json!({"email": ANN})).await;
    let named = world.root(Method::DELETE, MANAGE, Some(json!({"email": ANN}))).await;
    named.is(200, &expected);
    assert_eq!(list(ANN).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_role_replaces_the_one_before_in_whatever_case_it_was_written_down() {
    let world = world().await;
    let mut redis = world.redis.client().shared();
    let _: () = redis.sadd("admin:emails", &["Ann@X.org", "bob@x.org"]).await.unwrap();
    let added = add(&world, json!({"email": "ann@x.org", "role": "auditor"})).await;
    assert_eq!((added.status, &added.body["role"]), (StatusCode::CREATED, &json!("auditor")));
    assert_eq!(added.body["message"], "Auditor added successfully");
    let admins: Vec<String> = redis.smembers("admin:emails").await.unwrap();
    assert_eq!(admins, ["bob@x.org"]);
    let ban = Some(json!({"user_email": "bob@x.org"}));
    let answer = world.call("ann@x.org", &["admin"], Method::POST, BAN, ban).await;
    assert_eq!((answer.status, &answer.body["error"]), (StatusCode::FORBIDDEN, &json!("Admin access only")));
    assert_eq!(add(&world, json!({"email": "ann@x.org", "role": "admin"})).await.status, StatusCode::CREATED);
    let auditors: Vec<String> = redis.smembers("sekisho:auditor:emails").await.unwrap();
    assert_eq!(auditors, [""; 0]);
    assert_eq!(remove(&world, "ann@x.org").await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_the_configuration_says_is_not_changed_by_a_call() {
    let world = world().await;
    for email in [ROOT, SECOND, ADMIN, "anybody@ops.example"] {
        remove(&world, email).await.is_problem(409, "admin_by_configuration");
        add(&world, json!({"email": email})).await.is_problem(409, "already_admin");
    }
    add(&world, json!({"email": "audit@x.org", "role": "auditor"})).await.is_problem(409, "already_admin");
    assert_eq!(add(&world, json!({"email": "audit@x.org"})).await.status, StatusCode::CREATED);
    let listed = world.root(Method::GET, MANAGE, None).await.body;
    assert!(listed["admins"].as_array().unwrap().contains(&row("audit@x.org", "admin", "redis")), "{listed}");
    let removed = remove(&world, "audit@x.org").await;
    assert_eq!((removed.status, &removed.body["remaining_role"]), (StatusCode::OK, &json!("auditor")));
    for (body, code) in [
        (json!({"email": "ann"}), "invalid_value"),
        (json!({"email": ANN, "role": "super_admin"}), "invalid_body"),
        (json!({"email": ANN, "role": "king"}), "invalid_body"),
        (json!({}), "invalid_body"),
    ] {
        add(&world, body).await.is_problem(400, code);
    }
}

#[tokio::test]
async fn no_more_are_added_than_can_be_looked_through() {
    let world = world().await;
    let mut redis = world.redis.client().shared();
    let many: Vec<String> = (0..9_999).map(|number| format!("user{number}@x.org")).collect();
    let _: () = redis.sadd("admin:emails", &many).await.unwrap();
    assert_eq!(add(&world, json!({"email": "eve@x.org", "role": "auditor"})).await.status, StatusCode::CREATED);
    add(&world, json!({"email": ANN})).await.is_problem(409, "too_many_admins");
    add(&world, json!({"email": ANN, "role": "auditor"})).await.is_problem(409, "too_many_admins");
    let listed = world.root(Method::GET, MANAGE, None).await.body;
    assert_eq!((&listed["total"], listed["admins"].as_array().map(Vec::len)), (&json!(10_004), Some(10_000)));
    assert!(listed["next_cursor"].is_string());
}

#[tokio::test]
async fn what_concerns_a_super_admin_is_a_super_admins_business() {
    let world = world().await;
    let token =
        world.call(SECOND, &["api:read"], Method::POST, "/api/token/generate", Some(json!({"token_name": "n"})));
    let id = token.await.body["token_id"].as_str().unwrap().to_owned();
    let of = |email: &str| Some(json!({"user_email": email}));
    let calls = [
        (Method::POST, BAN.to_owned(), of("SECOND@x.org")),
        (Method::POST, "/api/admin/tokens/revoke-user".to_owned(), of(SECOND)),
        (Method::POST, "/api/admin/sessions/logout-user".to_owned(), of(SECOND)),
        (Method::DELETE, format!("/api/admin/tokens/{id}"), None),
        (Method::DELETE, format!("/api/admin/sessions/unban/{SECOND}"), None),
    ];
    for (method, path, body) in calls {
        let refused = world.call(ADMIN, &["admin"], method.clone(), &path, body.clone()).await;
        refused.is_problem(403, "super_admin_only");
        assert_eq!(world.root(method, &path, body).await.status, StatusCode::OK, "{path}");
    }
    let ban = world.call(ADMIN, &["admin"], Method::POST, BAN, of(ANN)).await;
    assert_eq!(ban.status, StatusCode::OK, "everybody else is every administrator's business");
}

#[tokio::test]
async fn the_last_super_admin_cannot_be_banned_over_the_api() {
    let world = world().await;
    let ban = async |who: &str, target: &str| {
        let body = json!({"user_email": target, "duration_seconds": 60});
        world.call(who, &["admin"], Method::POST, BAN, Some(body)).await
    };
    let (one, other) = tokio::join!(ban(ROOT, SECOND), ban(SECOND, ROOT));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "of two who ban each other, one is left");
    let refused = if one.status == StatusCode::CONFLICT { one } else { other };
    refused.is_problem(409, "last_super_admin");
    let (banned, left) =
        if refused.body["detail"].as_str().unwrap().contains(ROOT) { (SECOND, ROOT) } else { (ROOT, SECOND) };
    ban(left, left).await.is_problem(409, "last_super_admin");
    assert_eq!(ban(left, banned).await.status, StatusCode::OK, "who is banned already may be banned anew");
    world.call(left, &["admin"], Method::DELETE, &format!("/api/admin/sessions/unban/{banned}"), None).await;
    assert_eq!(ban(left, left).await.status, StatusCode::OK, "there is another one again");
}
