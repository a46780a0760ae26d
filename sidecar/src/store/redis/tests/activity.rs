//! Activity: applied once, in the old gateway's keys and in order, and cleared away when it is over.

use sekisho_protocol::activity::{ActivityReport, Method, SubjectActivity};
use sekisho_protocol::{PROTOCOL, ReplicaId};
use serde_json::Value;

use super::*;
use crate::domain::active_user::{ActiveUser, Totals};
use crate::domain::ban::TimeLeft;
use crate::domain::search::Search;
use crate::domain::time::UnixSeconds;
use crate::service::active_users::ActiveUserStore;
use crate::service::activity::{ActivityStore, Taken};
use crate::service::feed::Feed as _;
use crate::store::redis::active_users::RedisActiveUsers;
use crate::store::redis::activity::RedisActivity;
use crate::store::redis::feed::RedisFeed;

/// A report of the replica `replica`: three requests of somebody, the last one so many seconds ago.
fn report(replica: u8, sequence: u64, who: &str, token: &str, ago: u64) -> ActivityReport {
    ActivityReport {
        protocol: PROTOCOL,
        replica: ReplicaId::from_bytes([replica; 16]),
        sequence,
        subjects: vec![SubjectActivity {
            subject: subject(who),
            method: Method::Jwt,
            token_id: Some(token.into()),
            requests: 3,
            last_access: ago_s(ago),
            address: Some("192.0.2.7".parse().unwrap()),
        }],
        outcomes: Vec::new(),
        verifications: Vec::new(),
        dropped: 0,
    }
}

fn ago_s(ago: u64) -> u64 {
    UnixSeconds::now().get() - ago
}

async fn json(server: &RedisServer, key: &str) -> Value {
    serde_json::from_str(&raw::<String>(server, &["GET", key]).await).unwrap()
}

async fn listed(server: &RedisServer) -> Vec<ActiveUser> {
    let users = RedisActiveUsers::new(server.client()).list(&Search::default(), None, 100).await.unwrap();
    users.into_iter().map(|(_, user)| user).collect()
}

#[tokio::test]
async fn a_report_is_applied_once() {
    let server = RedisServer::start().await;
    let store = RedisActivity::new(server.client());
    assert_eq!(store.take(&report(1, 1, "ann@x", "t1", 500)).await.unwrap(), Taken::Applied);
    assert_eq!(store.take(&report(1, 1, "ann@x", "t1", 0)).await.unwrap(), Taken::Repeated);
    assert_eq!(store.take(&report(1, 2, "ann@x", "t1", 200)).await.unwrap(), Taken::Applied);
    let last_access = json(&server, "active_user_metadata:ann@x").await["last_access"].as_u64().unwrap();
    assert!((199..=202).contains(&(UnixSeconds::now().get() - last_access)), "{last_access}");
    assert_eq!(listed(&server).await[0].requests, Some(6));
    assert!(life(&server, &format!("sekisho:activity:{}", ReplicaId::from_bytes([1; 16]))).await > 3_500);
}

#[tokio::test]
async fn a_tokens_last_use_is_kept_with_its_life_and_written_at_most_once_a_minute() {
    let server = RedisServer::start().await;
    let info = r#"{"token_id":"t1","token_name":"laptop","scopes":[],"last_used":null}"#;
    let _: String = raw(&server, &["SET", "token:info:t1", info, "EX", "500"]).await;
    let store = RedisActivity::new(server.client());
    let first = report(1, 1, "ann@x", "t1", 100);
    let used = first.subjects[0].last_access;
    store.take(&first).await.unwrap();
    store.take(&report(2, 1, "ann@x", "t1", 150)).await.unwrap();
    store.take(&report(1, 2, "ann@x", "t1", 50)).await.unwrap();
    let token = json(&server, "token:info:t1").await;
    assert_eq!(token["last_used"], used, "neither turned back nor written again within a minute");
    assert_eq!((&token["token_name"], &token["scopes"]), (&Value::from("laptop"), &serde_json::json!([])));
    assert!((490..=500).contains(&life(&server, "token:info:t1").await));
    store.take(&report(1, 3, "ann@x", "t1", 30)).await.unwrap();
    assert!(json(&server, "token:info:t1").await["last_used"].as_u64().unwrap() > used + 60);
    let person = json(&server, "active_user_metadata:ann@x").await;
    assert_eq!((&person["token_name"], &person["auth_method"]), (&Value::from("laptop"), &Value::from("jwt")));
}

