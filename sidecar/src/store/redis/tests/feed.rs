//! The feed: numbers, compare-and-set, lists.

use sekisho_protocol::feed::Kind;

use super::*;
use crate::domain::feed::Version;
use crate::domain::feed::record::Record;
use crate::domain::keyset::SourceName;
use crate::service::feed::{Feed, Lifted, Written};
use crate::store::redis::feed::RedisFeed;

async fn start() -> (RedisServer, RedisFeed) {
    let server = RedisServer::start().await;
    let feed = RedisFeed::new(server.client());
    (server, feed)
}

#[tokio::test]
async fn p1_each_write_is_numbered_one_above_the_last_in_stream_and_state() {
    let (server, feed) = start().await;
    for expected in 1..=3 {
        let stamp = feed.put(&ban(&format!("p{expected}@x"))).await.unwrap();
        assert_eq!(stamp.version, Version::new(expected));
    }
    let stream: redis::streams::StreamRangeReply = raw(&server, &["XRANGE", "sekisho:{feed}:stream", "-", "+"]).await;
    let ids: Vec<&str> = stream.ids.iter().map(|id| id.id.as_str()).collect();
    assert_eq!(ids, ["1-0", "2-0", "3-0"]);
    assert_eq!(feed.entry(Kind::Ban, "p2@x").await.unwrap().unwrap().version, Version::new(2));
    assert_eq!(raw::<u64>(&server, &["GET", "sekisho:{feed}:version"]).await, 3);
}

#[tokio::test]
async fn p2_a_write_to_a_server_on_which_the_epoch_did_not_begin_begins_another() {
    let (server, feed) = start().await;
    let before = feed.put(&ban("ann@x")).await.unwrap();
    // As after a restart: filters may hold more of this epoch than the server remembers.
    let _: u64 = raw(&server, &["HSET", "sekisho:{feed}:epoch", "lineage", "another server"]).await;
    let after = feed.put(&ban("bob@x")).await.unwrap();
    assert_ne!(after.epoch, before.epoch);
    assert!(after.version > before.version);
    assert_eq!(feed.put(&ban("eve@x")).await.unwrap().epoch, after.epoch, "and that one goes on");
}

