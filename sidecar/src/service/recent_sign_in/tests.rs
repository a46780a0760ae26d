//! Sign-ins and the tokens that need them, on one Redis. A sidecar follows the feed; whatever else jobs do is done here.

use std::time::Duration;

use sekisho_protocol::activity::Method;
use sekisho_protocol::check::{CheckDecision, CheckRequest, DenyReason};
use sekisho_protocol::keys::digest_key;
use sekisho_protocol::{PROTOCOL, ReplicaId};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::app::App;
use crate::domain::audit::By;
use crate::domain::token::TokenId;
use crate::jobs;
use crate::jobs::follow::Follower;
use crate::service::Services;
use crate::service::tokens::Wish;
use crate::store::redis::source::RedisFeedSource;
use crate::testing::{MESH_SECRET, RedisServer};

const WINDOW_S: u64 = 86_400;

struct World {
    redis: RedisServer,
    services: Services,
    jobs: JoinSet<()>,
    closing: CancellationToken,
}

impl World {
    async fn start() -> Self {
        Self::with(&[("SEKISHO_TOKENS_RECENT_SIGN_IN_SECONDS", "86400")]).await
    }

    async fn with(more: &[(&str, &str)]) -> Self {
        let redis = RedisServer::start().await;
        let settings = redis.settings(more);
        let (closing, mut jobs) = (CancellationToken::new(), JoinSet::new());
        let app = App::new(&settings, closing.clone()).unwrap();
        let (source, key) = (RedisFeedSource::new(redis.client()), digest_key(MESH_SECRET.as_bytes()));
        let follower = Follower::new(source, app.services.mirror.clone(), key);
        jobs.spawn(follower.run(closing.clone()));
        let world = Self { redis, services: app.services, jobs, closing };
        world.until(async || world.services.mirror.stamp().is_some()).await;
        world
    }

    async fn end(mut self) {
        self.closing.cancel();
        while self.jobs.join_next().await.is_some() {}
    }

