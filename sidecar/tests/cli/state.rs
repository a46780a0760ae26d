//! Tokens, bans and logouts.

use super::*;

#[tokio::test]
async fn a_token_is_issued_listed_and_revoked() {
    let redis = RedisServer::start().await;
    let run = |arguments: &[&str]| run(on(&redis.url(), arguments));

    let issued = run(&["token", "issue", "--email", "Ann@X.org"]);
    assert_eq!(issued.code, 0, "{}", issued.err);
    assert_eq!(issued.out.trim_end().split('.').count(), 3, "the token alone: {}", issued.out);
    assert_eq!(issued.out.lines().count(), 1);

    let issued = run(&[
        "token",
        "issue",
        "--email",
        "ann@x.org",
        "--name",
        "ci",
        "--scope",
        "admin",
        "--expires-in",
        "60",
        "--json",
    ]);
    let issued = issued.json();
    assert_eq!(issued["scopes"], serde_json::json!(["admin"]));
    assert_eq!((&issued["user_email"], &issued["expires_in"]), (&"ann@x.org".into(), &60.into()));

    let id = issued["token_id"].as_str().unwrap();
    let listed = run(&["token", "list", "--email", "ann@x.org", "--json"]).json();
    assert_eq!((&listed["count"], &listed["tokens"][0]["status"]), (&2.into(), &"active".into()));
    assert!(run(&["token", "list", "--email", "ann@x.org"]).out.contains(id));
    assert_eq!(run(&["token", "list", "--email", "bob@x.org"]).out, "bob@x.org has no tokens\n");

    let revoked = run(&["token", "revoke", id, "--json"]);
    assert_eq!((revoked.code, &revoked.json()["workers"]), (0, &0.into()));
    let listed = run(&["token", "list", "--email", "ann@x.org"]).out;
    assert!(listed.contains("revoked"), "{listed}");
    let unknown = run(&["token", "revoke", "unknown"]);
    assert_eq!((unknown.code, unknown.err.as_str()), (1, "error: there is no token with this id\n"));
}

#[tokio::test]
async fn somebody_is_banned_listed_and_let_in_again() {
    let redis = RedisServer::start().await;
    let run = |arguments: &[&str]| run(on(&redis.url(), arguments));
    assert_eq!(run(&["ban", "list"]).out, "nobody is banned\n");

    let banned = run(&["ban", "add", "Ann@X.org", "--for", "1d12h", "--reason", "spam"]);
    assert_eq!(banned.code, 0, "{}", banned.err);
    assert!(banned.out.starts_with("ann@x.org is banned for 1 days 12 hours: no filter listens"), "{}", banned.out);
    assert_eq!(run(&["ban", "add", "bob@x.org", "--permanent", "--json"]).json()["permanent"], true);

    let listed = run(&["ban", "list", "--json"]).json();
    assert_eq!(listed["count"], 2);
    let ann = &listed["bans"][0];
    assert_eq!(
        (&ann["user_email"], &ann["reason"], &ann["banned_by"]),
        (&"ann@x.org".into(), &"spam".into(), &"cli:ops".into())
    );

    assert_eq!(run(&["ban", "lift", "ANN@x.org"]).code, 0);
    let again = run(&["ban", "lift", "ann@x.org"]);
    assert_eq!((again.code, again.err.as_str()), (1, "error: ann@x.org is not banned\n"));
    let again = run(&["ban", "lift", "ann@x.org", "--json"]);
    assert_eq!((again.code, &again.json()["error"]["code"]), (1, &"not_banned".into()));
}

#[tokio::test]
async fn somebody_is_logged_out_everywhere_and_gets_a_new_token_at_once() {
    let redis = RedisServer::start().await;
    let run = |arguments: &[&str]| run(on(&redis.url(), arguments));
    let issue = |name: &str| run(&["token", "issue", "--email", "ann@x.org", "--name", name, "--json"]).json();
    issue("old");

    let out = run(&["logout", "Ann@X.org"]);
    assert_eq!(out.code, 0, "{}", out.err);
    assert!(out.out.starts_with("ann@x.org is logged out everywhere: no filter listens"), "{}", out.out);
    let new = issue("new");
    let listed = run(&["token", "list", "--email", "ann@x.org", "--json"]).json();
    for (index, status) in [(0, "active"), (1, "revoked")] {
        assert_eq!(listed["tokens"][index]["status"], status, "{listed}");
    }

    let again = run(&["logout", "ann@x.org", "--json"]).json();
    assert_eq!((&again["user_email"], &again["workers"]), (&"ann@x.org".into(), &0.into()));
    assert!(again["issued_before"].as_u64() >= new["created_at"].as_u64(), "{again} {new}");
    assert_eq!(run(&["logout", "ann"]).code, 2);
}

