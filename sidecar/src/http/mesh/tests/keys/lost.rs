//! Crashes between record and marker, and a Redis that lost data.

use super::*;
use crate::domain::feed::Mark;

#[tokio::test]
async fn p8_a_record_whose_writer_died_is_announced() {
    let provider = Provider::start("a").await;
    let world = with_source(&at(&provider, "")).await;
    let before = world.keys(None).await;
    world.until_marked(before.revision).await;
    let mut record = world.record().await;
    record.revision += 1_000;
    record.keys.push(serde_json::from_value(crate::test_provider::key("b")).unwrap());
    world.overwrite(&record).await;
    world.until_marked(record.revision).await;
    assert_eq!(kids(&world.keys(Some("b")).await), ["a", "b"]);
    assert_eq!(provider.fetches(), 1);
}

#[tokio::test]
async fn p2_when_redis_lost_everything_record_and_marker_come_back_and_no_worker_needs_other_keys() {
    let mut provider = Provider::start("a").await;
    let world = with_source(&at(&provider, "")).await;
    let good = world.keys(None).await;
    world.until_marked(good.revision).await;
    let epoch = world.services.mirror.stamp().unwrap().epoch;
    // The provider may be away at the same time.
    provider.stop().await;
    world.redis(&["FLUSHALL"]).await;
    until("another epoch", || world.services.mirror.stamp().unwrap().epoch != epoch).await;
    until_record(&world, "the record", |record| record.revision == good.revision).await;
    let reply = world.keys(None).await;
    assert_eq!((reply.revision, &reply.keys), (good.revision, &good.keys));
    assert_eq!(world.marker(), Some(good.revision));
}

#[tokio::test]
async fn p2_a_redis_that_went_back_to_an_older_record_never_gives_its_keys() {
    let provider = Provider::start("a").await;
    let world = with_source(&at(&provider, "")).await;
    world.keys(None).await;
    let old = world.record().await;
    provider.publish(&["b"]);
    let new = world.keys(Some("b")).await;
    world.until_marked(new.revision).await;
    world.overwrite(&old).await;
    assert_eq!(world.keys(None).await.revision, new.revision);
    until_record(&world, "the newer record", |record| record.revision == new.revision).await;
}

#[tokio::test]
async fn p2_a_sidecar_that_remembers_nothing_gives_a_higher_revision_than_was_announced() {
    let mut provider = Provider::start("a").await;
    let world = World::start().await;
    let ahead = UnixSeconds::now().get() * 1_000 + 3_600_000;
    world.services.feed.put(&Mark::keyset(&idp(), ahead)).await.unwrap();
    provider.stop().await;
    let other = world.beside(&[("SEKISHO_KEY_SOURCES", &at(&provider, r#","refetch_interval_s":1"#))]).await;
    let begun = Instant::now();
    assert_eq!(other.ask("idp", None).await.status(), StatusCode::SERVICE_UNAVAILABLE, "it cannot tell");
    assert!(begun.elapsed() < Duration::from_secs(5));
    provider.come_back("a").await;
    let record = until_record(&other, "a record", |record| record.revision > ahead).await;
    assert_eq!(kids(&other.keys(None).await), ["a"]);
    other.until_marked(record.revision).await;
}