#[tokio::test]
async fn somebody_who_is_active_is_on_record_as_the_old_gateway_expects_it() {
    let server = RedisServer::start().await;
    let token = r#"{"token_id":"t1","token_name":"laptop","scopes":[],"last_used":null}"#;
    let _: String = raw(&server, &["SET", "token:info:t1", token, "EX", "500"]).await;
    let store = RedisActivity::new(server.client());
    let (first, second) = (report(1, 1, "ann@x", "t1", 100), report(1, 2, "ann@x", "t2", 40));
    let (began, last) = (first.subjects[0].last_access, second.subjects[0].last_access);
    for (report, last_access, session_count) in [(first, began, 1), (second, last, 2)] {
        store.take(&report).await.unwrap();
        let ends = began + 86_400;
        let expected = serde_json::json!({"email": "ann@x", "created_at": began, "last_access": last_access,
            "expire_at": ends, "expires_at": ends, "session_ttl": 86_400, "session_count": session_count,
            "auth_method": "jwt", "token_name": "laptop"});
        assert_eq!(json(&server, "active_user_metadata:ann@x").await, expected);
        for key in ["active_user:ann@x", "active_user_metadata:ann@x"] {
            assert_eq!(raw::<u64>(&server, &["EXPIRETIME", key]).await, ends, "{key}: set when it begins, and kept");
        }
    }
    let mut tokens = raw::<Vec<String>>(&server, &["SMEMBERS", "active_user:ann@x"]).await;
    tokens.sort();
    assert_eq!(tokens, ["t1", "t2"]);
    assert_eq!(raw::<Vec<String>>(&server, &["SMEMBERS", "active_users"]).await, ["ann@x"]);
    assert_eq!(life(&server, "active_users").await, -1);
}

#[tokio::test]
async fn what_is_reported_of_one_person_at_the_same_moment_is_put_together() {
    let server = RedisServer::start().await;
    let token = r#"{"token_id":"named","token_name":"laptop","scopes":[],"last_used":null}"#;
    let _: String = raw(&server, &["SET", "token:info:named", token, "EX", "500"]).await;
    let store = RedisActivity::new(server.client());
    let mut one = report(1, 1, "ann@x", "named", 9);
    one.subjects.push(report(1, 1, "ann@x", "other", 9).subjects[0].clone());
    store.take(&one).await.unwrap();
    let named = |worker: u8| if worker == 4 { "named".to_owned() } else { format!("t{worker}") };
    let reports: Vec<_> = (2..=9).map(|worker| report(worker, 1, "bob@x", &named(worker), worker.into())).collect();
    for taken in futures_util::future::join_all(reports.iter().map(|report| store.take(report))).await {
        taken.unwrap();
    }
    let (ann, bob) =
        (json(&server, "active_user_metadata:ann@x").await, json(&server, "active_user_metadata:bob@x").await);
    assert_eq!((&ann["token_name"], &ann["session_count"]), (&Value::from("laptop"), &Value::from(2)), "{ann}");
    assert_eq!(bob["token_name"], "laptop", "{bob}");
    assert_eq!(bob["last_access"], reports[0].subjects[0].last_access, "{bob}");
}

