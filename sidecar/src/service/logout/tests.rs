//! Logouts of two sidecars with all their jobs, on one Redis.

use std::time::Duration;

use redis::AsyncCommands;
use sekisho_protocol::feed::Kind;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::app::App;
use crate::domain::audit::By;
use crate::domain::feed::write::Says;
use crate::service::Services;
use crate::testing::RedisServer;

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

    async fn record(&self) -> Option<u64> {
        self.redis.client().shared().get("sekisho:not_before:ann@x.org").await.unwrap()
    }

    async fn entry(&self) -> u64 {
        let entry = self.sidecars[0].feed.entry(Kind::NotBefore, "ann@x.org").await.unwrap();
        entry.unwrap().floor
    }
}

fn ann() -> Subject {
    Subject::try_from("ann@x.org".to_owned()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_issued_in_this_very_second_is_invalid_even_by_a_clock_that_is_a_second_ahead() {
    let world = World::start().await;
    let now = UnixSeconds::now();
    let logged_out = world.sidecars[0].logouts.log_out(ann(), By::operator("test"), now).await.unwrap();
    assert_eq!(logged_out.issued_before, now.plus(2));
    assert_eq!((world.record().await, world.entry().await), (Some(now.plus(2).get()), now.plus(2).get()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sidecars_with_different_clocks_never_lower_each_others_moment() {
    let world = World::start().await;
    let (now, mut highest) = (UnixSeconds::now(), 0);
    for round in 0..20 {
        let mut racing = JoinSet::new();
        for (index, sidecar) in world.sidecars.iter().cycle().take(8).enumerate() {
            // The second sidecar's clock is a minute behind.
            let clock = UnixSeconds(now.get() + round - 60 * u64::try_from(index % 2).unwrap());
            let logouts = sidecar.logouts.clone();
            racing
                .spawn(async move { logouts.log_out(ann(), By::operator("test"), clock).await.unwrap().issued_before });
        }
        let told = racing.join_all().await;
        let before = std::mem::replace(&mut highest, told.iter().max().unwrap().get());
        assert!(highest >= before + 8 && highest >= now.get() + round + 2, "each one moved it on: {told:?}");
        assert_eq!((world.record().await, world.entry().await), (Some(highest), highest), "round {round}: {told:?}");
    }
    for sidecar in &world.sidecars {
        let deadline = Instant::now() + Duration::from_secs(5);
        let holds = || {
            let held = sidecar.mirror.look(|state, _| state.holding(Kind::NotBefore, "ann@x.org", now.get()));
            matches!(held.flatten(), Some(Says::Holds { floor, .. }) if floor == highest)
        };
        while !holds() {
            assert!(Instant::now() < deadline, "a sidecar does not hear of it");
            sleep(Duration::from_millis(5)).await;
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_a_logout_that_got_as_far_as_its_record_is_finished_by_any_sidecar() {
    let world = World::start().await;
    let moment = UnixSeconds::now().get();
    let _: () = world.redis.client().shared().set("sekisho:not_before:ann@x.org", moment).await.unwrap();
    for sidecar in &world.sidecars {
        crate::jobs::reconcile::walk(&sidecar.reconciler).await.unwrap();
    }
    assert_eq!(world.entry().await, moment);
    world.end().await;
}
