//! What a ban or a logout leaves of somebody's sessions.

use std::sync::Arc;

use sekisho_protocol::feed::Kind;

use super::sessions::session;
use super::*;
use crate::domain::audit::By;
use crate::domain::ban::{Length, Order};
use crate::domain::error::Failure;
use crate::domain::feed::position::Position;
use crate::domain::page::Window;
use crate::domain::search::Search;
use crate::domain::session::{Session, SessionId};
use crate::service::audit::Audit;
use crate::service::bans::Banned;
use crate::service::change::Changes;
use crate::service::error::StoreError;
use crate::service::feed::source::Deed;
use crate::service::sessions::{Bars, Found, Kept, SessionStore, Sessions};
use crate::store::redis::journal::RedisJournal;
use crate::store::redis::sessions::RedisSessions;
use crate::store::redis::vitals::RedisVitals;

fn ann() -> Subject {
    Subject::try_from("Ann@X".to_owned()).unwrap()
}

fn by() -> By {
    By::operator("test")
}

/// A session that begins now.
fn fresh(id: &str) -> Session {
    let now = UnixSeconds::now();
    Session { signed_in_at: now, last_access: now, ..session(id) }
}

impl World {
    async fn ban_ann(&self) -> Banned {
        let order = Order { subject: ann(), length: Length::Seconds(600), reason: None, by: by() };
        self.services.bans.ban(order, UnixSeconds::now()).await.unwrap()
    }

    async fn unban_ann(&self) {
        self.services.bans.lift(ann(), by()).await.unwrap();
    }

    async fn begin_now(&self, id: &str) -> Result<Session, Failure> {
        self.services.sessions.begin(fresh(id), UnixSeconds::now()).await
    }

    /// What a check says of a credential of Ann's that was issued at `at`.
    async fn check_one(&self, id: &str, method: &str, at: u64) -> Value {
        let check = json!({"protocol": 1, "replica": "0".repeat(32), "route": "r", "subject": "ann@x", "method": method,
            "token_id": id, "issued_at": at});
        self.decision_on(&check).await
    }
}

#[tokio::test]
async fn a_ban_ends_all_sessions_for_good_and_an_unban_lets_the_token_in_again() {
    let world = World::start().await;
    world.begin_now("s1").await.unwrap();
    world.begin("s2").await;
    let bobs = Session { subject: Subject::try_from("bob@x".to_owned()).unwrap(), ..session("s3") };
    world.services.sessions.begin(bobs, UnixSeconds::now()).await.unwrap();
    let now = UnixSeconds::now().get();
    let banned = world.ban_ann().await;
    assert_eq!(banned.ended_sessions, 2);
    for id in ["s1", "s2"] {
        assert!(world.standing(id).await["banned"].is_object(), "a ban comes first");
        let entry = world.services.feed.entry(Kind::Session, id).await.unwrap().unwrap();
        assert!(banned.change.acknowledgement.version >= entry.version, "the answer waits for the last of them");
    }
    assert_eq!(world.ban_ann().await.ended_sessions, 0, "nothing ends twice");
    world.unban_ann().await;
    assert_eq!(world.check_one("t1", "jwt", now).await, "allow");
    for id in ["s1", "s2"] {
        assert_eq!(world.standing(id).await, json!("ended"));
        assert_eq!(world.check_one(id, "session", now).await, json!({"deny": "session_ended"}));
    }
    assert!(world.standing("s3").await["live"].is_object());
    world.begin_now("s4").await.unwrap();
    assert!(world.standing("s4").await["live"].is_object(), "in the very second after");
}

#[tokio::test]
async fn a_session_that_nobody_could_list_does_not_come_back_after_the_ban() {
    let world = World::start().await;
    world.begin_now("s1").await.unwrap();
    world.redis(&["DEL", "sekisho:sessions:of:ann@x"]).await;
    let now = UnixSeconds::now().get();
    assert_eq!(world.ban_ann().await.ended_sessions, 0);
    world.unban_ann().await;
    assert_eq!(world.standing("s1").await, json!("ended"));
    // One of oauth2-proxy, which has it on record.
    let key = format!("_oauth2_proxy-{:032x}", 1);
    world.redis(&["SET", &key, "sealed"]).await;
    let id = format!("{key}.{}", "A".repeat(22));
    assert_eq!(world.check_one(&id, "oauth2_proxy", now).await, json!({"deny": "session_ended"}));
    assert_eq!(world.check_one(&id, "oauth2_proxy", now + 10).await, "allow", "one from after it");
    assert!(world.services.feed.entry(Kind::Session, "s1").await.unwrap().is_none(), "the moment alone ended it");
}