#[tokio::test]
async fn what_another_program_knows_of_somebody_is_kept_and_what_is_no_object_is_replaced() {
    let server = RedisServer::start().await;
    let store = RedisActivity::new(server.client());
    let theirs = r#"{"created_at":5,"picture":"ann.png","token_name":null,"last_access":null}"#;
    let _: String = raw(&server, &["SET", "active_user_metadata:ann@x", theirs, "EX", "500"]).await;
    store.take(&report(1, 1, "ann@x", "t1", 9)).await.unwrap();
    let ann = json(&server, "active_user_metadata:ann@x").await;
    assert_eq!((&ann["created_at"], &ann["picture"]), (&Value::from(5), &Value::from("ann.png")), "{ann}");
    assert!(ann["last_access"].is_u64() && ann["token_name"].is_null(), "{ann}");
    assert!((490..=500).contains(&life(&server, "active_user_metadata:ann@x").await));
    for (sequence, odd) in [(2, "text"), (3, "7"), (4, "null"), (5, "\"{}\"")] {
        let who = format!("odd{sequence}@x");
        let key = format!("active_user_metadata:{who}");
        let _: String = raw(&server, &["SET", &key, odd]).await;
        store.take(&report(1, sequence, &who, "t1", 9)).await.unwrap();
        assert_eq!(json(&server, &key).await["email"], who.as_str(), "{odd}");
        assert!(life(&server, &key).await > 86_000, "{odd}");
    }
}

#[tokio::test]
async fn somebody_is_active_for_a_day_from_the_first_request_on() {
    let server = RedisServer::start().await;
    let store = RedisActivity::new(server.client());
    store.take(&report(1, 1, "ann@x", "t1", 1_000)).await.unwrap();
    store.take(&report(1, 2, "ann@x", "t1", 0)).await.unwrap();
    for key in ["active_user:ann@x", "active_user_metadata:ann@x", "sekisho:active_user:ann@x"] {
        let left = life(&server, key).await;
        assert!((85_300..=85_400).contains(&left), "{key}: {left}");
    }
    assert_eq!(raw::<Vec<String>>(&server, &["SMEMBERS", "active_users"]).await, ["ann@x"]);
    assert_eq!(raw::<Vec<String>>(&server, &["SMEMBERS", "active_user:ann@x"]).await, ["t1"]);
    store.take(&report(1, 3, "bob@x", "t9", 90_000)).await.unwrap();
    assert_eq!(listed(&server).await.len(), 1, "who came more than a day ago is not active");
    store.take(&report(1, 4, "carl@x", "t9", 0)).await.unwrap();
    let ahead = ActivityReport {
        subjects: vec![SubjectActivity {
            last_access: u64::MAX - 9,
            ..report(1, 5, "dan@x", "t8", 0).subjects[0].clone()
        }],
        ..report(1, 5, "dan@x", "t8", 0)
    };
    store.take(&ahead).await.unwrap();
    assert!(life(&server, "sekisho:active_user:dan@x").await <= 86_400, "a clock that is ahead keeps nobody active");
}

#[tokio::test]
async fn active_users_are_counted_and_listed_over_many_workers() {
    let server = RedisServer::start().await;
    let (store, users) = (RedisActivity::new(server.client()), RedisActiveUsers::new(server.client()));
    let reports: Vec<_> = (1..=8).map(|worker| report(worker, 1, "ann@x", &format!("t{}", worker % 2), 100)).collect();
    for taken in futures_util::future::join_all(reports.iter().map(|report| store.take(report))).await {
        assert_eq!(taken.unwrap(), Taken::Applied);
    }
    store.take(&report(9, 1, "bob@y", "b1", 50)).await.unwrap();
    let feed = RedisFeed::new(server.client());
    feed.put(&Mark::ban(&subject("bob@y"), UnixSeconds::now().plus(90).get())).await.unwrap();
    feed.put(&Mark::ban(&subject("ann@x"), FOREVER)).await.unwrap();
    let found = listed(&server).await;
    let [bob, ann] = &found[..] else { panic!("{found:?}") };
    assert_eq!((ann.requests, ann.in_use, ann.method.as_str()), (Some(24), 2, "jwt"));
    assert_eq!((bob.requests, bob.in_use, bob.subject.as_str()), (Some(3), 1, "bob@y"));
    assert_eq!(bob.address, Some("192.0.2.7".parse().unwrap()));
    assert!(matches!(bob.ban, Some(TimeLeft::Seconds(88..=90))), "{:?}", bob.ban);
    assert_eq!(ann.ban, Some(TimeLeft::Permanent));
    let now = UnixSeconds::now();
    assert_eq!(users.totals(now).await.unwrap(), Totals { users: 2, in_use: 3 });
    assert_eq!(users.count(&["ann@x".into(), "carl@z".into()]).await.unwrap(), 1);
    users.tidy(now.plus(86_400)).await.unwrap();
    assert_eq!(users.totals(now).await.unwrap(), Totals::default(), "a day later nobody is");
}

