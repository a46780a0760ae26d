//! Questions about sessions.

use sekisho_protocol::feed::Kind;

use super::*;
use crate::domain::session::{Session, SessionId};
use crate::jobs::reconcile::walk;
use crate::service::sessions::ending::Ended;

/// A session of Ann's on `app.x` that was last used a while ago.
pub(super) fn session(id: &str) -> Session {
    let now = UnixSeconds::now().get();
    let session = json!({"id": id, "subject": "ann@x", "email": "ann@x", "host": "app.x", "method": "session",
        "claims": {"groups": ["dev"]}, "signed_in_at": now - 100, "last_access": now - 100, "ends_at": now + 600,
        "idle_s": 60, "agent": "Fox"});
    serde_json::from_value(session).unwrap()
}

pub(super) fn question(id: &str) -> Value {
    json!({"protocol": 1, "replica": "0".repeat(32), "host": "app.x", "id": id})
}

impl World {
    pub(super) async fn begin(&self, id: &str) -> Session {
        self.services.sessions.begin(session(id), UnixSeconds::now()).await.unwrap()
    }

    async fn ask_about(&self, question: &Value) -> Value {
        let response = self.post("/v1/session", question).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    pub(super) async fn standing(&self, id: &str) -> Value {
        self.ask_about(&question(id)).await["standing"].take()
    }

    pub(super) async fn check_session(&self, id: &str, method: &str) -> Value {
        let check = json!({"protocol": 1, "replica": "0".repeat(32), "route": "r", "subject": "ann@x", "method": method,
            "token_id": id, "issued_at": UnixSeconds::now().get()});
        self.decision_on(&check).await
    }

    pub(super) async fn decision_on(&self, check: &Value) -> Value {
        let response = self.post("/v1/check", check).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.json::<Value>().await.unwrap()["decision"].take()
    }

    async fn life(&self, key: &str) -> i64 {
        redis::cmd("TTL").arg(key).query_async(&mut self.redis.client().dedicated().await.unwrap()).await.unwrap()
    }
}

#[tokio::test]
async fn a_session_that_holds_is_told_with_what_is_known_of_its_owner() {
    let world = World::start().await;
    let begun = world.begin("s1").await;
    let reply = world.ask_about(&question("s1")).await;
    let stamp = world.services.mirror.stamp().unwrap();
    assert_eq!((&reply["epoch"], &reply["version"]), (&json!(stamp.epoch), &json!(stamp.version.get())));
    let expected = json!({"subject": "ann@x", "email": "ann@x", "method": "session", "claims": "eyJncm91cHMiOlsiZGV2Il19",
        "signed_in_at": begun.signed_in_at, "ends_at": begun.ends_at, "cache_s": 30});
    assert_eq!(reply["standing"]["live"], expected);
    assert_eq!(world.check_session("s1", "session").await, "allow");
}

#[tokio::test]
async fn what_is_not_there_or_on_another_host_is_unknown() {
    let world = World::start().await;
    world.begin("s1").await;
    assert_eq!(world.standing("s2").await, "unknown");
    assert_eq!(world.standing("ended:s1").await, "unknown", "no key but a session's is read");
    let mut elsewhere = question("s1");
    elsewhere["host"] = json!("other.x");
    assert_eq!(world.ask_about(&elsewhere).await["standing"], "unknown");
    world.redis(&["DEL", "sekisho:session:s1"]).await;
    assert_eq!(world.standing("s1").await, "unknown");
    assert_eq!(world.check_session("s1", "session").await, json!({"deny": "session_ended"}));
    assert_eq!(
        world.check_session("s1", "oauth2_proxy").await,
        json!({"deny": "session_ended"}),
        "nor keeps anybody else one"
    );
}

#[tokio::test]
async fn a_session_is_kept_for_as_long_as_it_is_used_and_never_beyond_its_end() {
    let world = World::start().await;
    world.begin("s1").await;
    world.redis(&["EXPIRE", "sekisho:session:s1", "5"]).await;
    assert!(world.standing("s1").await["live"].is_object());
    let deadline = Instant::now() + Duration::from_secs(5);
    // Its idle time is 60 s.
    while world.life("sekisho:session:s1").await <= 60 {
        assert!(Instant::now() < deadline, "its use is not written down");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut last = session("s2");
    last.ends_at = UnixSeconds::now().plus(20);
    world.services.sessions.begin(last, UnixSeconds::now()).await.unwrap();
    assert!(world.life("sekisho:session:s2").await <= 20);
    assert!(world.life("sekisho:sessions:of:ann@x").await > 500, "the longest of them counts");
}

#[tokio::test]
async fn an_ended_session_is_refused_even_after_its_record_is_gone() {
    let world = World::start().await;
    let begun = world.begin("s1").await;
    world.services.sessions.end(&begun).await.unwrap();
    let ended = json!("ended");
    assert_eq!(world.standing("s1").await, ended);
    assert_eq!(world.check_session("s1", "session").await, json!({"deny": "session_ended"}));
    let entry = world.services.feed.entry(Kind::Session, "s1").await.unwrap().unwrap();
    assert_eq!(entry.until, begun.ends_at.get() + 360);
    world.redis(&["DEL", "sekisho:session:s1"]).await;
    assert_eq!(world.standing("s1").await, ended);
}

#[tokio::test]
async fn all_sessions_of_somebody_end_at_once_and_nobody_elses() {
    let world = World::start().await;
    for id in ["s1", "s2"] {
        world.begin(id).await;
    }
    let bobs = Session { subject: Subject::try_from("bob@x".to_owned()).unwrap(), ..session("s3") };
    world.services.sessions.begin(bobs, UnixSeconds::now()).await.unwrap();
    world.begin("s4").await;
    world.redis(&["SET", "sekisho:session:s4", "{}"]).await;
    let ann = session("s1").subject;
    let ended = world.services.sessions.end_all_of(&ann, UnixSeconds::now()).await.unwrap();
    assert_eq!((ended.count, ended.stamp.is_some()), (2, true));
    assert_eq!(world.services.sessions.end_all_of(&ann, UnixSeconds::now()).await.unwrap(), Ended::default());
    for id in ["s1", "s2"] {
        assert_eq!(world.standing(id).await, json!("ended"));
    }
    assert!(world.standing("s3").await["live"].is_object());
}

#[tokio::test]
async fn a_ban_is_told_before_the_end_of_a_session() {
    let world = World::start().await;
    let begun = world.begin("s1").await;
    world.services.sessions.end(&begun).await.unwrap();
    let end = later();
    world.redis(&["SET", "active_user_deleted:ann@x", "1", "EXAT", &end.to_string()]).await;
    let told = world.standing("s1").await["banned"].take();
    // What is left of a ban is read in milliseconds, a moment before the clock is.
    assert!((end..=end + 1).contains(&told["until"].as_u64().unwrap()) && told["email"] == "ann@x", "{told}");
}

#[tokio::test]
async fn whoever_was_logged_out_everywhere_has_no_session_from_before_and_can_begin_one_at_once() {
    let world = World::start().await;
    world.begin("s1").await;
    let moment = UnixSeconds::now().plus(2);
    world.redis(&["SET", "sekisho:not_before:ann@x", &moment.to_string(), "EX", "600"]).await;
    assert_eq!(world.standing("s1").await, json!("ended"));
    assert_eq!(world.begin("s2").await.signed_in_at, moment);
    assert!(world.standing("s2").await["live"].is_object());
}

#[tokio::test]
async fn p8_the_end_of_a_session_that_is_on_record_alone_gets_into_the_feed() {
    let world = World::start().await;
    world.begin("s1").await;
    world.redis(&["SET", "sekisho:session:ended:s1", "1", "EX", "900"]).await;
    assert_eq!(world.standing("s1").await, json!("ended"));
    walk(&world.services.reconciler).await.unwrap();
    assert!(world.services.feed.entry(Kind::Session, "s1").await.unwrap().is_some());
    assert_eq!(walk(&world.services.reconciler).await.unwrap(), 0);
}

#[tokio::test]
async fn p8_a_feed_entry_bars_a_session_even_without_a_record_of_its_end() {
    let world = World::start().await;
    let begun = world.begin("s1").await;
    let id = SessionId::parse("s1").unwrap();
    let stamp = world.services.feed.put(&Mark::ended_session(&id, begun.ends_at)).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while world.services.mirror.stamp().is_none_or(|held| !held.reaches(&stamp)) {
        assert!(Instant::now() < deadline, "the entry does not come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(world.standing("s1").await, json!("ended"));
}

#[tokio::test]
async fn what_cannot_be_read_is_an_inability() {
    let mut world = World::start().await;
    world.begin("s1").await;
    world.begin("s2").await;
    world.redis(&["SET", "sekisho:session:s1", "{}"]).await;
    assert_eq!(world.post("/v1/session", &question("s1")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    world.redis(&["COPY", "sekisho:session:s2", "sekisho:session:s3"]).await;
    assert_eq!(world.post("/v1/session", &question("s3")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    world.redis.stop();
    assert_eq!(world.post("/v1/session", &question("s2")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_question_that_makes_no_sense_is_refused() {
    let world = World::start().await;
    for (field, value) in [
        ("protocol", json!(2)),
        ("id", json!("a".repeat(129))),
        ("host", json!("h".repeat(254))),
        ("replica", json!("no")),
        ("id", json!(null)),
    ] {
        let mut bad = question("s1");
        bad[field] = value;
        assert_eq!(world.post("/v1/session", &bad).await.status(), StatusCode::BAD_REQUEST, "{bad}");
    }
    let large = json!({"a": "x".repeat(17_000)});
    assert_eq!(world.post("/v1/session", &large).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
}
