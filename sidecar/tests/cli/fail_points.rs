//! Crashes between two writes, and what is left of a change.

use std::os::unix::process::ExitStatusExt;

use redis::AsyncCommands;
use sekisho_sidecar::failpoint::FailPoint;

use super::*;

/// Signal 6: how a program ends that aborts.
const SIGABRT: i32 = 6;

/// Runs a command that ends at `point`.
fn crash(redis: &RedisServer, point: FailPoint, arguments: &[&str]) {
    let mut command = on(&redis.url(), arguments);
    let Output { status, stdout, stderr } =
        command.env("SEKISHO_FAILPOINT", point.word()).output().expect("the binary runs");
    let stderr = String::from_utf8(stderr).expect("text");
    assert_eq!(status.signal(), Some(SIGABRT), "{point:?}: {status} {stderr}");
    assert_eq!(stderr, format!("fail point {} reached\n", point.word()));
    assert!(stdout.is_empty(), "{point:?}: nothing was promised");
}

async fn has_entry(redis: &RedisServer, field: &str) -> bool {
    redis.client().shared().hexists("sekisho:{feed}:entries", field).await.expect("an answer")
}

async fn until_entry(redis: &RedisServer, field: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !has_entry(redis, field).await {
        assert!(Instant::now() < deadline, "no entry for {field}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn p8_what_crashed_between_record_and_entry_is_finished_by_the_next_sidecar() {
    let redis = RedisServer::start().await;
    let issued = run(on(&redis.url(), &["token", "issue", "--email", "ann@x.org", "--json"])).json();
    let id = issued["token_id"].as_str().expect("an id");
    let token = format!("token|{id}");
    let cases = [
        (FailPoint::BanRecorded, &["ban", "add", "bob@x.org"][..], "ban|bob@x.org"),
        (FailPoint::TokenRecorded, &["token", "revoke", id], token.as_str()),
        (FailPoint::NotBeforeRecorded, &["logout", "eve@x.org"], "not_before|eve@x.org"),
        (FailPoint::SessionRecorded, &["session", "end", "s1"], "session|s1"),
    ];
    sessions::begin(&redis, "s1", "carl@x.org").await;
    for (point, arguments, field) in cases {
        crash(&redis, point, arguments);
        assert!(!has_entry(&redis, field).await, "{point:?}");
    }
    let _sidecar = Sidecar::start(&redis.url()).await;
    for (_, _, field) in cases {
        until_entry(&redis, field).await;
    }
}

#[tokio::test]
async fn p8_what_crashed_before_the_answer_holds() {
    let redis = RedisServer::start().await;
    let issued = run(on(&redis.url(), &["token", "issue", "--email", "ann@x.org", "--json"])).json();
    let id = issued["token_id"].as_str().expect("an id");
    let token = format!("token|{id}");
    for (point, arguments, field) in [
        (FailPoint::BanEntered, &["ban", "add", "bob@x.org"][..], "ban|bob@x.org"),
        (FailPoint::TokenEntered, &["token", "revoke", id], token.as_str()),
        (FailPoint::NotBeforeEntered, &["logout", "eve@x.org"], "not_before|eve@x.org"),
        (FailPoint::SessionEntered, &["session", "end", "s1"], "session|s1"),
    ] {
        sessions::begin(&redis, "s1", "carl@x.org").await;
        crash(&redis, point, arguments);
        assert!(has_entry(&redis, field).await, "{point:?}");
    }
}

#[tokio::test]
async fn p8_an_unban_that_crashed_can_be_made_again() {
    let redis = RedisServer::start().await;
    let run = |arguments: &[&str]| run(on(&redis.url(), arguments));
    assert_eq!(run(&["ban", "add", "bob@x.org"]).code, 0);
    crash(&redis, FailPoint::UnbanRemoved, &["ban", "lift", "bob@x.org"]);
    assert_eq!(run(&["ban", "list", "--json"]).json()["count"], 1, "the absence of a record lifts nothing");
    assert_eq!(run(&["ban", "lift", "bob@x.org"]).code, 0, "as soon as the turn of the crashed one is over");
    assert_eq!(run(&["ban", "add", "bob@x.org"]).code, 0);
    crash(&redis, FailPoint::UnbanLifted, &["ban", "lift", "bob@x.org"]);
    assert_eq!(run(&["ban", "list", "--json"]).json()["count"], 0);
}

#[tokio::test]
async fn p8_a_retired_key_whose_announcement_crashed_is_announced_by_the_next_sidecar() {
    let redis = RedisServer::start().await;
    let rotate = || {
        let mut command = on(&redis.url(), &["keys", "rotate", "--algorithm", "ES256", "--json"]);
        command.env("REDIS_ENCRYPTION_KEY", testing::ENCRYPTION_KEY);
        run(command).json()["key"]["kid"].as_str().expect("a key").to_owned()
    };
    let recorded = async || -> (u64, String) {
        let text: String = redis.client().shared().get("sekisho:keyset:{sekisho}").await.expect("a record");
        let record: Value = serde_json::from_str(&text).expect("JSON");
        (record["revision"].as_u64().expect("a revision"), text)
    };
    let announced = async || -> u64 {
        let field = format!("keyset|{}", sekisho_sidecar::domain::keyset::SourceName::OWN);
        let entry: String = redis.client().shared().hget("sekisho:{feed}:entries", field).await.expect("an entry");
        let entry: Value = serde_json::from_str(&entry).expect("JSON");
        entry["issued_before"].as_u64().expect("a revision")
    };
    let (stolen, second) = (rotate(), rotate());
    crash(&redis, FailPoint::KeysetRecorded, &["keys", "retire", &stolen, "--now"]);
    let (revision, text) = recorded().await;
    assert!(!text.contains(&stolen) && announced().await < revision, "nobody was told");
    let sidecar = Sidecar::start(&redis.url()).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while announced().await < revision {
        assert!(Instant::now() < deadline, "nobody is told");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Its database goes with it.
    drop(sidecar);
    let _: () = redis.client().shared().del("sekisho:database").await.expect("Redis");
    rotate();
    crash(&redis, FailPoint::KeysetEntered, &["keys", "retire", &second, "--now"]);
    let (revision, text) = recorded().await;
    assert!(!text.contains(&second) && announced().await == revision, "everybody was told");
    assert_eq!(run(on(&redis.url(), &["keys", "retire", &second, "--now"])).code, 1, "it is gone");
}
