//! Sessions, as administrators and their owners see them.

use sekisho_protocol::Email;
use sekisho_protocol::feed::Kind;

use super::*;
use crate::domain::session::SessionId;
use crate::service::feed::registry::{Registry, Start};
use crate::service::sessions::SESSIONS_MAX;
use crate::store::redis::workers::RedisWorkers;

mod unseen;

const SESSIONS: &str = "/api/admin/sessions";

/// How lists show a session that [`World::begin`] began.
fn row(session: &Session, now: u64) -> Value {
    let begun = session.signed_in_at.get();
    let left = begun + 3_600 - now;
    json!({"session_key": session.id, "email": session.subject, "subject": session.subject, "created_at": begun, "expires_at": begun + 3_600,
        "ttl_seconds": left, "ends_at": begun + 86_400, "first_access": begun, "last_access": begun,
        "address": "2001:db8::7", "agent": "Fox", "method": "session", "host": "app.x"})
}

/// The moment that an answer was given at, by what it says is left of a session.
fn moment(row: &Value) -> u64 {
    let moment = row["expires_at"].as_u64().unwrap() - row["ttl_seconds"].as_u64().unwrap();
    just_now(&json!(moment))
}

fn keys_of(body: &Value) -> Vec<&str> {
    body["sessions"].as_array().unwrap().iter().map(|session| session["session_key"].as_str().unwrap()).collect()
}

