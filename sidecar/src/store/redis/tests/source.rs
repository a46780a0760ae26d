//! Following the feed, and writing back what was lost.

use std::time::Duration;

use sekisho_protocol::feed::Kind;

use super::*;
use crate::domain::feed::Version;
use crate::domain::feed::position::{EpochRecord, Verdict};
use crate::domain::feed::record::Record;
use crate::domain::feed::write::{Says, Write};
use crate::domain::keyset::SourceName;
use crate::service::feed::Feed;
use crate::service::feed::source::FeedSource;
use crate::store::redis::feed::RedisFeed;
use crate::store::redis::source::RedisFeedSource;

async fn start() -> (RedisServer, RedisFeed, RedisFeedSource) {
    let server = RedisServer::start().await;
    let (feed, source) = (RedisFeed::new(server.client()), RedisFeedSource::new(server.client()));
    (server, feed, source)
}

fn live(version: u64, name: &str, until: u64) -> Write {
    let says = Says::Holds { until, floor: 0 };
    Write { version: Version::new(version), kind: Kind::Ban, name: name.into(), says }
}

fn not_before(version: u64, floor: u64, until: u64) -> Write {
    let says = Says::Holds { until, floor };
    Write { kind: Kind::NotBefore, says, ..live(version, "ann@x", 0) }
}

fn later_of(write: &Write) -> u64 {
    let Says::Holds { until, .. } = write.says else { panic!("lifted: {write:?}") };
    until
}

fn lifted(version: u64, name: &str) -> Write {
    Write { says: Says::Lifted { at: UnixSeconds::now().get() }, ..live(version, name, 0) }
}

async fn begin(source: &mut RedisFeedSource, highest: u64) -> EpochRecord {
    let position = source.position().await.unwrap();
    let old = position.epoch.map(|epoch| epoch.id);
    source.begin_epoch(old.as_ref(), Version::new(highest), &position.lineage).await.unwrap()
}

#[tokio::test]
async fn a_change_is_read_as_soon_as_it_is_written() {
    let (_server, feed, mut source) = start().await;
    feed.put(&ban("ann@x")).await.unwrap();
    let writing = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        feed.put(&ban("bob@x")).await.unwrap();
    });
    let begun = std::time::Instant::now();
    let round = source.next(Version::new(1), Duration::from_secs(5)).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2));
    assert_eq!(round.changes.iter().map(|write| write.name.as_str()).collect::<Vec<_>>(), ["bob@x"]);
    assert_eq!(round.position.version, Some(Version::new(2)));
    assert!(round.complete);
    writing.await.unwrap();
}

#[tokio::test]
async fn everything_is_read_with_lifts_and_numbers() {
    let (_server, feed, mut source) = start().await;
    for n in 0..1_500 {
        feed.put(&ban(&format!("p{n}@x"))).await.unwrap();
    }
    feed.lift(Kind::Ban, "p0@x", Version::new(1)).await.unwrap();
    let entries = source.entries().await.unwrap();
    assert_eq!(entries.len(), 1_500);
    let first = entries.iter().find(|write| write.name == "p0@x").unwrap();
    assert_eq!(first.version, Version::new(1_501));
    assert!(matches!(first.says, Says::Lifted { at } if at > 0));
}

#[tokio::test]
async fn p2_a_restarted_redis_is_another_lineage_even_if_it_kept_everything() {
    let durable = ["--appendonly", "yes", "--appendfsync", "always"];
    let mut server = RedisServer::start_with(&durable).await;
    let mut source = RedisFeedSource::new(server.client());
    let stamp = RedisFeed::new(server.client()).put(&ban("ann@x")).await.unwrap();
    assert_eq!(source.position().await.unwrap().judge(Some(&stamp)), Verdict::Continues);
    server.restart(&durable).await;
    // The old connection fails once; the next call makes another.
    let _ = source.position().await;
    let position = source.position().await.unwrap();
    assert_eq!(position.version, Some(stamp.version));
    assert_eq!(position.judge(Some(&stamp)), Verdict::Begin);
}

#[tokio::test]
async fn p2_of_several_that_begin_an_epoch_one_wins_and_versions_are_never_used_again() {
    let (server, feed, mut source) = start().await;
    let stamp = feed.put(&ban("ann@x")).await.unwrap();
    let mut other = RedisFeedSource::new(server.client());
    let position = other.position().await.unwrap();
    let winner = begin(&mut source, 70).await;
    let loser = other.begin_epoch(Some(&stamp.epoch), Version::new(99), &position.lineage).await.unwrap();
    assert_eq!(winner, loser);
    assert_ne!(winner.id, stamp.epoch);
    assert_eq!(winner.base, Version::new(1_070));
    assert_eq!(feed.put(&ban("bob@x")).await.unwrap().version, Version::new(1_071));
}

