//! Bans under concurrency: two sidecars with all their jobs, one Redis, everybody at once.

use redis::AsyncCommands;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::app::App;
use crate::domain::audit::By;
use crate::domain::ban::Length;
use crate::domain::feed::Version;
use crate::service::Services;
use crate::testing::RedisServer;

/// What an answer said: who is right is decided by the versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    version: Version,
    is_banned: bool,
}

struct World {
    redis: RedisServer,
    sidecars: Vec<Services>,
    jobs: JoinSet<()>,
    closing: CancellationToken,
}

impl World {
    async fn start() -> Self {
        let redis = RedisServer::start().await;
        let settings = redis.settings(&[("SEKISHO_ACK_TIMEOUT_MS", "50")]);
        let (closing, mut jobs, mut sidecars) = (CancellationToken::new(), JoinSet::new(), Vec::new());
        for _ in 0..2 {
            let app = App::new(&settings, closing.clone()).unwrap();
            app.start_jobs(&settings, &mut jobs);
            sidecars.push(app.services);
        }
        Self { redis, sidecars, jobs, closing }
    }

    async fn end(mut self) {
        self.closing.cancel();
        while self.jobs.join_next().await.is_some() {}
    }

    async fn has_record(&self) -> bool {
        self.redis.client().shared().exists("active_user_deleted:ann@x.org").await.unwrap()
    }
}

fn ann() -> Subject {
    Subject::try_from("ann@x.org".to_owned()).unwrap()
}

async fn ban(services: Services) -> Option<Said> {
    let order = Order { subject: ann(), length: Length::Seconds(600), reason: None, by: By::operator("root") };
    let banned = services.bans.ban(order, UnixSeconds::now()).await;
    let fine = matches!(banned, Ok(_) | Err(Failure::Overtaken { .. }));
    assert!(fine, "{banned:?}");
    banned.ok().map(|banned| Said { version: banned.change.acknowledgement.version, is_banned: true })
}

async fn lift(services: Services) -> Option<Said> {
    let lifted = services.bans.lift(ann(), By::operator("test")).await;
    let fine = matches!(lifted, Ok(_) | Err(Failure::Overtaken { .. } | Failure::NotBanned { .. }));
    assert!(fine, "{lifted:?}");
    lifted.ok().map(|change| Said { version: change.acknowledgement.version, is_banned: false })
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_answered_with_the_highest_version_was_told_the_truth() {
    let world = World::start().await;
    for round in 0..40 {
        let mut racing = JoinSet::new();
        for (index, sidecar) in world.sidecars.iter().cycle().take(6).enumerate() {
            if (index + round) % 3 == 0 {
                racing.spawn(lift(sidecar.clone()));
            } else {
                racing.spawn(ban(sidecar.clone()));
            }
        }
        let answers: Vec<Said> = racing.join_all().await.into_iter().flatten().collect();
        let last = answers.iter().max().copied();
        // Whatever the jobs still had to do about the records is done after this.
        for sidecar in &world.sidecars {
            sidecar.reconciler.walk(Kind::Ban, None).await.unwrap();
        }
        let entry = world.sidecars[0].feed.entry(Kind::Ban, "ann@x.org").await.unwrap();
        let is_banned = last.is_some_and(|last| last.is_banned);
        assert_eq!(entry.is_some(), is_banned, "round {round}: {entry:?} after {answers:?}");
        assert_eq!(world.has_record().await, is_banned, "round {round}: after {answers:?}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_a_dead_sidecar_left_ends_by_itself() {
    let world = World::start().await;
    let mut redis = world.redis.client().shared();
    let _: () = redis.pset_ex("sekisho:turn:ban:ann@x.org", "a dead sidecar's", 200).await.unwrap();
    assert!(ban(world.sidecars[0].clone()).await.is_some());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_an_entry_without_a_record_is_lifted_and_a_record_without_an_entry_too() {
    let world = World::start().await;
    let services = &world.sidecars[0];
    assert_eq!(services.bans.lift(ann(), By::operator("test")).await, Err(Failure::NotBanned { subject: ann() }));
    services.feed.put(&Mark::ban(&ann(), UnixSeconds::now().plus(60).get())).await.unwrap();
    assert!(services.bans.lift(ann(), By::operator("test")).await.is_ok());
    assert_eq!(services.feed.entry(Kind::Ban, "ann@x.org").await.unwrap(), None);
    world.end().await;
}
