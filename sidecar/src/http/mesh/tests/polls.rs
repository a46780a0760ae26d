//! Polls: registration, pages, deltas, waiting, saying goodbye.

use super::*;
use crate::service::feed::registry::Registry;

async fn workers(registry: &dyn Registry) -> Vec<(Option<Stamp>, bool)> {
    let roll = registry.roll().await.unwrap();
    roll.workers.into_iter().map(|worker| (worker.presence.holds, worker.presence.fences)).collect()
}

#[tokio::test]
async fn p7_a_replica_is_on_record_before_it_reads_its_snapshot() {
    let world = World::start().await;
    let stamp = world.ban("ann@x").await;
    let reply = world.reply(1, None, None).await;
    let FeedBody::Page { version, entries, next, .. } = reply.body else { panic!("no page") };
    assert!(version >= stamp.version.get(), "a snapshot is not older than the registration");
    assert_eq!((entries.len(), next), (1, None));
    assert_eq!(workers(&*world.services.registry).await, [(None, true)]);
}

#[tokio::test]
async fn what_a_worker_says_of_itself_is_on_record() {
    let world = World::start().await;
    let path = poll_path(1, None, None) + "&worker=3&memory_bytes=2097152&entries=9&age_ms=18446744073709551615";
    assert_eq!(world.get(&path).await.status(), StatusCode::OK);
    let roll = world.services.registry.roll().await.unwrap();
    let presence = &roll.workers[0].presence;
    assert_eq!((presence.worker, presence.memory_bytes, presence.entries), (3, 2 << 20, 9));
    assert_eq!(presence.age_ms, Some(86_400_000), "ages above a day are not told apart");
}

#[tokio::test]
async fn p7_a_change_does_not_wait_for_a_worker_that_joins_after_it_and_counts_it_once_it_has_read_it() {
    let world = World::start().await;
    let stamp = world.ban("ann@x").await;
    world.reply(1, None, None).await;
    let acknowledgement = world.services.acknowledgements.wait(stamp.clone()).await;
    assert!(acknowledgement.is_complete());
    let counts = (acknowledgement.workers, acknowledgement.acknowledged, acknowledgement.joining);
    assert_eq!(counts, (1, 0, 1), "it has acknowledged nothing");
    world.reply(1, Some((&stamp.epoch, stamp.version.get())), None).await;
    let acknowledgement = world.services.acknowledgements.wait(stamp).await;
    assert_eq!((acknowledgement.acknowledged, acknowledgement.joining), (1, 0));
}

#[tokio::test]
async fn p7_a_change_waits_for_a_worker_that_joined_before_it_and_has_no_snapshot_yet() {
    let world = World::with(&[("SEKISHO_ACK_TIMEOUT_MS", "100")]).await;
    world.ban("ann@x").await;
    world.reply(1, None, None).await;
    let stamp = world.ban("bob@x").await;
    let acknowledgement = world.services.acknowledgements.wait(stamp).await;
    assert!(!acknowledgement.is_complete());
    assert_eq!((acknowledgement.acknowledged, acknowledgement.lagging.len()), (0, 1));
}

#[tokio::test]
async fn p7_a_snapshot_is_never_older_than_the_registration() {
    let world = World::start().await;
    // Whatever was written before a replica registers is in its snapshot, however fast it is read.
    for n in 0..20 {
        let stamp = world.ban(&format!("p{n}@x")).await;
        let FeedBody::Page { version, entries, .. } = world.reply(n, None, None).await.body else { panic!("no page") };
        assert!(version >= stamp.version.get() && entries.len() > n.into());
    }
}

#[tokio::test]
async fn p3_a_snapshot_comes_in_pages_of_bounded_size_cut_by_digest() {
    let world = World::start().await;
    for n in 0..1_500 {
        world.ban(&format!("p{n}@x")).await;
    }
    let (mut from, mut total, mut pages) = (None, 0, 0);
    loop {
        let response = world.poll(1, None, from).await;
        let text = response.text().await.unwrap();
        assert!(text.len() <= PAGE_MAX_BYTES);
        let reply: FeedReply = serde_json::from_str(&text).unwrap();
        let FeedBody::Page { count, next, entries, from: start, .. } = reply.body else { panic!("no page") };
        assert_eq!((count, start), (1_500, from.unwrap_or(Digest::MIN)));
        (total, pages, from) = (total + entries.len(), pages + 1, next);
        if from.is_none() {
            break;
        }
    }
    assert_eq!((total, pages), (1_500, 3));
}

#[tokio::test]
async fn a_poll_is_answered_at_once_when_something_is_new_and_is_the_acknowledgement() {
    let world = World::start().await;
    let epoch = world.ban("ann@x").await.epoch;
    let begun = Instant::now();
    let reply = world.reply(1, Some((&epoch, 0)), None).await;
    assert_eq!(span(&reply), (0, 1, 1));
    assert!(reply.age_ms <= 250, "{}", reply.age_ms);
    assert!(begun.elapsed() < Duration::from_millis(250));
    let (polled, banned) = tokio::join!(world.reply(1, Some((&epoch, 1)), None), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.ban("bob@x").await
    });
    assert_eq!(span(&polled), (1, banned.version.get(), 1));
    assert_eq!(
        workers(&*world.services.registry).await,
        [(Some(Stamp { epoch, version: crate::domain::feed::Version::new(1) }), true)]
    );
}