#[tokio::test]
async fn p2_a_version_that_went_back_alone_does_not_block_the_stream() {
    let (server, feed, mut source) = start().await;
    for name in ["ann@x", "bob@x", "cid@x"] {
        feed.put(&ban(name)).await.unwrap();
    }
    let _: i64 = raw(&server, &["DEL", "sekisho:{feed}:version"]).await;
    assert_eq!(begin(&mut source, 0).await.base, Version::new(3));
    assert_eq!(feed.put(&ban("dan@x")).await.unwrap().version, Version::new(4));
}

#[tokio::test]
async fn p2_what_redis_lost_is_written_back_with_its_record() {
    let (server, feed, mut source) = start().await;
    let epoch = begin(&mut source, 50).await;
    let end = later();
    let token = Write { kind: Kind::Token, ..live(13, "t1", end) };
    let held = [live(10, "ann@x", end), live(11, "eve@x", FOREVER), lifted(12, "bob@x"), token];
    assert_eq!(source.restore(&held, &epoch).await.unwrap(), 4);
    assert_eq!(feed.entry(Kind::Ban, "ann@x").await.unwrap().unwrap().until, end);
    assert_eq!(feed.entry(Kind::Ban, "bob@x").await.unwrap(), None);
    assert!((595..=600).contains(&life(&server, "active_user_deleted:ann@x").await));
    assert!((595..=600).contains(&life(&server, "sekisho:ban:ann@x").await));
    assert_eq!(life(&server, "active_user_deleted:eve@x").await, -1);
    assert_eq!(life(&server, "active_user_deleted:bob@x").await, -2);
    assert_eq!(raw::<String>(&server, &["GET", "revoked:token:t1"]).await, "1");
    let reason: String = raw(&server, &["HGET", "sekisho:ban:ann@x", "reason"]).await;
    assert_eq!(reason, "restored after Redis lost data");
    assert_eq!(source.restore(&held, &epoch).await.unwrap(), 0, "twice does nothing");
}

#[tokio::test]
async fn p2_a_logout_that_redis_lost_is_written_back_with_its_moment() {
    let (server, feed, mut source) = start().await;
    let epoch = begin(&mut source, 50).await;
    let held = [not_before(10, 1_700, later())];
    assert_eq!(source.restore(&held, &epoch).await.unwrap(), 1);
    let entry = feed.entry(Kind::NotBefore, "ann@x").await.unwrap().unwrap();
    assert_eq!((entry.floor, entry.until), (1_700, later_of(&held[0])));
    assert_eq!(raw::<u64>(&server, &["GET", "sekisho:not_before:ann@x"]).await, 1_700);
    assert!((595..=600).contains(&life(&server, "sekisho:not_before:ann@x").await));
    assert_eq!(source.restore(&held, &epoch).await.unwrap(), 0, "twice does nothing");
}

#[tokio::test]
async fn p2_of_two_memories_of_a_logout_the_higher_wins_whichever_is_newer() {
    let memories = [not_before(10, 1_700, later()), not_before(12, 1_600, later() + 60)];
    for order in [[0, 1], [1, 0]] {
        let (server, feed, mut source) = start().await;
        let epoch = begin(&mut source, 50).await;
        for index in order {
            source.restore(&memories[index..=index], &epoch).await.unwrap();
        }
        let entry = feed.entry(Kind::NotBefore, "ann@x").await.unwrap().unwrap();
        assert_eq!((entry.floor, entry.until), (1_700, later_of(&memories[1])), "{order:?}");
        assert_eq!(raw::<u64>(&server, &["GET", "sekisho:not_before:ann@x"]).await, 1_700, "{order:?}");
    }
}

#[tokio::test]
async fn p2_a_logout_of_the_new_epoch_by_a_slower_clock_does_not_hide_the_lost_one() {
    let (server, feed, mut source) = start().await;
    let epoch = begin(&mut source, 50).await;
    feed.put(&Record { end: later(), floor: 1_600 }.mark(Kind::NotBefore, "ann@x")).await.unwrap();
    let _: String = raw(&server, &["SET", "sekisho:not_before:ann@x", "1600", "EX", "600"]).await;
    assert_eq!(source.restore(&[not_before(10, 1_700, later())], &epoch).await.unwrap(), 1);
    assert_eq!(feed.entry(Kind::NotBefore, "ann@x").await.unwrap().unwrap().floor, 1_700);
    assert_eq!(raw::<u64>(&server, &["GET", "sekisho:not_before:ann@x"]).await, 1_700);
}

