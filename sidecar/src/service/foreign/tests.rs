//! Bans and lifts of other programs, told from our own.

use redis::AsyncCommands;
use sekisho_protocol::feed::Kind;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::app::App;
use crate::domain::ban::{Ban, Length, Order};
use crate::service::Services;
use crate::service::feed::source::Deed as Done;
use crate::store::redis::bans::RedisBans;
use crate::testing::RedisServer;

struct World {
    redis: RedisServer,
    services: Services,
}

impl World {
    async fn start() -> Self {
        let redis = RedisServer::start().await;
        let services = App::new(&redis.settings(&[("SEKISHO_ACK_TIMEOUT_MS", "50")]), CancellationToken::new());
        Self { services: services.unwrap().services, redis }
    }

    /// What is in line for the trail: action, who, whom.
    async fn told(&self) -> Vec<(String, String, String)> {
        let mut range = redis::cmd("XRANGE");
        range.arg("sekisho:{audit}:line").arg("-").arg("+");
        let entries: Vec<(String, Vec<(String, String)>)> =
            range.query_async(&mut self.redis.client().shared()).await.unwrap();
        let events = entries.iter().map(|(_, fields)| serde_json::from_str::<Event>(&fields[0].1).unwrap());
        events.map(|event| (event.action.word().to_owned(), event.by.actor, event.target.unwrap_or_default())).collect()
    }

    async fn set(&self, name: &str, life_s: u64) {
        let key = format!("active_user_deleted:{name}");
        let _: () = self.redis.client().shared().set_ex(key, 1_000_000, life_s).await.unwrap();
        self.services.reconciler.settle(Kind::Ban, name, Done::Written).await.unwrap();
    }

    async fn delete(&self, name: &str) {
        let _: () = self.redis.client().shared().del(format!("active_user_deleted:{name}")).await.unwrap();
        self.services.reconciler.settle(Kind::Ban, name, Done::Deleted).await.unwrap();
    }
}

fn row(action: &str, who: &str, whom: &str) -> (String, String, String) {
    (action.to_owned(), who.to_owned(), whom.to_owned())
}

#[tokio::test]
async fn what_another_program_does_to_a_ban_is_told_once() {
    let world = World::start().await;
    world.set("Ann@x.org", 600).await;
    world.set("Ann@x.org", 600).await;
    crate::jobs::reconcile::walk(&world.services.reconciler).await.unwrap();
    world.delete("Ann@x.org").await;
    world.delete("Ann@x.org").await;
    let expected = [row("ban.given", ACTOR, "ann@x.org"), row("ban.lifted", ACTOR, "ann@x.org")];
    assert_eq!(world.told().await, expected);
}

#[tokio::test]
async fn what_is_ours_is_told_by_whoever_ordered_it_alone() {
    let world = World::start().await;
    let subject: Subject = "ann@x.org".to_owned().try_into().unwrap();
    let order =
        |reason| Order { subject: subject.clone(), length: Length::Seconds(600), reason, by: By::operator("root") };
    // Cut off before the feed was told: a sidecar that starts finds the record, with its details.
    let ban: Ban = order(None).begin(UnixSeconds::now());
    let store = RedisBans::new(world.redis.client());
    store.record(&ban).await.unwrap();
    world.services.reconciler.settle(Kind::Ban, "ann@x.org", Done::Written).await.unwrap();
    assert_eq!(world.told().await, []);
    // Going on now: the record is gone, the entry not yet lifted.
    let turn = store.take_turn(&subject).await.unwrap().unwrap();
    world.delete("ann@x.org").await;
    assert_eq!(world.told().await, []);
    store.end_turn(turn).await.unwrap();
    world.services.bans.ban(order(None), UnixSeconds::now()).await.unwrap();
    crate::jobs::reconcile::walk(&world.services.reconciler).await.unwrap();
    assert_eq!(world.told().await, [row("ban.given", "root", "ann@x.org")]);
    // Over our own record: the details are of another moment.
    world.set("ann@x.org", 900).await;
    assert_eq!(world.told().await.last(), Some(&row("ban.given", ACTOR, "ann@x.org")));
}

#[tokio::test]
async fn of_a_hundred_thousand_bans_of_an_old_installation_a_thousand_are_told_and_the_rest_counted() {
    let world = World::start().await;
    let mut pipeline = redis::pipe();
    for number in 0..1_500 {
        pipeline.cmd("SET").arg(format!("active_user_deleted:user{number}@x.org")).arg(1_000_000).ignore();
    }
    pipeline.exec_async(&mut world.redis.client().dedicated().await.unwrap()).await.unwrap();
    crate::jobs::reconcile::walk(&world.services.reconciler).await.unwrap();
    let told = world.told().await.len();
    // A minute may have begun in between.
    assert!((1_001..=1_501).contains(&told), "{told}");
}