#[tokio::test]
async fn p1_many_writers_leave_no_gap() {
    let (server, feed) = start().await;
    let writers = (0..20).map(|writer| {
        let feed = feed.clone();
        tokio::spawn(async move {
            for n in 0..10 {
                feed.put(&ban(&format!("p{writer}-{n}@x"))).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let stream: redis::streams::StreamRangeReply = raw(&server, &["XRANGE", "sekisho:{feed}:stream", "-", "+"]).await;
    let expected: Vec<String> = (1..=200).map(|version| format!("{version}-0")).collect();
    assert_eq!(stream.ids.into_iter().map(|id| id.id).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn the_first_write_on_a_new_redis_begins_an_epoch_and_all_share_it() {
    let (server, feed) = start().await;
    let first = feed.put(&ban("ann@x")).await.unwrap();
    let second = RedisFeed::new(server.client()).put(&ban("bob@x")).await.unwrap();
    assert_eq!(first.epoch, second.epoch);
}

#[tokio::test]
async fn p8_a_lift_is_overtaken_by_a_later_ban() {
    let (_server, feed) = start().await;
    let old = feed.put(&ban("ann@x")).await.unwrap();
    let new = feed.put(&ban("Ann@X")).await.unwrap();
    assert_eq!(feed.lift(Kind::Ban, "ann@x", old.version).await.unwrap(), Lifted::Overtaken);
    assert!(matches!(feed.lift(Kind::Ban, "ANN@x", new.version).await.unwrap(), Lifted::Done(_)));
    assert_eq!(feed.entry(Kind::Ban, "ann@x").await.unwrap(), None);
    assert_eq!(feed.lift(Kind::Ban, "never@x", Version::new(1)).await.unwrap(), Lifted::Overtaken);
}

#[tokio::test]
async fn of_two_that_write_over_the_same_only_one_does() {
    let (_server, feed) = start().await;
    assert!(matches!(feed.put_over(&ban("ann@x"), None).await.unwrap(), Written::Done(_)));
    assert_eq!(feed.put_over(&ban("ann@x"), None).await.unwrap(), Written::Overtaken);
    let present = feed.entry(Kind::Ban, "ann@x").await.unwrap();
    assert!(matches!(feed.put_over(&ban("ann@x"), present).await.unwrap(), Written::Done(_)));
    assert_eq!(feed.put_over(&ban("ann@x"), present).await.unwrap(), Written::Overtaken);
    // What was lifted, or has ended, does not hold any more.
    let present = feed.entry(Kind::Ban, "ann@x").await.unwrap().unwrap();
    feed.lift(Kind::Ban, "ann@x", present.version).await.unwrap();
    assert!(matches!(feed.put_over(&ban("ann@x"), None).await.unwrap(), Written::Done(_)));
    feed.put(&Mark::ban(&subject("bob@x"), 1)).await.unwrap();
    assert!(matches!(feed.put_over(&ban("bob@x"), None).await.unwrap(), Written::Done(_)));
}

#[tokio::test]
async fn a_not_before_that_holds_is_raised_and_never_lowered() {
    let (_server, feed) = start().await;
    let now = UnixSeconds::now().get();
    let mark = |floor, until| Record { end: until, floor }.mark(Kind::NotBefore, "Ann@x");
    for (put, expected) in [
        ((now, now + 60), (now, now + 60)),
        ((now - 5, now + 90), (now, now + 90)),
        ((now + 5, now + 30), (now + 5, now + 90)),
        ((now + 5, now + 90), (now + 5, now + 90)),
    ] {
        feed.put(&mark(put.0, put.1)).await.unwrap();
        let entry = feed.entry(Kind::NotBefore, "ann@x").await.unwrap().unwrap();
        assert_eq!((entry.floor, entry.until), expected, "after {put:?}");
        let written = feed.put_over(&mark(now - 9, now + 1), Some(entry)).await.unwrap();
        assert!(matches!(written, Written::Done(_)));
        let entry = feed.entry(Kind::NotBefore, "ann@x").await.unwrap().unwrap();
        assert_eq!((entry.floor, entry.until), expected, "reconciling lowers nothing either");
    }
}

#[tokio::test]
async fn a_not_before_that_has_ended_is_replaced() {
    let (_server, feed) = start().await;
    let now = UnixSeconds::now().get();
    for (floor, until) in [(now + 99, now - 1), (now, now + 60)] {
        feed.put(&Record { end: until, floor }.mark(Kind::NotBefore, "ann@x")).await.unwrap();
    }
    let entry = feed.entry(Kind::NotBefore, "ann@x").await.unwrap().unwrap();
    assert_eq!((entry.floor, entry.until), (now, now + 60));
}

#[tokio::test]
async fn nothing_lifts_a_not_before() {
    let (_server, feed) = start().await;
    let stamp = feed.put(&Mark::not_before(&subject("ann@x"), later())).await.unwrap();
    assert_eq!(feed.lift(Kind::NotBefore, "ann@x", stamp.version).await.unwrap(), Lifted::Overtaken);
    assert!(feed.entry(Kind::NotBefore, "ann@x").await.unwrap().is_some());
}

#[tokio::test]
async fn p8_a_revision_that_was_announced_is_never_taken_back() {
    let (_server, feed) = start().await;
    let google = SourceName::parse("google").unwrap();
    for (revision, expected) in [(1_700_000_000_007, 1_700_000_000_007), (9, 1_700_000_000_007)] {
        let stamp = feed.put(&Mark::keyset(&google, revision)).await.unwrap();
        assert_eq!(feed.lift(Kind::Keyset, "google", stamp.version).await.unwrap(), Lifted::Overtaken);
        let entry = feed.entry(Kind::Keyset, "google").await.unwrap().unwrap();
        assert_eq!((entry.floor, entry.until), (expected, FOREVER));
    }
}

#[tokio::test]
async fn bans_are_listed_in_order_without_those_that_ended_or_were_lifted() {
    let (_server, feed) = start().await;
    for name in ["cid@x", "ann@x", "bob@x", "eve@x"] {
        feed.put(&ban(name)).await.unwrap();
    }
    feed.put(&Mark::ban(&subject("dan@x"), UnixSeconds::now().get() - 1)).await.unwrap();
    feed.put(&Mark::revoked_token("aaa", later())).await.unwrap();
    let bob = feed.entry(Kind::Ban, "bob@x").await.unwrap().unwrap();
    feed.lift(Kind::Ban, "bob@x", bob.version).await.unwrap();
    let names = |bans: Vec<crate::service::feed::BanEntry>| bans.into_iter().map(|ban| ban.name).collect::<Vec<_>>();
    assert_eq!(names(feed.bans(None, 10).await.unwrap()), ["ann@x", "cid@x", "eve@x"]);
    assert_eq!(names(feed.bans(None, 2).await.unwrap()), ["ann@x", "cid@x"]);
    assert_eq!(names(feed.bans(Some("cid@x"), 2).await.unwrap()), ["eve@x"]);
}

#[tokio::test]
async fn a_list_is_whole_when_many_have_ended() {
    let (_server, feed) = start().await;
    for n in 0..700 {
        feed.put(&Mark::ban(&subject(&format!("p{n:03}@x")), UnixSeconds::now().get() - 1)).await.unwrap();
    }
    feed.put(&ban("zoe@x")).await.unwrap();
    assert_eq!(feed.bans(None, 5).await.unwrap().len(), 1);
}

#[tokio::test]
async fn without_redis_nothing_is_written_and_the_error_is_quick() {
    let (mut server, feed) = start().await;
    feed.put(&ban("ann@x")).await.unwrap();
    server.stop();
    let begun = std::time::Instant::now();
    for _ in 0..3 {
        assert!(feed.put(&ban("bob@x")).await.is_err());
    }
    assert!(begun.elapsed() < std::time::Duration::from_millis(500), "{:?}", begun.elapsed());
}