#[tokio::test]
async fn p2_a_revision_that_redis_lost_is_written_back_unless_a_higher_one_was_announced() {
    for (announced, expected) in [(None, 1_700), (Some(1_600), 1_700), (Some(1_800), 1_800)] {
        let (server, feed, mut source) = start().await;
        let epoch = begin(&mut source, 50).await;
        if let Some(revision) = announced {
            feed.put(&Mark::keyset(&SourceName::parse("google").unwrap(), revision)).await.unwrap();
        }
        let says = Says::Holds { until: FOREVER, floor: 1_700 };
        let held = [Write { kind: Kind::Keyset, name: "google".into(), says, ..live(10, "", 0) }];
        source.restore(&held, &epoch).await.unwrap();
        assert_eq!(feed.entry(Kind::Keyset, "google").await.unwrap().unwrap().floor, expected, "{announced:?}");
        let records: Vec<String> = raw(&server, &["KEYS", "sekisho:keyset:*"]).await;
        assert!(records.is_empty(), "the keys are not in the feed");
    }
}

#[tokio::test]
async fn p2_what_was_lifted_or_written_anew_meanwhile_is_not_written_back() {
    let (server, feed, mut source) = start().await;
    // In the old epoch: 1 ann, 2 bob, 3 bob lifted. This sidecar saw 1 and 2 only.
    let ann = feed.put(&ban("ann@x")).await.unwrap();
    let bob = feed.put(&ban("bob@x")).await.unwrap();
    feed.lift(Kind::Ban, "bob@x", bob.version).await.unwrap();
    let epoch = begin(&mut source, 3).await;
    // In the new epoch: cid is banned and lifted again, which this sidecar held as banned.
    let cid = feed.put(&ban("cid@x")).await.unwrap();
    feed.lift(Kind::Ban, "cid@x", cid.version).await.unwrap();
    let held = [live(ann.version.get(), "ann@x", later()), live(2, "bob@x", later()), live(2, "cid@x", later())];
    assert_eq!(source.restore(&held, &epoch).await.unwrap(), 0);
    assert_eq!(feed.entry(Kind::Ban, "bob@x").await.unwrap(), None);
    assert_eq!(feed.entry(Kind::Ban, "cid@x").await.unwrap(), None);
    assert_eq!(life(&server, "active_user_deleted:bob@x").await, -2);
}

#[tokio::test]
async fn p2_of_two_sidecars_that_write_back_the_later_memory_wins() {
    for lagging_first in [true, false] {
        let (_server, feed, mut source) = start().await;
        let epoch = begin(&mut source, 50).await;
        let (banned, unbanned) = ([live(10, "ann@x", later())], [lifted(12, "ann@x")]);
        let order: [&[Write]; 2] = if lagging_first { [&banned, &unbanned] } else { [&unbanned, &banned] };
        for held in order {
            source.restore(held, &epoch).await.unwrap();
        }
        assert_eq!(feed.entry(Kind::Ban, "ann@x").await.unwrap(), None, "lagging first: {lagging_first}");
    }
}

#[tokio::test]
async fn p2_nothing_is_written_back_into_an_epoch_that_is_over() {
    let (_server, feed, mut source) = start().await;
    let old = begin(&mut source, 10).await;
    begin(&mut source, 20).await;
    assert!(source.restore(&[live(5, "ann@x", later())], &old).await.is_err());
    assert_eq!(feed.entry(Kind::Ban, "ann@x").await.unwrap(), None);
}

#[tokio::test]
async fn a_record_that_is_still_there_is_left_as_it_is() {
    let (server, _feed, mut source) = start().await;
    let _: String = raw(&server, &["SET", "active_user_deleted:ann@x", "77", "EX", "60"]).await;
    let epoch = begin(&mut source, 50).await;
    source.restore(&[live(10, "ann@x", later())], &epoch).await.unwrap();
    assert_eq!(raw::<String>(&server, &["GET", "active_user_deleted:ann@x"]).await, "77");
}

#[tokio::test]
async fn an_entry_of_a_kind_that_is_unknown_is_an_error_and_never_skipped() {
    let (server, feed, mut source) = start().await;
    feed.put(&ban("ann@x")).await.unwrap();
    let _: String = raw(
        &server,
        &[
            "XADD",
            "sekisho:{feed}:stream",
            "2-0",
            "kind",
            "role",
            "name",
            "k",
            "until",
            "9",
            "issued_before",
            "0",
            "lifted_at",
            "0",
        ],
    )
    .await;
    assert!(source.next(Version::new(1), Duration::from_millis(10)).await.is_err());
}