#[tokio::test]
async fn without_news_a_poll_is_held_and_then_told_so() {
    let world = World::start().await;
    let epoch = world.ban("ann@x").await.epoch;
    let begun = Instant::now();
    let reply = world.reply(1, Some((&epoch, 1)), None).await;
    assert_eq!(span(&reply), (1, 1, 0));
    assert!(begun.elapsed() >= Duration::from_millis(290));
}

#[tokio::test]
async fn p3_a_sidecar_that_is_behind_waits_and_never_answers_with_less() {
    let world = World::start().await;
    let epoch = world.ban("ann@x").await.epoch;
    world.reply(1, None, None).await;
    let begun = Instant::now();
    let reply = world.reply(1, Some((&epoch, 7)), None).await;
    assert_eq!(span(&reply), (7, 7, 0));
    assert!(begun.elapsed() >= Duration::from_millis(290));
}

#[tokio::test]
async fn p2_a_replica_of_another_epoch_gets_a_snapshot_also_in_the_middle_of_a_poll() {
    // Long enough for the sidecar to notice the loss and to write back, also on a busy machine.
    let world = World::with(&[("SEKISHO_FEED_HOLD_MS", "1000")]).await;
    let epoch = world.ban("ann@x").await.epoch;
    let reply = world.reply(1, Some((&Epoch::from_bytes([9; 16]), 5)), None).await;
    assert!(matches!(reply.body, FeedBody::Page { .. }));
    world.reply(1, Some((&epoch, 0)), None).await;
    let (held, ()) = tokio::join!(world.reply(1, Some((&epoch, 1)), None), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        world.redis(&["FLUSHALL"]).await;
    });
    assert_ne!(held.epoch, epoch);
    let FeedBody::Page { entries, .. } = held.body else { panic!("no page") };
    assert_eq!(entries.len(), 1, "the ban was written back before the new epoch is served");
}

#[tokio::test]
async fn p7_a_goodbye_takes_the_replica_off_the_record() {
    let world = World::start().await;
    world.reply(1, None, None).await;
    let path = format!("/v1/feed?replica={}", ReplicaId::from_bytes([1; 16]));
    let response = world.client.delete(world.url(&path)).bearer_auth(MESH_SECRET).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(workers(&*world.services.registry).await, []);
}

#[tokio::test]
async fn p4_without_redis_a_known_replica_learns_how_old_its_feed_is_and_a_new_one_nothing() {
    let mut world = World::start().await;
    let epoch = world.ban("ann@x").await.epoch;
    world.reply(1, Some((&epoch, 0)), None).await;
    world.redis.stop();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let reply = world.reply(1, Some((&epoch, 1)), None).await;
    assert_eq!(span(&reply), (1, 1, 0));
    assert!(reply.age_ms >= 500, "{}", reply.age_ms);
    assert_eq!(world.poll(2, None, None).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.poll(2, Some((&epoch, 1)), None).await.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_sidecar_that_never_read_the_feed_answers_no_poll() {
    let mut redis = RedisServer::start().await;
    redis.stop();
    let world = World::unloaded(redis, &[]).await;
    let response = world.poll(1, None, None).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
}

#[tokio::test]
async fn p14_a_sidecar_that_closes_answers_held_polls_at_once() {
    let world = World::start().await;
    let epoch = world.ban("ann@x").await.epoch;
    world.reply(1, Some((&epoch, 0)), None).await;
    let begun = Instant::now();
    let (reply, ()) = tokio::join!(world.reply(1, Some((&epoch, 1)), None), async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        world.closing.cancel();
    });
    assert_eq!(span(&reply), (1, 1, 0));
    assert!(begun.elapsed() < Duration::from_millis(250), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_change_is_acknowledged_by_the_replicas_next_polls() {
    let world = World::start().await;
    let epoch = world.ban("ann@x").await.epoch;
    world.reply(1, Some((&epoch, 1)), None).await;
    let stamp = world.ban("bob@x").await;
    let waiting = tokio::spawn({
        let acknowledgements = world.services.acknowledgements.clone();
        async move { acknowledgements.wait(stamp).await }
    });
    world.reply(1, Some((&epoch, 1)), None).await;
    world.reply(1, Some((&epoch, 2)), None).await;
    let acknowledgement = waiting.await.unwrap();
    assert!(acknowledgement.is_complete());
    assert_eq!((acknowledgement.workers, acknowledgement.acknowledged), (1, 1));
}

#[tokio::test]
async fn p4_a_delta_that_does_not_hold_everything_makes_nothing_fresh() {
    let world = World::start().await;
    let first = world.ban("p0@x").await;
    for n in 1..=800 {
        world.ban(&format!("p{n}@x")).await;
    }
    let begun = world.reply(1, Some((&first.epoch, first.version.get())), None).await;
    let FeedBody::Delta { version, changes, .. } = begun.body else { panic!("no delta") };
    assert!(changes.len() < 800, "it is cut");
    assert_eq!(begun.age_ms, u64::MAX);
    let rest = world.reply(1, Some((&first.epoch, version)), None).await;
    assert!(rest.age_ms < 1_000, "{}", rest.age_ms);
}
