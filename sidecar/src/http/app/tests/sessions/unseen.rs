//! Sessions of oauth2-proxy that nobody has shown yet, among all others.

use super::*;

const ON: &[(&str, &str)] = &[("SEKISHO_OAUTH2_PROXY", "1")];
const PATTERNS: [&str; 7] =
    ["sekisho:session:*", "_oauth2_proxy-*", "_oauth2_proxy_*", "_oauth2_proxy:*", "oauth2-*", "oauth2_*", "session:*"];

impl World {
    /// Something under a key, as another program put it there.
    async fn put(&self, key: &str, seconds: Option<u64>) {
        let mut set = redis::cmd("SET");
        set.arg(key).arg("sealed");
        if let Some(seconds) = seconds {
            set.arg("EX").arg(seconds);
        }
        set.exec_async(&mut self.redis.client().shared()).await.unwrap();
    }
}

#[tokio::test]
async fn sessions_that_nobody_has_shown_are_listed_behind_all_others_without_an_owner() {
    let world = World::with(&[ON, &[("SEKISHO_AUDITOR_EMAILS", "eve@x.org")]].concat()).await;
    let ann = world.begin("s1", ANN).await;
    world.put("_oauth2_proxy-1", Some(600)).await;
    world.put("session:1", None).await;
    for name in ["session:1.lock", "sessions", "token:info:1"] {
        world.put(name, None).await;
    }
    let answer = world.get(SESSIONS).await;
    let now = moment(&answer["sessions"][0]);
    let ends_at = just_now(&json!(answer["sessions"][1]["expires_at"].as_u64().unwrap() - 600)) + 600;
    let unseen = |key: &str, ends_at: Option<u64>| {
        json!({"session_key": key, "email": null, "created_at": null, "expires_at": ends_at,
            "ttl_seconds": ends_at.map(|end| end - now), "method": "oauth2_proxy"})
    };
    let rows = json!([row(&ann, now), unseen("_oauth2_proxy-1", Some(ends_at)), unseen("session:1", None)]);
    let expected = json!({"sessions": rows, "total": 3, "patterns_searched": PATTERNS, "limit": 10_000,
        "next_cursor": null});
    assert_eq!(answer, expected);
    let seen_by_auditors = world.call("eve@x.org", &["admin"], Method::GET, SESSIONS, None).await;
    assert_eq!(keys_of(&seen_by_auditors.body), ["s1"], "a key may be all that it takes to get in elsewhere");
    for query in ["?q=oauth2", "?q=x.org", &format!("?user_email={}", ANN.replace('+', "%2B"))] {
        let found = world.get(&format!("{SESSIONS}{query}")).await;
        assert!(keys_of(&found).iter().all(|key| *key == "s1"), "{found}");
    }
}

#[tokio::test]
async fn whoever_turns_the_pages_sees_each_session_once() {
    let world = World::with(ON).await;
    for n in 0..3 {
        world.begin(&format!("s{n}"), ANN).await;
    }
    let mut expected: Vec<String> = (0..3).map(|n| format!("s{n}")).collect();
    for n in 0..1_200 {
        let prefix = ["_oauth2_proxy-", "oauth2-", "session:"][n % 3];
        world.put(&format!("{prefix}a.b&c=%{n}"), Some(600)).await;
        world.put(&format!("other:{n}"), None).await;
        expected.push(format!("{prefix}a.b&c=%{n}"));
    }
    expected.sort();
    for limit in [3, 7, 500, 10_000] {
        let (mut keys, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = world.get(&format!("{SESSIONS}?limit={limit}{cursor}")).await;
            assert!(keys_of(&page).len() <= limit, "{page}");
            keys.extend(keys_of(&page).into_iter().map(str::to_owned));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(keys.iter().take(3).filter(|key| key.starts_with('s') && key.len() == 2).count(), 3, "{keys:?}");
        keys.sort();
        assert_eq!(keys, expected, "{limit}");
    }
    for bad in ["unseen.", "unseen.0.0", "unseen.0.x.aw", "unseen.0.0.&q=x"] {
        let answer = world.root(Method::GET, &format!("{SESSIONS}?cursor={bad}"), None).await;
        answer.is_problem(400, "invalid_value");
    }
    let beyond = world.get(&format!("{SESSIONS}?cursor=unseen.999.18446744073709551615.aw")).await;
    assert_eq!((keys_of(&beyond).len(), &beyond["next_cursor"]), (0, &Value::Null));
}

#[tokio::test]
async fn a_session_that_nobody_has_shown_is_deleted_by_its_key_and_nothing_else_is() {
    let world = World::with(ON).await;
    for key in ["_oauth2_proxy-1", "session:1.lock", "sessions", "token:info:1", "sekisho:x"] {
        world.put(key, None).await;
    }
    world.redis.client().shared().sadd::<_, _, ()>("session:set", "x").await.unwrap();
    for key in ["session:1.lock", "sessions", "token:info:1", "session:set", "session:none", "sekisho:x"] {
        let gone = json!({"error": "Session not found", "session_key": key});
        world.root(Method::DELETE, &format!("{SESSIONS}/{key}"), None).await.is(404, &gone);
    }
    for key in ["session:1.lock", "sessions", "token:info:1", "session:set", "sekisho:x"] {
        assert!(world.exists(key).await, "{key}");
    }
    let path = format!("{SESSIONS}/_oauth2_proxy-1");
    let answer = world.root(Method::DELETE, &path, None).await;
    let own = json!({"message": "Session deleted successfully", "session_key": "_oauth2_proxy-1", "user_email": null,
        "deleted_by": ROOT});
    answer.is(200, &changed(own, &answer.body));
    assert!(!world.exists("_oauth2_proxy-1").await);
    assert_eq!(world.root(Method::DELETE, &path, None).await.status, StatusCode::NOT_FOUND);
    world.services.trail.carry().await.unwrap();
    let events = world.get("/api/admin/audit?target=_oauth2_proxy-1").await;
    let events = events["events"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(
        (&events[0]["action"], &events[0]["actor"], &events[0]["outcome"], &events[0]["details"]["session_key"]),
        (&json!("session.ended"), &json!(ROOT), &json!("done"), &json!("_oauth2_proxy-1"))
    );
}
