//! Checks and activity reports, and bans by other programs.

use rustix::process::Signal;
use sekisho_protocol::feed::Kind;

use super::*;
use crate::domain::feed::record::Record;

fn check(subject: &str, token: Option<&str>) -> Value {
    json!({"protocol": 1, "replica": "0".repeat(32), "route": "llm", "subject": subject, "token_id": token, "issued_at": 1_000})
}

impl World {
    async fn decide(&self, subject: &str, token: Option<&str>) -> Value {
        let response = self.post("/v1/check", &check(subject, token)).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    /// Waits until a check says something else than allow, or the other way round.
    async fn until_decided(&self, subject: &str, allow: bool) -> Duration {
        let begun = Instant::now();
        while (self.decide(subject, None).await["decision"] == "allow") != allow {
            assert!(begun.elapsed() < Duration::from_secs(5), "nothing changes");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }

    async fn until_version(&self, version: u64) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.services.mirror.stamp().is_none_or(|stamp| stamp.version.get() < version) {
            assert!(Instant::now() < deadline, "version {version} does not come");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

#[tokio::test]
async fn a_check_tells_bans_and_revoked_tokens() {
    let world = World::start().await;
    let end = later();
    world.redis(&["SET", "active_user_deleted:ann@x", "1", "EXAT", &end.to_string()]).await;
    world.redis(&["SET", "active_user_deleted:eve@x", "1"]).await;
    world.redis(&["SET", "revoked:token:t1", "1", "EX", "60"]).await;
    for (subject, token, expected) in [
        ("bob@x", Some("t2"), json!("allow")),
        ("bob@x", None, json!("allow")),
        ("Ann@X", Some("t2"), json!({"deny": {"banned": {"until": end}}})),
        ("eve@x", None, json!({"deny": {"banned": {"until": u32::MAX}}})),
        ("bob@x", Some("t1"), json!({"deny": "token_revoked"})),
    ] {
        assert_eq!(world.decide(subject, token).await["decision"], expected, "{subject} {token:?}");
    }
}

#[tokio::test]
async fn p8_a_feed_entry_bars_even_without_its_record() {
    let world = World::start().await;
    let stamp = world.ban("ann@x").await;
    world.until_version(stamp.version.get()).await;
    assert!(world.decide("ann@x", None).await["decision"]["deny"]["banned"]["until"].is_u64());
}

#[tokio::test]
async fn tokens_from_before_a_moment_are_refused() {
    let world = World::start().await;
    for (before, expected) in [(1_000, json!("allow")), (1_001, json!({"deny": "token_revoked"}))] {
        let mark = Record { end: later(), floor: before }.mark(Kind::NotBefore, "ann@x");
        let stamp = world.services.feed.put(&mark).await.unwrap();
        world.until_version(stamp.version.get()).await;
        assert_eq!(world.decide("ann@x", Some("t")).await["decision"], expected, "issued before {before}");
    }
    assert_eq!(world.decide("ann@x", None).await["decision"], json!({"deny": "token_revoked"}));
}

#[tokio::test]
async fn p8_a_logout_bars_by_its_record_alone() {
    let world = World::start().await;
    world.ban("zoe@x").await;
    world.until_version(1).await;
    for (moment, expected) in [("1000", json!("allow")), ("1001", json!({"deny": "token_revoked"}))] {
        world.redis(&["SET", "sekisho:not_before:ann@x", moment, "EX", "600"]).await;
        assert_eq!(world.decide("Ann@x", Some("t")).await["decision"], expected, "issued before {moment}");
    }
    let mut undated = check("ann@x", Some("t"));
    undated["issued_at"] = Value::Null;
    world.redis(&["SET", "sekisho:not_before:ann@x", "1", "EX", "600"]).await;
    let response = world.post("/v1/check", &undated).await.json::<Value>().await.unwrap();
    assert_eq!(response["decision"], json!({"deny": "token_revoked"}), "who knows when it was issued");
    assert_eq!(world.decide("bob@x", Some("t")).await["decision"], "allow");
    world.redis(&["SET", "sekisho:not_before:ann@x", "soon"]).await;
    let response = world.post("/v1/check", &check("ann@x", Some("t"))).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "what can't be read is never an allow");
}

#[tokio::test]
async fn p5_an_answer_carries_the_version_from_before_the_records_were_read() {
    let world = World::start().await;
    let stamp = world.ban("ann@x").await;
    world.until_version(1).await;
    let answer = world.decide("bob@x", None).await;
    assert_eq!((&answer["version"], &answer["epoch"]), (&json!(1), &json!(stamp.epoch.as_str())));
}

#[tokio::test]
async fn p9_a_ban_by_another_program_takes_effect_within_a_second_and_its_end_too() {
    let world = World::start().await;
    let epoch = world.ban("zoe@x").await.epoch;
    let begun = Instant::now();
    let (reply, ()) = tokio::join!(world.reply(1, Some((&epoch, 1)), None), async {
        world.redis(&["SET", "active_user_deleted:Ann@x", "1", "EX", "600"]).await;
    });
    assert_eq!(span(&reply).2, 1);
    assert!(begun.elapsed() < Duration::from_secs(1));
    world.redis(&["DEL", "active_user_deleted:Ann@x"]).await;
    assert!(world.until_decided("ann@x", true).await < Duration::from_secs(1));
}

#[tokio::test]
async fn p8_a_ban_from_while_no_sidecar_ran_is_found_at_the_start() {
    let redis = RedisServer::start().await;
    let mut connection = redis.client().dedicated().await.unwrap();
    let set = redis::cmd("SET").arg("active_user_deleted:ann@x").arg(1).exec_async(&mut connection).await;
    set.unwrap();
    let world = World::on(redis).await;
    world.until_version(1).await;
    world.redis(&["CONFIG", "SET", "notify-keyspace-events", ""]).await;
    world.redis(&["DEL", "active_user_deleted:ann@x"]).await;
    assert_ne!(world.decide("ann@x", None).await["decision"], "allow", "its absence alone lifts nothing");
}

#[tokio::test]
async fn without_redis_a_check_is_an_inability_at_once() {
    let mut world = World::start().await;
    world.redis.stop();
    for _ in 0..3 {
        let begun = Instant::now();
        let response = world.post("/v1/check", &check("ann@x", None)).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "1");
        assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn activity_is_applied_once_and_counted() {
    let world = World::start().await;
    let report = |sequence: u64, requests: u64| {
        json!({"protocol": 1, "replica": "0".repeat(32), "sequence": sequence, "dropped": 2,
            "subjects": [{"subject": "Ann@x", "method": "jwt", "token_id": "t1", "requests": requests, "last_access": 100 * sequence}],
            "outcomes": [{"route": "llm", "outcome": "allow", "requests": requests}]})
    };
    for (sequence, requests) in [(1, 5), (1, 5), (2, 7), (1, 5)] {
        let response = world.post("/v1/activity", &report(sequence, requests)).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
    }
    let text = world.services.metrics.text(&world.services.mirror);
    for line in [
        r#"sekisho_requests_total{route="llm",outcome="allow"} 12"#,
        r#"sekisho_activity_reports_total{new="true"} 2"#,
        r#"sekisho_activity_reports_total{new="false"} 2"#,
        "sekisho_activity_dropped_total 4",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn a_report_that_is_too_large_is_refused() {
    let world = World::start().await;
    let outcomes = vec![json!({"route": "r", "outcome": "o", "requests": 1}); 1_001];
    let report = json!({"protocol": 1, "replica": "0".repeat(32), "sequence": 1, "dropped": 0, "subjects": [], "outcomes": outcomes});
    assert_eq!(world.post("/v1/activity", &report).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_redis_that_hangs_is_an_inability_in_bounded_time() {
    let world = World::start().await;
    world.redis.signal(Signal::STOP);
    let begun = Instant::now();
    let response = world.post("/v1/check", &check("ann@x", None)).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    world.redis.signal(Signal::CONT);
    assert!(world.until_decided("ann@x", true).await < Duration::from_secs(2));
}
