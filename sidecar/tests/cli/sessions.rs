//! Sessions of browsers.

use sekisho_sidecar::domain::session::Session;
use sekisho_sidecar::domain::time::UnixSeconds;
use sekisho_sidecar::service::sessions::SessionStore;
use sekisho_sidecar::store::redis::sessions::RedisSessions;
use serde_json::json;

use super::*;

/// Keeps a session as a sign-in does, of a browser that would like to act on a terminal.
pub(crate) async fn begin(redis: &RedisServer, id: &str, who: &str) {
    let now = UnixSeconds::now();
    let session: Session = serde_json::from_value(json!({"id": id, "subject": who, "email": who, "host": "app.x",
        "method": "session", "signed_in_at": now, "last_access": now, "ends_at": now.plus(86_400), "idle_s": 3_600,
        "address": "192.0.2.7", "agent": "Fox \u{202e}1"}))
    .expect("a session");
    RedisSessions::new(redis.client()).insert(&session, now).await.expect("Redis keeps it");
}

#[tokio::test]
async fn a_session_of_oauth2_proxy_that_nobody_has_shown_is_listed_last_and_ended_by_its_key() {
    let redis = RedisServer::start().await;
    begin(&redis, "s1", "ann@x.org").await;
    let mut set = redis::cmd("SET");
    set.arg("_oauth2_proxy-1").arg("sealed").arg("EX").arg(600);
    set.exec_async(&mut redis.client().shared()).await.unwrap();
    let run = |arguments: &[&str]| {
        let mut command = on(&redis.url(), arguments);
        command.env("SEKISHO_OAUTH2_PROXY", "1");
        run(command)
    };
    let listed = run(&["session", "list"]).out;
    let lines: Vec<&str> = listed.lines().collect();
    assert!(
        lines[0].starts_with("s1  ann@x.org") && lines[1].starts_with("_oauth2_proxy-1  not shown yet  "),
        "{listed}"
    );
    let row = &run(&["session", "list", "--json"]).json()["sessions"][1];
    assert_eq!((&row["session_key"], &row["user_email"]), (&json!("_oauth2_proxy-1"), &json!(null)));
    let ended = run(&["session", "end", "_oauth2_proxy-1"]);
    assert!(
        ended.code == 0 && ended.out.starts_with("the session of somebody is ended: "),
        "{}{}",
        ended.out,
        ended.err
    );
    assert_eq!(run(&["session", "list"]).out.lines().count(), 1);
    assert_eq!(run(&["session", "end", "_oauth2_proxy-1"]).code, 1);
}

#[tokio::test]
async fn sessions_are_listed_found_and_ended_one_by_one_and_all_of_somebody() {
    let redis = RedisServer::start().await;
    let run = |arguments: &[&str]| run(on(&redis.url(), arguments));
    assert_eq!(run(&["session", "list"]).out, "there is no such session\n");
    for (id, who) in [("s1", "ann@x.org"), ("-hV_s2", "ann@x.org"), ("s3", "bob@y.org"), ("s4", "ann@x.org")] {
        begin(&redis, id, who).await;
    }
    let keys = |arguments: &[&str]| -> Vec<String> {
        let listed = run(&[&["session", "list", "--json"], arguments].concat()).json();
        assert_eq!(listed["count"], listed["sessions"].as_array().unwrap().len());
        let mut keys: Vec<String> = listed["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|session| session["session_key"].as_str().unwrap().to_owned())
            .collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&[]), ["-hV_s2", "s1", "s3", "s4"]);
    assert_eq!(keys(&["--email", "Bob@Y.org"]), ["s3"]);
    assert_eq!(keys(&["--search", "X.ORG"]), ["-hV_s2", "s1", "s4"]);
    assert_eq!(keys(&["--limit", "3"]).len(), 3);
    let text = run(&["session", "list", "--email", "bob@y.org"]).out;
    assert!(text.starts_with("s3  bob@y.org  on app.x  used "), "{text}");
    assert!(text.contains("from 192.0.2.7") && text.contains("\\u{202e}") && !text.contains('\u{202e}'), "{text}");

    let ended = run(&["session", "end", "-hV_s2"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.starts_with("the session of ann@x.org is ended: no filter listens"), "{}", ended.out);
    let again = run(&["session", "end", "-hV_s2"]);
    assert_eq!((again.code, again.err.as_str()), (1, "error: there is no session with the key -hV_s2\n"));
    assert_eq!(run(&["session", "end", "--json", "-hV_s2"]).json()["error"]["code"], "session_not_found");
    let all = run(&["session", "end-all", "ANN@x.org", "--json"]).json();
    assert_eq!(
        (&all["user_email"], &all["deleted_count"], &all["workers"]),
        (&"ann@x.org".into(), &2.into(), &0.into())
    );
    assert!(run(&["session", "end-all", "ann@x.org"]).out.starts_with("0 sessions of ann@x.org are ended: "));
    assert_eq!(keys(&[]), ["s3"]);
    for bad in [
        &["session", "end-all", ""][..],
        &["session", "list", "--limit", "0"],
        &["session", "list", "--search", "\u{1}"],
    ] {
        assert_eq!(run(bad).code, 2, "{bad:?}");
    }
}
