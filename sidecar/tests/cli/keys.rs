//! The signing keys.

use redis::AsyncCommands;

use super::*;
use testing::ENCRYPTION_KEY;

/// Runs a command with an encryption key.
fn sealed(redis: &RedisServer, arguments: &[&str]) -> Ended {
    let mut command = on(&redis.url(), arguments);
    command.env("REDIS_ENCRYPTION_KEY", ENCRYPTION_KEY);
    run(command)
}

/// The header of a token that is issued now.
fn header(redis: &RedisServer) -> Value {
    use base64::Engine as _;
    let issued = sealed(redis, &["token", "issue", "--email", "ann@x.org"]);
    assert_eq!(issued.code, 0, "{}", issued.err);
    let header = issued.out.split('.').next().expect("a header");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[tokio::test]
async fn a_key_is_added_rotated_to_listed_and_retired() {
    let redis = RedisServer::start().await;
    assert_eq!(sealed(&redis, &["keys", "list"]).out, "JWT_SECRET  HS256  signing\n");

    let added = sealed(&redis, &["keys", "add", "--algorithm", "EdDSA"]);
    assert_eq!(added.code, 0, "{}", added.err);
    assert!(added.out.contains(" (EdDSA) waits to sign: no filter listens"), "{}", added.out);
    let kid = added.out.split(' ').next().unwrap().to_owned();
    assert_eq!(header(&redis), serde_json::json!({"alg": "HS256", "typ": "JWT"}));

    let rotated = sealed(&redis, &["keys", "rotate"]);
    assert_eq!(rotated.code, 0, "{}", rotated.err);
    assert!(rotated.out.starts_with(&format!("{kid} (EdDSA) signs from now on: ")), "{}", rotated.out);
    assert_eq!(header(&redis), serde_json::json!({"alg": "EdDSA", "kid": kid, "typ": "JWT"}));

    let again = sealed(&redis, &["keys", "rotate", "--algorithm", "ES256", "--json"]).json();
    assert_eq!((&again["signing"], &again["key"]["algorithm"]), (&true.into(), &"ES256".into()));
    let listed = sealed(&redis, &["keys", "list", "--json"]).json();
    assert_eq!((&listed["count"], &listed["signs"]["kid"]), (&2.into(), &again["key"]["kid"]));
    assert_eq!((&listed["keys"][0]["kid"], &listed["keys"][0]["state"]), (&kid.as_str().into(), &"verifying".into()));
    let text = sealed(&redis, &["keys", "list"]).out;
    assert!(text.contains("verifying  goes in 31 days, with its last token"), "{text}");

    let refused = sealed(&redis, &["keys", "retire", &kid]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("tokens of this key are valid until"), "{}", refused.err);
    let retired = sealed(&redis, &["keys", "retire", &kid, "--now", "--json"]);
    assert_eq!((retired.code, &retired.json()["kid"]), (0, &kid.as_str().into()), "{}", retired.err);
    assert_eq!(retired.json()["acknowledged"], 0);
    let gone = sealed(&redis, &["keys", "retire", &kid]);
    assert_eq!((gone.code, gone.err.as_str()), (1, "error: there is no signing key with this id\n"));
}

#[tokio::test]
async fn without_an_encryption_key_adding_one_says_what_to_set() {
    let redis = RedisServer::start().await;
    for arguments in [&["keys", "add", "--algorithm", "EdDSA"][..], &["keys", "rotate", "--algorithm", "ES256"]] {
        let ended = run(on(&redis.url(), arguments));
        assert_eq!(ended.code, 2, "{}", ended.err);
        for text in ["REDIS_ENCRYPTION_KEY", "openssl rand -hex 32"] {
            assert!(ended.err.contains(text), "{}", ended.err);
        }
    }
    assert_eq!(run(on(&redis.url(), &["keys", "list"])).code, 0);
}

#[tokio::test]
async fn the_doctor_names_a_key_that_this_machine_cannot_open() {
    let redis = RedisServer::start().await;
    let rotated = sealed(&redis, &["keys", "rotate", "--algorithm", "ES256", "--json"]).json();
    let kid = rotated["key"]["kid"].as_str().unwrap();
    let other = ENCRYPTION_KEY.chars().rev().collect::<String>();
    for (key, status, detail) in [
        (Some(ENCRYPTION_KEY), "warn", "nothing is persisted"),
        (Some(other.as_str()), "fail", "sealed under another encryption key"),
        (None, "fail", "REDIS_ENCRYPTION_KEY is not set"),
    ] {
        let mut command = on(&redis.url(), &["doctor", "--json"]);
        let nowhere = format!("http://127.0.0.1:{}", free_port());
        command.env("SEKISHO_ENVOY_ADMIN", &nowhere).env("SEKISHO_SIDECARS", &nowhere);
        command.envs(key.map(|key| ("REDIS_ENCRYPTION_KEY", key)));
        let report = run(command).json();
        let checks = report["checks"].as_array().expect("checks");
        let found = checks.iter().find(|check| check["name"] == "signing keys").expect("a verdict");
        let text = found["detail"].as_str().expect("a text");
        assert_eq!(found["status"], status, "{text}");
        assert!(text.contains(kid) && text.contains(detail), "{text}");
    }
}

#[tokio::test]
async fn a_running_sidecar_tends_the_keys() {
    let redis = RedisServer::start().await;
    sealed(&redis, &["keys", "rotate", "--algorithm", "EdDSA"]);
    let unused = sealed(&redis, &["keys", "rotate", "--json"]).json();
    assert_eq!(sealed(&redis, &["keys", "list", "--json"]).json()["count"], 2);
    let _sidecar = Sidecar::start(&redis.url()).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while sealed(&redis, &["keys", "list", "--json"]).json()["count"] != 1 {
        assert!(Instant::now() < deadline, "the first key signed no token and should be gone");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let left = sealed(&redis, &["keys", "list", "--json"]).json();
    assert_eq!(left["keys"][0]["kid"], unused["key"]["kid"]);
}

#[tokio::test]
async fn a_bad_value_is_wrong_usage() {
    let redis = RedisServer::start().await;
    for arguments in [
        &["keys", "add"][..],
        &["keys", "add", "--algorithm", "HS256"],
        &["keys", "add", "--algorithm", "RS256"],
        &["keys", "rotate", "--algorithm", "none"],
        &["keys", "rotate"],
        &["keys", "retire"],
    ] {
        let ended = sealed(&redis, arguments);
        assert_eq!(ended.code, 2, "{arguments:?}: {}", ended.err);
    }
}

#[tokio::test]
async fn identity_providers_and_their_keys_are_listed_and_the_doctor_looks_at_them() {
    let redis = RedisServer::start().await;
    let sources = r#"[{"name":"idp","issuer":"https://idp.x.org"}]"#;
    let with_source = |arguments: &[&str]| {
        let mut command = on(&redis.url(), arguments);
        command.env("SEKISHO_KEY_SOURCES", sources);
        run(command)
    };
    let listed = with_source(&["keys", "list"]).out;
    assert_eq!(listed.lines().last(), Some("idp  issuer https://idp.x.org  unknown, revision 0, 0 keys"));
    let record = r#"{"revision":7,"keys":[{"kty":"EC","kid":"a\u001b[2J","crv":"P-256","alg":"ES256"}],"origin":{"fetched_at_ms":1,"failure":"timed out"}}"#;
    let _: () = redis.client().shared().set("sekisho:keyset:{idp}", record).await.expect("an answer");
    let listed = with_source(&["keys", "list"]).out;
    for expected in ["unreachable, revision 7, 1 keys, fetched", "  failing: timed out", r"  a\u{1b}[2J  P-256  ES256"]
    {
        assert!(listed.contains(expected), "{listed}");
    }
    let json = with_source(&["keys", "list", "--json"]).json();
    assert_eq!((&json["sources"][0]["revision"], &json["sources"][0]["keys"][0]["crv"]), (&7.into(), &"P-256".into()));
    let refreshed = with_source(&["keys", "refresh", "idp"]);
    assert_eq!((refreshed.code, refreshed.out.contains("within a second")), (0, true), "{}", refreshed.err);
    for name in ["other", "sekisho", "a b"] {
        assert_eq!(with_source(&["keys", "refresh", name]).code, 2, "{name}");
    }
    let report = with_source(&["doctor", "--json"]).json();
    let checks = report["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["name"] == "provider keys").expect("a verdict");
    assert_eq!(found["status"], "warn", "{found}");
}