    async fn until(&self, is_so: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while !is_so().await {
            assert!(Instant::now() < deadline, "it does not come");
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn raw<T: redis::FromRedisValue>(&self, command: &[&str]) -> T {
        let mut call = redis::cmd(command[0]);
        call.arg(&command[1..]);
        call.query_async(&mut self.redis.client().shared()).await.unwrap()
    }

    /// A token of Ann's that was issued a while ago.
    async fn token(&self, ago_s: u64) -> TokenId {
        let wish = Wish { name: "laptop".into(), ..Wish::default() };
        let issued_at = UnixSeconds(UnixSeconds::now().get() - ago_s);
        let email = Email::parse("ann@x.org").unwrap();
        self.services.tokens.issue_to(email, &wish, By::operator("test"), issued_at).await.unwrap().grant.id
    }

    /// Ann signed in a while ago.
    async fn signed_in(&self, ago_s: u64) {
        let moment = (UnixSeconds::now().get() - ago_s).to_string();
        let _: String = self.raw(&["SET", "sekisho:signed_in:ann@x.org", &moment]).await;
    }

    async fn walk(&self) -> usize {
        jobs::recent_sign_in::walk(&self.services.recent_sign_in).await.unwrap()
    }

    async fn note(&self) {
        let now = UnixSeconds::now();
        self.services.recent_sign_in.note(&ann(), now, now).await.unwrap();
    }

    async fn is_barred(&self) -> bool {
        self.services.feed.entry(Kind::SignIn, "ann@x.org").await.unwrap().is_some()
    }

    async fn record(&self) -> Option<String> {
        self.raw(&["GET", "sekisho:sign_in_needed:ann@x.org"]).await
    }

    async fn decide(&self, recent_sign_in: bool) -> CheckDecision {
        let request = CheckRequest {
            protocol: PROTOCOL,
            replica: ReplicaId::from_bytes([1; 16]),
            route: "llm".into(),
            subject: ann(),
            method: Method::Jwt,
            token_id: None,
            issued_at: Some(1),
            keys: None,
            recent_sign_in,
        };
        self.services.checks.decide(&request).await.unwrap().decision
    }
}

fn ann() -> Subject {
    Subject::try_from("ann@x.org".to_owned()).unwrap()
}

const NEEDED: CheckDecision = CheckDecision::Deny(DenyReason::SignInNeeded);

#[tokio::test(flavor = "multi_thread")]
async fn whose_window_is_over_must_sign_in_and_can_use_their_tokens_at_once_when_they_did() {
    let world = World::start().await;
    world.token(10).await;
    world.signed_in(WINDOW_S - 60).await;
    assert_eq!(world.walk().await, 0, "a sign-in within the window");
    assert_eq!((world.is_barred().await, world.decide(true).await), (false, CheckDecision::Allow));
    world.signed_in(WINDOW_S).await;
    assert_eq!(world.walk().await, 1);
    assert!(world.is_barred().await);
    assert!(world.record().await.unwrap().contains(r#""reason":"no recent sign-in""#), "the record says why");
    assert_eq!(world.decide(true).await, NEEDED);
    assert_eq!(world.decide(false).await, CheckDecision::Allow, "tokens of other providers need none");
    world.note().await;
    assert_eq!((world.is_barred().await, world.record().await), (false, None));
    assert_eq!(world.decide(true).await, CheckDecision::Allow);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_signed_in_counts_from_the_first_token_and_no_later_one_helps() {
    let world = World::start().await;
    world.token(10).await;
    world.walk().await;
    assert!(!world.is_barred().await, "the token is new");
    let moment: u64 = world.raw(&["GET", "sekisho:signed_in:ann@x.org"]).await;
    assert!(UnixSeconds::now().get() - moment >= 10);
    world.end().await;
    let world = World::start().await;
    world.token(WINDOW_S + 1).await;
    world.token(10).await;
    world.walk().await;
    assert!(world.is_barred().await);
    assert_eq!(world.decide(true).await, NEEDED);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_token_that_can_be_used_is_not_looked_at() {
    let world = World::start().await;
    let id = world.token(WINDOW_S + 1).await;
    world.services.tokens.revoke(&id, By::operator("test")).await.unwrap();
    let _: i64 = world.raw(&["DEL", "sekisho:signed_in:ann@x.org", "sekisho:sign_in_needed:ann@x.org"]).await;
    assert_eq!(world.walk().await, 0);
    assert_eq!(world.record().await, None);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_bar_that_got_as_far_as_its_record_is_finished_by_any_sidecar() {
    let world = World::start().await;
    let until = (UnixSeconds::now().get() + 600).to_string();
    let _: String = world.raw(&["SET", "sekisho:sign_in_needed:ann@x.org", "{}", "EXAT", &until]).await;
    assert_eq!(world.decide(true).await, NEEDED, "the record bars already");
    jobs::reconcile::walk(&world.services.reconciler).await.unwrap();
    assert!(world.is_barred().await);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_sign_in_that_lifted_nothing_yet_counts_at_once_and_a_walk_lifts_the_rest() {
    for removes_record in [false, true] {
        let world = World::start().await;
        world.token(10).await;
        world.signed_in(WINDOW_S).await;
        world.walk().await;
        let held =
            async || world.services.mirror.look(|state, _| state.holding(Kind::SignIn, "ann@x.org", 0)).flatten();
        world.until(async || held().await.is_some()).await;
        world.signed_in(0).await;
        if removes_record {
            let _: i64 = world.raw(&["DEL", "sekisho:sign_in_needed:ann@x.org"]).await;
        }
        assert!(world.is_barred().await);
        assert_eq!(world.decide(true).await, CheckDecision::Allow);
        world.walk().await;
        assert_eq!((world.is_barred().await, world.record().await), (false, None), "{removes_record}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_begins_a_session_or_comes_with_one_has_signed_in() {
    let world = World::start().await;
    world.token(10).await;
    world.signed_in(WINDOW_S).await;
    world.walk().await;
    assert_eq!(world.decide(true).await, NEEDED);
    let now = UnixSeconds::now();
    let session = serde_json::json!({"id": "s1", "subject": "ann@x.org", "email": "ann@x.org", "host": "app.x",
        "method": "session", "claims": {}, "signed_in_at": now, "last_access": now, "ends_at": now.plus(600), "idle_s": 60});
    world.services.sessions.begin(serde_json::from_value(session).unwrap(), now).await.unwrap();
    assert_eq!((world.decide(true).await, world.is_barred().await), (CheckDecision::Allow, false));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_record_that_cannot_be_read_keeps_others_from_being_seen() {
    let world = World::start().await;
    world.token(WINDOW_S + 1).await;
    let _: i64 = world.raw(&["ZADD", "sekisho:tokens:places:bob@x.org", "99999999999", "t"]).await;
    let _: i64 = world.raw(&["LPUSH", "sekisho:signed_in:bob@x.org", "1"]).await;
    let _: String = world.raw(&["SET", "sekisho:tokens:places:eve@x.org", "1"]).await;
    let _: String = world.raw(&["SET", "sekisho:signed_in:ann@x.org", "soon"]).await;
    world.walk().await;
    assert!(world.is_barred().await, "what is no moment is counted from the tokens");
    world.note().await;
    assert_eq!(world.decide(true).await, CheckDecision::Allow);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_must_sign_in_where_that_is_not_switched_on() {
    let world = World::with(&[]).await;
    world.token(WINDOW_S + 1).await;
    assert!(!world.services.recent_sign_in.is_on());
    assert_eq!(world.walk().await, 0);
    world.note().await;
    assert_eq!(world.raw::<i64>(&["EXISTS", "sekisho:signed_in:ann@x.org"]).await, 0);
    world.services.feed.put(&Mark::sign_in_needed(&ann(), UnixSeconds::now().plus(60))).await.unwrap();
    assert_eq!(world.decide(true).await, CheckDecision::Allow, "what is left of before bars nobody");
    world.end().await;
}