#[tokio::test]
async fn a_bad_value_is_wrong_usage() {
    let redis = RedisServer::start().await;
    for arguments in [
        &["ban", "add", "ann@x.org", "--for", "soon"][..],
        &["ban", "add", "ann@x.org", "--for", "0s"],
        &["ban", "add", "ann@x.org", "--for", "1d", "--permanent"],
        &["ban", "add", "ann"],
        &["token", "issue", "--email", "ann@x.org", "--name", ""],
        &["token", "issue", "--email", "ann@x.org", "--scope", "a b"],
        &["token", "issue", "--email", "ann@x.org", "--expires-in", "0"],
    ] {
        let ended = run(on(&redis.url(), arguments));
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.err);
    }
}

#[test]
fn without_redis_a_command_fails_and_says_why() {
    let url = format!("redis://127.0.0.1:{}", free_port());
    for arguments in [
        &["ban", "add", "ann@x.org"][..],
        &["ban", "list"],
        &["token", "issue", "--email", "ann@x.org"],
        &["logout", "ann@x.org"],
        &["session", "list"],
        &["session", "end", "s1"],
        &["session", "end-all", "ann@x.org"],
    ] {
        let ended = run(on(&url, arguments));
        assert_eq!(ended.code, 1, "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains("refused") && ended.out.is_empty(), "{arguments:?}: {}", ended.err);
    }
}

#[tokio::test]
async fn administrators_are_added_listed_and_removed() {
    let redis = RedisServer::start().await;
    let run = |arguments: &[&str]| {
        let mut command = on(&redis.url(), arguments);
        command.env("SUPER_ADMIN_EMAIL", "root@x.org").env("ADMIN_DOMAINS", "ops.example");
        run(command)
    };
    assert_eq!(run(&["admin", "add", "Ann@x.org"]).out, "ann@x.org is an administrator now\n");
    assert_eq!(run(&["admin", "add", "eve@x.org", "--role", "auditor"]).out, "eve@x.org is an auditor now\n");
    let again = run(&["admin", "add", "ann@x.org"]);
    assert_eq!((again.code, again.err.as_str()), (1, "error: ann@x.org is an administrator already\n"));
    let listed = run(&["admin", "list"]).out;
    let lines: Vec<&str> = listed.lines().collect();
    let expected = [
        "ann@x.org  admin  redis",
        "eve@x.org  auditor  redis",
        "root@x.org  super_admin  super_admin",
        "@ops.example  admin  environment",
    ];
    assert_eq!(lines, expected);
    let json = run(&["admin", "list", "--json"]).json();
    assert_eq!((&json["total"], &json["admins"][0]["removable"]), (&3.into(), &true.into()));
    assert_eq!(run(&["admin", "remove", "ann@x.org"]).out, "ann@x.org is removed\n");
    for (email, text) in [("ann@x.org", "is no administrator"), ("root@x.org", "by configuration")] {
        let refused = run(&["admin", "remove", email]);
        assert_eq!((refused.code, refused.err.contains(text)), (1, true), "{}", refused.err);
    }
    for arguments in [&["admin", "add", "ann"][..], &["admin", "add", "ann@x.org", "--role", "super_admin"]] {
        assert_eq!(run(arguments).code, 2);
    }
}

#[tokio::test]
async fn what_another_program_wrote_does_nothing_to_the_terminal() {
    let redis = RedisServer::start().await;
    let run = |arguments: &[&str]| run(on(&redis.url(), arguments));
    assert_eq!(run(&["ban", "add", "ann@x.org"]).code, 0);
    assert_eq!(run(&["token", "issue", "--email", "ann@x.org", "--name", "mine"]).code, 0);
    let hostile = "\u{1b}]0;mine\u{7}\u{9b}2J\u{202e}";
    let mut others = redis.client().shared();
    for field in ["reason", "by"] {
        let _: () =
            redis::AsyncCommands::hset(&mut others, "sekisho:ban:ann@x.org", field, hostile).await.expect("Redis");
    }
    let keys: Vec<String> = redis::AsyncCommands::keys(&mut others, "token:info:*").await.expect("Redis");
    let record: String = redis::AsyncCommands::get(&mut others, &keys[0]).await.expect("Redis");
    let mut record: Value = serde_json::from_str(&record).expect("a record");
    record["token_name"] = hostile.into();
    record["scopes"] = serde_json::json!([hostile]);
    let _: () = redis::AsyncCommands::set(&mut others, &keys[0], record.to_string()).await.expect("Redis");
    for arguments in [&["ban", "list"][..], &["token", "list", "--email", "ann@x.org"]] {
        let listed = run(arguments);
        assert!(listed.out.contains("\\u{9b}2J\\u{202e}"), "{arguments:?}: {}", listed.out);
        let as_json = run(&[arguments, &["--json"]].concat());
        assert!(as_json.json().to_string().contains("\u{9b}2J\u{202e}"), "the same value: {}", as_json.out);
        for acts in ['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}'] {
            assert!(!listed.out.contains(acts) && !as_json.out.contains(acts), "{arguments:?}: {acts:?}");
        }
    }
}