impl World {
    /// A call of Ann's with this session.
    async fn with_session(&self, id: &str, method: Method, path: &str) -> Answer {
        let own = json!({"email": ANN, "method": "session", "token_id": id,
            "token_issued_at": UnixSeconds::now().get() + 600, "scopes": []});
        let assertion = sign_own(MESH_SECRET, APP_AUDIENCE, ANN, own, 30);
        let request = Request::builder().method(method).uri(path).header("x-sekisho-identity", assertion);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.root(Method::GET, path, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        answer.body
    }

    async fn exists(&self, key: &str) -> bool {
        self.redis.client().shared().exists(key).await.unwrap()
    }
}

#[tokio::test]
async fn administrators_list_everybodys_sessions_in_the_old_shape() {
    let world = World::start().await;
    let none = json!({"sessions": [], "total": 0, "patterns_searched": ["sekisho:session:*"], "limit": 10_000,
        "next_cursor": null});
    world.root(Method::GET, SESSIONS, None).await.is(200, &none);
    let ann = world.begin("s1", "Ann+Test@X.org").await;
    let bob = world.begin("s2", "https://idp.example|Bob").await;
    let answer = world.root(Method::GET, &format!("{SESSIONS}?sort=created_at&order=asc"), None).await;
    let now = moment(&answer.body["sessions"][0]);
    let rows = [&ann, &bob].map(|session| row(session, now));
    let expected = json!({"sessions": rows, "total": 2, "patterns_searched": ["sekisho:session:*"], "limit": 10_000,
        "next_cursor": null});
    answer.is(200, &expected);
    assert_eq!(world.user(Method::GET, SESSIONS, None).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn sessions_are_found_by_text_and_by_user_and_listed_page_by_page() {
    let world = World::start().await;
    for (id, who) in [("s1", ANN), ("s2", "bob@y.org"), ("s3", ANN), ("s4", "bob@y.org"), ("s5", ANN)] {
        world.begin(id, who).await;
    }
    for (query, expected) in [
        ("q=BOB", vec!["s4", "s2"]),
        ("q=%2A", vec![]),
        ("q=db8%3A%3A7&user_email=bob%40Y.org", vec!["s4", "s2"]),
        ("user_email=Ann%2Btest%40x.org", vec!["s5", "s3", "s1"]),
        ("user_email=ann%40x.org", vec![]),
        ("q=x.org&order=asc&sort=created_at", vec!["s1", "s3", "s5"]),
    ] {
        let mut found = world.get(&format!("{SESSIONS}?{query}")).await;
        assert_eq!(found["total"], 5, "of all, not of those that are found");
        // They may all have begun in one second, or in two.
        let mut rows = found["sessions"].as_array_mut().unwrap().clone();
        rows.sort_by_key(|row| row["session_key"].to_string());
        let mut expected = expected;
        expected.sort_unstable();
        found["sessions"] = json!(rows);
        assert_eq!(keys_of(&found), expected, "{query}");
    }
    for query in ["", "&q=x.org", "&user_email=ann%2Btest%40x.org"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.get(&format!("{SESSIONS}?limit=2{query}{cursor}")).await;
            assert!(keys_of(&page).len() <= 2 && page["limit"] == 2, "{page}");
            seen.extend(keys_of(&page).into_iter().map(str::to_owned));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        seen.sort();
        let expected: &[&str] = if query.is_empty() { &["s1", "s2", "s3", "s4", "s5"] } else { &["s1", "s3", "s5"] };
        assert_eq!(seen, expected, "{query}");
    }
    for bad in ["limit=0", "limit=10001", "cursor=x", "sort=x", "q=%01", "user_email="] {
        let answer = world.root(Method::GET, &format!("{SESSIONS}?{bad}"), None).await;
        answer.is_problem(400, "invalid_value");
    }
}

#[tokio::test]
async fn whoever_has_too_many_sessions_loses_the_one_that_ends_first() {
    let world = World::start().await;
    for n in 0..=SESSIONS_MAX {
        // Each ends a second after the one before.
        let (mut session, now) = (world.begin(&format!("other{n}"), "bob@y.org").await, UnixSeconds::now());
        session.id = SessionId::parse(&format!("s{n}")).unwrap();
        session.subject = ANN.to_owned().try_into().unwrap();
        session.ends_at = now.plus(86_400 + n as u64);
        world.services.sessions.begin(session, now).await.unwrap();
    }
    let listed = world.get(&format!("{SESSIONS}?user_email={}", ANN.replace('+', "%2B"))).await;
    assert_eq!(keys_of(&listed).len(), SESSIONS_MAX);
    assert!(!keys_of(&listed).contains(&"s0"));
    assert!(world.services.feed.entry(Kind::Session, "s0").await.unwrap().is_some(), "and filters hear of it");
}

#[tokio::test]
async fn administrators_count_sessions_in_the_old_shape() {
    let world = World::start().await;
    for (id, who) in [("s1", ANN), ("s2", ANN), ("s3", "bob@y.org")] {
        world.begin(id, who).await;
    }
    let answer = world.root(Method::GET, "/api/admin/sessions/stats", None).await;
    let expected = json!({"total_sessions": 3, "unique_users": 2, "user_sessions": {ANN: 2, "bob@y.org": 1},
        "limit": 10_000});
    answer.is(200, &expected);
}

#[tokio::test]
async fn an_administrator_ends_a_session_in_the_old_shape_once() {
    let world = World::start().await;
    let session = world.begin("s1", ANN).await;
    world.begin("s2", ANN).await;
    let path = format!("{SESSIONS}/s1");
    let answer = world.root(Method::DELETE, &path, None).await;
    let own = json!({"message": "Session deleted successfully", "session_key": "s1", "user_email": ANN,
        "deleted_by": ROOT});
    answer.is(200, &changed(own, &answer.body));
    let entry: String = world.redis.client().shared().hget("sekisho:{feed}:entries", "session|s1").await.unwrap();
    let entry: Value = serde_json::from_str(&entry).unwrap();
    assert_eq!((&entry["until"], &entry["version"]), (&json!(session.ends_at.get() + 360), &answer.body["version"]));
    assert_eq!(keys_of(&world.get(SESSIONS).await), ["s2"]);
    let gone = json!({"error": "Session not found", "session_key": "s1"});
    world.root(Method::DELETE, &path, None).await.is(404, &gone);
}

#[tokio::test]
async fn an_end_that_was_cut_short_can_be_ordered_again() {
    let world = World::start().await;
    world.begin("s1", ANN).await;
    let _: () = world.redis.client().shared().set_ex("sekisho:session:ended:s1", 1, 600).await.unwrap();
    let path = format!("{SESSIONS}/s1");
    assert_eq!(world.root(Method::DELETE, &path, None).await.status, StatusCode::OK);
    let has_entry: bool = world.redis.client().shared().hexists("sekisho:{feed}:entries", "session|s1").await.unwrap();
    assert!(has_entry, "filters hear of it");
    assert_eq!(world.root(Method::DELETE, &path, None).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn no_key_of_redis_but_a_sessions_is_ever_deleted() {
    let world = World::start().await;
    world.begin("s1", ANN).await;
    let mut redis = world.redis.client().shared();
    let others =
        ["token:info:t", "user:tokens:x", "admin:emails", "sekisho:session:x", "session:x", "_oauth2_proxy-1.lock"];
    for key in others {
        let _: () = redis.set(key, "{}").await.unwrap();
    }
    for key in others.into_iter().chain(["ended:s1", "*", "s*", "sekisho:session:s1", "../s1", "%00"]) {
        let path = format!("{SESSIONS}/{}", key.replace('*', "%2A").replace('/', "%2F"));
        let answer = world.root(Method::DELETE, &path, None).await;
        let shown = if key == "%00" { "\0" } else { key };
        answer.is(404, &json!({"error": "Session not found", "session_key": shown}));
    }
    for key in others {
        assert!(world.exists(key).await, "{key}");
    }
    let unreadable = world.root(Method::DELETE, &format!("{SESSIONS}/x"), None).await;
    unreadable.is_problem(500, "internal");
    assert!(world.exists("sekisho:session:s1").await);
    assert_eq!(keys_of(&world.get(SESSIONS).await), ["s1"]);
}

#[tokio::test]
async fn an_end_that_a_filter_has_not_heard_of_is_202() {
    let world = World::start().await;
    world.begin("s1", ANN).await;
    let workers = RedisWorkers::new(world.redis.client());
    workers.record(&mesh::presence(7, "envoy-1", 2, None), Start::Held).await.unwrap();
    for path in ["/s1", "/user/ann+test@x.org"] {
        let answer = world.root(Method::DELETE, &format!("{SESSIONS}{path}"), None).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{path}: {}", answer.body);
        assert_eq!(answer.body["lagging"][0]["node"], "envoy-1");
    }
}

#[tokio::test]
async fn all_sessions_of_somebody_end_without_a_ban() {
    let world = World::start().await;
    for (id, who) in [("s1", ANN), ("s2", ANN), ("s3", "bob@y.org")] {
        world.begin(id, who).await;
    }
    let token = world.issue("laptop").await["token_id"].as_str().unwrap().to_owned();
    let path = format!("{SESSIONS}/user/ANN+test%40X.org");
    for (count, rest) in [(2, "ended"), (0, "there is nothing to tell the filters")] {
        let answer = world.root(Method::DELETE, &path, None).await;
        let own = json!({"message": "All sessions of the user deleted successfully", "user_email": ANN,
            "deleted_count": count, "deleted_by": ROOT});
        answer.is(200, &changed(own, &answer.body));
        assert_eq!(keys_of(&world.get(SESSIONS).await), ["s3"], "{rest}");
    }
    let info = world.user(Method::GET, &format!("/api/token/info?token_id={token}"), None).await;
    assert_eq!(info.body["token_info"]["status"], "active");
    assert!(!world.exists(&format!("active_user_deleted:{ANN}")).await);
    let fresh = World::start().await;
    let answer = fresh.root(Method::DELETE, &path, None).await;
    assert_eq!((answer.status, &answer.body["deleted_count"]), (StatusCode::OK, &json!(0)), "a store of nobody's");
    world.root(Method::DELETE, &format!("{SESSIONS}/user/%01"), None).await.is_problem(400, "invalid_value");
}

#[tokio::test]
async fn sessions_of_super_administrators_are_ended_by_super_administrators_alone() {
    let world = World::with(&[("ADMIN_EMAILS", "admin@x.org")]).await;
    world.begin("s1", ROOT).await;
    // An address by which somebody administers, of a subject that is another one.
    let mut other = world.begin("s2", "https://idp.example|Root").await;
    other.email = Some(Email::parse(ROOT).unwrap());
    world.services.sessions.begin(other, UnixSeconds::now()).await.unwrap();
    for path in ["/s1", "/s2", "/user/root@x.org"] {
        let answer = world.call("admin@x.org", &["admin"], Method::DELETE, &format!("{SESSIONS}{path}"), None).await;
        answer.is_problem(403, "super_admin_only");
    }
    assert_eq!(keys_of(&world.get(SESSIONS).await).len(), 2);
}

#[tokio::test]
async fn people_see_their_own_sessions_and_which_of_them_is_this_one() {
    let world = World::start().await;
    let (one, other) = (world.begin("s1", ANN).await, world.begin("s2", ANN).await);
    world.begin("s3", "bob@y.org").await;
    let answer = world.with_session("s1", Method::GET, "/api/session").await;
    let now = moment(&answer.body["sessions"][0]);
    let own = |session: &Session| {
        let mut row = row(session, now);
        row["is_current"] = json!(session.id.as_str() == "s1");
        row
    };
    let rows = [own(&other), own(&one)];
    answer.is(200, &json!({"user_email": ANN, "sessions": rows, "count": 2, "limit": 10_000, "next_cursor": null}));
    let by_token = world.user(Method::GET, "/api/session?limit=1", None).await.body;
    assert_eq!((&by_token["count"], &by_token["sessions"][0]["is_current"]), (&json!(1), &json!(false)));
    let next = by_token["next_cursor"].as_str().unwrap();
    let rest = world.user(Method::GET, &format!("/api/session?limit=1&cursor={next}"), None).await.body;
    assert_eq!(keys_of(&rest), ["s1"]);
    let nobody = Request::get("/api/session").body(Body::empty()).unwrap();
    world.send(nobody).await.is_problem(401, "unauthenticated");
}

#[tokio::test]
async fn people_end_their_own_sessions_and_nobody_elses() {
    let world = World::start().await;
    for (id, who) in [("s1", ANN), ("s2", ANN), ("s3", ANN), ("b1", "bob@y.org")] {
        world.begin(id, who).await;
    }
    let delete = async |query: &str| world.with_session("s1", Method::DELETE, &format!("/api/session{query}")).await;
    let answer = delete("?session_key=s2").await;
    let own = json!({"success": true, "message": "Session ended successfully", "deleted_count": 1});
    answer.is(200, &changed(own.clone(), &answer.body));
    for key in ["b1", "s2", "nobodys"] {
        let gone = json!({"error": "Session not found", "session_key": key});
        delete(&format!("?session_key={key}")).await.is(404, &gone);
    }
    delete("?all=true&session_key=s3").await.is_problem(400, "invalid_value");
    delete("?all=perhaps").await.is_problem(400, "invalid_value");
    world.user(Method::DELETE, "/api/session", None).await.is_problem(400, "invalid_value");
    let answer = delete("").await;
    answer.is(200, &changed(own, &answer.body));
    assert_eq!(keys_of(&world.get(SESSIONS).await).len(), 2);
    let answer = world.user(Method::DELETE, "/api/session?all=true", None).await;
    assert_eq!((answer.status, &answer.body["deleted_count"]), (StatusCode::OK, &json!(1)));
    assert_eq!(keys_of(&world.get(SESSIONS).await), ["b1"]);
}

#[tokio::test]
async fn it_is_in_the_trail_who_ended_whose_sessions() {
    let world = World::start().await;
    for id in ["s1", "s2"] {
        world.begin(id, ANN).await;
    }
    world.root(Method::DELETE, &format!("{SESSIONS}/s1"), None).await;
    world.user(Method::DELETE, "/api/session?all=true", None).await;
    world.services.trail.carry().await.unwrap();
    let events = world.get(&format!("/api/admin/audit?target={}", ANN.replace('+', "%2B"))).await;
    let told: Vec<(&str, &str)> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| (event["action"].as_str().unwrap(), event["actor"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("sessions.ended", ANN), ("session.ended", ROOT)]);
    let details = |n: usize, name: &str| events["events"][n]["details"][name].clone();
    assert_eq!(
        (details(0, "count"), details(1, "session_key"), details(1, "host")),
        (json!(1), json!("s1"), json!("app.x"))
    );
}

#[tokio::test]
async fn sessions_that_nobody_used_in_time_are_cleared_away_with_the_rest() {
    let world = World::start().await;
    world.begin("s1", ANN).await;
    world.begin("s2", ANN).await;
    let mut redis = world.redis.client().shared();
    let _: () = redis.zadd("sekisho:{sessions}:ends", "s1", 1).await.unwrap();
    let _: () = redis.del("sekisho:session:s1").await.unwrap();
    let answer = world.root(Method::POST, "/api/admin/sessions/cleanup-expired", None).await;
    assert_eq!(answer.body["cleaned_sessions"], 1, "{}", answer.body);
    let stats = world.get("/api/admin/sessions/stats").await;
    assert_eq!(stats["user_sessions"], json!({ANN: 1}));
}

#[tokio::test]
async fn without_redis_no_session_is_listed_or_ended() {
    let mut world = World::start().await;
    world.begin("s1", ANN).await;
    world.redis.stop();
    for (method, path) in [
        (Method::GET, SESSIONS.to_owned()),
        (Method::GET, format!("{SESSIONS}/stats")),
        (Method::DELETE, format!("{SESSIONS}/s1")),
        (Method::DELETE, format!("{SESSIONS}/user/bob@y.org")),
        (Method::GET, "/api/session".to_owned()),
        (Method::DELETE, "/api/session?all=true".to_owned()),
    ] {
        world.root(method, &path, None).await.is_problem(503, "unavailable");
    }
}
