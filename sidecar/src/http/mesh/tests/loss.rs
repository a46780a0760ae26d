//! What filters are told right after Redis lost data (rule P2).

use super::*;
use crate::domain::feed::position::EpochRecord;
use crate::store::redis::feed::epoch;

impl World {
    async fn epoch_on_record(&self) -> Option<EpochRecord> {
        epoch::position(&mut self.redis.client().shared()).await.unwrap().epoch
    }

    async fn check_of_anybody(&self) -> Response {
        self.post("/v1/check", &json!({"protocol": 1, "replica": "0".repeat(32), "route": "r", "subject": "bob@x"}))
            .await
    }
}

#[tokio::test]
async fn p2_a_check_that_meets_a_store_which_lost_data_decides_nothing() {
    let world = World::start().await;
    assert_eq!(world.check_of_anybody().await.status(), StatusCode::OK);
    let before = world.services.mirror.stamp().unwrap();
    world.redis(&["FLUSHALL"]).await;
    while world.services.mirror.stamp().unwrap().epoch == before.epoch {
        // A ban that this sidecar never read may be among what was lost.
        let answer = world.check_of_anybody().await.status();
        let has_moved_on = world.services.mirror.stamp().unwrap().epoch != before.epoch;
        assert!(answer == StatusCode::SERVICE_UNAVAILABLE || has_moved_on, "{answer}");
    }
    assert_eq!(world.check_of_anybody().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn p2_an_epoch_is_served_only_once_everybody_has_had_the_time_to_write_back() {
    let world = World::start().await;
    let before = world.services.mirror.stamp().unwrap();
    world.redis(&["FLUSHALL"]).await;
    let deadline = Instant::now() + Duration::from_secs(5);
    while world.services.mirror.stamp().unwrap().epoch == before.epoch {
        assert!(Instant::now() < deadline, "no other epoch comes");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // By Redis's clock, which is asked a moment later.
    let served = world.epoch_on_record().await.unwrap();
    assert_eq!(Some(served.id), world.services.mirror.stamp().map(|stamp| stamp.epoch));
    assert!(served.age >= EpochRecord::SETTLING, "{:?}", served.age);
}