#[tokio::test]
async fn nobody_begins_a_session_while_banned_and_is_told_until_when() {
    let world = World::start().await;
    let until = world.ban_ann().await.ban.until.get();
    assert_eq!(world.begin_now("s1").await, Err(Failure::Banned { subject: ann(), until }));
    world.unban_ann().await;
    assert_eq!(world.standing("s1").await, json!("unknown"));
    world.redis(&["SET", "active_user_deleted:Ann@X", "1", "EX", "600"]).await;
    world.services.reconciler.settle(Kind::Ban, "Ann@X", Deed::Written).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while world.begin_now("s2").await.is_ok() {
        assert!(Instant::now() < deadline, "another program's spelling bars them, too");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_begins_while_its_owner_is_banned_is_refused_or_ended() {
    let world = World::start().await;
    let mut begun = 0;
    for round in 0..30 {
        let mut begins = JoinSet::new();
        for n in 0..6 {
            let (services, id) = (world.services.clone(), format!("r{round}-{n}"));
            begins.spawn(async move {
                tokio::time::sleep(Duration::from_millis(n)).await;
                let result = services.sessions.begin(fresh(&id), UnixSeconds::now()).await;
                (id, result)
            });
        }
        // Now before most of them, now after.
        tokio::time::sleep(Duration::from_millis(round % 10)).await;
        world.ban_ann().await;
        let results = begins.join_all().await;
        world.unban_ann().await;
        for (id, result) in results {
            match result {
                Ok(_) => {
                    begun += 1;
                    assert_eq!(world.standing(&id).await, json!("ended"), "{id} outlives the ban");
                }
                Err(Failure::Banned { .. } | Failure::Overtaken { .. }) => {
                    let standing = world.standing(&id).await;
                    assert!(standing == "unknown" || standing == "ended", "{id}: {standing}");
                }
                Err(other) => panic!("{id}: {other:?}"),
            }
        }
    }
    assert!((1..180).contains(&begun), "{begun} of 180 began: the two never met");
}

/// Something that happens while a session is being kept.
#[derive(Clone, Copy)]
enum Meanwhile {
    Ban,
    Logout,
}

/// A store in which it happens once the session is kept, and its owner was looked at before.
struct Interrupted {
    store: RedisSessions,
    services: Services,
    meanwhile: Meanwhile,
}

#[async_trait::async_trait]
impl SessionStore for Interrupted {
    async fn insert(&self, session: &Session, now: UnixSeconds) -> Result<(), StoreError> {
        self.store.insert(session, now).await?;
        match self.meanwhile {
            Meanwhile::Ban => {
                let order = Order { subject: ann(), length: Length::Seconds(600), reason: None, by: by() };
                self.services.bans.ban(order, now).await.map(drop).unwrap();
            }
            Meanwhile::Logout => self.services.logouts.log_out(ann(), by(), now).await.map(drop).unwrap(),
        }
        Ok(())
    }

    async fn look_up(&self, id: &SessionId) -> Result<(Found, Position), StoreError> {
        self.store.look_up(id).await
    }

    async fn replace(&self, seen: &Session, changed: &Session, now: UnixSeconds) -> Result<bool, StoreError> {
        self.store.replace(seen, changed, now).await
    }

    async fn end(&self, session: &Session, until: UnixSeconds) -> Result<(), StoreError> {
        self.store.end(session, until).await
    }

    async fn forget(&self, session: &Session) -> Result<(), StoreError> {
        self.store.forget(session).await
    }

    async fn of_subject(&self, subject: &Subject) -> Result<Vec<Session>, StoreError> {
        self.store.of_subject(subject).await
    }

    async fn bars(&self, subject: &Subject) -> Result<Bars, StoreError> {
        self.store.bars(subject).await
    }

    async fn outdate(&self, subject: &Subject, at: UnixSeconds, until: UnixSeconds) -> Result<UnixSeconds, StoreError> {
        self.store.outdate(subject, at, until).await
    }
}

#[tokio::test]
async fn a_sidecar_whose_clock_is_far_ahead_begins_no_session_that_outlives_a_ban_or_a_logout() {
    for meanwhile in [Meanwhile::Ban, Meanwhile::Logout] {
        let world = World::start().await;
        let (services, client) = (world.services.clone(), world.redis.client());
        let journal = Audit::new(Arc::new(RedisJournal::new(client.clone())));
        let vitals = Arc::new(RedisVitals::new(client.clone()));
        let changes = Changes::new(services.acknowledgements.clone(), vitals, journal);
        let store = RedisSessions::new(client);
        let index = Arc::new(store.clone());
        let (due, _) = tokio::sync::mpsc::channel(1);
        let kept = Kept { store: Arc::new(Interrupted { store, services: services.clone(), meanwhile }), index, due };
        let Services { feed, registry, mirror, checks, .. } = services;
        let sessions = Sessions::new(kept, feed, registry, mirror, checks, changes);
        let ahead = Session { signed_in_at: UnixSeconds::now().plus(60), ..session("s1") };
        let refused = sessions.begin(ahead, UnixSeconds::now()).await;
        match meanwhile {
            Meanwhile::Ban => {
                assert!(matches!(refused, Err(Failure::Banned { .. })), "{refused:?}");
                world.unban_ann().await;
            }
            Meanwhile::Logout => assert_eq!(refused, Err(Failure::Overtaken { subject: ann() })),
        }
        assert_eq!(world.standing("s1").await, json!("ended"));
        assert_eq!(world.services.sessions.count(UnixSeconds::now()).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_ban_by_another_program_ends_sessions_too() {
    let world = World::start().await;
    world.begin_now("s1").await.unwrap();
    world.redis(&["SET", "active_user_deleted:ann@x", "1", "EX", "600"]).await;
    world.services.reconciler.settle(Kind::Ban, "ann@x", Deed::Written).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while world.services.feed.entry(Kind::Session, "s1").await.unwrap().is_none() {
        assert!(Instant::now() < deadline, "its session is not ended");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.redis(&["DEL", "active_user_deleted:ann@x"]).await;
    world.services.reconciler.settle(Kind::Ban, "ann@x", Deed::Deleted).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while world.standing("s1").await != json!("ended") {
        assert!(Instant::now() < deadline, "{}", world.standing("s1").await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_logout_ends_the_sessions_that_it_bars() {
    let world = World::start().await;
    world.begin_now("s1").await.unwrap();
    let logged_out = world.services.logouts.log_out(ann(), by(), UnixSeconds::now()).await.unwrap();
    assert_eq!(logged_out.ended_sessions, 1);
    let entry = world.services.feed.entry(Kind::Session, "s1").await.unwrap().unwrap();
    assert!(logged_out.change.acknowledgement.version >= entry.version);
    world.begin_now("s2").await.unwrap();
    assert_eq!(world.standing("s1").await, json!("ended"));
    assert!(world.standing("s2").await["live"].is_object());
}

#[tokio::test]
async fn a_session_that_began_right_after_all_others_were_ended_is_ended_by_a_logout_in_the_same_second() {
    let world = World::start().await;
    world.services.sessions.end_all_of(&ann(), UnixSeconds::now()).await.unwrap();
    let begun = world.begin_now("s1").await.unwrap();
    assert!(begun.signed_in_at > UnixSeconds::now(), "it has the moment that ended the others");
    let logged_out = world.services.logouts.log_out(ann(), by(), UnixSeconds::now()).await.unwrap();
    assert_eq!(logged_out.ended_sessions, 1);
    assert_eq!(world.standing("s1").await, json!("ended"));
    world.begin_now("s2").await.unwrap();
    assert!(world.standing("s2").await["live"].is_object());
    world.redis(&["DEL", "sekisho:sessions:of:ann@x"]).await;
    world.services.logouts.log_out(ann(), by(), UnixSeconds::now()).await.unwrap();
    assert_eq!(world.standing("s2").await, json!("ended"), "listed or not");
}

#[tokio::test]
async fn p8_what_is_over_by_a_moment_on_record_alone_gets_into_the_feed_and_out_of_the_lists() {
    let world = World::start().await;
    world.begin_now("s1").await.unwrap();
    let moment = (UnixSeconds::now().get() + 2).to_string();
    world.redis(&["SET", "sekisho:sessions:not_before:ann@x", &moment, "EX", "600"]).await;
    assert_eq!(world.services.sessions.tidy(0).await.unwrap(), 0);
    assert!(world.services.feed.entry(Kind::Session, "s1").await.unwrap().is_some());
    assert_eq!(world.services.sessions.count(UnixSeconds::now()).await.unwrap(), 0);
}

#[tokio::test]
async fn an_entry_of_who_is_active_lets_nobody_back_in_by_an_ended_session() {
    let world = World::start().await;
    let begun = world.begin_now("s1").await.unwrap();
    // What the gateway that Sekisho replaces went by.
    world.redis(&["SADD", "active_user:ann@x", "s1"]).await;
    world.redis(&["SADD", "active_users", "ann@x"]).await;
    let metadata = json!({"email": "ann@x", "expires_at": later(), "auth_method": "oauth2", "session_count": 1});
    world.redis(&["SET", "active_user_metadata:ann@x", &metadata.to_string(), "EX", "600"]).await;
    let now = UnixSeconds::now();
    assert_eq!(world.check_one("s1", "session", now.get()).await, "allow");
    let session = world.services.sessions.find("s1", now).await.unwrap();
    world.services.sessions.end_on_order(session, by()).await.unwrap();
    world.services.active_users.tidy(now).await.unwrap();
    assert_eq!(world.standing("s1").await, json!("ended"));
    assert_eq!(world.check_one("s1", "session", begun.signed_in_at.get()).await, json!({"deny": "session_ended"}));
    let listed = world.services.active_users.list(&Search::default(), &Window::choose(None, None).unwrap(), now).await;
    assert_eq!(listed.unwrap().page.rows.len(), 1, "the entry is still there");
}
