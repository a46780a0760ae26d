//! A provider that replaces its keys, and tokens with keys that nobody has heard of.

use super::*;

#[tokio::test]
async fn a_key_that_is_used_as_soon_as_it_is_published_is_found_by_asking_for_it() {
    let provider = Provider::start("a").await;
    let world = with_source(&at(&provider, "")).await;
    let before = world.keys(None).await;
    provider.publish(&["b"]);
    assert_eq!(world.keys(Some("a")).await, before, "nobody asked for another one");
    let begun = Instant::now();
    let after = world.keys(Some("b")).await;
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!((after.standing, kids(&after)), (Standing::Current, vec!["b"]));
    assert!(after.revision > before.revision);
    assert!((9_000..=10_000).contains(&after.ask_again_ms), "{}", after.ask_again_ms);
    world.until_marked(after.revision).await;
}

#[tokio::test]
async fn fifty_questions_to_two_sidecars_cause_one_fetch_in_an_interval() {
    let provider = Provider::start("a").await;
    let world = Arc::new(with_source(&at(&provider, r#","refetch_interval_s":3600"#)).await);
    world.keys(None).await;
    let settings = at(&provider, r#","refetch_interval_s":3600"#);
    let other = Arc::new(world.beside(&[("SEKISHO_KEY_SOURCES", &settings)]).await);
    provider.publish(&["a", "b"]);
    provider.turn(Mood::Slow(Duration::from_millis(200)));
    let mut asking = JoinSet::new();
    for n in 0..50 {
        let world = Arc::clone(if n % 2 == 0 { &world } else { &other });
        // The new key, and keys of nobody.
        let kid = if n % 5 == 0 { "b".to_owned() } else { format!("forged-{n}") };
        asking.spawn(async move { (world.keys(Some(&kid)).await, kid) });
    }
    for (reply, kid) in asking.join_all().await {
        assert_eq!((reply.standing, kids(&reply)), (Standing::Current, vec!["a", "b"]), "{kid}");
    }
    assert_eq!(provider.fetches(), 2, "the first one was made at the start");
    for n in 0..20 {
        world.keys(Some(&format!("later-{n}"))).await;
    }
    assert_eq!(provider.fetches(), 2);
}

#[tokio::test]
async fn two_rotations_within_one_interval_lose_no_key() {
    let provider = Provider::start("a").await;
    let world = with_source(&at(&provider, r#","refetch_interval_s":1"#)).await;
    world.keys(None).await;
    for kid in ["b", "c", "d"] {
        provider.publish(&[kid]);
        assert_eq!(kids(&world.keys(Some(kid)).await), [kid], "its question waits until it may be asked");
    }
    assert_eq!(provider.fetches(), 4);
}

#[tokio::test]
async fn a_key_of_nobody_is_nobodys_as_soon_as_the_set_was_fetched_for_it() {
    let provider = Provider::start("a").await;
    let world = with_source(&at(&provider, r#","refetch_interval_s":2"#)).await;
    world.keys(None).await;
    let begun = Instant::now();
    let reply = world.keys(Some("forged")).await;
    assert_eq!((reply.standing, kids(&reply)), (Standing::Current, vec!["a"]));
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
    assert!((1..=2_000).contains(&reply.ask_again_ms));
}

#[tokio::test]
async fn a_set_is_fetched_again_when_its_time_has_come_and_the_same_keys_keep_their_revision() {
    let provider = Provider::start("a").await;
    let world = with_source(&at(&provider, "")).await;
    let before = world.keys(None).await;
    let life_ms = |record: &KeysetRecord| record.origin.refresh_at_ms - record.origin.fetched_at_ms;
    assert!((2_700_000..=3_060_000).contains(&life_ms(&world.record().await)), "of max-age=3600");
    world.make_due().await;
    let record = until_record(&world, "another attempt", |record| record.origin.refresh_at_ms > 0).await;
    assert_eq!((record.revision, provider.fetches(), provider.not_modified()), (before.revision, 2, 1));
    provider.turn(Mood::Cached("max-age=1"));
    provider.publish(&["a", "b"]);
    world.make_due().await;
    let record = until_record(&world, "the new key", |record| record.has_kid("b")).await;
    assert!((45_000..=51_000).contains(&life_ms(&record)), "of a minute, whatever it says");
    world.until_marked(record.revision).await;
}

#[tokio::test]
async fn an_issuers_keys_are_found_by_its_metadata() {
    let provider = Provider::start("a").await;
    let issuer = provider.url("");
    let sources = format!(r#"[{{"name":"idp","issuer":"{issuer}","allow_http":true}}]"#);
    let world = with_source(&sources).await;
    assert_eq!(kids(&world.keys(None).await), ["a"]);
    provider.publish(&["b"]);
    assert_eq!(kids(&world.keys(Some("b")).await), ["b"]);
    assert_eq!(provider.discoveries(), 1, "whoever waits needs no metadata again");
}

#[tokio::test]
async fn a_file_is_read_as_soon_as_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let set = |kid: &str| json!({"keys": [crate::test_provider::key(kid)]}).to_string();
    std::fs::write(&path, set("a")).unwrap();
    let world = with_source(&format!(r#"[{{"name":"idp","file":"{}"}}]"#, path.display())).await;
    assert_eq!(kids(&world.keys(None).await), ["a"]);
    std::fs::write(&path, set("b")).unwrap();
    assert_eq!(kids(&world.keys(Some("b")).await), ["b"], "at once if somebody asks");
    std::fs::write(&path, set("c")).unwrap();
    let record = until_record(&world, "the new key", |record| record.has_kid("c")).await;
    world.until_marked(record.revision).await;
    std::fs::write(&path, "half a fi").unwrap();
    world.services.keysets.tend(&idp()).await.unwrap();
    assert_eq!(world.record().await, record, "what cannot be used changes nothing");
}
