//! The records of bans, on a real Redis.

use redis::AsyncCommands;

use super::*;
use crate::domain::feed::Version;
use crate::service::feed::LiveEntry;
use crate::testing::RedisServer;

fn subject(text: &str) -> Subject {
    Subject::try_from(text.to_owned()).unwrap()
}

fn ban(address: &str, until: UnixSeconds) -> Ban {
    Ban {
        subject: subject(address),
        reason: Reason::parse("spam").unwrap(),
        by: Some("root@x.org".into()),
        at: Some(UnixSeconds(1_700_000_000)),
        until,
    }
}

fn entry(name: &str, until: UnixSeconds) -> BanEntry {
    BanEntry { name: name.into(), entry: LiveEntry { version: Version::new(1), until: until.get(), floor: 0 } }
}

#[tokio::test]
async fn a_ban_is_on_record_as_the_old_gateway_expects_it() {
    let server = RedisServer::start().await;
    let (bans, mut redis) = (RedisBans::new(server.client()), server.client().shared());
    let until = UnixSeconds::now().plus(100);
    bans.record(&ban("Ann@X.org", until)).await.unwrap();
    let value: String = redis.get("active_user_deleted:ann@x.org").await.unwrap();
    assert_eq!(value, "1700000000", "the Unix time of the ban");
    let ends: u64 =
        redis::cmd("EXPIRETIME").arg("active_user_deleted:ann@x.org").query_async(&mut redis).await.unwrap();
    assert_eq!(ends, until.get(), "record and entry end together");
    let ends: u64 = redis::cmd("EXPIRETIME").arg("sekisho:ban:ann@x.org").query_async(&mut redis).await.unwrap();
    assert_eq!(ends, until.get());
}

#[tokio::test]
async fn a_permanent_ban_has_no_end_even_in_place_of_one_that_had() {
    let server = RedisServer::start().await;
    let (bans, mut redis) = (RedisBans::new(server.client()), server.client().shared());
    bans.record(&ban("ann@x.org", UnixSeconds::now().plus(100))).await.unwrap();
    bans.record(&ban("ann@x.org", UnixSeconds::FOREVER)).await.unwrap();
    for key in ["active_user_deleted:ann@x.org", "sekisho:ban:ann@x.org"] {
        let life: i64 = redis.ttl(key).await.unwrap();
        assert_eq!(life, -1, "{key}");
    }
    bans.record(&ban("ann@x.org", UnixSeconds::now().plus(100))).await.unwrap();
    let life: i64 = redis.ttl("sekisho:ban:ann@x.org").await.unwrap();
    assert!(life > 0, "and the other way round");
}

#[tokio::test]
async fn lifting_removes_the_record_in_every_spelling_and_no_other() {
    let server = RedisServer::start().await;
    let (bans, mut redis) = (RedisBans::new(server.client()), server.client().shared());
    for name in ["a-n[n]*@x.org", "A-N[n]*@X.ORG", "annn@x.org", "a-nn@x.org", "aXn[n]y@x.org"] {
        let _: () = redis.set(format!("active_user_deleted:{name}"), 1).await.unwrap();
    }
    assert!(bans.has_record(&subject("a-n[n]*@x.org")).await.unwrap());
    let spellings = bans.spellings(&subject("a-n[n]*@x.org")).await.unwrap();
    assert_eq!(spellings, ["A-N[n]*@X.ORG"]);
    assert!(bans.remove(&subject("a-n[n]*@x.org"), &spellings).await.unwrap());
    let mut left: Vec<String> = redis.keys("*").await.unwrap();
    left.sort();
    assert_eq!(
        left,
        ["active_user_deleted:a-nn@x.org", "active_user_deleted:aXn[n]y@x.org", "active_user_deleted:annn@x.org"]
    );
    assert!(!bans.remove(&subject("a-n[n]*@x.org"), &spellings).await.unwrap(), "nothing was left");
    assert!(!bans.has_record(&subject("a-n[n]*@x.org")).await.unwrap());
}

#[tokio::test]
async fn what_holds_an_issuer_has_no_other_spellings() {
    let server = RedisServer::start().await;
    let (bans, mut redis) = (RedisBans::new(server.client()), server.client().shared());
    for name in ["https://idp|Ann", "https://idp|ann"] {
        let _: () = redis.set(format!("active_user_deleted:{name}"), 1).await.unwrap();
    }
    assert!(bans.spellings(&subject("https://idp|Ann")).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_record_of_another_program_is_described_as_far_as_it_goes() {
    let server = RedisServer::start().await;
    let (bans, mut redis) = (RedisBans::new(server.client()), server.client().shared());
    let until = UnixSeconds::now().plus(100);
    bans.record(&ban("ann@x.org", until)).await.unwrap();
    let _: () = redis.set("active_user_deleted:bob@x.org", "1600000000").await.unwrap();
    let _: () = redis.set("active_user_deleted:eve@x.org", "not a number").await.unwrap();
    let _: () = redis.set("sekisho:ban:eve@x.org", "not a hash").await.unwrap();
    let names = ["ann@x.org", "bob@x.org", "eve@x.org", "https://idp|Ann", "\u{7}"];
    let described = bans.describe(&names.map(|name| entry(name, until))).await.unwrap();
    assert_eq!(described.len(), 4, "what names nobody is left out");
    assert_eq!(described[0], ban("ann@x.org", until));
    assert_eq!(described[1].at, Some(UnixSeconds(1_600_000_000)));
    for unknown in &described[2..] {
        assert_eq!((unknown.at, unknown.by.as_ref(), unknown.reason.as_ref()), (None, None, None));
        assert_eq!(unknown.until, until);
    }
}

#[tokio::test]
async fn only_one_has_the_turn_and_nobody_ends_anothers() {
    let server = RedisServer::start().await;
    let bans = RedisBans::new(server.client());
    let ann = subject("ann@x.org");
    let turn = bans.take_turn(&ann).await.unwrap().expect("it is free");
    assert_eq!(bans.take_turn(&ann).await.unwrap(), None);
    assert!(bans.take_turn(&subject("bob@x.org")).await.unwrap().is_some(), "somebody else's is free");
    bans.end_turn(Turn { id: "another".into(), ..turn.clone() }).await.unwrap();
    assert_eq!(bans.take_turn(&ann).await.unwrap(), None, "it was not ended by another");
    bans.end_turn(turn).await.unwrap();
    assert!(bans.take_turn(&ann).await.unwrap().is_some());
    let life: i64 = server.client().shared().pttl("sekisho:turn:ban:ann@x.org").await.unwrap();
    assert!((1..=5_000).contains(&life), "a turn ends by itself: {life}");
}

#[tokio::test]
async fn without_redis_every_call_fails_and_nothing_is_promised() {
    let mut server = RedisServer::start().await;
    let bans = RedisBans::new(server.client());
    server.stop();
    assert!(bans.record(&ban("ann@x.org", UnixSeconds::FOREVER)).await.is_err());
    assert!(bans.remove(&subject("ann@x.org"), &[]).await.is_err());
    assert!(bans.take_turn(&subject("ann@x.org")).await.is_err());
}