#[tokio::test]
async fn active_users_are_found_and_paged() {
    let server = RedisServer::start().await;
    let (store, users) = (RedisActivity::new(server.client()), RedisActiveUsers::new(server.client()));
    for n in 0..7 {
        store.take(&report(1, n + 1, &format!("u{n}*@x"), "t", 100 - n / 3)).await.unwrap();
    }
    for (search, expected) in [("", 7), ("u3*@", 1), ("*@", 7), ("U3", 1), ("z", 0), ("u?", 0)] {
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let page = users.list(&Search::parse(Some(search)).unwrap(), after.as_ref(), 2).await.unwrap();
            let Some((last, _)) = page.last() else { break };
            after = Some(last.clone());
            seen.extend(page.into_iter().map(|(place, _)| place));
        }
        assert_eq!(seen.len(), expected, "{search:?}");
        assert!(seen.is_sorted_by(|one, next| one > next), "{search:?}: {seen:?}");
    }
}

#[tokio::test]
async fn users_of_the_old_gateway_are_listed_and_what_expired_of_them_is_cleared_away() {
    let server = RedisServer::start().await;
    let (store, users) = (RedisActivity::new(server.client()), RedisActiveUsers::new(server.client()));
    let metadata = serde_json::json!({"email": "old@x", "created_at": ago_s(50), "last_access": ago_s(10),
        "expires_at": ago_s(0) + 86_350, "auth_method": "oauth2", "token_name": "browser"});
    let _: String = raw(&server, &["SET", "active_user_metadata:old@x", &metadata.to_string(), "EX", "900"]).await;
    let _: i64 = raw(&server, &["SADD", "active_user:old@x", "_oauth2_proxy-1", "_oauth2_proxy-2"]).await;
    let _: i64 = raw(&server, &["SADD", "active_users", "old@x", "gone@x", "Bob@Y"]).await;
    let _: i64 = raw(&server, &["SADD", "active_user:Bob@Y", "_oauth2_proxy-3"]).await;
    let bobs = serde_json::json!({"last_access": ago_s(20), "expires_at": ago_s(0) + 86_350}).to_string();
    let _: String = raw(&server, &["SET", "active_user_metadata:Bob@Y", &bobs]).await;
    RedisFeed::new(server.client()).put(&ban("bob@y")).await.unwrap();
    let _: String = raw(&server, &["SET", "active_user_metadata:gone@x", "{}"]).await;
    store.take(&report(1, 1, "ann@x", "t1", 5)).await.unwrap();
    users.tidy(UnixSeconds::now()).await.unwrap();
    let found = listed(&server).await;
    let [ann, old, bob] = &found[..] else { panic!("{found:?}") };
    assert_eq!(ann.subject.as_str(), "ann@x");
    assert!(bob.ban.is_some() && ann.ban.is_none(), "however other programs spell it");
    assert_eq!((old.method.as_str(), old.in_use, old.requests), ("oauth2", 2, None));
    assert_eq!(old.token_name.as_deref(), Some("browser"));
    assert_eq!(users.clean().await.unwrap(), ["gone@x"]);
    assert_eq!(users.clean().await.unwrap(), [] as [&str; 0]);
    assert_eq!(raw::<i64>(&server, &["EXISTS", "active_user_metadata:gone@x"]).await, 0);
    let mut left = raw::<Vec<String>>(&server, &["SMEMBERS", "active_users"]).await;
    left.sort();
    assert_eq!(left, ["Bob@Y", "ann@x", "old@x"]);
}

