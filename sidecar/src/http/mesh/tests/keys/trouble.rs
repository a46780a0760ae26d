//! Providers that do not answer as they should: the last good keys stay, and a key that may be new is no stranger's.

use super::*;

#[tokio::test]
async fn whatever_goes_wrong_the_last_good_keys_stay() {
    let (mut provider, elsewhere) = (Provider::start("a").await, Provider::start("evil").await);
    let world = with_source(&at(&provider, r#","refetch_interval_s":1,"timeout_ms":300"#)).await;
    let good = world.keys(None).await;
    for (mood, expected) in [
        (Mood::Slow(Duration::from_secs(60)), "timed out: no answer within 300 ms"),
        (Mood::Huge, "more than 524288 bytes"),
        (Mood::HugeInParts, "more than 524288 bytes"),
        (Mood::Html, "no set of keys"),
        (Mood::Status(500), "status 500"),
        (Mood::Redirect(elsewhere.url("/keys")), "another origin"),
    ] {
        provider.turn(mood.clone());
        let begun = Instant::now();
        let reply = world.keys(Some("new")).await;
        assert!(begun.elapsed() < Duration::from_secs(3), "{mood:?}: {:?}", begun.elapsed());
        assert_eq!((reply.standing, reply.revision, &reply.keys), (Standing::Unreachable, good.revision, &good.keys));
        let failure = world.record().await.origin.failure.unwrap();
        assert!(failure.contains(expected), "{mood:?}: {failure}");
        let known = world.keys(Some("a")).await;
        assert_eq!(known.keys, good.keys, "a known key is answered at once");
    }
    provider.turn(Mood::Good);
    provider.publish(&[]);
    assert_eq!(world.keys(Some("new")).await.keys, good.keys, "an empty set");
    provider.stop().await;
    assert_eq!(world.keys(Some("new")).await.standing, Standing::Unreachable);
    provider.come_back("new").await;
    let reply = world.keys(Some("new")).await;
    assert_eq!((reply.standing, kids(&reply)), (Standing::Current, vec!["new"]));
    assert_eq!((world.record().await.origin.failure, elsewhere.fetches()), (None, 0));
}

#[tokio::test]
async fn a_key_whose_private_part_is_published_is_in_force_no_longer_even_if_it_was_the_only_one() {
    let provider = Provider::start("a").await;
    let world = with_source(&at(&provider, "")).await;
    let good = world.keys(None).await;
    provider.publish_keys(vec![crate::test_provider::given_away("a")]);
    world.make_due().await;
    let record = until_record(&world, "no key", |record| record.keys.is_empty()).await;
    assert!(record.revision > good.revision && record.origin.failure.is_some(), "{record:?}");
    world.until_marked(record.revision).await;
    let reply = world.keys(None).await;
    assert_eq!((reply.standing, reply.revision, kids(&reply).len()), (Standing::Unreachable, record.revision, 0));
    provider.publish(&["a"]);
    assert_eq!(kids(&world.keys(Some("a")).await), ["a"], "the set before may not count as unchanged");
}

#[tokio::test]
async fn a_provider_that_is_down_at_the_start_is_found_as_soon_as_somebody_needs_it() {
    let mut provider = Provider::start("a").await;
    provider.stop().await;
    let world = with_source(&at(&provider, r#","refetch_interval_s":1"#)).await;
    let reply = world.keys(None).await;
    assert_eq!((reply.standing, reply.revision, reply.keys.len()), (Standing::Unreachable, 0, 0));
    assert_eq!(world.keys(Some("a")).await.standing, Standing::Unreachable);
    assert_eq!(world.marker(), None, "there is nothing to announce");
    provider.come_back("a").await;
    let reply = world.keys(Some("a")).await;
    assert_eq!((reply.standing, kids(&reply)), (Standing::Current, vec!["a"]));
    world.until_marked(reply.revision).await;
}

#[tokio::test]
async fn failures_are_retried_and_a_provider_that_comes_back_is_noticed() {
    let mut provider = Provider::start("a").await;
    provider.stop().await;
    let world = with_source(&at(&provider, "")).await;
    until_record(&world, "a failure", |record| record.origin.failures > 1).await;
    provider.come_back("a").await;
    until_record(&world, "the key", |record| record.has_kid("a") && record.origin.failures == 0).await;
}

#[tokio::test]
async fn keys_from_where_a_source_was_before_are_not_believed() {
    let (before, mut after) = (Provider::start("a").await, Provider::start("b").await);
    let world = with_source(&at(&before, "")).await;
    let old = world.keys(None).await;
    world.closing.cancel();
    after.stop().await;
    let moved = world.beside(&[("SEKISHO_KEY_SOURCES", &at(&after, r#","refetch_interval_s":1"#))]).await;
    let record = until_record(&moved, "a failure", |record| record.origin.failure.is_some()).await;
    assert!(record.keys.is_empty() && record.revision > old.revision, "{record:?}");
    after.come_back("b").await;
    assert_eq!(kids(&moved.keys(Some("b")).await), ["b"]);
}

#[tokio::test]
async fn another_query_is_another_place_and_no_query_is_on_record() {
    let mut provider = Provider::start("a").await;
    let asked = |provider: &Provider, query: &str| {
        let uri = provider.url(&format!("/keys?{query}"));
        format!(r#"[{{"name":"idp","jwks_uri":"{uri}","allow_http":true}}]"#)
    };
    let world = with_source(&asked(&provider, "tenant=x&key=hunter2")).await;
    let old = world.keys(None).await;
    world.closing.cancel();
    provider.publish(&[]);
    let moved = world.beside(&[("SEKISHO_KEY_SOURCES", &asked(&provider, "tenant=y&key=hunter2"))]).await;
    let record = until_record(&moved, "a failure", |record| record.origin.failure.is_some()).await;
    assert!(record.keys.is_empty() && record.revision > old.revision, "{record:?}");
    assert!(!format!("{record:?}").contains("hunter2"), "{record:?}");
    provider.stop().await;
    provider.come_back("b").await;
    let record = until_record(&moved, "the key", |record| record.has_kid("b")).await;
    assert!(!format!("{record:?}").contains("hunter2"), "{record:?}");
    moved.make_due().await;
    until("an answer that nothing has changed", || provider.not_modified() == 1).await;
}

#[tokio::test]
async fn without_redis_known_keys_are_answered_from_memory_and_unknown_ones_are_an_inability() {
    let provider = Provider::start("a").await;
    let mut world = with_source(&at(&provider, "")).await;
    let good = world.keys(None).await;
    world.redis.stop();
    for kid in [None, Some("a")] {
        assert_eq!(world.keys(kid).await, good, "{kid:?}");
    }
    let begun = Instant::now();
    assert_eq!(world.ask("idp", Some("b")).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}