#[tokio::test]
async fn nobody_who_comes_back_while_what_expired_is_cleared_away_is_forgotten() {
    let server = RedisServer::start().await;
    let (store, users) = (RedisActivity::new(server.client()), RedisActiveUsers::new(server.client()));
    let names: Vec<String> = (0..300).map(|n| format!("u{n}@x")).collect();
    for round in 0..5 {
        let mut pipe = redis::pipe();
        for name in &names {
            pipe.set(format!("active_user_metadata:{name}"), "{}").sadd("active_users", name);
            pipe.del(&[format!("active_user:{name}"), format!("sekisho:active_user:{name}")]);
        }
        let () = pipe.query_async(&mut server.client().shared()).await.unwrap();
        let coming = async {
            for (name, n) in names.iter().zip(1..) {
                store.take(&report(1, 300 * round + n, name, "t", 0)).await.unwrap();
            }
        };
        let (cleaned, ()) = tokio::join!(users.clean(), coming);
        cleaned.unwrap();
        for name in &names {
            let key = format!("active_user_metadata:{name}");
            assert_eq!(raw::<i64>(&server, &["EXISTS", &key]).await, 1, "round {round}: {name}");
            assert_eq!(raw::<i64>(&server, &["SISMEMBER", "active_users", name]).await, 1, "round {round}: {name}");
        }
    }
}

#[tokio::test]
async fn a_name_that_is_no_text_is_nobodys() {
    let server = RedisServer::start().await;
    let users = RedisActiveUsers::new(server.client());
    RedisActivity::new(server.client()).take(&report(1, 1, "ann@x", "t1", 5)).await.unwrap();
    for (add, key) in [("SADD", "active_users"), ("ZADD", "sekisho:{active_users}:seen")] {
        let mut command = redis::cmd(add);
        command.arg(key);
        if add == "ZADD" {
            command.arg(UnixSeconds::now().get());
        }
        let _: i64 = command.arg(b"\xff\xfe").query_async(&mut server.client().shared()).await.unwrap();
    }
    users.tidy(UnixSeconds::now()).await.unwrap();
    assert_eq!(users.clean().await.unwrap(), [] as [&str; 0]);
    assert_eq!(listed(&server).await.len(), 1);
    assert_eq!(users.list(&Search::parse(Some("ANN")).unwrap(), None, 1).await.unwrap().len(), 1);
    assert_eq!(users.list(&Search::default(), None, 1).await.unwrap().len(), 1, "nor does it end the walk");
}

#[tokio::test]
async fn who_comes_with_another_token_each_time_fills_no_memory() {
    let server = RedisServer::start().await;
    let store = RedisActivity::new(server.client());
    let many = |sequence: u64, ago: u64| {
        let one = |n: u64| report(1, 0, "bot@x", &format!("t{sequence}-{n}"), ago).subjects.remove(0);
        ActivityReport { subjects: (0..800).map(one).collect(), ..report(1, sequence, "bot@x", "t", ago) }
    };
    for (sequence, ago) in [(1, 300), (2, 299), (3, 200)] {
        store.take(&many(sequence, ago)).await.unwrap();
    }
    for (count, key) in [
        ("HLEN", "sekisho:active_user:bot@x"),
        ("SCARD", "active_user:bot@x"),
        ("ZCARD", "sekisho:{active_users}:in_use"),
    ] {
        let count: u64 = raw(&server, &[count, key]).await;
        assert!((900..=1_001).contains(&count), "{key}: {count}");
    }
    let person = json(&server, "active_user_metadata:bot@x").await;
    assert!(person["last_access"].as_u64().unwrap() >= ago_s(202), "they are seen nonetheless: {person}");
    // And so is a token of theirs that is on record.
    let _: String = raw(&server, &["SET", "token:info:own", r#"{"token_id":"own","last_used":null}"#]).await;
    for (sequence, ago, expected) in [(4, 190, 190), (5, 140, 190), (6, 100, 100)] {
        store.take(&report(1, sequence, "bot@x", "own", ago)).await.unwrap();
        let used = json(&server, "token:info:own").await["last_used"].as_u64().unwrap();
        assert!(used.abs_diff(ago_s(expected)) <= 2, "at most once a minute: {used}");
    }
    let _: String = raw(&server, &["CONFIG", "RESETSTAT"]).await;
    assert_eq!(listed(&server).await[0].requests, Some(3 * 2_403));
    let commands: String = raw(&server, &["INFO", "commandstats"]).await;
    assert!(!commands.contains("hgetall"), "{commands}");
}
